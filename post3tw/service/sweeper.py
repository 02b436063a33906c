"""The timer behind everything that tidies up: unreferenced blobs, stale uploads, space on a full disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, cast

from twisted.application.internet import TimerService
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

Task = Callable[[], Awaitable[object]]


class Sweeper(TimerService):
    """Runs tasks one after the other, at start and then every `interval` seconds.

    A task that fails is logged and tried again the next time; the others still run. Stopping cancels the task that runs
    and waits for its end.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, clock: Any, interval: float, tasks: Mapping[str, Task]) -> None:
        """
        Args:
            clock: an IReactorTime.
            interval: seconds from start to start; a round that takes longer delays the next.
            tasks: what to run, by the name that a failure is logged under.
        """
        super().__init__(interval, self._start_round)
        self.clock = clock
        self._tasks = tasks
        self._round: Deferred[None] | None = None

    def stopService(self) -> Deferred[None]:
        """Run no more tasks; fires when the one that runs has ended."""
        if self._round is not None:
            self._round.cancel()
        return cast("Deferred[None]", super().stopService())

    def _start_round(self) -> Deferred[None]:
        self._round = Deferred.fromCoroutine(self._run_tasks())
        return self._round

    async def _run_tasks(self) -> None:
        for name, task in self._tasks.items():
            try:
                await task()
            except CancelledError:
                return
            except Exception:
                self.log.failure("The task {task} failed.", task=name)
