"""When the log is copied, and what a failure of that costs."""

from __future__ import annotations

import os
import sqlite3
import threading

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.index.sqlite.checkpoints import HARD_LIMIT, SOFT_LIMIT, Checkpoints
from post3tw.storage.index.sqlite.turns import TurnsOfProcesses


class CheckpointsTests(SynchronousTestCase):
    """Decisions on the size of a log."""

    def setUp(self) -> None:
        """A database that somebody has open, and a background that waits until it is let go."""
        self.path = self.mktemp()
        holder = sqlite3.connect(self.path)
        self.addCleanup(holder.close)
        holder.execute("PRAGMA journal_mode = WAL")
        self.let_go = threading.Event()
        self.addCleanup(self.let_go.set)
        self.checkpoints = Checkpoints(self.path, self.connect)

    def connect(self) -> sqlite3.Connection:
        """Another connection, when the test allows."""
        self.let_go.wait(10)
        return sqlite3.connect(self.path, isolation_level=None)

    def log_is(self, size: int) -> None:
        """Make the log this long."""
        with open(self.path + "-wal", "ab"):
            os.truncate(self.path + "-wal", size)

    def test_short(self) -> None:
        """No log and a short log need nothing."""
        self.assertFalse(Checkpoints(self.path + "-none", self.connect).due())
        self.log_is(SOFT_LIMIT)
        self.assertFalse(self.checkpoints.due())

    def test_background_first(self) -> None:
        """A long log is copied in the background; the rest is due when that has ended."""
        self.log_is(SOFT_LIMIT + 1)
        self.assertFalse(self.checkpoints.due())
        self.assertFalse(self.checkpoints.due())
        self.end_background()
        self.log_is(SOFT_LIMIT + 1)
        self.assertTrue(self.checkpoints.due())

    def test_begun_anew(self) -> None:
        """When the background copied everything and the log has begun anew, the next round begins in the background."""
        self.log_is(SOFT_LIMIT + 1)
        self.assertFalse(self.checkpoints.due())
        self.end_background()
        self.log_is(SOFT_LIMIT)
        self.assertFalse(self.checkpoints.due())
        self.log_is(SOFT_LIMIT + 1)
        self.assertFalse(self.checkpoints.due())
        self.let_go.set()
        self.checkpoints.settle()

    def end_background(self) -> None:
        """Let the background do its work, and wait for its end."""
        [background] = [thread for thread in threading.enumerate() if thread.name == "post3-checkpoint"]
        self.let_go.set()
        background.join()
        self.let_go.clear()

    def test_too_long(self) -> None:
        """A log beyond the hard limit is due at once."""
        self.log_is(HARD_LIMIT + 1)
        self.assertTrue(self.checkpoints.due())
        self.let_go.set()
        self.checkpoints.settle()

    def test_no_thread(self) -> None:
        """When the system has no thread for the background, the log waits for one, or for its hard limit, and no other
        process is kept from copying it."""

        class NoThread(threading.Thread):
            def start(self) -> None:
                raise RuntimeError("can't start new thread")

        turns = TurnsOfProcesses(self.path + "-turns")
        turns.open()
        self.addCleanup(turns.close)
        self.checkpoints.others, self.checkpoints.thread = turns, NoThread
        ended: list[bool] = []
        self.patch(TurnsOfProcesses, "end_copying", lambda turns: ended.append(True))
        self.log_is(SOFT_LIMIT + 1)
        self.assertFalse(self.checkpoints.due())
        self.log_is(HARD_LIMIT + 1)
        self.assertTrue(self.checkpoints.due())
        self.assertEqual(ended, [True, True])
        self.checkpoints.thread = threading.Thread
        self.log_is(SOFT_LIMIT + 1)
        self.assertFalse(self.checkpoints.due())
        self.let_go.set()
        self.checkpoints.settle()

    def test_failure(self) -> None:
        """A checkpoint that fails is reported and nothing else: the log still has everything."""
        closed = sqlite3.connect(self.path)
        closed.close()
        self.checkpoints.finish(closed)
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.ProgrammingError)), 1)

    def test_failure_in_background(self) -> None:
        """A background that cannot open the database is reported."""
        self.log_is(SOFT_LIMIT + 1)
        os.rename(self.path, self.path + ".away")
        os.mkdir(self.path)
        self.assertFalse(self.checkpoints.due())
        self.let_go.set()
        self.checkpoints.settle()
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 1)
