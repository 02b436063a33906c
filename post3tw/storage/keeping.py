"""Keeping whoever copies blobs and the sweeper out of each other's way.

DATA/backup.lock      locked (flock) shared by each who copies, exclusively by the sweeper while it removes

As long as a backup holds the lock nothing is removed, so that all blobs of the index it took are there when it comes to
them; when it ends, in whatever way, the lock is free. Any program can hold it: `flock --shared DATA/backup.lock …`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_NAME = "backup.lock"

_NOT_MADE = frozenset({errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Why the file cannot be opened when it is not there: nobody can have locked it. Any other reason says nothing."""


@contextmanager
def copying(directory: str) -> Iterator[None]:
    """As long as this lasts no blob of the directory is removed. Waits for the end of a removal.

    Raises:
        OSError: the file system has no locks, or the directory is not ours.
    """
    lock = _opened(directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


@contextmanager
def removing(directory: str) -> Iterator[bool]:
    """Whether blobs may be removed as long as this lasts: nobody copies, nor begins to.

    Raises:
        OSError: it cannot be known, as the file cannot be opened.
    """
    try:
        lock = _opened(directory)
    except OSError as error:
        if error.errno not in _NOT_MADE:
            raise
        yield True
        return
    try:
        yield _taken(lock)
    finally:
        os.close(lock)


def _opened(directory: str) -> int:
    lock = os.open(os.path.join(directory, _NAME), os.O_RDWR | os.O_CREAT, 0o600)
    if os.geteuid() == 0:  # a server that is somebody else must be able to open what root's backup has made
        owner = os.stat(directory)
        os.fchown(lock, owner.st_uid, owner.st_gid)
    return lock


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody has one
    return True
