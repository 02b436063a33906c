"""One line a request: JSON for machines, something shorter when a person looks on.

docs/access-log.md explains the fields. Lines are collected and written together, at the latest a second later and in
any case before the server ends; a line costs a few microseconds, a write a system call.

Several processes may write to one log. What is appended to a file by one write stays together; a pipe, or a terminal,
takes as much as PIPE_BUF bytes together, so there lines go in pieces of that size.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quote
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field
from twisted.logger import Logger

from post3tw.s3.record import RequestRecord

STANDARD_ERROR = 2
_AT_ONCE = 1000
"""So many lines are not kept waiting."""


@define(eq=False)
class AccessLog:
    """An observer of requests that writes them down.

    Attributes:
        clock: an IReactorTime, for the delay.
        path: the file to append to; None for standard error.
        human: whether a person reads it.
        delay: seconds that a line may wait for others.
    """

    log: ClassVar[Logger] = Logger()

    clock: Any
    path: Path | None = None
    human: bool = False
    delay: float = 1.0
    _descriptor: int = field(default=STANDARD_ERROR, init=False)
    _is_file: bool = field(default=False, init=False)
    _lines: list[str] = field(factory=list, init=False, repr=False)
    _timer: Any = field(default=None, init=False)
    _second: tuple[int, str] = field(default=(-1, ""), init=False)

    def open(self) -> None:
        """Open the file. Raises OSError."""
        if self.path is not None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def reopen(self) -> None:
        """Write what waits to the file that is open, then go on in a new one of the same name."""
        self.flush()
        old = self._descriptor
        try:
            self.open()
        except OSError as error:
            self.log.error("The access log stays where it was: {reason}", reason=str(error))
            return
        if old != self._descriptor:
            os.close(old)

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.flush()
        if self._descriptor != STANDARD_ERROR:
            os.close(self._descriptor)
            self._descriptor = STANDARD_ERROR

    def observe(self, record: RequestRecord) -> None:
        """See RequestObserver."""
        lines = self._lines
        lines.append(human_line(record) if self.human else json_line(record, self._timestamp(record.time)))
        if len(lines) >= _AT_ONCE:
            self.flush()
        elif self._timer is None:
            self._timer = self.clock.callLater(self.delay, self._due)

    def flush(self) -> None:
        """Write what waits. A log that cannot be written is said once and costs no request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        try:
            for text in ("".join(lines),) if self._is_file else _pieces(lines):
                data = text.encode("ascii", "backslashreplace")
                while data:
                    data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.log.error("{count} lines of the access log are lost: {reason}", count=len(lines), reason=str(error))

    def _due(self) -> None:
        self._timer = None
        self.flush()

    def _timestamp(self, seconds: float) -> str:
        """RFC 3339 in UTC with milliseconds; the part up to the second is made once a second."""
        whole = int(seconds)
        if whole != self._second[0]:
            self._second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
        return f"{self._second[1]}.{int((seconds - whole) * 1000):03d}Z"


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines together, as many as go into a pipe at once; a longer one alone."""
    piece = ""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = ""
        piece += line
    yield piece


def json_line(record: RequestRecord, timestamp: str) -> str:
    """A record as one line of JSON; what is empty is left out."""
    line = (
        f'{{"timestamp":"{timestamp}","request_id":"{record.request_id}","method":{quote(record.method)},'
        f'"uri":{quote(record.uri)},"status":{record.status},"duration_ms":{record.duration * 1000:.3f},'
        f'"client_ip":{quote(record.remote_ip)}'
    )
    if record.operation:
        line += f',"operation":"{record.operation}"'
    if record.bucket is not None:
        line += f',"bucket":{quote(record.bucket)}'
        if record.key is not None:
            line += f',"key":{quote(record.key)}'
    if record.user_id is not None:
        line += f',"user":{quote(record.user_id)},"access_key":{quote(record.access_key or "")}'
    if record.bytes_out:
        line += f',"bytes":{record.bytes_out}'
    if record.bytes_in:
        line += f',"bytes_in":{record.bytes_in}'
    if record.time_to_first_byte is not None:
        line += f',"first_byte_ms":{record.time_to_first_byte * 1000:.3f}'
    if record.user_agent:
        line += f',"user_agent":{quote(record.user_agent)}'
    if record.error_code is not None:
        line += f',"error":"{record.error_code}"'
    if record.client_gone:
        line += ',"client_gone":true'
    return line + "}\n"


def human_line(record: RequestRecord) -> str:
    """A record as a person wants it: when, what, how it went, how long it took, how much."""
    clock = time.strftime("%H:%M:%S", time.localtime(record.time))
    result = " ".join(filter(None, (str(record.status), record.error_code or "")))
    sizes = "".join(f"  {label} {_size(count)}" for label, count in _flows(record) if count)
    uri = record.uri if record.uri.isprintable() else quote(record.uri)
    return f"{clock}  {result}  {record.method} {uri}  {record.duration * 1000:.1f} ms{sizes}\n"


def _flows(record: RequestRecord) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("in", record.bytes_in), ("out", record.bytes_out)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
