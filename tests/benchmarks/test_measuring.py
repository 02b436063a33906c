from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.measuring import Processes, Watch, parent_of, seconds_of, tree

STAT = "4711 (a ) (b) S 17 4711 4711 0 -1 4194560 1 2 3 4 {} 30 20 10 20 0 1 0 99 1 2"


class MeasuringTests(SynchronousTestCase):
    """What is read from /proc."""

    def test_stat(self) -> None:
        """A command's name may look like the end of the name; CPU is user and system, and that of ended children."""
        tick = os.sysconf("SC_CLK_TCK")
        self.assertEqual(parent_of(STAT.format(40)), 17)
        self.assertEqual(seconds_of(STAT.format(40)), 100 / tick)

    def test_tree(self) -> None:
        """A process that started others has them in its tree."""
        self.assertIn(os.getpid(), tree([os.getppid()]))
        self.assertEqual(tree([0x7FFFFFFF]), [0x7FFFFFFF])

    def test_this_process(self) -> None:
        """What this process uses while it is watched is seen."""
        with Watch(Processes([os.getpid()])) as watch:
            held = bytearray(os.urandom(1 << 20) * 8)
        assert watch.cpu is not None and watch.peak is not None
        self.assertGreaterEqual(watch.cpu, 0)
        self.assertGreater(watch.peak, len(held) >> 20)

    def test_unknown(self) -> None:
        """Of a server elsewhere nothing is known, and nothing waited for."""
        with Watch(Processes()) as watch:
            Processes().settle()
        self.assertEqual((watch.cpu, watch.peak), (None, None))
