"""Errors, short writes and death at single system calls of every operation; `faults` tries all of them."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.backends import only_on
from tests.durability.faults import ERRORS, KILL, KINDS, SHORT, Fault, Victim, faults, sweep

SEED = os.environ.get("POST3_SEED", "20261121")


@only_on("fs", "PostgreSQL answers for its own files")
class FaultTests(SynchronousTestCase):
    """A server whose disk fails."""

    def setUp(self) -> None:
        """Start it."""
        directory = tempfile.TemporaryDirectory(prefix="post3-faults-")
        self.addCleanup(directory.cleanup)
        self.random = Random(SEED)
        self.victim = Victim(Path(directory.name), self.random)
        self.addCleanup(self.victim.abandon)
        self.victim.begin()

    def assert_sound(self, points: int) -> None:
        """Faults were met, and nothing went wrong."""
        self.victim.end()
        self.assertEqual(self.victim.outcome.violations, [])
        self.assertGreaterEqual(self.victim.outcome.points, points)

    def test_errors(self) -> None:
        """No operation succeeds whose own call failed, nothing is lost, and the next request works."""
        for kind in KINDS:
            nth = self.random.randint(1, max(1, self.victim.calls(kind)))
            for fault in self.random.sample(list(faults(nth, (*ERRORS, SHORT))), 2):
                self.victim.meet(kind, fault)
        self.assert_sound(len(KINDS) // 2)

    def test_every_error_of_one(self) -> None:
        """The same at every call of the smallest operation."""
        sweep(self.victim, ("put_small",), (errno.EIO,))
        self.assert_sound(8)

    def test_sync_not_believed(self) -> None:
        """After a sync that failed, what was written is refused, and the next write is as good as any."""
        for kind in ("put_small", "put_large"):
            nth = 1
            while self.victim.meet(kind, Fault(nth, errno.EIO, only="sync")):
                nth += 1
        self.assertEqual(self.victim.outcome.refused, self.victim.outcome.points)
        self.assert_sound(3)

    def test_kills(self) -> None:
        """A server that dies in the middle of something starts again, and nothing that was acknowledged is lost."""
        for kind in self.random.sample(KINDS, 3):
            self.victim.meet(kind, Fault(self.random.randint(1, max(1, self.victim.calls(kind) // 2)), KILL))
        self.assert_sound(2)
