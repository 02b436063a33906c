"""Tests of post3tw.storage.datadir."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.interfaces import ISpace, StoreRefused
from post3tw.storage.threads import NoThreads
from tests.storage.faulty import FaultyFiles, open_files

HOLD = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class DataDirectoryTests(TestCase):
    """Tests of DataDirectory."""

    def setUp(self) -> None:
        """A place for the directory."""
        self.path = self.mktemp()
        self.files = FaultyFiles()

    def directory(self, path: str | None = None) -> DataDirectory:
        """A data directory that is let go when the test ends."""
        directory = DataDirectory(path or self.path, self.files, NoThreads(), 1 << 16)
        self.addCleanup(lambda: Deferred.fromCoroutine(directory.stop()))
        return directory

    async def test_layout(self) -> None:
        """Everything is made, for us alone."""
        directory = self.directory()
        self.assertTrue(ISpace.providedBy(directory))
        await directory.start()
        self.assertEqual(sorted(os.listdir(self.path)), ["blobs", "post3.lock", "reserve", "tmp"])
        for name in (".", "blobs", "tmp"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.path, name)).st_mode), 0o700)
        self.assertEqual(directory.index, os.path.join(self.path, "index.sqlite3"))
        self.assertEqual(directory.blobs, os.path.join(self.path, "blobs"))
        self.assertEqual(directory.temporary, os.path.join(self.path, "tmp"))

    async def test_names_are_durable(self) -> None:
        """The names of what was made are synced."""
        await self.directory().start()
        self.assertEqual(self.files.called("fsync"), [os.path.dirname(os.path.abspath(self.path)), self.path])

    async def test_again(self) -> None:
        """A directory that was let go can be taken again, with what is in it."""
        directory = self.directory()
        await directory.start()
        with open(directory.index, "w"):
            pass
        await directory.stop()
        await directory.stop()
        await self.directory().start()
        self.assertTrue(os.path.exists(directory.index))

    async def test_taken(self) -> None:
        """A second user is refused with one line that says where, and the first one is not disturbed."""
        await self.directory().start()
        before = open_files(self.path)
        second = self.directory()
        with self.assertRaises(StoreRefused) as caught:
            await second.start()
        self.assertEqual(str(caught.exception), f"the data directory {self.path} is in use by another process")
        self.assertEqual(open_files(self.path), before)
        await second.stop()
        with self.assertRaises(StoreRefused):
            await self.directory().start()

    async def test_taken_by_another_process(self) -> None:
        """The same when the first is another process, until that ends, however it ends."""
        os.mkdir(self.path)
        lock = os.path.join(self.path, "post3.lock")
        other = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(other.communicate)
        self.addCleanup(other.kill)
        assert other.stdout is not None
        self.assertEqual(other.stdout.readline(), b"held\n")
        with self.assertRaises(StoreRefused):
            await self.directory().start()
        other.kill()
        other.wait()
        await self.directory().start()

    async def test_unusable(self) -> None:
        """A path that cannot be a directory is refused with one line."""
        with open(self.path, "w"):
            pass
        for path in (self.path, os.path.join(self.path, "data"), os.path.join(self.mktemp(), "no", "parent")):
            with self.assertRaises(StoreRefused) as caught:
                await self.directory(path).start()
            self.assertIn(path, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    async def test_space(self) -> None:
        """A full disk refuses writes until there is space for the reserve again."""
        directory = self.directory()
        await directory.start()
        directory.admit_write()
        directory.reserve.release()
        with self.assertRaises(InsufficientStorage):
            directory.admit_write()
        await directory.recover()
        directory.admit_write()
        self.assertEqual(os.stat(os.path.join(self.path, "reserve")).st_size, 1 << 16)
