"""Servers answer as the model does, and all the same, whatever is asked of them."""

from __future__ import annotations

import os
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.conditions import WriteConditions
from post3tw.model.object_lock import Retention
from post3tw.model.version import Description
from post3tw.service import copying
from post3tw.storage.index.transactions import listing
from tests.durability.models import Divergence, Run, run

SEED = int(os.environ.get("POST3_SEED", "20261121"))


class ModelTests(SynchronousTestCase):
    """Short runs; the long ones are commands."""

    def assert_lively(self, made: Run) -> None:
        """A run in which many things happened."""
        self.assertGreater(made.statuses[200], made.operations // 3)
        self.assertGreater(made.operations - made.statuses[200], made.operations // 5)

    def test_in_memory(self) -> None:
        """The server in this process, on SQLite, stopped and killed now and then."""
        made = run(SEED, ["world"], 2000, 250)
        self.assert_lively(made)
        self.assertGreater(made.restarted, 2)
        self.flushLoggedErrors()  # of requests that a kill has cut off

    def test_databases(self) -> None:
        """A server on files and one on PostgreSQL, next to each other."""
        self.assert_lively(run(SEED, ["fs", "postgres"], 400, 0))


class SeededBugTests(SynchronousTestCase):
    """The model finds servers that do something else."""

    def assert_caught(self, owner: object, name: str, buggy: object) -> None:
        """A run diverges with this in the place of the real thing."""
        with patch.object(owner, name, buggy):
            self.assertRaises(Divergence, run, SEED, ["world"], 3000, 0)
        self.flushLoggedErrors()

    def test_condition(self) -> None:
        """A write does not look at its condition."""
        self.assert_caught(WriteConditions, "check", lambda *_: None)

    def test_lock(self) -> None:
        """Retention is not looked at when a version is deleted."""
        self.assert_caught(Retention, "retains", lambda *_, **__: False)

    def test_listing(self) -> None:
        """A common prefix is shown again on the page that begins behind it."""
        self.assert_caught(listing.Names, "behind", lambda names, name: listing.Position(name + b"\0"))

    def test_metadata(self) -> None:
        """A copy forgets the tags."""
        self.assert_caught(copying, "_description", lambda *_: Description())
