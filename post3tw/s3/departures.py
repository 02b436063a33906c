"""Small replies leave together, when the reactor's turn is over.

Twisted's transport asks the reactor to tell it when the socket has room, is told so in the next turn, sends, and takes
the question back: two system calls and an event more than the sending itself. A socket that has nothing queued nearly
always has room for a small reply, so here it is simply sent, and only what the socket did not take goes the long way.

Not at once, though: with many clients each reply would wake its reader, who competes with us for the processor, one by
one. What was written in a turn is sent at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTime

SMALL = 65536
"""Bytes. More than that takes the long way, on which the transport says when it has enough."""


class Departures:
    """The replies of one turn of the reactor, of all connections."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Departure] = []

    def join(self, departure: Departure, reactor: IReactorTime) -> None:
        """A connection has something to send for the first time in this turn of the reactor that serves it."""
        if not self._waiting:
            reactor.callLater(0, self._leave)
        self._waiting.append(departure)

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, []
        for departure in waiting:
            departure.leave()


class Departure:
    """What one connection writes. Everything for its transport goes through here, so that it stays in order.

    Args:
        transport: of the connection. One that is no plain socket (TLS, a proxy's protocol) always takes the long way.
        departures: of all connections.
    """

    __slots__ = ("_departures", "_direct", "_held", "_transport")

    def __init__(self, transport: Any, departures: Departures) -> None:
        self._transport = transport
        self._departures = departures
        self._direct = isinstance(transport, FileDescriptor)
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send bytes at the end of the turn."""
        if not self._direct:
            self._transport.write(data)
        elif len(data) + len(self._held) > SMALL:
            self._take_the_long_way()
            self._transport.write(data)
        elif self._held:
            self._held += data
        else:
            self._held = data
            self._departures.join(self, self._transport.reactor)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send several pieces."""
        if self._direct:
            self._take_the_long_way()
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

    def _take_the_long_way(self) -> None:
        """From now on the transport may have bytes queued, before which nothing may be sent; it does not tell when it
        has none."""
        self.leave()
        self._direct = False
