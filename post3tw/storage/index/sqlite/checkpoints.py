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

The size of the file tells the size of the log, because `journal_size_limit` cuts the file back to SOFT_LIMIT when the
log begins anew: the file is longer only while the log is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.index.sqlite.failures import translated

SOFT_LIMIT = 16 * 1024 * 1024
HARD_LIMIT = 48 * 1024 * 1024
"""Bytes of the log."""

_ROUNDS = 2


@define
class Checkpoints:
    """Decides after each commit whether the log needs work. For use in the thread that commits.

    Attributes:
        path: the database file.
        connect: opens another connection to it.
    """

    log: ClassVar[Logger] = Logger()

    path: str
    connect: Callable[[], sqlite3.Connection]
    _background: threading.Thread | None = field(default=None, init=False)

    def due(self) -> bool:
        """Whether `finish` must be called before the next transaction. May start copying in the background."""
        try:
            size = os.stat(self.path + "-wal").st_size
        except OSError:  # no log: nothing was ever committed
            return False
        if size <= SOFT_LIMIT:
            if self._background is not None and not self._background.is_alive():
                self._background = None  # it copied everything, and the log has begun anew
            return False
        if self._background is None:
            self._background = threading.Thread(target=self.copy, name="post3-checkpoint", daemon=True)
            self._background.start()
        return size > HARD_LIMIT or not self._background.is_alive()

    def finish(self, connection: sqlite3.Connection) -> None:
        """Copy the rest, on the connection that writes, while it writes nothing."""
        self.settle()
        self._checkpoint(connection)

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
            return
        try:
            for _ in range(_ROUNDS):
                self._checkpoint(connection)
        finally:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        # A failure loses nothing: the log keeps what was not copied, and the next checkpoint writes all of it again.
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if isinstance(translated(error), InsufficientStorage):
                self.log.warn("There is no space for a checkpoint of the index.")
            else:
                self.log.failure("A checkpoint of the index failed")
