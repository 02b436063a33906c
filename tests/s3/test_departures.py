"""Small replies leave together, in order, and nothing is lost when the socket is full."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from post3tw.s3.departures import SMALL, Departure, Departures


class Socket(FileDescriptor):
    """A transport whose socket takes `room` bytes at a time; `log` says what happened to it."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.connected = 1
        self.room: int | BaseException = 1 << 30
        self.sent = b""
        self.queued = b""
        self.sends = 0

    def writeSomeData(self, data: bytes) -> int | BaseException:
        self.sends += 1
        if isinstance(self.room, BaseException):
            return self.room
        self.sent += data[: self.room]
        return min(self.room, len(data))

    def write(self, data: bytes) -> None:
        self.queued += data

    def writeSequence(self, iovec: Any) -> None:
        self.queued += b"".join(iovec)


class DepartureTests(SynchronousTestCase):
    """One connection's replies."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.departures = Departures()
        self.socket = Socket(self.clock)
        self.departure = Departure(self.socket, self.departures)

    def test_end_of_turn(self) -> None:
        """What is written in a turn is sent at its end, in one call."""
        self.departure.write(b"one")
        self.departure.write(b"two")
        self.assertEqual(self.socket.sent, b"")
        self.clock.advance(0)
        self.assertEqual((self.socket.sent, self.socket.sends), (b"onetwo", 1))

    def test_together(self) -> None:
        """Connections that write in the same turn share one call of the reactor."""
        other = Socket(self.clock)
        self.departure.write(b"a")
        Departure(other, self.departures).write(b"b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual((self.socket.sent, other.sent), (b"a", b"b"))

    def test_no_room(self) -> None:
        """What the socket did not take, and all that follows, is queued by the transport."""
        self.socket.room = 2
        self.departure.write(b"first")
        self.clock.advance(0)
        self.departure.write(b"second")
        self.clock.advance(0)
        self.assertEqual((self.socket.sent, self.socket.queued), (b"fi", b"rstsecond"))

    def test_error(self) -> None:
        """A broken connection is left to the transport, which ends it as it does every other."""
        self.socket.room = ConnectionResetError()
        self.departure.write(b"gone")
        self.clock.advance(0)
        self.assertEqual(self.socket.queued, b"gone")

    def test_large(self) -> None:
        """Large pieces go to the transport, which says when it has enough, behind what was held."""
        self.departure.write(b"head")
        self.departure.write(b"x" * SMALL)
        self.assertEqual((self.socket.sent, self.socket.queued), (b"head", b"x" * SMALL))

    def test_sequence(self) -> None:
        """Pieces go to the transport behind what was held."""
        self.departure.write(b"head")
        self.departure.writeSequence((b"a", b"b"))
        self.assertEqual((self.socket.sent, self.socket.queued), (b"head", b"ab"))

    def test_closing(self) -> None:
        """What is held is sent when the connection is about to be closed, and not again."""
        self.departure.write(b"last")
        self.departure.leave()
        self.clock.advance(0)
        self.assertEqual((self.socket.sent, self.socket.sends), (b"last", 1))

    def test_lost(self) -> None:
        """To a connection that was lost nothing is sent."""
        self.departure.write(b"late")
        self.socket.connected = 0
        self.clock.advance(0)
        self.assertEqual(self.socket.sends, 0)
