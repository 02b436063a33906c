"""A directory in which several nodes keep blobs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InsufficientStorage
from post3tw.storage import shared_directory
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.keeping import copying
from post3tw.storage.shared_directory import SharedDirectory
from post3tw.storage.threads import NoThreads

BLOB = bytes(16)


class SharedDirectoryTests(SynchronousTestCase):
    """Nodes on one directory."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def node(self, name: str) -> tuple[SharedDirectory, FileBlobs]:
        """A started node."""
        directory = SharedDirectory(str(self.path), name)
        blobs = FileBlobs(directory.files, NoThreads(), directory.blobs, directory.temporary)
        self.addCleanup(lambda: self.done(directory.stop()))
        self.done(directory.start())
        self.done(blobs.start())
        return directory, blobs

    def done(self, coroutine: Any) -> Any:
        """What a coroutine returns that waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def nodes(self) -> list[str]:
        """Which nodes have a directory."""
        return sorted(os.listdir(self.path / "tmp"))

    def test_shared(self) -> None:
        """What one node finished another can read, and one that starts leaves alone what another has in the making."""
        _, one = self.node("one")
        writer = self.done(one.create(BLOB))
        self.done(writer.write(b"bytes"))
        _, two = self.node("two")
        self.done(writer.finish())
        self.assertEqual(self.done(self.done(two.open(BLOB)).read(0, 5)), b"bytes")

    def test_copied(self) -> None:
        """No node removes blobs while somebody copies them."""
        directory, _ = self.node("one")
        with copying(str(self.path)), directory.removing() as allowed:
            self.assertFalse(allowed)
        with directory.removing() as allowed:
            self.assertTrue(allowed)

    def test_left_behind(self) -> None:
        """What a node that ended had in the making is removed by the next that starts."""
        directory, one = self.node("one")
        self.done(self.done(one.create(BLOB)).write(b"half"))
        self.done(directory.stop())
        self.node("two")
        self.assertEqual(self.nodes(), ["two"])

    def test_removed_meanwhile(self) -> None:
        """A node whose directory is removed between its making and its locking makes it again."""
        lock, times = shared_directory._locked, []

        def too_late(directory: str) -> int | None:
            found = lock(directory)
            times.append(directory)
            if len(times) == 1:
                os.unlink(f"{directory}/lock")
                os.rmdir(directory)
            return found

        self.patch(shared_directory, "_locked", too_late)
        self.node("one")
        self.assertEqual(os.listdir(self.path / "tmp" / "one"), ["lock"])

    def test_without_locks(self) -> None:
        """On a file system without locks nodes start, and remove nothing of others."""

        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(95, "Operation not supported")

        self.patch(fcntl, "flock", refuse)
        self.node("one")
        self.node("two")
        self.assertEqual(self.nodes(), ["one", "two"])

    def test_unusable(self) -> None:
        """A directory that cannot be made is refused in one line."""
        failure = self.failureResultOf(
            Deferred.fromCoroutine(SharedDirectory(str(self.path / "no" / "parent"), "one").start())
        )
        self.assertIsNotNone(failure.check(StoreRefused))
        self.assertIn("cannot be used", failure.getErrorMessage())

    def test_full(self) -> None:
        """A full disk takes no writes until there is space again."""
        directory, _ = self.node("one")
        directory.admit_write()
        directory.files.on_full()
        self.assertRaises(InsufficientStorage, directory.admit_write)
        self.patch(shared_directory, "ENOUGH", 1 << 62)
        self.done(directory.recover())
        self.assertRaises(InsufficientStorage, directory.admit_write)
        self.patch(shared_directory, "ENOUGH", 0)
        self.done(directory.recover())
        directory.admit_write()
