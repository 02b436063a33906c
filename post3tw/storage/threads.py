"""Blocking work off the reactor's thread, in pools of our own: the reactor's default pool resolves host names and
must not queue behind a slow disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import Interface, implementer

T = TypeVar("T")


class IThreads(Interface):
    """Somewhere to run functions that block or compute for long."""

    def start() -> None:
        """Be ready to run."""

    def stop() -> None:
        """Wait for what runs, then end."""

    def run(function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call `function` elsewhere; fires with what it returns or raises.

        Cancelling the Deferred lets go of the result only: a function that runs cannot be interrupted.
        """


@implementer(IThreads)
@define(eq=False)
class Threads:
    """A named pool of at most `size` threads."""

    reactor: Any
    name: str
    size: int
    _pool: ThreadPool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPool(minthreads=0, maxthreads=self.size, name=self.name)

    def start(self) -> None:
        """Be ready to run; threads come as they are needed."""
        self._pool.start()

    def stop(self) -> None:
        """Wait for what runs, then end."""
        self._pool.stop()

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call `function` in one of the threads."""
        return deferToThreadPool(self.reactor, self._pool, function, *arguments)


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
