"""Lines of the access log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from select import PIPE_BUF
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from post3tw.s3.access_log import AccessLog, human_line, json_line
from post3tw.s3.record import CLIENT_GONE, RequestRecord

STAMP = "2026-11-21T10:00:00.000Z"


def record(**changes: Any) -> RequestRecord:
    """A PUT that went well, but for the changes."""
    values: dict[str, Any] = {
        "time": 1_795_255_200.25,
        "request_id": "0123456789ABCDEF",
        "method": "PUT",
        "uri": "/photos/a%20b",
        "remote_ip": "192.0.2.7",
        "user_agent": "test/1",
        "operation": "PutObject",
        "bucket": "photos",
        "key": "a b",
        "user_id": "root",
        "access_key": "POST3X",
        "status": 200,
        "bytes_in": 4096,
        "duration": 0.0042,
        "time_to_first_byte": 0.004,
    }
    return RequestRecord(**{**values, **changes})


class JsonLineTests(SynchronousTestCase):
    """One JSON object a line."""

    def test_fields(self) -> None:
        """A line has every field that the request has, under its documented name."""
        self.assertEqual(
            json.loads(json_line(record(), STAMP)),
            {
                "timestamp": STAMP,
                "request_id": "0123456789ABCDEF",
                "method": "PUT",
                "uri": "/photos/a%20b",
                "status": 200,
                "duration_ms": 4.2,
                "client_ip": "192.0.2.7",
                "operation": "PutObject",
                "bucket": "photos",
                "key": "a b",
                "user": "root",
                "access_key": "POST3X",
                "bytes_in": 4096,
                "first_byte_ms": 4.0,
                "user_agent": "test/1",
            },
        )

    def test_empty_is_left_out(self) -> None:
        """What a request does not have is not in its line."""
        nothing = {"operation": "", "bucket": None, "key": None, "user_id": None, "bytes_in": 0}
        line = json_line(record(**nothing, user_agent=None, time_to_first_byte=None), STAMP)
        self.assertEqual(
            set(json.loads(line)), {"timestamp", "request_id", "method", "uri", "status", "duration_ms", "client_ip"}
        )

    def test_errors(self) -> None:
        """A request that failed has its code; one whose client went away says so."""
        failed = json.loads(json_line(record(status=404, error_code="NoSuchKey", bytes_out=300), STAMP))
        self.assertEqual((failed["status"], failed["error"], failed["bytes"]), (404, "NoSuchKey", 300))
        gone = json.loads(json_line(record(status=CLIENT_GONE, client_gone=True), STAMP))
        self.assertEqual((gone["status"], gone["client_gone"]), (499, True))

    @given(st.text(), st.text(), st.text())
    def test_anything_fits_on_a_line(self, uri: str, key: str, agent: str) -> None:
        """Whatever clients send, a line is one line of JSON that gives it back."""
        line = json_line(record(uri=uri, key=key, user_agent=agent), STAMP)
        self.assertEqual(line.count("\n"), 1)
        line.encode("ascii")
        found = json.loads(line)
        self.assertEqual((found["uri"], found["key"], found.get("user_agent", "")), (uri, key, agent))


class HumanLineTests(SynchronousTestCase):
    """A line for a person."""

    def test_line(self) -> None:
        """It says what was asked, how it went, how long it took and how much flowed."""
        line = human_line(record(status=404, error_code="NoSuchKey", bytes_in=0, bytes_out=5 << 20))
        self.assertIn("404 NoSuchKey  PUT /photos/a%20b  4.2 ms  out 5.0 MiB\n", line)

    def test_no_escapes(self) -> None:
        """Control characters of a client do not reach the terminal."""
        self.assertNotIn("\x1b", human_line(record(uri="/\x1b[2J")))


class AccessLogTests(SynchronousTestCase):
    """When and where lines are written."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.log = AccessLog(self.clock, self.path)
        self.log.open()

    def lines(self) -> list[str]:
        """What is in the file."""
        return self.path.read_text().splitlines()

    def test_lines_wait_for_each_other(self) -> None:
        """Lines of a second are written together, at its end."""
        self.log.observe(record())
        self.clock.advance(0.9)
        self.log.observe(record())
        self.assertEqual(self.lines(), [])
        self.clock.advance(0.1)
        self.assertEqual(len(self.lines()), 2)
        self.log.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timestamps(self) -> None:
        """Timestamps are RFC 3339 in UTC, to the millisecond."""
        for seconds in (0.0, 0.5, 1_795_255_200.25):
            self.log.observe(record(time=seconds))
        self.log.close()
        self.assertEqual(
            [json.loads(line)["timestamp"] for line in self.lines()],
            ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.500Z", "2026-11-21T10:00:00.250Z"],
        )

    def test_many_do_not_wait(self) -> None:
        """A thousand lines are written without waiting."""
        for _ in range(1000):
            self.log.observe(record())
        self.assertEqual(len(self.lines()), 1000)
        self.log.close()

    def test_whole_lines(self) -> None:
        """What goes to a file is one write; into a pipe, to which others may write as well, go whole lines, as many as
        it takes together."""
        written: list[bytes] = []
        for number in range(100):
            self.log.observe(record(uri="/" + "x" * number))

        def write(descriptor: int, data: bytes) -> int:
            written.append(data)
            return len(data)

        self.patch(os, "write", write)
        self.log.flush()
        self.assertEqual(len(written), 1)
        written.clear()
        standard_error = AccessLog(self.clock)
        standard_error.open()
        for number in (*range(100), 2 * PIPE_BUF):
            standard_error.observe(record(uri="/" + "x" * number))
        standard_error.flush()
        self.assertTrue(all(piece.endswith(b"\n") for piece in written))
        self.assertEqual([len(piece) > PIPE_BUF for piece in written], [False] * (len(written) - 1) + [True])
        self.assertLess(len(written), 20)
        self.assertEqual(b"".join(written).count(b"\n"), 101)

    def test_close_loses_nothing(self) -> None:
        """What waits is written when the log is closed, and nothing is left to be done later."""
        self.log.observe(record())
        self.log.close()
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reopen(self) -> None:
        """After a rename, lines from before are in the old file and lines from after in the new."""
        self.log.observe(record(key="before"))
        moved = Path(self.mktemp())
        self.path.rename(moved)
        self.log.reopen()
        self.log.observe(record(key="after"))
        self.log.close()
        self.assertIn('"key":"before"', moved.read_text())
        self.assertEqual([json.loads(line)["key"] for line in self.lines()], ["after"])

    def test_reopen_in_vain(self) -> None:
        """When the new file cannot be opened, the old one is kept and the log says so."""
        self.log.path = Path(self.mktemp()) / "missing" / "access.log"
        self.log.reopen()
        self.log.observe(record())
        self.log.close()
        self.assertEqual(len(self.lines()), 1)

    def test_appends(self) -> None:
        """What is in the file already stays."""
        self.log.close()
        self.path.write_text("old\n")
        self.log.open()
        self.log.observe(record())
        self.log.close()
        self.assertEqual(self.lines()[0], "old")
        self.assertEqual(len(self.lines()), 2)

    def test_a_log_that_cannot_be_written(self) -> None:
        """A failing write costs no request; the next one is tried again."""
        reader, writer = os.pipe()
        os.close(reader)
        broken = AccessLog(self.clock, Path(f"/dev/fd/{writer}"))
        broken._descriptor = writer
        broken.observe(record())
        self.clock.advance(1)
        broken.close()
        self.log.close()
