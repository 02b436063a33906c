"""Tests of post3tw.service.sweeper."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import StorageFailed
from post3tw.service.sweeper import Sweeper


class SweeperTests(SynchronousTestCase):
    """Tests of Sweeper."""

    def setUp(self) -> None:
        """A sweeper with two tasks."""
        self.clock = Clock()
        self.ran: list[str] = []
        self.holding: Deferred[None] | None = None
        self.broken = False
        self.sweeper = Sweeper(self.clock, 60, {"first": self.first, "second": self.second})

    async def first(self) -> None:
        """A task that may fail or take its time."""
        self.ran.append("first")
        if self.broken:
            raise StorageFailed(path="somewhere", reason="tired")
        if self.holding is not None:
            await self.holding

    async def second(self) -> None:
        """A task."""
        self.ran.append("second")

    def test_rounds(self) -> None:
        """All tasks run at start and then at each interval, in order."""
        self.sweeper.startService()
        self.assertEqual(self.ran, ["first", "second"])
        self.clock.advance(59)
        self.assertEqual(len(self.ran), 2)
        self.clock.advance(1)
        self.assertEqual(self.ran, ["first", "second"] * 2)
        self.successResultOf(self.sweeper.stopService())

    def test_stopped(self) -> None:
        """A stopped sweeper runs no more, and leaves no timer."""
        self.sweeper.startService()
        self.successResultOf(self.sweeper.stopService())
        self.clock.advance(600)
        self.assertEqual(len(self.ran), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing_task(self) -> None:
        """A task that fails is logged, keeps no other from running, and is tried again."""
        self.broken = True
        self.sweeper.startService()
        self.assertEqual(self.ran, ["first", "second"])
        self.assertEqual(len(self.flushLoggedErrors(StorageFailed)), 1)
        self.broken = False
        self.clock.advance(60)
        self.assertEqual(self.ran, ["first", "second"] * 2)
        self.successResultOf(self.sweeper.stopService())

    def test_rounds_do_not_overlap(self) -> None:
        """A round that takes longer than the interval delays the next."""
        self.holding = Deferred()
        self.sweeper.startService()
        self.clock.pump([60, 60])
        self.assertEqual(self.ran, ["first"])
        holding, self.holding = self.holding, None
        holding.callback(None)
        self.assertEqual(self.ran, ["first", "second"])
        self.clock.advance(60)
        self.assertEqual(self.ran, ["first", "second"] * 2)
        self.successResultOf(self.sweeper.stopService())

    def test_stop_in_a_round(self) -> None:
        """Stopping ends the task that runs, and waits for its end; the rest of the round is left out."""
        self.holding = Deferred(lambda _: None)
        self.sweeper.startService()
        stopped = self.sweeper.stopService()
        self.successResultOf(stopped)
        self.assertEqual(self.ran, ["first"])
        self.assertEqual(self.flushLoggedErrors(), [])
