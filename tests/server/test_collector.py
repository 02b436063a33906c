"""The garbage collector of a server."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.collector import calm_collector


class CollectorTests(SynchronousTestCase):
    """Of this process, for the length of a test."""

    def setUp(self) -> None:
        """Put back what is changed."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_calm(self) -> None:
        """What exists is looked at no more, and new objects not before there are thousands."""
        before = gc.get_threshold()
        calm_collector()
        self.assertGreater(gc.get_freeze_count(), 1000)
        self.assertGreater(gc.get_threshold()[0], 10 * 700)
        self.assertEqual(gc.get_threshold()[1:], before[1:])
