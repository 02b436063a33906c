from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import Spread, percentile, ratios, spread


class FiguresTests(SynchronousTestCase):
    """Numbers made of numbers."""

    def test_percentiles(self) -> None:
        """A percentile is the nearest rank: one of the values, the slowest of a few for p99."""
        values = [float(value) for value in range(1, 201)]
        self.assertEqual([percentile(values, part) for part in (0, 0.5, 0.99, 1)], [1, 100, 198, 200])
        self.assertEqual(percentile([1.0, 2.0, 9.0], 0.99), 9)
        self.assertTrue(math.isnan(percentile([], 0.5)))

    def test_spread(self) -> None:
        """The median of what is known, with the least and the most."""
        self.assertEqual(spread([3, None, 1, 8, math.nan]), Spread(3, 1, 8))
        self.assertIsNone(spread([None]))

    def test_ratios(self) -> None:
        """Ratios are of pairs, not of medians: a machine that became slow for both changes none."""
        self.assertEqual(ratios([10, 1, 8], [5, 0.5, 4]), Spread(2, 2, 2))
        self.assertEqual(ratios([10, None, 8], [5, 1, 0]), Spread(2, 2, 2))
        self.assertIsNone(ratios([None], [1.0]))
