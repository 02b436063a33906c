"""Blobs as files.

Theory of operation. A blob is written to `tmp/<id>` and renamed to its place in `blobs/` when it is complete
(`places.py`); then the file is synced, then the directory, by one sync for all whose names wait for it. In this order
one commit of the file system's journal does for all. Only then may a row refer to the blob: a name in `blobs/` that no
row refers to may be anything, one that a row refers to is a whole blob. Everything in `tmp/` when the server starts is
left over from a process that died. Names are 32 hex digits made from ids, never from anything a client sent.

Where several processes of a server keep blobs in one directory, each marks the names of its unfinished ones, and
whoever takes the place of one that died removes what has its mark.

A blob of 16 MiB and more passes through the system's memory instead of filling it: every 8 MiB what was written is
sent on its way to the disk, and what has arrived there is forgotten. The sync at the end has little left to do then,
and one large upload does not drive everything else out of memory (docs/decisions/0005). Of smaller ones those stay
that were written last (`recent.py`).

What may wait for the disk runs in a pool of threads. When a caller is cancelled its thread goes on, so both ends guard
themselves: a writer takes one step at a time and none after it was abandoned; a reader that was closed before its file
was open does not open it. Reading does without threads what needs no disk, for the way to a thread and back costs more
than the copy: the file of a blob that was used a short while ago is opened, and bytes that the system has in memory are
taken, where the caller is.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from threading import Lock
from typing import ClassVar, cast

from attrs import define, field
from zope.interface import implementer

from post3tw.model.errors import CorruptedData, DomainError, StorageFailed
from post3tw.storage.blobs.places import Places
from post3tw.storage.blobs.recent import Recent
from post3tw.storage.files import Files, OpenFile
from post3tw.storage.interfaces import IBlobInventory, IBlobReader, IBlobStore, IBlobWriter
from post3tw.storage.threads import IThreads

_UNFINISHED = re.compile(r"[0-9a-f]{32}((?:\.\d+)?)")

_FAMILIAR = 4096
"""Blobs whose names and inodes the system certainly still has in memory."""

_STRETCH = 8 * 1024 * 1024
"""Of a large blob the system keeps as many bytes in memory, and as many are on their way to the disk."""


@implementer(IBlobStore, IBlobInventory)
@define(eq=False)
class FileBlobs:
    """Blobs in a directory.

    Attributes:
        files: the file layer.
        threads: a pool for the disk; started and stopped with the store.
        directory: where finished blobs are; exists.
        temporary: where unfinished ones are, on the same file system; exists, and belongs to us.
        durable: whether to sync; False acknowledges what a power cut may take back.
        mark: at the end of the names of unfinished blobs: "." and a number, which no other process at work has.
        alone: no other process is at work yet, so that all unfinished blobs are left over.
        named_last: whether a blob has its name only when it is synced. For a place where a name is believed without a
            row that refers to it, as in a backup that goes on with what was interrupted; it costs a second commit of
            the file system's journal.
        replaces: whether a blob takes the place of one of the same id; it has to be `named_last`, so that there always
            is one that is whole on the disk.
        recent: bytes of blobs below 16 MiB that stay in memory though nobody has read them since they were written.
    """

    files: Files
    threads: IThreads
    directory: str
    temporary: str
    durable: bool = True
    mark: str = ""
    alone: bool = True
    named_last: bool = False
    replaces: bool = False
    recent: int = 64 * 1024 * 1024
    forgets_unfinished: ClassVar[bool] = True
    places: Places = field(init=False, repr=False)
    written: Recent = field(init=False, repr=False)
    _familiar: dict[str, None] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.places = Places(self.files, self.directory, self.durable)
        self.written = Recent(self.recent)

    async def start(self) -> None:
        """Remove what an earlier process left half written."""
        self.threads.start()
        await self.threads.run(self._clear_temporary)

    async def stop(self) -> None:
        """Wait for the threads."""
        self.threads.stop()

    async def create(self, blob_id: bytes) -> FileWriter:
        """Begin a blob under an id never used before."""
        path = self.find(blob_id) if self.replaces else self.path(blob_id)
        writer = FileWriter(self, path, os.path.join(self.temporary, blob_id.hex() + self.mark))
        try:
            await self.threads.run(writer.begin)
        except BaseException:
            await writer.abandon()
            raise
        return writer

    async def open(self, blob_id: bytes) -> FileReader:
        """Open for reading; CorruptedData when the blob is not there."""
        path = self.path(blob_id)
        reader = FileReader(self.places, self.threads, blob_id, path)
        self.written.drop(path)
        try:
            if path in self._familiar:
                reader.begin()
            else:
                await self.threads.run(reader.begin)
        except BaseException:
            reader.close()
            raise
        self.remember(path)
        return reader

    async def delete(self, blob_ids: Iterable[bytes]) -> None:
        """Remove blobs; ids that are not there are no error."""
        await self.threads.run(self.places.remove, list(blob_ids))

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """The ids of finished blobs, a directory at a time."""
        for directory in await self.threads.run(self.places.directories):
            if found := await self.threads.run(self.places.ids_in, directory):
                yield found

    async def blob_ids(self) -> list[bytes]:
        """Every finished blob's id."""
        return [blob_id async for batch in self.batches() for blob_id in batch]

    def path(self, blob_id: bytes) -> str:
        """Where a finished blob is, unless the store is an old one; see `find`."""
        return self.places.path(blob_id)

    def find(self, blob_id: bytes) -> str:
        """Where a finished blob is; takes looking."""
        return self.places.find(blob_id)

    def remember(self, path: str) -> None:
        """The system knows this name and file, and will for a while."""
        self._familiar.pop(path, None)
        self._familiar[path] = None
        if len(self._familiar) > _FAMILIAR:
            del self._familiar[next(iter(self._familiar))]

    def make_room(self) -> None:
        """Have the system forget what was written a while ago and not read since. Runs in a thread."""
        for path in self.written.overdue():
            with suppress(DomainError, FileNotFoundError):
                file = self.files.open(path)
                file.forget(0)
                file.close()

    def _clear_temporary(self) -> None:
        for name in self.files.names(self.temporary):
            left_over = _UNFINISHED.fullmatch(name)
            if left_over is not None and (self.alone or left_over[1] == self.mark):
                self.files.unlink(os.path.join(self.temporary, name))


@implementer(IBlobWriter)
@define(eq=False)
class FileWriter:
    """A blob being written. `begin`, `append`, `complete` and `discard` run in threads, one at a time.

    `_usable` is True from the creation of the file until it is complete, abandoned, or a step has failed: what is in it
    then, or whether it is durable, nobody knows, so nothing but abandoning is left.
    """

    _store: FileBlobs
    _path: str
    _temporary: str
    _file: OpenFile | None = None
    _usable: bool = False
    _written: int = 0
    _forgotten: int = 0
    _abandoned: bool = False
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    async def write(self, data: bytes) -> None:
        """Append."""
        await self._store.threads.run(self.append, data)

    async def finish(self) -> None:
        """Make it durable, then visible."""
        await self._store.threads.run(self.complete)
        self._store.remember(self._path)
        if not self._forgotten:
            self._store.written.add(self._path, self._written)

    async def abandon(self) -> None:
        """Forget it. What cannot be removed now is removed at the next start."""
        with suppress(DomainError):
            await self._store.threads.run(self.discard)

    def begin(self) -> None:
        """Create the temporary file."""
        files = self._store.files
        with self._lock:
            if self._abandoned:
                return
            try:
                if self._store.replaces:
                    files.unlink(self._temporary)  # of an attempt that was ended
                elif files.exists(self._path):
                    raise FileExistsError
                self._file = files.create(self._temporary)
            except FileExistsError:
                raise StorageFailed(path=self._path, reason="a blob of this id exists") from None
            self._usable = True
        self._store.make_room()  # here, where nobody waits for it: the body is still coming

    def append(self, data: bytes) -> None:
        """Write to the end of the temporary file."""
        with self._lock:
            file = self._take()
            file.write(data)
            self._written += len(data)
            if self._written - self._forgotten >= 2 * _STRETCH:
                file.forget(self._forgotten)
                self._forgotten = self._written - _STRETCH
            self._usable = True

    def complete(self) -> None:
        """Rename, sync (or the other way round), close, sync the directory."""
        store, places, directory = self._store, self._store.places, os.path.dirname(self._path)
        with self._lock:
            file = self._take()
            known = places.prepare(directory)
            syncs = places.syncs(directory)
            if store.durable and store.named_last:
                file.sync()
            before = syncs.moment()
            store.files.rename(self._temporary, self._path)
            named = syncs.moment()
            if store.durable and not store.named_last:
                file.sync()
            if self._forgotten:
                file.forget(0)
            file.close()
            if store.durable:
                syncs.keep(named, before)
            if not known:
                places.keep_directory(directory)

    def discard(self) -> None:
        """Close and remove the file wherever it is by now."""
        with self._lock:
            self._abandoned = True
            self._usable = False
            if self._file is None:
                return
            file, self._file = self._file, None
            try:
                file.close()
            finally:
                if not self._store.files.unlink(self._temporary) and not self._store.replaces:
                    self._store.files.unlink(self._path)

    def _take(self) -> OpenFile:
        """The file, for one step; the writer is not usable until the step says that it worked."""
        if self._file is None or not self._usable:
            raise StorageFailed(path=self._path, reason="not open for writing")
        self._usable = False
        return self._file


@implementer(IBlobReader)
@define(eq=False)
class FileReader:
    """A blob being read. `_disk` says that a thread was needed, and may be at work still."""

    _places: Places
    _threads: IThreads
    _blob_id: bytes
    _path: str
    _file: OpenFile | None = None
    _closed: bool = False
    _disk: bool = False
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`; CorruptedData when they are not there."""
        if self._file is None or self._closed:
            raise StorageFailed(path=self._path, reason="closed")
        at_once = self._file.read_at_once(offset, length)
        if at_once is not None:
            return cast(bytes, at_once)  # nobody changes it, and whoever sends, joins or checks it takes both
        self._disk = True
        data = await self._threads.run(self._file.read, offset, length)
        if len(data) != length:
            raise CorruptedData(blob=self._blob_id.hex())
        return data

    def close(self) -> None:
        """Let go, once what is being read has been read."""
        if not self._closed:
            self._closed = True
            if self._file is None or self._disk:
                self._threads.run(self._end)
            else:
                self._end()

    def begin(self) -> None:
        """Open the file. Runs in a thread."""
        with self._lock:
            if self._closed:
                return
            try:
                self._file = self._open()
            except FileNotFoundError:
                raise CorruptedData(blob=self._blob_id.hex()) from None

    def _open(self) -> OpenFile:
        files = self._places.files
        try:
            return files.open(self._path)
        except FileNotFoundError:
            return files.open(self._places.old_path(self._blob_id))

    def _end(self) -> None:
        with self._lock, suppress(DomainError):
            if self._file is not None:
                self._file.close()
