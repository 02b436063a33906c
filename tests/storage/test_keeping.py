"""Tests of post3tw.storage.keeping."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.keeping import copying, removing


class KeepingTests(SynchronousTestCase):
    """Tests of copying and removing."""

    def setUp(self) -> None:
        """A directory."""
        self.path = Path(self.mktemp()).absolute()
        self.path.mkdir()

    def allowed(self) -> bool:
        """Whether blobs may be removed now."""
        with removing(str(self.path)) as allowed:
            return allowed

    def test_several(self) -> None:
        """Several may copy at a time; nothing is removed until the last has ended."""
        with copying(str(self.path)):
            with copying(str(self.path)):
                self.assertFalse(self.allowed())
            self.assertFalse(self.allowed())
        self.assertTrue(self.allowed())

    def test_program(self) -> None:
        """Any program can hold the lock, and it is free when the program is gone, in whatever way."""
        command = ["flock", "--shared", str(self.path / "backup.lock"), "sh", "-c", "echo; read forever"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            program.stdout.readline()
            self.assertFalse(self.allowed())
            program.communicate()
        self.assertTrue(self.allowed())

    def test_one_removes(self) -> None:
        """Two do not remove at a time."""
        with removing(str(self.path)) as allowed:
            self.assertTrue(allowed)
            self.assertFalse(self.allowed())

    def test_no_file(self) -> None:
        """Where the file cannot be made nobody can have locked it."""
        self.path.rmdir()
        self.assertTrue(self.allowed())
        with self.assertRaises(FileNotFoundError), copying(str(self.path)):
            self.fail("there is nothing to copy")

    def test_unknown(self) -> None:
        """Where the file is there and cannot be opened, whoever copies may have it: nothing is removed."""
        (self.path / "backup.lock").symlink_to("backup.lock")
        with self.assertRaises(OSError):
            self.allowed()

    def test_root(self) -> None:
        """What root makes belongs to whom the directory belongs to, so that the server can open it."""
        if os.geteuid() != 0:
            raise SkipTest("only root gives files away")
        os.chown(self.path, 1234, 1235)
        with copying(str(self.path)):
            made = (self.path / "backup.lock").stat()
        self.assertEqual((made.st_uid, made.st_gid), (1234, 1235))
