"""Conditional requests as pure decisions."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.conditions import ReadConditions, WriteConditions
from post3tw.model.errors import NoSuchKey, NotModified, PreconditionFailed
from post3tw.model.identity import Owner
from post3tw.model.version import Version

CREATED = 1_700_000_000_500
VERSION = Version(bytes(16), 1, True, False, CREATED, 5, "abc", Owner("o", "O"))


class WriteTests(SynchronousTestCase):
    """If-Match and If-None-Match on writes."""

    def outcome(self, current: Version | None, **conditions: Any) -> str:
        """The name of the error, or 'ok'."""
        try:
            WriteConditions(**conditions).check(current, "key")
        except (NoSuchKey, PreconditionFailed) as error:
            return type(error).__name__
        return "ok"

    def test_truth_table(self) -> None:
        """Every condition against an existing and a missing object."""
        table: list[tuple[dict[str, Any], str, str]] = [
            ({}, "ok", "ok"),
            ({"if_none_match": "*"}, "PreconditionFailed", "ok"),
            ({"if_match": '"abc"'}, "ok", "NoSuchKey"),
            ({"if_match": "abc"}, "ok", "NoSuchKey"),
            ({"if_match": "*"}, "ok", "NoSuchKey"),
            ({"if_match": '"x", "abc"'}, "ok", "NoSuchKey"),
            ({"if_match": '"other"'}, "PreconditionFailed", "NoSuchKey"),
            ({"if_match_size": 5}, "ok", "PreconditionFailed"),
            ({"if_match_size": 6}, "PreconditionFailed", "PreconditionFailed"),
            ({"if_match_modified": CREATED - 500}, "ok", "PreconditionFailed"),
            ({"if_match_modified": CREATED + 1000}, "PreconditionFailed", "PreconditionFailed"),
        ]
        for conditions, existing, missing in table:
            self.assertEqual(self.outcome(VERSION, **conditions), existing, conditions)
            self.assertEqual(self.outcome(None, **conditions), missing, conditions)

    def test_any(self) -> None:
        """Whether there is something to check."""
        self.assertFalse(WriteConditions().any)
        self.assertTrue(WriteConditions(if_match_size=0).any)


class ReadTests(SynchronousTestCase):
    """The four conditions of reads, RFC 9110 section 13.2.2."""

    def outcome(self, *, copy: bool = False, **conditions: Any) -> str:
        """The name of the error, or 'ok'."""
        try:
            ReadConditions(**conditions).check(VERSION, copy=copy)
        except (NotModified, PreconditionFailed) as error:
            return type(error).__name__
        return "ok"

    def test_truth_table(self) -> None:
        """Each condition alone, and the two pairs in which one makes the other moot."""
        before, same, after = CREATED - 1000, CREATED, CREATED + 1000
        table: list[tuple[dict[str, Any], str]] = [
            ({"if_match": '"abc"'}, "ok"),
            ({"if_match": '"x"'}, "PreconditionFailed"),
            ({"if_none_match": '"abc"'}, "NotModified"),
            ({"if_none_match": "*"}, "NotModified"),
            ({"if_none_match": '"x"'}, "ok"),
            ({"if_modified_since": before}, "ok"),
            ({"if_modified_since": same}, "NotModified"),
            ({"if_modified_since": after}, "NotModified"),
            ({"if_unmodified_since": before}, "PreconditionFailed"),
            ({"if_unmodified_since": same}, "ok"),
            ({"if_match": '"abc"', "if_unmodified_since": before}, "ok"),
            ({"if_none_match": '"x"', "if_modified_since": after}, "ok"),
        ]
        for conditions, expected in table:
            self.assertEqual(self.outcome(**conditions), expected, conditions)

    def test_copy_source_fails_hard(self) -> None:
        """For the source of a copy what would be 304 is 412."""
        self.assertEqual(self.outcome(copy=True, if_none_match='"abc"'), "PreconditionFailed")
