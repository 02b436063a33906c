"""Tests of post3tw.storage.files."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InsufficientStorage, SlowDown, StorageFailed
from post3tw.storage.files import Files
from tests.storage.faulty import FaultyFiles, open_files


class FilesTests(SynchronousTestCase):
    """Tests of Files and OpenFile."""

    def setUp(self) -> None:
        """A directory and a file layer that can fail."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "file")
        self.full = 0
        self.files = FaultyFiles(self.count_full)

    def count_full(self) -> None:
        """Called when the disk is full."""
        self.full += 1

    def write(self, data: bytes) -> None:
        """Make the file."""
        file = self.files.create(self.path)
        file.write(data)
        file.close()

    def test_round_trip(self) -> None:
        """What is written is read."""
        self.write(b"some bytes")
        file = self.files.open(self.path)
        self.assertEqual(file.read(5, 5), b"bytes")
        file.close()

    def test_create_is_exclusive(self) -> None:
        """A file that exists is never opened for writing."""
        self.write(b"first")
        with self.assertRaises(FileExistsError):
            self.files.create(self.path)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"first")

    def test_private(self) -> None:
        """Files and directories are ours alone."""
        self.write(b"")
        self.files.make_directory(self.path + ".d")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path + ".d").st_mode), 0o700)

    def test_missing(self) -> None:
        """A file that is not there is FileNotFoundError to open, and nothing to unlink."""
        with self.assertRaises(FileNotFoundError):
            self.files.open(self.path)
        self.assertFalse(self.files.exists(self.path))
        self.assertFalse(self.files.unlink(self.path))

    def test_unlink(self) -> None:
        """Unlinking removes a name."""
        self.write(b"")
        self.assertTrue(self.files.exists(self.path))
        self.assertTrue(self.files.unlink(self.path))
        self.assertFalse(os.path.exists(self.path))

    def test_short_writes(self) -> None:
        """A write that the system takes only in part is continued."""
        self.files.write_at_most = 3
        self.write(b"0123456789")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"0123456789")
        self.assertEqual(len(self.files.called("write")), 4)

    def test_read_to_the_end(self) -> None:
        """A read past the end gives what is there."""
        self.write(b"0123")
        file = self.files.open(self.path)
        self.addCleanup(file.close)
        self.assertEqual(file.read(2, 10), b"23")
        self.assertEqual(file.read(4, 10), b"")

    def test_short_reads(self) -> None:
        """A read that the system answers only in part is continued."""

        class ShortReads(Files):
            def call(self, function: Any, *arguments: Any, **options: Any) -> Any:
                if function is os.pread:
                    return os.pread(arguments[0], min(arguments[1], 3), arguments[2])
                return function(*arguments, **options)

        self.write(b"0123456789")
        file = ShortReads().open(self.path)
        self.addCleanup(file.close)
        self.assertEqual(file.read(1, 8), b"12345678")

    def test_read_at_once(self) -> None:
        """What the system has in memory is read without waiting; when that is not everything, nothing is."""
        self.files.cached = True
        self.write(b"0123")
        file = self.files.open(self.path)
        self.assertEqual(file.read_at_once(1, 3), b"123")
        self.assertIsNone(file.read_at_once(2, 3))
        self.files.cached = False
        self.assertIsNone(file.read_at_once(1, 3))
        with file._lock:  # as a thread would that reads
            self.assertIsNone(file.read_at_once(1, 3))
        file.close()
        self.assertRaises(StorageFailed, file.read_at_once, 1, 3)

    def test_full_disk(self) -> None:
        """A full disk and a full quota are InsufficientStorage, and somebody is told."""
        file = self.files.create(self.path)
        self.addCleanup(file.close)
        for count, error in enumerate((errno.ENOSPC, errno.EDQUOT), 1):
            self.files.fail["write"] = error
            with self.assertRaises(InsufficientStorage):
                file.write(b"x")
            self.assertEqual(self.full, count)

    def test_too_many_open(self) -> None:
        """When no more files can be opened, the client is told to come back."""
        self.write(b"")
        for number in (errno.EMFILE, errno.ENFILE):
            self.files.fail["open"] = number
            self.assertRaises(SlowDown, self.files.open, self.path)

    def test_other_errors(self) -> None:
        """Every other refusal of the system is StorageFailed, and says of which file."""
        file = self.files.create(self.path)
        self.addCleanup(file.close)
        self.files.fail["fdatasync"] = errno.EIO
        with self.assertRaises(StorageFailed) as caught:
            file.sync()
        self.assertIn(self.path, str(caught.exception))
        self.assertIsInstance(caught.exception.__cause__, OSError)
        self.assertEqual(self.full, 0)

    def test_closed(self) -> None:
        """A closed file does nothing more, so that it cannot touch another that got its descriptor."""
        file = self.files.create(self.path)
        file.close()
        file.close()
        uses = (lambda: file.write(b"x"), lambda: file.read(0, 1), file.sync)
        for use in (*uses, lambda: file.forget(0), lambda: file.preallocate(1)):
            with self.assertRaises(StorageFailed):
                use()
        self.assertEqual(len(self.files.called("close")), 1)

    def test_failed_close(self) -> None:
        """A close that fails is not repeated: the descriptor is gone."""
        before = open_files(self.directory)
        file = self.files.create(self.path)
        self.files.fail["close"] = errno.EIO
        with self.assertRaises(StorageFailed):
            file.close()
        file.close()
        self.assertEqual(open_files(self.directory), before)

    def test_rename(self) -> None:
        """A renamed file has its new name only."""
        self.write(b"bytes")
        self.files.rename(self.path, self.path + ".new")
        self.assertEqual(os.listdir(self.directory), ["file.new"])

    def test_make_directory_twice(self) -> None:
        """A directory that exists is made already; a file of that name is not a directory."""
        self.files.make_directory(self.path)
        self.files.make_directory(self.path)
        other = os.path.join(self.path, "other")
        self.files.create(other).close()
        with self.assertRaises(StorageFailed):
            self.files.make_directory(other)

    def test_sync_directory(self) -> None:
        """Syncing a directory leaves nothing open, whether it works or not."""
        before = open_files(self.directory)
        self.files.sync_directory(self.directory)
        self.assertEqual(self.files.called("fsync"), [self.directory])
        self.files.fail["fsync"] = errno.EIO
        with self.assertRaises(StorageFailed):
            self.files.sync_directory(self.directory)
        self.assertEqual(open_files(self.directory), before)

    def test_preallocate(self) -> None:
        """Preallocated space is taken at once."""
        file = self.files.create(self.path)
        self.addCleanup(file.close)
        file.preallocate(1 << 20)
        self.assertEqual(os.stat(self.path).st_size, 1 << 20)

    def test_names(self) -> None:
        """Names come sorted."""
        for name in ("b", "a", "c"):
            self.files.create(os.path.join(self.directory, name)).close()
        self.assertEqual(Files().names(self.directory), ["a", "b", "c"])
