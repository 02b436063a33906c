"""Tests of the sample that forget its bound."""

from __future__ import annotations

from unittest import TestCase

from tests.mutation.sample import fare


class FareTests(TestCase):
    """Two passengers."""

    def test_fare(self) -> None:
        """One goes free, one pays."""
        self.assertEqual((fare(3), fare(30)), (0, 10))
