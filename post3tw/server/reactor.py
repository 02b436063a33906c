"""The reactor of a worker process.

Twisted's calls each reader in a log context of its own, for the word that stands before the lines of its old log. Ours
has no such word, and the context costs as much as reading a request from its socket. Ours knows as well when its turn
is over, which elsewhere takes a timer.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from twisted.internet.main import installReactor
from twisted.logger import Logger


def install_reactor() -> None:
    """Install the reactor that suits the platform, before anybody imports one."""
    if sys.platform == "linux":
        installReactor(lean_reactor())
    else:
        from twisted.internet.default import install

        install()


def at_end_of_turn(reactor: Any) -> Callable[[Callable[[], None]], object]:
    """What calls something once, when the present turn of a reactor is over: its sockets were looked at."""
    known: Callable[[Callable[[], None]], object] | None = getattr(reactor, "callAtEndOfTurn", None)
    return known or partial(reactor.callLater, 0)


class _End:
    """What is done at the end of a turn."""

    log: ClassVar[Logger] = Logger()

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def come(self) -> None:
        """Do it."""
        calls, self.calls = self.calls, []
        for call in calls:
            try:
                call()
            except Exception:
                self.log.failure("What was put off to the end of the reactor's turn failed.")


def lean_reactor() -> Any:
    """An EPollReactor, not installed, that calls readers and writers without a log context."""
    from twisted.internet.epollreactor import EPollReactor

    class LeanReactor(EPollReactor):
        """Calls readers and writers, and nothing else; what they raise is logged below (`_doReadOrWrite`)."""

        def __init__(self) -> None:
            self._end = _End()
            super().__init__()

        def callAtEndOfTurn(self, call: Callable[[], None]) -> None:
            """See at_end_of_turn."""
            self._end.calls.append(call)

        def doPoll(self, timeout: float | None) -> None:
            """See EPollReactor."""
            if self._end.calls:  # timers and threads have something to be done as well
                self._end.come()
                timeout = 0  # which may have changed for what is to be waited
            try:
                events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
            except OSError as error:
                if error.errno == errno.EINTR:
                    return
                raise
            selectables, serve = self._selectables, self._doReadOrWrite
            for descriptor, event in events:
                selectable = selectables.get(descriptor)
                if selectable is not None:  # else one of those before has closed it
                    serve(selectable, descriptor, event)
            self._end.come()

        doIteration = doPoll

    return LeanReactor()
