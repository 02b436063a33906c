"""Room to delete on a full disk.

Theory of operation. Deleting takes space: the index writes a log before it frees anything. So a file of some size is
kept that is good for nothing else. Whoever finds the disk full calls `release`: the file goes, and from then on
nothing that takes space is admitted, so that what was freed is left to deletes. A timer calls `recover`; once the
file can be made again, space has returned and writes are admitted. They are as well when the index has as much space
inside, left by small objects that were deleted: it does not give that back to the disk, but uses it. Deletes need no
reserve then, and it is made when the disk has space for it.

The workers of one server have one disk and one file. What is known of it is in memory that all of them see, and who
changes it holds a lock on the directory.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from post3tw.model.errors import DomainError, InsufficientStorage
from post3tw.storage.files import Files

_FULL, _MADE = range(2)


@define(eq=False)
class Reserve:
    """A preallocated file. Its methods may be called from any thread.

    Attributes:
        files: the file layer; not one that calls `release` itself when the disk is full.
        path: where the file is.
        size: its size in bytes.
        state: whether the disk is full, whether the file is there.
        shared: whether `state` is in memory that other processes see, which do the same.
    """

    log: ClassVar[Logger] = Logger()

    files: Files
    path: str
    size: int
    state: memoryview[int] = field(factory=lambda: memoryview(bytearray(2)), repr=False)
    shared: bool = False
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    @property
    def full(self) -> bool:
        """Whether the disk was found full, and space has not returned yet."""
        return bool(self.state[_FULL])

    @property
    def whole(self) -> bool:
        """Whether the file is there as it should be."""
        return bool(self.state[_MADE])

    def admit_write(self) -> None:
        """Raise InsufficientStorage as long as the disk is full."""
        if self.state[_FULL]:
            raise InsufficientStorage

    def make(self) -> None:
        """Make the file, in place of an earlier one; a disk too full for it counts as full."""
        with self._alone():
            made = self._make()
            self.state[_MADE], self.state[_FULL] = made, not made

    def release(self) -> None:
        """Give the space back: the disk is full."""
        with self._alone():
            if self.full:
                return
            self.state[_FULL], self.state[_MADE] = True, False
            with suppress(DomainError):
                self.files.unlink(self.path)
        self.log.warn("The disk is full: only reads and deletes until there is space again.")

    def recover(self, free_inside: int = 0) -> None:
        """Look whether space has returned.

        Args:
            free_inside: bytes that the index has for new rows without growing.
        """
        with self._alone():
            self.state[_MADE] = self.whole or self._make()
            if not self.full or not (self.whole or free_inside >= self.size):
                return
            self.state[_FULL] = False
        self.log.info("There is space again: writes are accepted.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            if not self.shared:
                yield
                return
            directory = os.path.dirname(self.path)
            with self.files.errors(directory):
                descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

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
