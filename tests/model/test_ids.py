"""Ids that we make."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.ids import IdSource, RandomBlocks


class IdTests(SynchronousTestCase):
    """Time-ordered and random."""

    def setUp(self) -> None:
        """A source whose time the test sets."""
        self.time = 1_700_000_000.0
        self.ids = IdSource(lambda: self.time)

    def test_now(self) -> None:
        """Time is in milliseconds."""
        self.assertEqual(self.ids.now(), 1_700_000_000_000)

    def test_ordered_by_time(self) -> None:
        """An id made later is greater."""
        first, bucket = self.ids.object_id(), self.ids.bucket_id()
        self.time += 0.001
        self.assertLess(first, self.ids.object_id())
        self.assertLess(bucket, self.ids.bucket_id())

    def test_different_at_the_same_time(self) -> None:
        """Ids of one moment differ."""
        self.assertEqual(len({self.ids.object_id() for _ in range(1000)}), 1000)

    def test_bucket_id_fits(self) -> None:
        """A bucket id is a positive 63-bit integer, whatever the random bits."""
        for seconds in (0.0, 1_700_000_000.0, 2.0**42 / 1000):
            for random in (lambda n: b"\xff" * n, lambda n: b"\0" * n, os.urandom):
                self.time = seconds
                self.assertTrue(0 <= IdSource(lambda: self.time, random).bucket_id() < 2**63)

    def test_request_id(self) -> None:
        """A request id is 16 upper-case hex digits."""
        self.assertRegex(self.ids.request_id(), "^[0-9A-F]{16}$")


class RandomBlocksTests(SynchronousTestCase):
    """Random bytes a page at a time."""

    def test_nothing_twice(self) -> None:
        """Every byte of a page is given once at most, and a page that does not suffice is replaced."""
        pages = iter([bytes(range(10)), bytes(range(10, 20))])
        random = RandomBlocks(lambda size: next(pages), 10)
        self.assertEqual([random(4), random(4), random(4)], [b"\0\1\2\3", b"\4\5\6\7", b"\n\x0b\x0c\r"])

    def test_whole_page(self) -> None:
        """A page can be asked for at once."""
        asked: list[int] = []
        random = RandomBlocks(lambda size: asked.append(size) or b"x" * size, 10)  # type: ignore[func-returns-value]
        self.assertEqual([len(random(10)) for _ in range(3)], [10, 10, 10])
        self.assertEqual(asked, [10, 10, 10])
