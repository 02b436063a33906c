"""A client that sends exactly the bytes it is given, and reads what comes back."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


@frozen
class Reply:
    """One reply. Header names are in lower case; of repeated ones the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def code(self) -> str:
        """The S3 error code in the body, "" when there is none."""
        _, found, rest = self.body.partition(b"<Code>")
        return rest.partition(b"</Code>")[0].decode() if found else ""


class RawClient(Protocol):
    """One connection. `received` is what came and was not yet read as a reply."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.closed: Failure | None = None
        self.paused = False
        self._waiting: list[Deferred[None]] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._changed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = reason
        self._changed()

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    @property
    def unsent(self) -> int:
        """How many bytes the operating system did not take yet."""
        transport: Any = self.transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    async def _change(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting

    def send(self, data: bytes) -> None:
        """Write bytes."""
        assert self.transport is not None
        self.transport.write(data)

    def half_close(self) -> None:
        """Send no more, but read on."""
        self.transport.loseWriteConnection()  # type: ignore[union-attr]

    def abort(self) -> None:
        """Go away at once."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    async def reply(self, method: str = "GET") -> Reply:
        """The next reply; `100 Continue` is one of its own. `method` is the request's, for replies without a body."""
        while b"\r\n\r\n" not in self.received:
            if self.closed is not None:
                raise ConnectionError(f"closed with {self.received!r}")
            await self._change()
        end = self.received.index(b"\r\n\r\n")
        line, *fields = self._take(end + 4)[:end].decode("utf-8").split("\r\n")
        status = int(line.split(" ")[1])
        headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in fields)}
        length = int(headers.get("content-length", "0"))
        if method == "HEAD" or status in (100, 204, 304):
            length = 0
        while len(self.received) < length:
            if self.closed is not None:
                raise ConnectionError(f"closed {length - len(self.received)} bytes too early")
            await self._change()
        return Reply(status, headers, self._take(length))

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    async def until_closed(self) -> bytes:
        """What comes until the server closes, apart from what was read as replies."""
        while self.closed is None:
            await self._change()
        return bytes(self.received)

    async def close(self) -> None:
        """Close, and wait until it is."""
        if self.closed is None:
            assert self.transport is not None
            self.transport.loseConnection()
            await self.until_closed()
