"""The reactor of workers."""

from __future__ import annotations

import socket
import sys
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from post3tw.server.reactor import at_end_of_turn, lean_reactor


@implementer(IReadDescriptor)
class Reader:
    """One end of a pair of sockets, with something to read."""

    def __init__(self, reactor: Any, act: Any = lambda: None) -> None:
        self.reactor = reactor
        self.act = act
        self.reads = 0
        self.lost: Failure | None = None
        self.here, self.there = socket.socketpair()
        self.there.send(b"x")
        reactor.addReader(self)

    def logPrefix(self) -> str:
        return "reader"

    def fileno(self) -> int:
        return self.here.fileno()

    def doRead(self) -> Any:
        self.reads += 1
        self.here.recv(1)
        return self.act()

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason

    def close(self) -> None:
        self.reactor.removeReader(self)
        self.here.close()
        self.there.close()


class LeanReactorTests(SynchronousTestCase):
    """Turns of the reactor, one by one."""

    if sys.platform != "linux":
        skip = "there is no epoll"

    def setUp(self) -> None:
        """A reactor that nobody installed."""
        self.reactor = lean_reactor()
        self.addCleanup(self.reactor._poller.close)
        self.addCleanup(self.reactor.disconnectAll)

    def reader(self, act: Any = lambda: None) -> Reader:
        """A reader that does something when it has read."""
        reader = Reader(self.reactor, act)
        self.addCleanup(reader.close)
        return reader

    def test_calls_who_has_something_to_read(self) -> None:
        """Each of them once, and not again when there is nothing more."""
        readers = [self.reader(), self.reader()]
        self.reactor.doPoll(1)
        self.reactor.doPoll(0)
        self.assertEqual([reader.reads for reader in readers], [1, 1])

    def test_one_that_fails_fails_alone(self) -> None:
        """What a reader raises is logged, and the reader let go; the others are called all the same."""
        bad, good = self.reader(lambda: 1 // 0), self.reader()
        self.reactor.doPoll(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNotNone(bad.lost)
        self.assertEqual((good.reads, good.lost), (1, None))

    def test_who_is_at_an_end_is_let_go(self) -> None:
        """A reader may say that its connection is lost."""
        reader = self.reader(lambda: CONNECTION_LOST)
        self.reactor.doPoll(1)
        self.assertIsNotNone(reader.lost)
        self.assertNotIn(reader, self.reactor.getReaders())

    def test_who_was_removed_in_the_same_turn_is_not_called(self) -> None:
        """Of two that have something to read, the first removes the second."""
        readers: list[Reader] = []

        def remove_others() -> None:
            for reader in readers:
                self.reactor.removeReader(reader)

        readers += [self.reader(remove_others), self.reader(remove_others)]
        self.reactor.doPoll(1)
        self.assertEqual(sum(reader.reads for reader in readers), 1)

    def test_the_end_of_a_turn(self) -> None:
        """What is put off comes when all who have something to read were called, once."""
        log: list[str] = []
        put_off = at_end_of_turn(self.reactor)
        self.reader(lambda: put_off(lambda: log.append("end")))
        self.reader(lambda: log.append("read"))
        self.reactor.doPoll(1)
        self.assertEqual(log, ["read", "end"])
        self.reactor.doPoll(0)
        self.assertEqual(log, ["read", "end"])

    def test_what_timers_put_off(self) -> None:
        """It is done before the reactor waits, and it does not wait then: there may be new timers."""
        log: list[str] = []
        at_end_of_turn(self.reactor)(lambda: log.append("end"))
        self.reactor.doPoll(None)
        self.assertEqual(log, ["end"])

    def test_an_end_that_fails(self) -> None:
        """It is logged, and the others come."""
        log: list[str] = []
        put_off = at_end_of_turn(self.reactor)
        put_off(lambda: 1 // 0)  # type: ignore[arg-type]
        put_off(lambda: log.append("end"))
        self.reactor.doPoll(0)
        self.assertEqual(log, ["end"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_another_reactor(self) -> None:
        """One that does not know when its turn is over is given a timer."""
        clock, log = Clock(), list[str]()
        at_end_of_turn(clock)(lambda: log.append("end"))
        clock.advance(0)
        self.assertEqual(log, ["end"])
