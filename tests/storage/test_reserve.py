"""Tests of post3tw.storage.reserve."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.reserve import Reserve
from tests.storage.faulty import FaultyFiles, open_files

SIZE = 1 << 20


class ReserveTests(SynchronousTestCase):
    """Tests of Reserve."""

    def setUp(self) -> None:
        """A reserve that was not made yet."""
        self.files = FaultyFiles()
        self.path = self.mktemp()
        self.reserve = Reserve(self.files, self.path, SIZE)

    def assert_full(self) -> None:
        """Writes are refused, and the space is free."""
        with self.assertRaises(InsufficientStorage):
            self.reserve.admit_write()
        self.assertFalse(os.path.exists(self.path))

    def assert_ready(self) -> None:
        """Writes are admitted, and the space is taken."""
        self.reserve.admit_write()
        self.assertEqual(os.stat(self.path).st_blocks * 512, SIZE)

    def test_make(self) -> None:
        """The space is really taken."""
        self.reserve.make()
        self.assert_ready()

    def test_make_again(self) -> None:
        """A reserve of an earlier process, of whatever size, is replaced."""
        Reserve(self.files, self.path, SIZE // 2).make()
        self.reserve.make()
        self.assert_ready()

    def test_release(self) -> None:
        """On a full disk the space is given back, and writes are refused."""
        self.reserve.make()
        self.reserve.release()
        self.assert_full()
        self.files.calls.clear()
        self.reserve.release()
        self.assert_full()
        self.assertEqual(self.files.calls, [])

    def test_recover_inside(self) -> None:
        """As much space inside the index admits writes too; the reserve is made when the disk has space for it."""
        self.reserve.make()
        self.reserve.release()
        self.files.fail = {"posix_fallocate": errno.ENOSPC}
        self.reserve.recover(SIZE - 1)
        self.assert_full()
        self.reserve.recover(SIZE)
        self.reserve.admit_write()
        self.assertFalse(self.reserve.whole)
        self.files.fail = {}
        self.reserve.recover()
        self.assert_ready()
        self.assertTrue(self.reserve.whole)

    def test_recover(self) -> None:
        """When space has returned, the reserve is made again and writes are admitted."""
        self.reserve.make()
        self.reserve.release()
        self.reserve.recover()
        self.assert_ready()

    def test_still_full(self) -> None:
        """As long as there is no space for the reserve, writes are refused, and nothing of it is left lying about."""
        self.reserve.make()
        self.reserve.release()
        before = open_files(self.path)
        for call in ("posix_fallocate", "open"):
            self.files.fail = {call: errno.ENOSPC}
            self.reserve.recover()
            self.assert_full()
        self.assertEqual(open_files(self.path), before)
        self.files.fail = {}
        self.reserve.recover()
        self.assert_ready()

    def test_recover_when_not_full(self) -> None:
        """While there is space, recovering does nothing."""
        self.reserve.make()
        self.files.calls.clear()
        self.reserve.recover()
        self.assertEqual(self.files.calls, [])

    def test_full_at_start(self) -> None:
        """A disk that is full at the start is a full disk, not a reason not to start."""
        self.files.fail = {"posix_fallocate": errno.ENOSPC}
        self.reserve.make()
        self.assert_full()

    def test_failing_unlink(self) -> None:
        """A reserve that cannot be removed still means a full disk, and hides no other error."""
        self.reserve.make()
        self.files.fail = {"unlink": errno.EIO}
        self.reserve.release()
        with self.assertRaises(InsufficientStorage):
            self.reserve.admit_write()

    def test_no_reserve(self) -> None:
        """Without a reserve, a full disk is noticed all the same, until the next look."""
        reserve = Reserve(self.files, self.path, 0)
        reserve.make()
        self.assertFalse(os.path.exists(self.path))
        reserve.admit_write()
        reserve.release()
        with self.assertRaises(InsufficientStorage):
            reserve.admit_write()
        reserve.recover()
        reserve.admit_write()


class SharedReserveTests(SynchronousTestCase):
    """One file, looked after by several processes that share what is known of it."""

    def setUp(self) -> None:
        """Two that belong to one server, of which the first has made the file."""
        files, path, state = FaultyFiles(), os.path.abspath(self.mktemp()), memoryview(bytearray(2))
        self.one, self.other = (Reserve(files, path, SIZE, state, shared=True) for _ in range(2))
        self.one.make()

    def test_release(self) -> None:
        """What one of them found out, the other acts upon at once."""
        self.other.admit_write()
        self.one.release()
        with self.assertRaises(InsufficientStorage):
            self.other.admit_write()
        self.assertFalse(self.other.whole)

    def test_recover(self) -> None:
        """Whichever of them finds space again, both take writes."""
        self.one.release()
        self.other.recover()
        self.one.admit_write()
        self.assertTrue(self.one.whole)
