"""Room to delete on a full disk.

Theory of operation. Deleting takes space: the index writes a log before it frees anything. So a file of some size is
kept that is good for nothing else. Whoever finds the disk full calls `release`: the file goes, and from then on
nothing that takes space is admitted, so that what was freed is left to deletes. A timer calls `recover`; once the
file can be made again, space has returned and writes are admitted. They are as well when the index has as much space
inside, left by small objects that were deleted: it does not give that back to the disk, but uses it. Deletes need no
reserve then, and it is made when the disk has space for it.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from post3tw.model.errors import DomainError, InsufficientStorage
from post3tw.storage.files import Files


@define(eq=False)
class Reserve:
    """A preallocated file. Its methods may be called from any thread.

    Attributes:
        files: the file layer; not one that calls `release` itself when the disk is full.
        path: where the file is.
        size: its size in bytes.
    """

    log: ClassVar[Logger] = Logger()

    files: Files
    path: str
    size: int
    _full: bool = field(default=False, init=False)
    _made: bool = field(default=False, init=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    @property
    def full(self) -> bool:
        """Whether the disk was found full, and space has not returned yet."""
        return self._full

    @property
    def whole(self) -> bool:
        """Whether the file is there as it should be."""
        return self._made

    def admit_write(self) -> None:
        """Raise InsufficientStorage as long as the disk is full."""
        if self._full:
            raise InsufficientStorage

    def make(self) -> None:
        """Make the file, in place of an earlier one; a disk too full for it counts as full."""
        with self._lock:
            self._made = self._make()
            self._full = not self._made

    def release(self) -> None:
        """Give the space back: the disk is full."""
        with self._lock:
            if self._full:
                return
            self._full = True
            self._made = False
            with suppress(DomainError):
                self.files.unlink(self.path)
        self.log.warn("The disk is full: only reads and deletes until there is space again.")

    def recover(self, free_inside: int = 0) -> None:
        """Look whether space has returned.

        Args:
            free_inside: bytes that the index has for new rows without growing.
        """
        with self._lock:
            self._made = self._made or self._make()
            if not self._full or not (self._made or free_inside >= self.size):
                return
            self._full = False
        self.log.info("There is space again: writes are accepted.")

    def _make(self) -> bool:
        self.files.unlink(self.path)
        if not self.size:
            return True
        try:
            file = self.files.create(self.path)
            try:
                file.preallocate(self.size)
            finally:
                file.close()
        except InsufficientStorage:
            self.files.unlink(self.path)
            return False
        return True
