"""Connections in memory, whose server's end is a transport like a socket's: Twisted's own buffers and pauses, with the
scheduler for a kernel."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from tests.durability.scheduler import Scheduler

_PEER = IPv4Address("TCP", "127.0.0.1", 50_000)
_WINDOW = 65_536


class Wire(FileDescriptor):
    """The server's end of a connection.

    Args:
        scheduler: the reactor.
        factory: of the server.
        received: is given what the server sends.
        lost: is called when the server has closed.
        random: into which pieces bytes are cut; None for none.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        factory: Any,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
        random: Random | None = None,
    ) -> None:
        super().__init__(scheduler)  # type: ignore[arg-type]
        self._received = received
        self._lost = lost
        self._random = random
        self._incoming = b""
        self._hung_up = False
        self.connected = 1
        self.protocol = factory.buildProtocol(_PEER)
        self.protocol.makeConnection(self)
        self.startReading()

    # -- the client's side

    def send(self, data: bytes) -> None:
        """Bytes for the server."""
        self._incoming += data

    def hang_up(self) -> None:
        """The client is gone, at once."""
        self._hung_up = True

    # -- for the scheduler

    @property
    def readable(self) -> bool:
        """Whether a read would give anything."""
        return bool(self._incoming) or self._hung_up

    def doRead(self) -> BaseException | None:
        """See IReadDescriptor."""
        if self._hung_up:
            return ConnectionLost()
        size = len(self._incoming)
        if self._random is not None and size > 1 and self._random.random() < 0.3:
            size = self._random.choice((1, 2, 17, 1000, size // 2))
        data, self._incoming = self._incoming[:size], self._incoming[size:]
        self.protocol.dataReceived(data)
        return None

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """See FileDescriptor."""
        if self._hung_up:
            return ConnectionLost()
        taken = bytes(data[: _WINDOW if self._random is None else self._random.choice((1, 100, 8000, _WINDOW))])
        self._received(taken)
        return len(taken)

    # -- for the protocol

    def getPeer(self) -> IPv4Address:
        """Where the client is."""
        return _PEER

    def abortConnection(self) -> None:
        """Close at once."""
        if self.connected:
            self.connectionLost(Failure(ConnectionAborted()))

    def connectionLost(self, reason: Failure) -> None:
        """See FileDescriptor."""
        if self.connected:
            super().connectionLost(reason)
            self.protocol.connectionLost(reason)
            self._lost()

    def _closeWriteConnection(self) -> None:
        """The server sends no more; a client of ours then goes too."""
        self._incoming, self._hung_up = b"", True

    def _postLoseConnection(self) -> BaseException:
        return ConnectionDone()
