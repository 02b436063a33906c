"""How replies leave: small ones together when the reactor's turn is over, large ones without another copy.

Twisted's transport asks the reactor to tell it when the socket has room, is told so in the next turn, sends, and takes
the question back: two system calls and an event more than the sending itself. A socket that has nothing queued nearly
always has room for a small reply, so here it is simply sent, and only what the socket did not take goes the long way.

Not at once, though: with many clients each reply would wake its reader, who competes with us for the processor, one by
one. What was written in a turn is sent at its end.

A large piece is sent at once, from where it lies. The transport would join what is left of it with what comes next,
which copies it, each time the socket took a part. Here the rest waits as it is, and whoever produces is paused until
the socket had room for it: one piece a turn, so a fast client does not keep the others waiting. A reply in one piece,
which the socket took whole, is over then and there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

SMALL = 65536
"""Bytes. As many are a large piece."""

AT_ONCE = 1024 * 1024
"""How much of a piece one call gives to the socket: a whole frame. It takes what it has room for."""

Piece = bytes | bytearray | memoryview


class Departures:
    """The replies of one turn of the reactor, of all connections.

    Attributes:
        called_for: somebody is going to call `leave` when the turn is over.
    """

    log: ClassVar[Logger] = Logger()

    __slots__ = ("_waiting", "called_for")

    def __init__(self) -> None:
        self._waiting: list[Departure] = []
        self.called_for = False

    def join(self, departure: Departure, reactor: IReactorTime) -> None:
        """A connection has something to send for the first time in this turn of the reactor that serves it."""
        if not self._waiting and not self.called_for:
            reactor.callLater(0, self.leave)
        self._waiting.append(departure)

    def leave(self) -> None:
        """Send all. An error of one connection is logged, and keeps no other reply from leaving."""
        self.called_for = False
        waiting, self._waiting = self._waiting, []
        for departure in waiting:
            try:
                departure.leave()
            except Exception:
                self.log.failure("A reply could not be sent.")


class Departure:
    """What one connection writes. Everything for its transport goes through here, so that it stays in order.

    Args:
        transport: of the connection. One that is no plain socket (TLS, a proxy's protocol) always takes the long way.
        departures: of all connections.

    Attributes:
        streams: somebody produces what is written, piece by piece.
    """

    __slots__ = ("_departures", "_direct", "_held", "_rest", "_transport", "streams")

    def __init__(self, transport: Any, departures: Departures) -> None:
        self._transport = transport
        self._departures = departures
        self._direct = isinstance(transport, FileDescriptor)
        self._held = b""
        self._rest: memoryview | None = None
        self.streams = False

    def write(self, data: Piece) -> None:
        """Send bytes at the end of the turn, or, many, at once."""
        if self._rest is not None:
            self._take_the_long_way()
        if not self._direct:
            self._transport.write(bytes(data))
        elif len(data) + len(self._held) >= SMALL:
            self._send(data)
        elif self._held:
            self._held += data
        else:
            self._held = bytes(data)
            self._departures.join(self, self._transport.reactor)

    def writeSequence(self, iovec: Iterable[Piece]) -> None:
        """Send several pieces."""
        if self._direct:
            for data in iovec:
                self.write(data)
        else:
            self._transport.writeSequence(iovec)

    def leave(self) -> None:
        """Send what is held. Called at the end of the turn, and before the connection is closed."""
        data, self._held = self._held, b""
        if not data or not self._transport.connected:
            return
        sent = self._transport.writeSomeData(data)
        if sent != len(data):  # fewer bytes, or an error, which the transport meets again in its own way
            self._direct = False
            self._transport.write(data[sent:] if isinstance(sent, int) else data)

    def go_on(self) -> bool:
        """The socket has room. Whether there is nothing to send but what the producer brings."""
        rest, self._rest = self._rest, None
        if rest is None:
            return True
        return not self._send(rest)

    def end(self) -> None:
        """Hand over what has not left: the connection is about to be closed, which the transport does when all of that
        has."""
        if self._rest is not None:
            self._take_the_long_way()
        else:
            self.leave()

    def drop(self) -> None:
        """Forget what has not left: there is nobody any more, and whoever remembers the connection is not to keep it in
        memory."""
        self._held, self._rest = b"", None

    def _send(self, data: Piece) -> bool:
        """Send a large piece, behind what is held. Whether anything that follows waits until the socket has room: a
        producer goes on in the next turn, at the earliest."""
        self.leave()
        transport = self._transport
        if self._direct and transport.connected:
            sent = transport.writeSomeData(data)
            if isinstance(sent, int):
                if sent < len(data):
                    self._rest = memoryview(data)[sent:]
                elif not self.streams:
                    return False  # a reply in one piece, like a page of a listing: nothing follows
                self._wait_for_room()
                return True
            self._direct = False  # an error, which the transport meets again in its own way
        transport.write(bytes(data))
        return True

    def _wait_for_room(self) -> None:
        """Pause whoever produces, until the transport, which has nothing queued, finds that the socket has room."""
        transport = self._transport
        if transport.producer is not None:
            transport.producerPaused = True
            transport.producer.pauseProducing()
        transport.startWriting()

    def _take_the_long_way(self) -> None:
        """From now on the transport may have bytes queued, before which nothing may be sent; it does not tell when it
        has none."""
        self.leave()
        self._direct = False
        rest, self._rest = self._rest, None
        if rest is not None:
            self._transport.write(bytes(rest))
