"""Ids that we make."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.ids import IdSource


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
