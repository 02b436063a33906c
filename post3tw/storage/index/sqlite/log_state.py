"""Whether another process has committed, for the price of a look into memory.

Theory of operation. Connections of all processes to a database in WAL mode share its wal-index, the file PATH-shm
mapped into memory. It begins with a header of 48 bytes that a commit replaces, after the log is synced, and that every
reader compares with the one it knew, to see whether there is something new: that is how SQLite itself finds out. Here
it is compared before SQLite is asked to begin, so that a snapshot is renewed only when there is something to see. What
the header means does not matter, only that it changes.

The file must stay open as long as SQLite has it open: with the first descriptor of it that a process closes, it loses
all locks that it has on the file, SQLite's among them (POSIX, fcntl: "Advisory record locking").

https://www.sqlite.org/walformat.html#the_wal_index_file_format
"""

from __future__ import annotations

import mmap
import os

from attrs import define, field

_HEADER = 48


@define(eq=False)
class LogState:
    """The state of the log of a database.

    Attributes:
        path: of the database file; a connection has read from it, so that the wal-index is there.
    """

    path: str
    _descriptor: int = field(init=False)
    _header: mmap.mmap = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._descriptor = os.open(self.path + "-shm", os.O_RDONLY | os.O_CLOEXEC)
        self._header = mmap.mmap(self._descriptor, _HEADER, access=mmap.ACCESS_READ)

    def __call__(self) -> bytes:
        """Another value than before when anybody, this process included, has committed in between."""
        return self._header[:]

    def close(self) -> None:
        """For when all connections of this process to the database are closed, and not before."""
        self._header.close()
        os.close(self._descriptor)
