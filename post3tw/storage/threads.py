"""Blocking work off the reactor's thread, in pools of our own: the reactor's default pool resolves host names and
must not queue behind a slow disk.

Nor are they Twisted's: those pass each call through several queues in Python, and their threads hold the interpreter
meanwhile, which the reactor's thread wants. Here the way to a thread is one queue, written in C, and answers come back
in one call of the reactor for all that have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from post3tw.model.errors import SlowDown

T = TypeVar("T")

_Work = tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]


class IThreads(Interface):
    """Somewhere to run functions that block or compute for long."""

    def start() -> None:
        """Be ready to run."""

    def stop() -> None:
        """Wait for what runs, then end."""

    def run(function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call `function` elsewhere; fires with what it returns or raises.

        Cancelling the Deferred lets go of the result only: a function that runs cannot be interrupted. It fails with
        SlowDown, and `function` is not called, where the system has no thread for it.
        """


@implementer(IThreads)
@define(eq=False)
class Threads:
    """A named pool of at most `size` threads."""

    reactor: Any
    name: str
    size: int
    _work: SimpleQueue[_Work | None] = field(factory=SimpleQueue, init=False, repr=False)
    _ended: deque[tuple[Callable[[Any], None], Any]] = field(factory=deque, init=False, repr=False)
    _threads: list[Thread] = field(factory=list, init=False, repr=False)
    _begun: int = field(default=0, init=False)
    """Pieces of work that have not been answered."""
    _called: bool = field(default=False, init=False)
    """Whether the reactor has been told that there are answers."""
    _state: str = field(default="new", init=False)

    def start(self) -> None:
        """Be ready to run; threads come as they are needed."""
        self._state = "started"
        for _ in range(min(self._begun, self.size)):
            self._add_thread()

    def stop(self) -> None:
        """Wait for what runs, then end."""
        self._state = "stopped"
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call `function` in one of the threads. Nothing happens any more once they have stopped."""
        answer: Deferred[T] = Deferred()
        if self._state != "stopped":
            if self._state == "started" and len(self._threads) < min(self._begun + 1, self.size):
                try:
                    self._add_thread()
                except RuntimeError:  # there are too many in the system: those that we have do the work
                    if not self._threads:
                        return fail(SlowDown())
            self._begun += 1
            self._work.put((answer, function, arguments))
        return answer

    def _add_thread(self) -> None:
        thread = Thread(target=self._serve, name=f"{self.name}-{len(self._threads)}")
        thread.start()
        self._threads.append(thread)

    def _serve(self) -> None:
        """What each thread does."""
        take, ended = self._work.get, self._ended
        while (work := take()) is not None:
            answer, function, arguments = work
            try:
                ended.append((answer.callback, function(*arguments)))
            except BaseException:
                ended.append((answer.errback, Failure()))
            del work, answer, function, arguments  # these may be large, and the next may be long in coming
            if not self._called:
                self._called = True
                self.reactor.callFromThread(self._answer)

    def _answer(self) -> None:
        """Hand over what has ended. What ends from now on tells the reactor again, so that others get their turn."""
        self._called = False
        for _ in range(len(self._ended)):
            self._begun -= 1
            answer, result = self._ended.popleft()
            answer(result)


@implementer(IThreads)
class NoThreads:
    """Runs everything at once in the caller's thread: for tools and tests."""

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call `function` here."""
        return maybeDeferred(function, *arguments)
