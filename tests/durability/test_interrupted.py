"""The short form of `interrupted`, and what it must notice."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.files import Files
from tests.durability.interrupted import main


class InterruptedTests(SynchronousTestCase):
    """A backup and a restore that are ended somewhere."""

    def setUp(self) -> None:
        """A directory for everything."""
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()

    def test_anywhere(self) -> None:
        """What is left is refused or whole, and the same command goes on with it."""
        self.assertEqual(main(41, self.place).violations, [])

    def test_seeded(self) -> None:
        """A restore that forgets to say that it is going on is noticed: a server would serve an empty store."""
        exists = Files.exists
        self.patch(Files, "exists", lambda files, path: os.path.basename(path) != "restoring" and exists(files, path))
        self.assertIn("blobs without an index would be served", main(30, self.place).violations)
