"""Keeping the write-ahead log short without making a commit wait.

Theory of operation
===================
Commits append to the log (WAL); a checkpoint copies its pages into the database file; the next commit after a
*complete* checkpoint begins the log anew. While commits go on, a checkpoint is never complete: they append behind it.
And one that runs between two commits makes the second wait for as long as copying and syncing megabytes takes. So it
goes in rounds:

1. when the log has grown beyond SOFT_LIMIT, a thread copies what is in it, while commits go on;
2. it does so once more, for what came in meanwhile, which is less;
3. the rest, little by now, is copied between two commits, and the log begins anew.

When the disk is too slow for this to converge, HARD_LIMIT goes straight to step 3: writers then wait for the disk.

Where several processes write, one of them at a time does the first two steps, and the third falls to whoever commits
next, while it has the turn. What readers of other processes still look at is in the way of that; they are waited for,
a little (a snapshot is not held for long, see `snapshot`). When that was in vain, the log grows by another STEP first.

The size of the file tells the size of the log, because `journal_size_limit` cuts the file back to SOFT_LIMIT when the
log begins anew: the file is longer only while the log is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import ClassVar, Protocol

from attrs import define, field
from twisted.logger import Logger

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.index.sqlite.failures import translated

SOFT_LIMIT = 16 * 1024 * 1024
HARD_LIMIT = 48 * 1024 * 1024
STEP = 4 * 1024 * 1024
"""Bytes of the log."""

PATIENCE = 25
"""Milliseconds to wait for readers of other processes."""

_ROUNDS = 2


class Duty(Protocol):
    """What one process at a time does."""

    def begin_copying(self) -> bool:
        """Whether no other process copies, and this one may."""

    def end_copying(self) -> None:
        """It has copied."""


@define
class Checkpoints:
    """Decides after each commit whether the log needs work. For use in the thread that commits.

    Attributes:
        path: the database file.
        connect: opens another connection to it.
        others: where other processes write to it too, what says who of all copies in the background.
        thread: makes the one that copies in the background.
    """

    log: ClassVar[Logger] = Logger()

    path: str
    connect: Callable[[], sqlite3.Connection]
    others: Duty | None = None
    thread: Callable[..., threading.Thread] = threading.Thread
    _background: threading.Thread | None = field(default=None, init=False)
    _enough: int = field(default=SOFT_LIMIT, init=False)

    def due(self) -> bool:
        """Whether `finish` must be called before the next transaction. May start copying in the background."""
        try:
            size = os.stat(self.path + "-wal").st_size
        except OSError:  # no log: nothing was ever committed
            return False
        if size <= SOFT_LIMIT:
            self._enough = SOFT_LIMIT
            if self._background is not None and not self._background.is_alive():
                self._background = None  # it copied everything, and the log has begun anew
            return False
        if size <= self._enough:
            return False
        if self._background is None:
            if self.others is not None and not self.others.begin_copying():
                return size > HARD_LIMIT
            background = self.thread(target=self.copy, name="post3-checkpoint", daemon=True)
            try:
                background.start()
            except RuntimeError:  # there are too many threads; what was committed is to be answered all the same
                self.log.warn("There is no thread for a checkpoint of the index.")
                if self.others is not None:
                    self.others.end_copying()
                return size > HARD_LIMIT
            self._background = background
        return size > HARD_LIMIT or not self._background.is_alive()

    def finish(self, connection: sqlite3.Connection) -> None:
        """Copy the rest, on the connection that writes, while it writes nothing."""
        self.settle()
        if self.others is None:
            self._checkpoint(connection)
            return
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE}").fetchone()
        if not self._checkpoint(connection, "RESTART"):
            self._enough = os.stat(self.path + "-wal").st_size + STEP
        connection.execute("PRAGMA busy_timeout = 1000").fetchone()

    def settle(self) -> None:
        """Wait for what is copied in the background."""
        if self._background is not None:
            self._background.join()
            self._background = None

    def copy(self) -> None:
        """Copy what can be copied while others write, on a connection of its own."""
        try:
            connection = self.connect()
        except sqlite3.Error:
            self.log.failure("The index cannot be opened for a checkpoint")
        else:
            with closing(connection):
                for _ in range(_ROUNDS):
                    self._checkpoint(connection)
        finally:
            if self.others is not None:
                self.others.end_copying()

    def _checkpoint(self, connection: sqlite3.Connection, mode: str = "PASSIVE") -> bool:
        """Copy; whether nothing was in the way."""
        # A failure loses nothing: the log keeps what was not copied, and the next checkpoint writes all of it again.
        try:
            busy, _, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return not busy
        except sqlite3.Error as error:
            if isinstance(translated(error), InsufficientStorage):
                self.log.warn("There is no space for a checkpoint of the index.")
            else:
                self.log.failure("A checkpoint of the index failed")
        return False
