"""Requests of one turn of the reactor go through their stages in step.

Theory of operation
===================
A small request is some sixty microseconds of Python, spread over more machine code and more objects than a processor
keeps next to it: the instruction cache has 32 KiB, the interpreter's loop alone is larger. While one request goes
through reading its signature, deciding, finding its row and writing its answer, each stage evicts the one before, and
the next request finds nothing where it needs it. Each stage alone, done again and again, is nearly twice as fast.

So where many clients ask at the same time, their requests go together: what a turn of the reactor has brought waits
until the turn is over, then all are authenticated, then all are decided, then all are looked up, and so on. A stage
ends where the request awaits `STEP`; there, `Serving` has the next request go on. With 32 connections this takes a
third off a GET. A request that comes alone goes through all its stages at once, and pays some microseconds.

`AT_ONCE` go together at most: of more the data would not fit either, and the first would wait for the last.
What waits for something else, a commit or bytes, leaves the others, and joins those of the turn in which that comes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from post3tw.s3.departures import Departures
from post3tw.s3.exchange import IExchange

AT_ONCE = 32
"""How many requests go in step."""

Serve = Callable[[IExchange], Coroutine[Any, Any, None]]


class Turn:
    """The requests that wait for the end of the present turn of the reactor.

    Args:
        put_off: calls what it is given when the turn is over, such as a timer of no seconds; None for a turn that is
            always over, so that each request goes by itself, at once.

    Attributes:
        departures: how the replies leave: as soon as all have gone as far as they can.
    """

    log: ClassVar[Logger] = Logger()

    __slots__ = ("_ending", "_put_off", "_waiting", "departures")

    def __init__(self, put_off: Callable[[Callable[[], None]], object] | None = None) -> None:
        self._put_off = put_off
        self.departures = Departures()
        self._waiting: list[Serving] = []
        self._ending = False

    def join(self, serving: Serving) -> None:
        """Have a request go on, with the others."""
        if self._put_off is None:
            self._go([serving])
            return
        if not self._waiting and not self._ending:
            self._put_off(self._end)
        self._waiting.append(serving)

    def _end(self) -> None:
        self._ending = self.departures.called_for = True
        waiting, self._waiting = self._waiting, []
        try:
            for start in range(0, len(waiting), AT_ONCE):
                self._go(waiting[start : start + AT_ONCE])
            self.departures.leave()
        finally:
            self._ending = False
            if self._waiting:  # those whose clients had sent them in advance
                self._put_off(self._end)  # type: ignore[misc]

    def _go(self, servings: list[Serving]) -> None:
        while servings:
            servings = [serving for serving in servings if self._goes_on(serving)]

    def _goes_on(self, serving: Serving) -> bool:
        try:
            return serving.go()
        except Exception:
            self.log.failure("A request could not be served to its end.")
            return False


class Serving:
    """The coroutine that serves an exchange, once it has begun, and the Deferred that it waits for.

    Deferred.fromCoroutine does the same, and knows no steps. It keeps a context and a result that nobody asks for here.
    """

    __slots__ = ("_awaited", "_coroutine", "_exchange", "_serve", "_turn")

    def __init__(self, serve: Serve, exchange: IExchange, turn: Turn) -> None:
        self._serve = serve
        self._exchange = exchange
        self._turn = turn
        self._coroutine: Coroutine[Any, Any, None] | None = None

    def go(self) -> bool:
        """Go to the next step; False when there is none yet, or no more."""
        coroutine = self._coroutine
        if coroutine is None:
            coroutine = self._coroutine = self._serve(self._exchange)
        try:
            awaited = coroutine.send(None)
        except StopIteration:
            return False  # as most small reads do: they wait for nothing, and need no Deferred
        if awaited is None:
            return True
        self._exchange.on_gone(self._cancel)
        self._wait_for(awaited)
        return False

    def _cancel(self) -> None:
        """Cancel what it waits for, which it learns."""
        self._awaited.cancel()

    def _wait_for(self, awaited: Deferred[Any]) -> None:
        self._awaited = awaited
        awaited.addBoth(self._go_on)

    def _go_on(self, result: object) -> None:
        coroutine: Any = self._coroutine
        try:
            if isinstance(result, Failure):
                awaited = result.throwExceptionIntoGenerator(coroutine)
            else:
                awaited = coroutine.send(None)  # it looks into the Deferred, where the result still is
        except StopIteration:
            return
        if awaited is None:
            self._turn.join(self)
        else:
            self._wait_for(awaited)
