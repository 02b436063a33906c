"""A reactor that decides by a seed what goes next.

Theory of operation. What a server does depends on the order of things that the machine decides: which thread finishes
first, which socket has bytes, how many of them, when a timer rings. Here all of these are entries of one list, and
`step` picks one: a call from a thread, a timer that is due, a thread's work, a connection with bytes to read, one with
room to write. Nothing runs beside it; the work of a thread is done in one piece when it is picked, and its answer is
another entry. Calls from threads and timers keep their order, as in Twisted; everything else has none.

Without a source of randomness the first entry is always taken: that is merely fast. Time stands still while anything
can be done, apart from what `tick` adds each time somebody looks at the clock, and jumps to the next timer otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.storage.index.sqlite.worker import Worker
from post3tw.storage.threads import IThreads

T = TypeVar("T")

POOL = 16
"""Threads of a pool."""


class Stuck(Exception):
    """Nothing more can happen, or nothing happens but timers, and somebody still waits."""


@implementer(IReactorTime, IReactorFromThreads)
class Scheduler(Clock):
    """See the module's text.

    Args:
        random: decides; None takes the first there is.
        start: seconds since the epoch.
        tick: seconds that pass at most whenever somebody looks at the clock.
    """

    def __init__(self, random: Random | None, start: float = 1_795_000_000.0, tick: float = 0.0) -> None:
        super().__init__()
        self.rightNow = start
        self.random = random
        self.tick = tick
        self.steps = 0
        self.work: list[tuple[deque[Callable[[], None]], int]] = []
        self._calls: deque[Callable[[], object]] = deque()
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}

    # -- what Twisted asks of a reactor

    def seconds(self) -> float:
        """The time; it passes."""
        if self.tick and self.random is not None:
            self.rightNow += self.random.random() * self.tick
        return self.rightNow

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """See IReactorFromThreads."""
        self._calls.append(partial(callable, *args, **kwargs))

    def addReader(self, reader: Any) -> None:
        """See IReactorFDSet."""
        self._readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        """See IReactorFDSet."""
        self._writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        """See IReactorFDSet."""
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """See IReactorFDSet."""
        self._writers.pop(writer, None)

    # -- what drives it

    def step(self) -> bool:
        """Let one thing happen; False when there is nothing that could, ever."""
        ready = self._ready()
        if not ready:
            if not self.calls:
                return False
            self.rightNow = max(self.rightNow, self.calls[0].getTime())
            ready = self._ready()
        self.steps += 1
        (ready[0] if self.random is None or len(ready) == 1 else self.random.choice(ready))()
        return True

    def until(self, done: Callable[[], bool], patience: float = 120) -> None:
        """Go on until something holds.

        Raises:
            Stuck: it does not within `patience` seconds of this clock.
        """
        end = self.rightNow + patience
        while not done():
            if not self.step() or self.rightNow > end:
                raise Stuck(f"after {self.steps} steps")

    def run(self, coroutine: Any) -> Any:
        """Drive a coroutine to its end; what it returns or raises."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        self.until(lambda: bool(results))
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def forget(self) -> None:
        """Nothing that was to happen happens any more, but time goes on."""
        self.work.clear()
        for call in list(self.calls):
            call.cancel()
        for waiting in (self._calls, self._readers, self._writers):
            waiting.clear()

    def _ready(self) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = []
        if self._calls:
            found.append(self._call)
        if self.calls and self.calls[0].getTime() <= self.rightNow:
            found.append(self._ring)
        for queue, size in self.work:
            for number in range(min(len(queue), size)):
                found.append(partial(self._work, queue, number))
        for reader in self._readers:
            if reader.readable:
                found.append(partial(self._move, reader, reader.doRead))
        for writer in self._writers:
            found.append(partial(self._move, writer, writer.doWrite))
        return found

    def _call(self) -> None:
        self._calls.popleft()()

    def _ring(self) -> None:
        call = self.calls.pop(0)
        call.called = 1
        call.func(*call.args, **call.kw)

    def _work(self, queue: deque[Callable[[], None]], number: int) -> None:
        queue.rotate(-number)
        work = queue.popleft()
        queue.rotate(number)
        work()

    def _move(self, selectable: Any, do: Callable[[], BaseException | None]) -> None:
        if (problem := do()) is not None:
            selectable.connectionLost(Failure(problem))


@implementer(IThreads)
@define(eq=False)
class SimulatedThreads:
    """A pool whose work is done when the scheduler says so, several pieces in any order."""

    scheduler: Scheduler
    _queue: deque[Callable[[], None]] = field(factory=deque, init=False)

    def start(self) -> None:
        """See IThreads."""
        self.scheduler.work.append((self._queue, POOL))

    def stop(self) -> None:
        """See IThreads: waits for what runs."""
        while self._queue:
            self._queue.popleft()()
        self.scheduler.work = [entry for entry in self.scheduler.work if entry[0] is not self._queue]

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """See IThreads."""
        answer: Deferred[T] = Deferred()

        def work() -> None:
            try:
                result = function(*arguments)
            except BaseException:
                self._queue.append(partial(self.scheduler.callFromThread, answer.errback, Failure()))
            else:
                self._queue.append(partial(self.scheduler.callFromThread, answer.callback, result))

        self._queue.append(work)
        return answer


@define(eq=False)
class SimulatedWorker(Worker):
    """The thread of the index, one piece of work at a time, each when the scheduler says so."""

    _pending: deque[Callable[[], None]] = field(factory=deque, init=False)

    def start(self) -> None:
        """See Worker."""
        self.reactor.work.append((self._pending, 1))

    def stop(self) -> None:
        """See Worker."""
        while self._pending:
            self._pending.popleft()()
        self.reactor.work = [entry for entry in self.reactor.work if entry[0] is not self._pending]

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """See Worker."""

        def work() -> None:
            try:
                function(*arguments)
            except BaseException:
                self.log.failure("The thread of the index met an error")

        self._pending.append(work)


def simulated_thread(scheduler: Scheduler) -> Callable[..., Any]:
    """What stands in for threading.Thread."""

    @define(eq=False)
    class SimulatedThread:
        """Its target runs in one piece: when it is picked, or at the latest when somebody waits for it."""

        target: Callable[[], None]
        name: str = ""
        daemon: bool = False
        _queue: deque[Callable[[], None]] = field(factory=deque, init=False)

        def start(self) -> None:
            self._queue.append(self.target)
            scheduler.work.append((self._queue, 1))

        def is_alive(self) -> bool:
            return bool(self._queue)

        def join(self) -> None:
            while self._queue:
                self._queue.popleft()()

    return SimulatedThread
