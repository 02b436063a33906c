"""How a server ends, who may have its data, and what it does with files that are not what they were."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import only_on
from tests.hostile.case import HostileCase, client_of, wait_until
from tests.hostile.inside import InsideDirectory
from tests.hostile.raw import Fields, Reply

MIB = 1 << 20
_ELSEWHERE = ("--listen=tcp:0:interface=127.0.0.1", "--admin=none")


@only_on("fs", "a second server may have the same database")
class TerminationTests(SynchronousTestCase):
    """SIGTERM, and a second server on the same data."""

    def start(self, drain: str) -> None:
        """Start a server of this test's own."""
        directory = tempfile.TemporaryDirectory(prefix="post3-ending-")
        self.addCleanup(directory.cleanup)
        self.data_dir = Path(directory.name) / "data"
        options = ("--durability=relaxed", "--reserve=0", f"--drain={drain}")
        self.server = RunningServer(data_dir=self.data_dir, options=options).start()
        self.client = client_of(self.server)
        self.assertEqual(self.client.ask("PUT", "/bucket").status, 200)

    def ended(self) -> Thread:
        """A thread that stops the server with SIGTERM and notes the status it ends with."""
        self.status: int | None = None

        def stop() -> None:
            self.status = self.server.stop()

        thread = Thread(target=stop)
        thread.start()
        return thread

    def assert_refuses(self) -> None:
        """Soon nobody can connect any more."""

        def refused() -> bool:
            try:
                self.client.connect().close()
            except OSError:
                return True
            return False

        self.assertTrue(wait_until(refused))

    def test_finishes(self) -> None:
        """Requests that run when SIGTERM comes finish: bodies that are on their way in, and on their way out."""
        self.start(drain="60s")
        body = os.urandom(32 * MIB)
        self.assertEqual(self.client.ask("PUT", "/bucket/out", (), body).status, 200)
        with self.client.connect() as writing, self.client.connect() as reading, self.client.connect() as idle:
            reading.send(self.client.message("GET", "/bucket/out"))
            idle.send(self.client.message("GET", "/bucket/none"))
            self.assertEqual(idle.reply().status, 404)
            message = self.client.message("PUT", "/bucket/in", (), body)
            writing.send(message[: 16 * MIB])
            self.assertTrue(wait_until(lambda: bool(InsideDirectory(self.data_dir).unfinished())))
            ending = self.ended()
            self.assert_refuses()
            self.assertTrue(idle.closed())
            writing.send(message[16 * MIB :])
            answer = writing.reply()
            self.assertEqual((answer.status, answer.headers.get("connection")), (200, "close"))
            self.assertEqual(reading.reply().body, body)
        ending.join()
        self.assertEqual(self.status, 0)
        self.assertNotIn("Traceback", self.server.output)
        with self.server:
            self.assertEqual(client_of(self.server).ask("GET", "/bucket/in").body, body)

    def test_does_not_wait_for_ever(self) -> None:
        """A request that never ends is cut off when the time to drain is over, and the server ends well."""
        self.start(drain="1s")
        with self.client.connect() as stuck:
            stuck.send(self.client.head("PUT", "/bucket/stuck", [(b"content-length", b"99999999")]) + b"a")
            begun = time.monotonic()
            self.assertEqual(self.server.stop(), 0)
            self.assertLess(time.monotonic() - begun, 15)
            self.assertTrue(stuck.closed())

    def test_second(self) -> None:
        """A second server on the same data is refused with one line and status 1, and harms nothing."""
        self.start(drain="1s")
        self.assertEqual(self.client.ask("PUT", "/bucket/key", (), b"content").status, 200)
        second = subprocess.run(
            [sys.executable, "-m", "post3tw.cli", "serve", str(self.data_dir), *_ELSEWHERE],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        told = [line for line in second.stdout.splitlines() if "in use by another process" in line]
        self.assertEqual((second.returncode, len(told)), (1, 1), second.stdout)
        self.assertNotIn("Traceback", second.stdout)
        self.assertEqual(self.client.ask("GET", "/bucket/key").body, b"content")
        self.assertEqual(self.server.stop(), 0)


@only_on("fs", "it damages files")
class DamageTests(HostileCase):
    """Files that were changed behind the server's back: never wrong bytes with a 200."""

    def setUp(self) -> None:
        """Store an object of several frames."""
        super().setUp()
        before = set((self.data_dir / "blobs").rglob("*"))
        self.body = os.urandom(5 * MIB + 12345)
        self.put("key", self.body)
        (self.blob,) = (path for path in (self.data_dir / "blobs").rglob("*") if path not in before and path.is_file())
        self.put("other", b"other")

    def assert_calm(self, begin: int) -> None:
        """What is found is logged, and may be a failure there."""

    def read(self, headers: Fields = ()) -> Reply | None:
        """GET it; None when the connection was dropped before the end."""
        with self.client.connect() as connection:
            connection.send(self.client.message("GET", self.target(), headers))
            try:
                return connection.reply()
            except ConnectionError:
                return None

    def assert_found(self, *ranges: tuple[int, int]) -> None:
        """Whoever reads what is damaged gets an error or nothing; everything else goes on."""
        for first, last in ranges:
            reply = self.read([(b"range", b"bytes=%d-%d" % (first, last))])
            self.assertTrue(reply is None or (reply.status, reply.code) == (500, "InternalError"), reply)
        whole = self.read()
        self.assertTrue(whole is None or (whole.status, whole.code) == (500, "InternalError"), whole)
        head = self.client.ask("HEAD", self.target())
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(self.body))))
        listed = self.client.ask("GET", f"/{self.bucket}?list-type=2")
        self.assertIn(b"<Key>key</Key>", listed.body)
        self.assertEqual(self.client.ask("GET", self.target("other")).body, b"other")
        self.assertEqual(self.client.ask("DELETE", self.target()).status, 204)
        self.put("key", self.body)
        self.assertEqual(self.client.ask("GET", self.target()).body, self.body)

    def flip(self, offset: int) -> None:
        """Flip one bit of the file."""
        with self.blob.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x10]))

    def test_first_bit(self) -> None:
        """One bit in the first frame is found before anything is sent."""
        self.flip(5)
        reply = self.read()
        assert reply is not None
        self.assert_error(reply, 500, "InternalError")
        self.assert_found((0, 10), (100, 200))

    def test_late_bit(self) -> None:
        """One bit further on cuts the connection; parts that are not damaged are read."""
        self.flip(5 * MIB + 100)
        good = self.read([(b"range", b"bytes=100-199")])
        assert good is not None
        self.assertEqual((good.status, good.body), (206, self.body[100:200]))
        self.assertIs(self.read(), None)
        self.assert_found((5 * MIB, 5 * MIB + 1), (len(self.body) - 1, len(self.body)))

    def test_truncated(self) -> None:
        """A file that is too short is found."""
        os.truncate(self.blob, 3 * MIB + 1)
        self.assert_found((4 * MIB, 4 * MIB + 10), (3 * MIB, 3 * MIB))

    def test_empty(self) -> None:
        """A file that is empty is found."""
        os.truncate(self.blob, 0)
        self.assert_found((0, 0))

    def test_missing(self) -> None:
        """A file that is gone is found."""
        self.blob.unlink()
        self.assert_found((0, 0), (4 * MIB, 4 * MIB))

    def test_copy(self) -> None:
        """A copy of parts does not take damage along unseen."""
        self.flip(5 * MIB + 100)
        created = self.client.ask("POST", self.target("copy", "uploads"))
        upload = created.body.decode().partition("<UploadId>")[2].partition("<")[0]
        source = (b"x-amz-copy-source", self.target().encode())
        span = (b"x-amz-copy-source-range", b"bytes=%d-%d" % (5 * MIB, 5 * MIB + 999))
        query = f"partNumber=1&uploadId={upload}"
        reply = self.client.ask("PUT", self.target("copy", query), [source, span])
        self.assertEqual((reply.status, reply.code), (500, "InternalError"))

    def test_swapped(self) -> None:
        """Two files that changed places are found."""
        before = set((self.data_dir / "blobs").rglob("*"))
        self.put("second", os.urandom(len(self.body)))
        (second,) = (path for path in (self.data_dir / "blobs").rglob("*") if path not in before and path.is_file())
        first, moved = self.blob.read_bytes(), second.read_bytes()
        self.blob.write_bytes(moved)
        second.write_bytes(first)
        self.assert_found((0, 10))
