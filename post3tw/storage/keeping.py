"""Keeping whoever copies blobs and the sweeper out of each other's way.

DATA/backup.lock      locked (flock) shared by each who copies, exclusively by the sweeper while it removes

As long as a backup holds the lock nothing is removed, so that all blobs of the index it took are there when it comes to
them; when it ends, in whatever way, the lock is free. Any program can hold it: `flock --shared DATA/backup.lock …`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_NAME = "backup.lock"


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
    """Whether blobs may be removed as long as this lasts: nobody copies, nor begins to."""
    try:
        lock = _opened(directory)
    except OSError:  # there is no such file, and no space for one: nobody can have locked it
        yield True
        return
    try:
        yield _taken(lock)
    finally:
        os.close(lock)


def _opened(directory: str) -> int:
    return os.open(os.path.join(directory, _NAME), os.O_RDWR | os.O_CREAT, 0o600)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody has one
    return True
