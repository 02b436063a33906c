"""The data directory of the `fs` backend: what is where, and that it belongs to one server at a time.

DATA/post3.lock       locked (flock) as long as the store is open; never removed, for then two could hold it
DATA/index.sqlite3    the index
DATA/blobs/           finished blobs
DATA/tmp/             blobs in the making; with several workers each adds its number to their names
DATA/backup.lock      see `keeping`
DATA/restoring        while a restore into this directory is not finished
DATA/reserve          space that is given back when the disk is full
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from attrs import define, field
from zope.interface import implementer

from post3tw.model.errors import DomainError
from post3tw.storage.crew import Crew
from post3tw.storage.files import Files
from post3tw.storage.interfaces import IKeepsBlobs, ISpace, StoreRefused
from post3tw.storage.keeping import removing
from post3tw.storage.reserve import Reserve
from post3tw.storage.threads import IThreads


async def _none_free() -> int:
    return 0


RESTORING = "restoring"
"""The file that says so; see storage/backup/restoring.py."""


@implementer(ISpace, IKeepsBlobs)
@define(eq=False)
class DataDirectory:
    """A data directory.

    Attributes:
        path: where it is; made when it is not there, but not its parent.
        files: the file layer; not one whose `on_full` is the reserve itself.
        threads: a pool for the disk.
        reserve_size: bytes to keep for deletes on a full disk; 0 for none.
        free_inside: how many bytes the index has for new rows without growing.
        restored: whether the restore that is not finished is ours.
        crew: the workers of the server that has it, when there are several; their parent took the lock (`possess`).
    """

    path: str
    files: Files
    threads: IThreads
    reserve_size: int = 64 << 20
    free_inside: Callable[[], Awaitable[int]] = _none_free
    crew: Crew | None = None
    restored: bool = False
    reserve: Reserve = field(init=False)
    _lock: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        path = os.path.join(self.path, "reserve")
        if self.crew is None:
            self.reserve = Reserve(self.files, path, self.reserve_size)
        else:
            self.reserve = Reserve(self.files, path, self.reserve_size, self.crew.reserve, shared=True)

    @property
    def index(self) -> str:
        """Path of the SQLite database."""
        return os.path.join(self.path, "index.sqlite3")

    @property
    def blobs(self) -> str:
        """Path of the directory of finished blobs."""
        return os.path.join(self.path, "blobs")

    @property
    def temporary(self) -> str:
        """Path of the directory of blobs in the making."""
        return os.path.join(self.path, "tmp")

    @property
    def full(self) -> bool:
        """Whether the disk is full."""
        return self.reserve.full

    async def start(self) -> None:
        """Make what is missing and take possession.

        Raises:
            StoreRefused: another process has it, or the file system does not let us.
        """
        try:
            if self.crew is None:
                self._possess()
            for directory in (self.blobs, self.temporary):
                self.files.make_directory(directory)
            self.files.sync_directory(self.path)
            if self.crew is None or self.crew.first:
                self.reserve.make()
        except (DomainError, OSError) as error:
            self._release_lock()
            raise self._refusal(error) from error

    def possess(self) -> int:
        """Take possession for other processes: a descriptor that holds the lock, for them to inherit.

        Raises:
            StoreRefused: as `start`.
        """
        try:
            self._possess()
        except (DomainError, OSError) as error:
            self._release_lock()
            raise self._refusal(error) from error
        return self._lock

    async def stop(self) -> None:
        """Let another process have it."""
        self._release_lock()

    def admit_write(self) -> None:
        """Raise InsufficientStorage while the disk is full."""
        self.reserve.admit_write()

    async def recover(self) -> None:
        """Look whether space has returned: on the disk, or inside the index, where small objects were deleted."""
        if not self.reserve.whole:
            await self.threads.run(self.reserve.recover, await self.free_inside())

    def removing(self) -> AbstractContextManager[bool]:
        """See IKeepsBlobs."""
        return removing(self.path)

    def _release_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _possess(self) -> None:
        self.files.make_directory(self.path)
        self.files.sync_directory(os.path.dirname(os.path.abspath(self.path)))
        self._take_lock()
        if not self.restored and self.files.exists(os.path.join(self.path, RESTORING)):
            self._release_lock()
            raise StoreRefused(f"a restore into {self.path} was not finished: run `post3 restore` again")

    def _refusal(self, error: Exception) -> StoreRefused:
        return StoreRefused(f"the data directory {self.path} cannot be used: {error}")

    def _take_lock(self) -> None:
        self._lock = os.open(os.path.join(self.path, "post3.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release_lock()
            raise StoreRefused(f"the data directory {self.path} is in use by another process") from None
