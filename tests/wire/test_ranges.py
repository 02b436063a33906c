"""Byte ranges."""

from __future__ import annotations

from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidArgument, InvalidRange
from post3tw.wire.ranges import content_range, parse_copy_range, parse_range

HUGE = "9" * 5000


class ParseRangeTests(SynchronousTestCase):
    """The Range header of GET and HEAD."""

    def test_ranges(self) -> None:
        """First-last, open and suffix ranges are cut to the object."""
        for header, expected in (
            ("bytes=0-0", (0, 0)),
            ("bytes=4-7", (4, 7)),
            ("bytes=4-", (4, 10)),
            ("bytes=-7", (4, 10)),
            ("bytes=-11", (0, 10)),
            ("bytes=-12", (0, 10)),
            ("bytes=0-10", (0, 10)),
            ("bytes=0-11", (0, 10)),
            ("bytes=10-99", (10, 10)),
            ("bytes=00004-007", (4, 7)),
            (f"bytes=0-{HUGE}", (0, 10)),
            (f"bytes=-{HUGE}", (0, 10)),
            (f"bytes={'0' * 5000}-", (0, 10)),
            ("Bytes = 4 - 7 ", (4, 7)),
        ):
            self.assertEqual(parse_range(header, 11), expected, header)

    def test_whole_object(self) -> None:
        """What is no single range of bytes means the whole object."""
        for header in (
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=7-4",
            "bytes=0-2,4-5",
            "bytes=0-2,",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=+1-2",
            "bytes=--1",
            "bytes=0x1-2",
            "bytes=1_0-20",
            "bytes=\u0661-2",
            "lines=0-1",
            "0-1",
            "bytes=1.0-2",
        ):
            self.assertIsNone(parse_range(header, 11), header)

    def test_unsatisfiable(self) -> None:
        """A range that starts past the end, and every range of an empty object, is InvalidRange."""
        for header, size in (
            ("bytes=11-", 11),
            ("bytes=40-50", 11),
            ("bytes=-0", 11),
            (f"bytes={HUGE}-", 11),
            ("bytes=0-", 0),
            ("bytes=0-0", 0),
            ("bytes=-1", 0),
            ("bytes=-0", 0),
        ):
            error = self.assertRaises(InvalidRange, parse_range, header, size)
            self.assertEqual(error.details, {"range_requested": header, "actual_object_size": size})

    @given(st.binary(max_size=20), st.none() | st.integers(0, 30), st.none() | st.integers(0, 30))
    def test_against_slices(self, data: bytes, first: int | None, last: int | None) -> None:
        """The bytes of a range are those of the slice that says the same."""
        header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        if first is None:
            expected = data[-last:] if last else b""
        else:
            expected = data[first:] if last is None else data[first : last + 1]
        try:
            found = parse_range(header, len(data))
        except InvalidRange:
            self.assertEqual(expected, b"")
            return
        if found is None:
            self.assertTrue((first is None and last is None) or (first or 0) > (last or 0))
        else:
            self.assertEqual(data[found[0] : found[1] + 1], expected)
            self.assertLess(found[1], len(data))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Arbitrary text never raises anything but InvalidRange."""
        for header in (text, "bytes=" + text):
            try:
                parse_range(header, 10)
            except InvalidRange:
                continue

    def test_white_space_costs_nothing(self) -> None:
        """A header of nothing but white space, as long as a head may be, is read in no time: how it could be shared
        among the places where it may stand is not tried."""
        for header in (
            "bytes=" + "\t" * 16_000,
            " " * 16_000,
            "bytes=" + " " * 8_000 + "1" + " " * 8_000,
            "9" * 16_000,
        ):
            began = process_time()
            self.assertIsNone(parse_range(header, 10))
            self.assertLess(process_time() - began, 0.05)


class ParseCopyRangeTests(SynchronousTestCase):
    """x-amz-copy-source-range."""

    def test_ranges(self) -> None:
        """First and last byte are both needed, and must exist."""
        self.assertEqual(parse_copy_range("bytes=0-9", 10), (0, 9))
        self.assertEqual(parse_copy_range("bytes=3-3", 10), (3, 3))

    def test_malformed(self) -> None:
        """Every other form is InvalidArgument, which names the header."""
        for header in (
            "",
            "0-2",
            "bytes=0",
            "bytes=hello-world",
            "bytes=0-bar",
            "bytes=hello-",
            "bytes=0-2,3-5",
            "bytes=0-",
            "bytes=-5",
            "bytes=5-4",
            "bytes= 0-2",
            "bytes=0-2 ",
            f"bytes={HUGE}-2",
        ):
            error = self.assertRaises(InvalidArgument, parse_copy_range, header, 10)
            self.assertEqual(error.details["argument_name"], "x-amz-copy-source-range")

    def test_past_the_end(self) -> None:
        """A range that the source does not have in full is InvalidRange."""
        for header in ("bytes=0-21", "bytes=9-10", "bytes=10-10", f"bytes=0-{HUGE}"):
            self.assertRaises(InvalidRange, parse_copy_range, header, 10)


class ContentRangeTests(SynchronousTestCase):
    """The Content-Range header."""

    def test_form(self) -> None:
        """Both ends are inclusive."""
        self.assertEqual(content_range(4, 7, 11), "bytes 4-7/11")
