"""The simulation: seeds replay, sound servers pass, and servers with a bug do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.conditions import WriteConditions
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.index.sqlite.group_commit import GroupCommit
from post3tw.storage.index.sqlite.snapshot import Snapshot
from tests.durability.simulation import Violation, simulate

SEEDS = range(1, 9)
MORE = range(1, 31)
"""Where a seeded bug is looked for."""


class SimulationTests(SynchronousTestCase):
    """Servers as they are."""

    def tearDown(self) -> None:
        """What the weather did is in the log; a simulation judges that itself."""
        self.flushLoggedErrors()

    def test_seeds(self) -> None:
        """Whatever goes next, fails or is cut off: keys are registers, and nothing is left lying about."""
        lives = [simulate(seed) for seed in SEEDS]
        self.assertGreater(sum(life.acknowledged for life in lives), 150 * len(SEEDS))
        self.assertGreater(sum(life.lives for life in lives), 0)
        self.assertGreater(sum(life.failures for life in lives), 0)

    def test_replay(self) -> None:
        """A seed is lived again step by step the same."""
        self.assertEqual(simulate(3), simulate(3))


class SeededBugTests(SynchronousTestCase):
    """Servers with a bug: without these a simulation that passes would say nothing."""

    def tearDown(self) -> None:
        """See above."""
        self.flushLoggedErrors()

    def assert_caught(self, owner: type, name: str, buggy: Callable[..., Any]) -> None:
        """Some seed finds that a method is replaced by this one."""
        with patch.object(owner, name, buggy):
            for seed in MORE:
                try:
                    simulate(seed)
                except Violation:
                    return
        self.fail(f"{len(MORE)} seeds have found nothing")

    def test_condition_not_checked(self) -> None:
        """A write does not look at its condition."""
        self.assert_caught(WriteConditions, "check", lambda *_: None)

    def test_stale_reads(self) -> None:
        """Reads go on seeing what was there when the server started."""
        let_go = Snapshot.let_go

        def sometimes(snapshot: Snapshot) -> None:
            snapshot.count = getattr(snapshot, "count", 0) + 1  # type: ignore[attr-defined]
            if snapshot.count % 7:  # type: ignore[attr-defined]
                let_go(snapshot)

        self.assert_caught(Snapshot, "let_go", sometimes)

    def test_acknowledged_before_commit(self) -> None:
        """Writes are answered when their statements are done, not their commit."""
        end = GroupCommit._end

        def early(commit: GroupCommit) -> None:
            group, commit._group = commit._group, []
            commit._answer(group)
            end(commit)

        self.assert_caught(GroupCommit, "_end", early)

    def test_recovery_removes_too_much(self) -> None:
        """A start removes finished blobs as well as unfinished ones."""

        def clear(blobs: FileBlobs) -> None:
            for path in Path(blobs.directory).rglob("*"):
                if path.is_file():
                    path.unlink()

        self.assert_caught(FileBlobs, "_clear_temporary", clear)

    def test_hanging(self) -> None:
        """A commit is forgotten now and then, and its callers wait for ever."""
        committed = GroupCommit._committed

        def forgetful(commit: GroupCommit, group: list[Any], *rest: Any) -> None:
            committed(commit, group[:-1] if len(group) > 1 else group, *rest)

        self.assert_caught(GroupCommit, "_committed", forgetful)
