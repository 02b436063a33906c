"""The socket of a connection in the reactor, and the generator of psycopg that waits for it.

Theory of operation. The socket stays with the reactor while nothing is asked of the database, so that an idle
connection's end is noticed. What the reactor holds is a duplicate of libpq's descriptor: libpq closes its own when it
finds the connection broken, and the number may be another socket the next moment. Rows that nobody asks for yet stay
in the kernel, so that COPY TO has back-pressure.

A wait ends with the generator, when the answer takes too long, when it is cancelled, or when the connection is closed
under it. But for the first of these nobody knows what the server will still say, so they close the connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

from psycopg import InterfaceError, OperationalError, pq
from psycopg.waiting import Ready, Wait
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")


class ConnectionLost(OperationalError):
    """The connection ended, or we ended it, before the answer was complete: what was asked may have happened or not."""


@implementer(IReadWriteDescriptor)
class Line:
    """A socket of libpq in the reactor, and the generator that waits for it."""

    def __init__(self, reactor: Any, pgconn: Any, on_lost: Callable[[], None]) -> None:
        self.ended = False
        self._reactor = reactor
        self._pgconn = pgconn
        self._on_lost = on_lost
        self._generator: Generator[Any, Any, Any] | None = None
        self._wanted = Wait.R
        self._answer: Deferred[Any] | None = None
        self._deadline: float | None = None
        self._alarm: Any = None
        self._reading = self._writing = False
        try:
            self._descriptor = os.dup(pgconn.socket)
        except OSError as error:
            pgconn.finish()
            raise OperationalError(f"no descriptor for a connection: {error.strerror}") from error
        self._watch(Wait.R)

    def fileno(self) -> int:
        """The duplicate; -1 after the end."""
        return self._descriptor

    def logPrefix(self) -> str:
        """Who writes, in a log."""
        return "postgresql"

    # -- a generator's way ---------------------------------------------------------------------------------------------

    def drive(self, generator: Generator[Any, Any, T], wanted: Wait, timeout: float | None) -> Deferred[T]:
        """Resume a generator that was started, whenever the socket is ready, until it ends."""
        if self._generator is not None or self.ended:
            generator.close()
            raise InterfaceError("the connection is closed" if self.ended else "the connection is in use")
        self._generator = generator
        self._deadline = None
        if wanted & Wait.W:
            # Mostly there is room: try before a turn of the reactor is spent on asking.
            done, outcome = self._resume(Ready.W)
            if done:
                if isinstance(outcome, Failure):
                    outcome.raiseException()
                return succeed(outcome)
        else:
            self._wanted = wanted
            self._watch(wanted)
        if timeout is not None:
            self._set_alarm(timeout)
        self._answer = Deferred(self._cancelled)
        return self._answer

    def _resume(self, ready: Ready) -> tuple[bool, Any]:
        """Let the generator go on; whether that was its end, and its result or a Failure."""
        assert self._generator is not None
        try:
            self._wanted = self._generator.send(ready)
        except StopIteration as end:
            outcome: Any = end.value
        except BaseException:
            outcome = Failure()
        else:
            self._watch(self._wanted)
            return False, None
        self._generator = None
        self._wanted = Wait.R
        if self._pgconn.status == pq.ConnStatus.BAD:
            self.end()
        elif self._writing:
            self._writing = False
            self._reactor.removeWriter(self)
        return True, outcome

    def _step(self, ready: Ready) -> None:
        done, outcome = self._resume(ready)
        if done:
            self._finish(outcome)

    def _finish(self, outcome: Any) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.callback(outcome)

    def _watch(self, wanted: Wait) -> None:
        if wanted & Wait.R and not self._reading:
            self._reading = True
            self._reactor.addReader(self)
        writing = bool(wanted & Wait.W)
        if writing != self._writing:
            self._writing = writing
            (self._reactor.addWriter if writing else self._reactor.removeWriter)(self)

    # -- what the reactor says -----------------------------------------------------------------------------------------

    def doRead(self) -> None:
        """There are bytes, or the end."""
        if self._generator is not None and self._wanted & Wait.R:
            self._step(Ready.R)
        elif self._generator is None and self._pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._look()
        else:
            # Rows nobody asks for yet: they wait in the kernel.
            self._reading = False
            self._reactor.removeReader(self)

    def doWrite(self) -> None:
        """There is room."""
        if self._generator is not None and self._wanted & Wait.W:
            self._step(Ready.W)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the socket's end before we did, and has removed us."""
        self._reading = self._writing = False
        if self._generator is not None:
            self._step(Ready.RW)
            # libpq finds out by reading; were it not so, nobody would wake the generator again.
            if self._generator is not None:
                self._abandon(ConnectionLost("the connection was closed"))
        elif not self.ended:
            self.end()

    def _look(self) -> None:
        """What the server says unasked: notices, or that it goes."""
        try:
            self._pgconn.consume_input()
        except OperationalError:
            self.end()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _set_alarm(self, timeout: float) -> None:
        """One timer for many waits: setting and cancelling one for each costs more than the wait."""
        self._deadline = self._reactor.seconds() + timeout
        if self._alarm is None:
            self._alarm = self._reactor.callLater(timeout, self._late)
        elif self._alarm.getTime() > self._deadline:
            self._alarm.reset(timeout)

    def _late(self) -> None:
        self._alarm = None
        if self._generator is None or self._deadline is None:
            return
        left = self._deadline - self._reactor.seconds()
        if left > 0:
            self._alarm = self._reactor.callLater(left, self._late)
        else:
            self._abandon(ConnectionLost("the database did not answer in time"))

    def _cancelled(self, answer: Deferred[Any]) -> None:
        self._answer = None
        self._abandon(CancelledError())

    def _abandon(self, reason: BaseException) -> None:
        """End the connection under a generator that waits."""
        generator, self._generator = self._generator, None
        self.end()
        if generator is not None:
            with suppress(Exception):
                generator.close()
        self._finish(Failure(reason))

    def end(self) -> None:
        """Close; safe to call twice, and while a generator waits."""
        if self.ended:
            return
        self.ended = True
        if self._reading:
            self._reactor.removeReader(self)
        if self._writing:
            self._reactor.removeWriter(self)
        self._reading = self._writing = False
        os.close(self._descriptor)
        self._descriptor = -1
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._pgconn.finish()
        if self._generator is not None:
            self._abandon(ConnectionLost("the connection was closed"))
        self._on_lost()
