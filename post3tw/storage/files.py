"""The one layer between us and the file system.

Everything that touches data on disk goes through a `Files`, and each of its system calls through `Files.call`, so
that a test can record them, fail the nth one or let a write come out short by overriding one method.

A file is opened either as new (and then nobody else has it) or for reading: nothing here opens an existing file for
writing, and nothing truncates. What the system refuses becomes InsufficientStorage, SlowDown (too many files are open)
or StorageFailed where it happens; that a file exists, or does not, is an answer rather than a fault, and passes where
the docstring says so.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from threading import Lock
from types import TracebackType
from typing import ParamSpec, TypeVar

from attrs import define, field, frozen

from post3tw.model.errors import InsufficientStorage, SlowDown, StorageFailed

P = ParamSpec("P")
T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})

_AT_ONCE: int | None = getattr(os, "RWF_NOWAIT", None)
"""Linux's flag for reading what is in memory, and only that."""


@frozen
class _DomainErrors:
    """See `Files.errors`."""

    path: str
    on_full: Callable[[], None]
    answers: tuple[type[OSError], ...] = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError) or isinstance(error, self.answers):
            return
        if error.errno in _FULL:
            self.on_full()
            raise InsufficientStorage from error
        if error.errno in _TOO_MANY:
            raise SlowDown from error  # files that others have open, and will close
        raise StorageFailed(path=self.path, reason=error.strerror or os.strerror(error.errno or 0)) from error


def _ignore() -> None:
    pass


_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe would be waited for as long as nobody writes to it, and a link may lead anywhere."""


def open_regular(path: str) -> int:
    """A descriptor to read an existing file with, at once. Raises OSError, also when it is no regular file."""
    return _regular(os.open(path, _READING), path)


def _regular(descriptor: int, path: str) -> int:
    """The same descriptor, unless what it is of is no regular file."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


@define
class Files:
    """System calls on files, with our errors.

    Attributes:
        on_full: called, in whatever thread, when the disk turns out to be full.
    """

    on_full: Callable[[], None] = _ignore

    def call(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Make one system call, `function` of the os module. The seam for tests."""
        return function(*arguments, **options)

    def errors(self, path: str, *answers: type[OSError]) -> AbstractContextManager[None]:
        """A context in which OSError, unless it is one of `answers`, becomes a domain error that names the file."""
        return _DomainErrors(path, self.on_full, answers)

    def create(self, path: str) -> OpenFile:
        """A new, empty file, open for writing. Raises FileExistsError."""
        with self.errors(path, FileExistsError):
            return OpenFile(self, path, self.call(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def open(self, path: str) -> OpenFile:
        """An existing file, open for reading, and nothing else that has the name. Raises FileNotFoundError."""
        with self.errors(path, FileNotFoundError):
            return OpenFile(self, path, _regular(self.call(os.open, path, _READING), path))

    def exists(self, path: str) -> bool:
        """Whether there is something of that name."""
        with self.errors(path):
            try:
                self.call(os.stat, path)
            except FileNotFoundError:
                return False
            return True

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, at once; durable after `sync_directory` of the new one's directory."""
        with self.errors(new):
            self.call(os.rename, old, new)

    def link(self, path: str, other: str) -> None:
        """Give a file another name besides, durable after `sync_directory` of its directory. Raises FileExistsError."""
        with self.errors(other, FileExistsError):
            self.call(os.link, path, other)

    def unlink(self, path: str) -> bool:
        """Remove a name; whether there was one."""
        with self.errors(path):
            try:
                self.call(os.unlink, path)
            except FileNotFoundError:
                return False
            return True

    def make_directory(self, path: str) -> None:
        """Make a directory, for us alone, unless it exists; durable after `sync_directory` of its parent."""
        with self.errors(path):
            try:
                self.call(os.mkdir, path, 0o700)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise NotADirectoryError(errno.ENOTDIR, "not a directory", path) from None

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        with self.errors(path):
            descriptor = self.call(os.open, path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self.call(os.fsync, descriptor)
            finally:
                self.call(os.close, descriptor)

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted."""
        with self.errors(path):
            return sorted(self.call(os.listdir, path))


@define(eq=False)
class OpenFile:
    """An open file. Its methods may be called from any thread; each waits for the one before.

    That matters because a thread cannot be interrupted: when a caller was cancelled and closes the file, the thread
    that worked for it may still be reading, and would go on in somebody else's file once the descriptor's number is
    reused.
    """

    _files: Files
    path: str
    _descriptor: int
    _lock: Lock = field(factory=Lock, repr=False)

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        with self._lock, self._files.errors(self.path):
            rest = memoryview(data)
            while rest:
                rest = rest[self._files.call(os.write, self._open(), rest) :]

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only where the file ends."""
        with self._lock, self._files.errors(self.path):
            data = self._files.call(os.pread, self._open(), length, offset)
            while data and len(data) < length:
                more = self._files.call(os.pread, self._open(), length - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data

    def read_at_once(self, offset: int, length: int) -> bytearray | None:
        """What `read` would return, if that is `length` bytes and the system has all of them in memory; else None: the
        disk, or another thread, would have to be waited for. Errors are left to `read`, which meets them again."""
        if _AT_ONCE is None or not self._lock.acquire(blocking=False):
            return None
        try:
            data = bytearray(length)
            found = self._files.call(os.preadv, self._open(), [data], offset, _AT_ONCE)
        except OSError:  # EAGAIN; EOPNOTSUPP where the file system has no such reads
            return None
        finally:
            self._lock.release()
        return data if found == length else None

    def preallocate(self, size: int) -> None:
        """Take `size` bytes of the disk."""
        with self._lock, self._files.errors(self.path):
            self._files.call(os.posix_fallocate, self._open(), 0, size)

    def forget(self, first: int) -> None:
        """Begin to write all bytes from `first` on to the disk, and give back the memory of those that are there. It is
        advice: where it cannot be followed nothing changes."""
        with self._lock, suppress(OSError):
            self._files.call(os.posix_fadvise, self._open(), first, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make the contents durable. After a failure the file is lost: the system forgets what it could not write, so a
        second attempt would succeed without having done anything."""
        with self._lock, self._files.errors(self.path):
            self._files.call(os.fdatasync, self._open())

    def close(self) -> None:
        """Let go; safe to call twice."""
        with self._lock, self._files.errors(self.path):
            if self._descriptor >= 0:
                descriptor, self._descriptor = self._descriptor, -1
                self._files.call(os.close, descriptor)

    def _open(self) -> int:
        if self._descriptor < 0:
            raise StorageFailed(path=self.path, reason="closed")
        return self._descriptor
