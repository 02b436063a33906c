"""The replay of power cuts finds nothing wrong with the server, and finds what is wrong with others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.index.transactions import blobs
from tests.backends import only_on
from tests.durability.powercut import leading_to, record_everything, record_migration, record_workers, recorder_in
from tests.durability.recording import TUNED, Recorder, require_strace
from tests.durability.replay import Report, replay
from tests.durability.syscalls import Remove

SEED = "20261121"
SHARE = 0.3
"""Of the operations, for the sake of time; the command tries all."""

PREPARED = 3
"""Answers until the buckets are there."""


@only_on("fs", "PostgreSQL answers for its own files")
class PowerCutCase(SynchronousTestCase):
    """Recordings in a directory that goes with the test."""

    def setUp(self) -> None:
        """Have strace."""
        require_strace()
        self.random = Random(SEED)

    def recorded(self, record: Callable[[Recorder], None], *patches: str, inject: str = "") -> Recorder:
        """A recording of a server with these mistakes."""
        directory = tempfile.TemporaryDirectory(prefix="post3-powercut-")
        self.addCleanup(directory.cleanup)
        recorder = recorder_in(Path(directory.name), self.random, (*TUNED, *patches), inject)
        record(recorder)
        return recorder


class PowerCutTests(PowerCutCase):
    """The server as it is."""

    def assert_sound(self, report: Report) -> None:
        """There were states, and nothing was wrong with any."""
        self.assertEqual(report.violations, [])
        self.assertGreater(report.answers, 1)
        self.assertGreater(report.distinct, 100)

    def test_everything(self) -> None:
        """What is acknowledged survives every power cut, over a kill and a start on what it left."""
        self.assert_sound(
            replay(self.recorded(lambda recorder: record_everything(recorder, 1)), self.random, share=SHARE)
        )

    def test_workers(self) -> None:
        """The same of two processes on one store."""
        recorder = self.recorded(lambda recorder: record_workers(recorder, 1))
        self.assert_sound(replay(recorder, self.random, after=PREPARED, share=SHARE))

    def test_migration(self) -> None:
        """A power cut while an older index is brought up to date leaves the one or the other."""
        self.assert_sound(
            replay(self.recorded(lambda recorder: record_migration(recorder, 1)), self.random, share=SHARE)
        )


def some(count: int, *chosen: str) -> Callable[[Recorder], None]:
    """Record some requests of one kind."""

    def record(recorder: Recorder) -> None:
        with recorder.run(kill=True) as client:
            recorder.people[0].client = client
            recorder.people[0].prepare()
            for kind in chosen:
                recorder.work(client, count, (kind,))

    return record


class MistakeTests(PowerCutCase):
    """Servers with a mistake in them."""

    def assert_found(
        self, record: Callable[[Recorder], None], *patches: str, inject: str = "", after: int = PREPARED
    ) -> None:
        """The replay finds something wrong."""
        recorder = self.recorded(record, *patches, inject=inject)
        report = replay(recorder, self.random, after=after, first_only=True)
        self.assertNotEqual(report.violations, [], f"not found in {report.states} states")

    def test_no_file_sync(self) -> None:
        """Files are not synced."""
        self.assert_found(some(1, "put_large"), "no_file_sync")

    def test_no_directory_sync(self) -> None:
        """Directories are not synced."""
        self.assert_found(some(1, "put_small"), "no_directory_sync")

    def test_no_parent_sync(self) -> None:
        """The name of a new directory is not synced, only the one of the file in it."""
        self.assert_found(some(1, "put_large"), "no_parent_sync")

    def test_synchronous_normal(self) -> None:
        """SQLite does not sync at every commit."""
        self.assert_found(some(1, "put_small"), "synchronous_normal")

    def test_checkpoint_not_synced(self) -> None:
        """The log is used anew before its pages are on the disk elsewhere."""
        self.assert_found(some(4, "put_small"), "checkpoint_not_synced")

    def test_row_before_data(self) -> None:
        """An object is acknowledged before its blob is finished."""
        self.assert_found(some(1, "put_large"), "row_before_data")

    def test_rename_before_sync(self) -> None:
        """A blob is renamed before it is synced."""
        self.assert_found(some(1, "put_large"), "rename_before_sync")

    def test_early_unlink(self) -> None:
        """The old body is removed before the commit that replaces it."""
        self.assert_found(some(5, "put_large"), "early_unlink")

    def test_early_answer(self) -> None:
        """Clients are answered before the commit."""
        self.assert_found(some(2, "put_small"), "early_answer")

    def test_row_forgotten_first(self) -> None:
        """A sweeper forgets blobs before it deletes them, so that they stay for ever."""
        self.assert_found(some(5, "put_large", "delete"), "row_forgotten_first")

    def test_blob_before_lease(self) -> None:
        """Blobs are made before there is a row of them, so that an interrupted upload stays for ever."""
        self.assert_found(some(1, "put_large"), "blob_before_lease")

    def test_migration_in_steps(self) -> None:
        """A migration commits after each statement."""
        self.assert_found(lambda recorder: record_migration(recorder, 1), "migration_in_steps", after=0)

    def test_lying_disk(self) -> None:
        """The disk says that it has synced, and has not."""
        self.assert_found(some(1, "put_small"), inject="fsync,fdatasync:retval=0")

    def test_survivors_swept(self) -> None:
        """After a power cut the sweeper takes the parts of uploads for what nobody refers to."""
        condemn = "UPDATE blobs SET condemned = ?, lease_until = NULL WHERE id NOT IN (SELECT blob FROM versions WHERE"
        condemn += " blob IS NOT NULL) AND condemned IS NULL AND coalesce(lease_until, 0) < ? AND ? > 0"
        pardon = "UPDATE blobs SET condemned = NULL WHERE condemned = ? AND id IS NULL"
        with patch.object(blobs, "_CONDEMN", condemn), patch.object(blobs, "_PARDON", pardon):
            self.assert_found(some(1, "leave"))


class ContextTests(SynchronousTestCase):
    """What is said besides a violation."""

    def test_leading_to(self) -> None:
        """The last forty operations, and those before on the blob that the violation names."""
        blob, directory = "ab" * 16, tempfile.TemporaryDirectory(prefix="post3-powercut-")
        self.addCleanup(directory.cleanup)
        recorder = recorder_in(Path(directory.name), Random(SEED))
        recorder.trace.operations += [Remove(f"blobs/{blob}"), *(Remove(f"tmp/{number}") for number in range(60))]
        told = leading_to(f"operation 61 Answer(), state 3: file {blob} has no row", recorder)
        self.assertEqual(
            (told[0], told[-1], len(told)), (f"1 Remove(path='blobs/{blob}')", "61 Remove(path='tmp/59')", 41)
        )
