"""Making a backup, beside a server or without one.

Theory of operation. In this order:

1. the sweeper is kept from removing blobs (`keeping`), until the end;
2. the index is copied as it is at one moment (SQLite's backup interface, within one reading transaction): all that
   this backup will hold is decided now. Whoever writes goes on, and is in the next one;
3. the blobs that this copy needs, and that no earlier backup has copied, are copied, each verified;
4. the snapshot gets its name.

So a snapshot that has a name is whole, and what was ended before that leaves blobs which the next backup finds. Blobs
are immutable, so one of the same id is the same blob. A blob that is damaged in the store is taken from no earlier
backup's place but stays there; where there is none it is noted, and the backup says so.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

from attrs import frozen

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.backup.blobs import BlobCopy, is_needed, is_there, needed_sizes
from post3tw.storage.backup.layout import BLOBS_ONLY, INDEX, Backup, Manifest, require_outside, sha256_of
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.failures import translated
from post3tw.storage.index.sqlite.inspection import inspected
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.keeping import copying
from post3tw.storage.threads import NoThreads

Progress = Callable[[str, float], None]

_PAGES = 4096
"""Pages of the index that are copied at a time."""

_PIECE = 1 << 20


@frozen
class Made:
    """A backup that was made.

    Attributes:
        name: of the snapshot.
        manifest: what is said of it.
        copied: how many blobs were copied.
        copied_size: how many bytes these have.
    """

    name: str
    manifest: Manifest
    copied: int
    copied_size: int


async def make_backup(data_dir: str, backup: Backup, progress: Progress, now: Callable[[], float] = time.time) -> Made:
    """Make a snapshot of a data directory.

    Args:
        data_dir: the directory; a server may be at work on it.
        backup: where to.
        progress: called with a step and a share of it between 0 and 1.
        now: seconds since the epoch.

    Raises:
        StoreRefused: there is no store, its index is damaged, or the backup cannot be used.
        InsufficientStorage, StorageFailed: the disk of the backup.
    """
    require_outside(backup.path, data_dir)
    place = DataDirectory(data_dir, Files(), NoThreads())
    if not os.path.exists(place.index):
        raise StoreRefused(f"{place.path} is no data directory: there is no index in it")
    store = _store_id(place.index)
    with backup.written(store), copying(data_dir):
        taken = now()
        directory = os.path.join(backup.temporary, "snapshot")
        backup.files.make_directory(directory)
        index = os.path.join(directory, INDEX)
        _copy_index(place.index, index, progress)
        size, digest = _synced(backup.files, index)
        with inspected(index, older=True) as inspection:
            count, total = needed_sizes(inspection)
            source = FileBlobs(place.files, place.threads, place.blobs, place.temporary)
            copy = BlobCopy(source, backup.blobs, lambda done: progress("blobs", done / max(total, 1)))
            await copy.run(inspection)
        damaged = [blob_id.hex() for blob_id in copy.damaged]
        manifest = Manifest(int(taken * 1000), store, size, digest, count, total, damaged)
        name = backup.add_snapshot(time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(taken)), directory, manifest)
        return Made(name, manifest, copy.copied, copy.size)


async def copy_blobs(data_dir: str, backup: Backup, progress: Progress) -> tuple[int, int]:
    """Copy the blobs of a directory whose index is somewhere else, and is dumped by somebody else: all that are there
    and that the backup does not have, as they are. How many, and how many bytes.

    Raises:
        StoreRefused: the directory has none, or the backup cannot be used.
        InsufficientStorage, StorageFailed: the disk of the backup.
    """
    require_outside(backup.path, data_dir)
    source = FileBlobs(Files(), NoThreads(), os.path.join(data_dir, "blobs"), os.path.join(data_dir, "tmp"))
    if not os.path.isdir(source.directory):
        raise StoreRefused(f"{data_dir} has no blobs")
    copied = size = 0
    with backup.written(BLOBS_ONLY), copying(data_dir):
        async for batch in source.batches():
            progress("blobs", int(os.path.relpath(source.find(batch[0]), source.directory)[:2], 16) / 256)
            for blob_id in batch:
                with suppress(FileNotFoundError):  # a write that was given up when it was done
                    if not is_there(backup.blobs, blob_id, os.path.getsize(source.find(blob_id))):
                        size += await _copy_as_it_is(source, backup.blobs, blob_id)
                        copied += 1
    return copied, size


async def _copy_as_it_is(source: FileBlobs, target: FileBlobs, blob_id: bytes) -> int:
    reader, done = source.files.open(source.find(blob_id)), 0
    writer = await target.create(blob_id)
    try:
        while data := reader.read(done, _PIECE):
            await writer.write(data)
            done += len(data)
        await writer.finish()
    except BaseException:
        await writer.abandon()
        raise
    finally:
        reader.close()
    return done


async def prune(data_dir: str, backup: Backup, keep: int) -> tuple[int, int]:
    """Remove all snapshots but the newest, then the blobs that none needs any more; how many of each.

    Args:
        data_dir: whose backup it is.
        backup: the backup.
        keep: how many snapshots to keep, at least one.
    """
    store = _store_id(DataDirectory(data_dir, Files(), NoThreads()).index)
    with backup.written(store), ExitStack() as opened:
        doomed = backup.snapshots()[: -max(keep, 1)]
        for name in doomed:
            backup.remove_snapshot(name)
        indexes = [backup.snapshot(name, INDEX) for name in backup.snapshots()]
        kept = [opened.enter_context(inspected(index, older=True)) for index in indexes]
        removed = 0
        async for batch in backup.blobs.batches():
            unneeded = [blob_id for blob_id in batch if not any(is_needed(index, blob_id) for index in kept)]
            await backup.blobs.delete(unneeded)
            removed += len(unneeded)
        return len(doomed), removed


def _store_id(index: str) -> str:
    with inspected(index, older=True, alone=False) as inspection:
        row = inspection.read(lambda tx: tx.one("SELECT value FROM store WHERE name = 'store_id'"))
        return "" if row is None else str(row[0])


def _copy_index(source: str, target: str, progress: Progress) -> None:
    """Copy the index as it is now, and see that the copy is a sound database.

    Raises:
        StoreRefused: it is not.
    """

    def told(_status: int, remaining: int, total: int) -> None:
        progress("index", 1 - remaining / max(total, 1))

    try:
        with inspected(source, older=True, alone=False) as inspection, closing(sqlite3.connect(target)) as copy:
            inspection.read(lambda tx: tx.one("SELECT 1 FROM store"))  # from here on it sees one state
            copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
            inspection.connection.backup(copy, pages=_PAGES, progress=told)
        with inspected(target, older=True) as inspection:
            (verdict,) = inspection.connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        if isinstance(full := translated(error), InsufficientStorage):
            raise full from error
        verdict = str(error)
    if verdict != "ok":
        raise StoreRefused(f"{source} is damaged ({verdict}): no snapshot is made of it; `post3 fsck` says more")


def _synced(files: Files, path: str) -> tuple[int, str]:
    """Size and SHA-256 of a file that is durable then."""
    file = files.open(path)
    try:
        file.sync()
    finally:
        file.close()
    return sha256_of(files, path)
