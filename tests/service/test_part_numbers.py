"""Numbers of parts as clients write them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidArgument
from post3tw.service.part_numbers import checked_part_number, part_number_marker


class PartNumberTests(SynchronousTestCase):
    """checked_part_number and part_number_marker."""

    def test_numbers(self) -> None:
        """Parts have numbers from 1 to 10,000."""
        self.assertEqual([checked_part_number(number) for number in (1, 10_000)], [1, 10_000])
        for number in (None, 0, -1, 10_001, 2**70):
            self.assertRaises(InvalidArgument, checked_part_number, number)

    def test_markers(self) -> None:
        """A listing goes on behind any number that fits, from the beginning without one."""
        markers = (None, 0, 7, 10_001, 2**31 - 1)
        self.assertEqual([part_number_marker(marker) for marker in markers], [0, 0, 7, 10_000, 10_000])
        for marker in (-1, 2**31):
            self.assertRaises(InvalidArgument, part_number_marker, marker)
