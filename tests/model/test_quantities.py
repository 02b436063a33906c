"""Durations and sizes in options."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.quantities import parse_duration, parse_size


class QuantityTests(SynchronousTestCase):
    """Durations and sizes."""

    def test_durations(self) -> None:
        """Durations have a unit; a plain number is seconds."""
        for text, seconds in (
            ("30s", 30),
            ("500ms", 0.5),
            ("5m", 300),
            ("2h", 7200),
            ("1d", 86400),
            ("7", 7),
            ("1.5s", 1.5),
        ):
            self.assertEqual(parse_duration(text), seconds, text)

    def test_no_duration(self) -> None:
        """What is no duration is refused with an example of one."""
        for text in ("", "soon", "-1s", "1 week", "1s2", "s"):
            error = self.assertRaises(ValueError, parse_duration, text)
            self.assertIn("30s", str(error))

    def test_sizes(self) -> None:
        """Binary and decimal units differ, a letter alone is binary, and no unit is bytes."""
        for text, size in (
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("10MB", 10_000_000),
            ("4k", 4096),
            ("512", 512),
            ("512B", 512),
            ("0", 0),
            ("2 TiB", 2 << 40),
        ):
            self.assertEqual(parse_size(text), size, text)

    def test_no_size(self) -> None:
        """What is no size is refused with an example of one."""
        for text in ("", "big", "-1", "1.5MiB", "MiB", "1XB"):
            error = self.assertRaises(ValueError, parse_size, text)
            self.assertIn("64MiB", str(error))

    @given(st.integers(0, 1 << 50))
    def test_typed_sizes(self, size: int) -> None:
        """A size that is a number already stays what it is, and its text means the same."""
        self.assertEqual(parse_size(size), size)
        self.assertEqual(parse_size(str(size)), size)
