"""Policies that are taken, and try to make every decision slow."""

from __future__ import annotations

from time import process_time
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.access import BucketAccess
from post3tw.service.policy.decision import decide
from tests.service.policy.documents import ADA, BUCKET, bucket_policy, request, statement

KEY = "a" * 1024
HEADER = "arn:a:a:a:a:" + "a" * 16_000


class HostilePolicyTests(SynchronousTestCase):
    """20 KiB of patterns, a key and a header as long as they may be: milliseconds, not seconds."""

    def _assert_quick(self, **elements: Any) -> None:
        bucket = BucketAccess("owner", policy=bucket_policy(statement(**elements)), uniform=True)
        for effort in range(3):
            # Not the same text twice, so that nothing is known from before.
            asked = request(ADA, key=KEY[effort:], context={"aws:referer": HEADER[: -1 - effort]})
            began = process_time()
            self.assertFalse(decide(asked, bucket).allowed)
            self.assertLess(process_time() - began, 0.2)

    def test_resources(self) -> None:
        """Hundreds of patterns for the key, each of which nearly matches everywhere."""
        for end in ("*a?ab*", "*aaab*", "a*a*a*a*a*b"):
            self._assert_quick(Resource=[f"arn:aws:s3:::{BUCKET}/{end}"] * 400)

    def test_values(self) -> None:
        """Thousands of patterns for a header of 16 KiB."""
        for operator, value, count in (
            ("StringLike", "*a?ab*", 1_900),
            ("StringLike", "*aaab*", 1_900),
            ("StringLike", "*?" * 9_000 + "b", 1),
            ("StringLike", "*" + "a" * 9_000 + "?" + "a" * 9_000 + "b*", 1),
            ("StringLike", "*${aws:Referer}?b*", 600),
            ("StringEqualsIgnoreCase", "${aws:Referer}b", 700),
            ("ArnLike", "arn:*:*:*:*:*a?ab*", 700),
        ):
            self._assert_quick(Condition={operator: {"aws:Referer": [value] * count}})

    def test_statements(self) -> None:
        """Statements for the caller by the hundred."""
        short = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "*",
            "Resource": "*",
            "Condition": {"Null": {"s3:prefix": False}},
        }
        bucket = BucketAccess("owner", policy=bucket_policy(*[short] * 150), uniform=True)
        asked = request(ADA)
        for identity in (ADA, None):
            began = process_time()
            self.assertFalse(decide(evolve(asked, identity=identity), bucket).allowed)
            self.assertLess(process_time() - began, 0.2)
