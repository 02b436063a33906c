"""Tests of the sample that forget its bound."""

from __future__ import annotations

import inspect
from unittest import TestCase

from tests.mutation.sample import fare


class FareTests(TestCase):
    """Two passengers."""

    def test_fare(self) -> None:
        """One goes free, one pays."""
        self.assertEqual((fare(3), fare(30)), (0, 10))

    def test_source(self) -> None:
        """It reads the source, as some tests do, which a mutant must not spoil."""
        self.assertIn("def fare", inspect.getsource(fare))
