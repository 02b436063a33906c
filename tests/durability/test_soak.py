"""What a soak computes from what it has seen."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.soak import MIB, Sample, Soak, figures, look, slope


def life(number: int, level: float, growth: float) -> list[Sample]:
    """Samples of an hour: a first half in which caches fill, then so many MiB more in an hour."""
    memory = [level + (min(minute, 30) * 10) + growth * minute / 60 for minute in range(60)]
    return [Sample(number, minute * 60, int(each * MIB), 20, 0, 0) for minute, each in enumerate(memory)]


class SlopeTests(SynchronousTestCase):
    """The slope of the memory."""

    def test_level(self) -> None:
        """Lives of different size that do not grow once their caches are full have no slope."""
        self.assertAlmostEqual(slope(life(0, 80, 0) + life(1, 300, 0)), 0, places=3)

    def test_leak(self) -> None:
        """What grows steadily is seen in each life."""
        self.assertAlmostEqual(slope(life(0, 80, 7) + life(1, 300, 7)), 7, places=3)

    def test_too_short(self) -> None:
        """Of lives that were hardly seen nothing is said."""
        self.assertEqual(slope(life(0, 80, 7)[:4]), 0)


class LookTests(SynchronousTestCase):
    """What is seen."""

    def test_this_process(self) -> None:
        """Memory and descriptors of a process, the log and unfinished blobs of a store, and the worst of them."""
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            (place / "tmp").mkdir()
            (place / "tmp" / "blob").touch()
            (place / "index.sqlite3-wal").write_bytes(bytes(3 * MIB))
            seen = look(os.getpid(), place, 0, 1.5)
            found = figures(Soak(place, 1, samples=[seen]))
        self.assertGreater(seen.memory, 10 * MIB)
        self.assertGreater(seen.descriptors, 2)
        self.assertEqual((found["WAL, MiB at most"], found["unfinished blobs at most"]), (3, 1))
