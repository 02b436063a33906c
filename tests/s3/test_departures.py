"""Small replies leave together, in order, and nothing is lost when the socket is full."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from post3tw.s3.departures import SMALL, Departure, Departures

LARGE = bytes(range(256)) * 400


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
        self.sent += bytes(data[: self.room])
        return min(self.room, len(data))

    def write(self, data: bytes) -> None:
        self.queued += data

    def writeSequence(self, iovec: Any) -> None:
        self.queued += b"".join(iovec)


class WritingClock(Clock):
    """A reactor that may be asked to say when a socket has room. The tests say it, by calling doWrite."""

    def addWriter(self, writer: object) -> None:
        pass

    def removeWriter(self, writer: object) -> None:
        pass


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

    def test_sequence(self) -> None:
        """Pieces follow what was held."""
        self.departure.write(b"head")
        self.departure.writeSequence((b"a", b"b"))
        self.clock.advance(0)
        self.assertEqual((self.socket.sent, self.socket.sends), (b"headab", 1))

    def test_sequence_of_another_transport(self) -> None:
        """A transport that is no socket joins them itself."""
        transport = StringTransport()
        Departure(transport, self.departures).writeSequence((b"a", b"b"))
        self.assertEqual(transport.value(), b"ab")

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


class LargePieceTests(SynchronousTestCase):
    """Pieces of a large reply."""

    def setUp(self) -> None:
        self.socket = Socket(WritingClock())
        self.departure = Departure(self.socket, Departures())
        self.socket.registerProducer(self, True)  # type: ignore[arg-type]
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")
        self.complete = self.departure.go_on()

    def stopProducing(self) -> None:
        self.events.append("stop")

    def test_sent_at_once(self) -> None:
        """A large piece is sent at once, behind what is held, and what follows waits until there is room."""
        self.departure.streams = True
        self.departure.write(b"head")
        self.departure.write(LARGE)
        self.assertTrue(self.socket.sent == b"head" + LARGE)
        self.assertEqual(self.events, ["pause"])
        self.socket.doWrite()
        self.assertEqual((self.events, self.complete), (["pause", "resume"], True))

    def test_whole(self) -> None:
        """A large reply in one piece that the socket took whole waits for nothing."""
        self.departure.write(LARGE)
        self.assertTrue(self.socket.sent == LARGE)
        self.assertEqual(self.events, [])

    def test_slices(self) -> None:
        """A slice of an answer to somebody slow counts as large: it waits as it is, and no other is asked for."""
        self.socket.room = 5
        self.departure.write(bytes(SMALL))
        self.assertEqual((len(self.socket.sent), self.socket.queued, self.events), (5, b"", ["pause"]))

    def test_dropped(self) -> None:
        """What has not left is forgotten with the connection: whoever remembers that does not keep it in memory."""
        self.socket.room = 5
        data = bytearray(LARGE)
        self.departure.write(data)
        self.assertRaises(BufferError, data.append, 0)
        self.departure.drop()
        data.append(0)
        self.assertTrue(self.departure.go_on())

    def test_sent_bit_by_bit(self) -> None:
        """What the socket did not take is sent when it has room, and only after that more is asked for."""
        self.departure.streams = True
        self.socket.room = 40_000
        self.departure.write(LARGE)
        complete: list[bool] = []
        while not complete or not complete[-1]:
            self.socket.doWrite()
            complete.append(self.complete)
        self.assertEqual(complete, [False, False, True])
        self.assertTrue(self.socket.sent == LARGE)
        self.assertEqual(self.socket.queued, b"")

    def test_whole_bit_by_bit(self) -> None:
        """When the last of a reply in one piece has gone, nothing has to wait any more."""
        self.socket.room = 60_000
        self.departure.write(LARGE)
        self.assertEqual(self.events, ["pause"])
        self.socket.doWrite()
        self.assertEqual((self.events, self.complete), (["pause", "resume"], True))
        self.assertTrue(self.socket.sent == LARGE)

    def test_more_than_was_asked_for(self) -> None:
        """Who writes on although there was no room has it queued, in order."""
        self.socket.room = 3
        self.departure.write(b"abc" + LARGE)
        self.departure.write(b"more")
        self.departure.write(LARGE)
        self.assertEqual(self.socket.sent, b"abc")
        self.assertTrue(self.socket.queued == LARGE + b"more" + LARGE)

    def test_closing(self) -> None:
        """What is left is queued when the connection is about to be closed."""
        self.socket.room = len(LARGE) - 3
        self.departure.write(LARGE)
        self.departure.end()
        self.departure.end()
        self.assertEqual(self.socket.queued, LARGE[-3:])

    def test_error(self) -> None:
        """A broken connection is left to the transport."""
        self.socket.room = ConnectionResetError()
        self.departure.write(LARGE)
        self.assertTrue(self.socket.queued == LARGE)
        self.assertEqual(self.events, [])

    def test_lost(self) -> None:
        """To a connection that was lost nothing is sent."""
        self.socket.connected = 0
        self.departure.write(LARGE)
        self.assertEqual((self.socket.sends, self.events), (0, []))

    def test_any_buffer(self) -> None:
        """A transport that takes nothing but bytes gets bytes."""
        transport = StringTransport()
        departure = Departure(transport, Departures())
        departure.write(bytearray(b"abc"))
        departure.writeSequence((b"d", bytearray(b"e")))
        self.assertEqual(transport.value(), b"abcde")
