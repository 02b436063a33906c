"""What signals mean to the server.

Twisted ends a process that got SIGTERM or SIGINT by that very signal, after everything was stopped in order;
supervisors want exit status 0 for an orderly end, so we take both. A second one while requests are being drained ends
the process at once. SIGHUP and SIGUSR1 are taken only where nobody else has them: an application that embeds us may.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from attrs import define, field

Handler = Callable[[int, FrameType | None], Any]


@define
class Signals:
    """Signal handlers that run functions on the reactor's thread.

    Attributes:
        reload: called on SIGHUP.
        reopen: called on SIGUSR1.
    """

    _reactor: Any
    reload: Callable[[], None]
    reopen: Callable[[], None]
    _stopping: bool = False
    _before: dict[int, Any] = field(factory=dict, init=False)

    def take(self) -> None:
        """Install the handlers. Call it when the reactor runs, since that installs its own first."""
        self._set(signal.SIGTERM, self._stop)
        self._set(signal.SIGINT, self._stop)
        for number, function in ((signal.SIGHUP, self.reload), (signal.SIGUSR1, self.reopen)):
            if signal.getsignal(number) in (signal.SIG_DFL, None):
                self._set(number, partial(self._run, function))

    def give_back(self) -> None:
        """Restore the handlers that were there before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _run(self, function: Callable[[], None], number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(function)

    def _set(self, number: int, handler: Handler) -> None:
        self._before[number] = signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)
        self._stopping = True
        self._reactor.callFromThread(self._reactor.stop)
