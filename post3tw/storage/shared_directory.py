"""A directory in which several nodes keep blobs, on one machine or on a file system that they share.

DATA/blobs/           finished blobs, of everybody
DATA/tmp/NODE/        blobs that a node has in the making; `lock` in it is locked (flock) while the node runs

Blobs have ids that nobody else makes, so nodes meet nowhere but in `tmp`. A directory there whose lock is free belongs
to a node that ended, and the next that starts removes it. On a file system without locks nothing is removed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import AbstractContextManager
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.model.errors import DomainError, InsufficientStorage
from post3tw.storage.files import Files
from post3tw.storage.interfaces import IKeepsBlobs, ISpace, StoreRefused
from post3tw.storage.keeping import removing

ENOUGH = 64 << 20
"""Bytes that must be free before a disk that was full takes writes again."""


@implementer(ISpace, IKeepsBlobs)
@define(eq=False)
class SharedDirectory:
    """A node's view of the directory.

    Attributes:
        path: where it is; made when it is not there, but not its parent.
        node: what no other node is called; the name of a directory.
        files: the file layer of its blobs.
    """

    log: ClassVar[Logger] = Logger()

    path: str
    node: str
    files: Files = field(init=False)
    full: bool = field(default=False, init=False)
    _lock: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        self.files = Files(self._found_full)

    @property
    def blobs(self) -> str:
        """Path of the directory of finished blobs."""
        return os.path.join(self.path, "blobs")

    @property
    def temporary(self) -> str:
        """Path of this node's directory of blobs in the making."""
        return os.path.join(self.path, "tmp", self.node)

    async def start(self) -> None:
        """Make what is missing, and remove what nodes that ended left behind.

        Raises:
            StoreRefused: the file system does not let us.
        """
        try:
            self.files.make_directory(self.path)
            self.files.sync_directory(os.path.dirname(os.path.abspath(self.path)))
            for directory in (self.blobs, os.path.dirname(self.temporary)):
                self.files.make_directory(directory)
            self.files.sync_directory(self.path)
            self._take_lock()
            self._clear()
        except (DomainError, OSError) as error:
            raise StoreRefused(f"the data directory {self.path} cannot be used: {error}") from error

    async def stop(self) -> None:
        """Let the next node remove what is left."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def admit_write(self) -> None:
        """Raise InsufficientStorage while the disk is full."""
        if self.full:
            raise InsufficientStorage

    async def recover(self) -> None:
        """Look whether space has returned."""
        if self.full:
            status = os.statvfs(self.path)
            self.full = status.f_bavail * status.f_frsize < ENOUGH

    def removing(self) -> AbstractContextManager[bool]:
        """See IKeepsBlobs."""
        return removing(self.path)

    def _found_full(self) -> None:
        if not self.full:
            self.full = True
            self.log.warn(
                "The disk of {path} is full: only reads and deletes until there is space again.", path=self.path
            )

    def _take_lock(self) -> None:
        while self._lock < 0:
            self.files.make_directory(self.temporary)
            try:
                lock = _locked(self.temporary)
            except OSError:
                return  # a file system without locks: nobody can take ours, and nothing is removed
            # Another node may have found the lock free before we had it, and removed the directory.
            if lock is not None and _is_at(lock, _lock_of(self.temporary)):
                self._lock = lock
            elif lock is not None:
                os.close(lock)

    def _clear(self) -> None:
        parent = os.path.dirname(self.temporary)
        for name in self.files.names(parent):
            directory = os.path.join(parent, name)
            try:
                lock = _locked(directory) if name != self.node else None
            except OSError:
                return
            if lock is not None:
                for left in self.files.names(directory):
                    self.files.unlink(os.path.join(directory, left))
                os.rmdir(directory)
                os.close(lock)


def _lock_of(directory: str) -> str:
    return os.path.join(directory, "lock")


def _locked(directory: str) -> int | None:
    """A descriptor that holds the lock of a node's directory; None when somebody else holds it, or it is gone.

    Raises:
        OSError: this file system has no locks.
    """
    try:
        lock = os.open(_lock_of(directory), os.O_RDWR | os.O_CREAT, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
