"""Making a store of a snapshot again.

Theory of operation. The directory must be empty. First it gets a file that says that a restore is going on
(`datadir.RESTORING`): as long as that is there no server starts. Then the index is copied to a place where it does not
count, and the blobs that it needs to where they belong, each verified; when all of them are there, and durable, the
index gets its name, and the file goes. So whatever ends a restore, what it leaves is refused by the server, and gone on
with by the same command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import frozen

from post3tw.storage.backup.blobs import BlobCopy
from post3tw.storage.backup.layout import INDEX, Backup, Manifest, require_outside, sha256_of, write_durably
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.datadir import RESTORING, DataDirectory
from post3tw.storage.files import Files, open_regular
from post3tw.storage.index.sqlite.inspection import Inspection, at_once, inspected
from post3tw.storage.integrity.names import bucket_names, name_of
from post3tw.storage.interfaces import ITransaction, StoreRefused
from post3tw.storage.threads import NoThreads

Progress = Callable[[str, float], None]

_OURS = {"post3.lock", RESTORING, "blobs", "tmp", INDEX}
"""What a restore that was ended leaves."""


@frozen
class Restored:
    """What came of it.

    Attributes:
        manifest: of the snapshot.
        copied: how many blobs were copied, or verified.
        damaged: names of objects whose bytes the backup does not have as they were.
        complete: whether a server can be started on the directory.
    """

    manifest: Manifest
    copied: int
    damaged: list[str]
    complete: bool


async def restore(
    backup: Backup, name: str, data_dir: str, progress: Progress, *, accept_damage: bool = False
) -> Restored:
    """Restore a snapshot into an empty directory, or go on with that.

    Args:
        backup: where from.
        name: of the snapshot.
        data_dir: where to.
        progress: called with a step and a share of it between 0 and 1.
        accept_damage: whether to bring back the rest where objects are damaged; these then answer errors.

    Raises:
        StoreRefused: the snapshot cannot be used, or the directory is not empty.
        InsufficientStorage, StorageFailed: its disk.
    """
    require_outside(data_dir, backup.path)
    with backup.read():
        manifest = backup.manifest(name)
        with _possessed(data_dir, f"{manifest.store} {name}") as place:
            files = place.files
            copied = os.path.join(place.temporary, INDEX)
            if not files.exists(place.index):
                files.unlink(copied)
                _copy_index(backup, name, manifest, copied)
            with inspected(place.index if files.exists(place.index) else copied, older=True) as inspection:
                target = FileBlobs(files, place.threads, place.blobs, place.temporary, named_last=True)
                copy = await _blobs(backup, target, manifest, inspection, progress)
                damaged = inspection.read(partial(_holders, blob_ids=copy.damaged))
            if copy.damaged and not accept_damage:
                return Restored(manifest, copy.copied, damaged, complete=False)
            if not files.exists(place.index):
                files.sync_directory(place.path)  # `blobs` itself
                files.rename(copied, place.index)
                files.sync_directory(place.path)
            files.unlink(os.path.join(place.path, RESTORING))
            files.sync_directory(place.path)
            return Restored(manifest, copy.copied, damaged, complete=True)


async def verify(backup: Backup, name: str, progress: Progress) -> Restored:
    """Read all of a snapshot, and compare it with its checksums, without restoring it.

    Raises:
        StoreRefused: its index is not what it was.
    """
    with backup.read():
        manifest = backup.manifest(name)
        _copy_index(backup, name, manifest, None)
        with inspected(backup.snapshot(name, INDEX), older=True) as inspection:
            copy = await _blobs(backup, None, manifest, inspection, progress)
            damaged = inspection.read(partial(_holders, blob_ids=copy.damaged))
        return Restored(manifest, copy.copied, damaged, complete=not damaged)


async def _blobs(
    backup: Backup, target: FileBlobs | None, manifest: Manifest, inspection: Inspection, progress: Progress
) -> BlobCopy:
    copy = BlobCopy(backup.blobs, target, lambda done: progress("blobs", done / max(manifest.blob_bytes, 1)))
    await copy.run(inspection)
    return copy


def _copy_index(backup: Backup, name: str, manifest: Manifest, target: str | None) -> None:
    """Copy a snapshot's index, or only read it."""
    found = sha256_of(backup.files, backup.snapshot(name, INDEX), target)
    if found != (manifest.index_size, manifest.index_sha256):
        raise StoreRefused(f"the index of snapshot {name} is not what it was when it was made: take another snapshot")


@contextmanager
def _possessed(data_dir: str, label: str) -> Iterator[DataDirectory]:
    """The directory, for us alone, with the file in it that says what is being restored.

    Raises:
        StoreRefused: there is something in it, or a server, or another restore.
    """
    place = DataDirectory(data_dir, Files(), NoThreads(), restored=True)
    marker = os.path.join(data_dir, RESTORING)
    begun = _begun(marker)
    if begun not in (None, label):
        raise StoreRefused(f"{data_dir} has the restore of another snapshot, {begun}, which was not finished")
    left = set(os.listdir(data_dir)) if os.path.isdir(data_dir) else set()
    if left - ({"post3.lock", RESTORING} if begun is None else _OURS):
        raise StoreRefused(f"{data_dir} is not empty: a restore needs a directory for itself")
    place.possess()
    try:
        if begun is None:
            place.files.unlink(marker)
            write_durably(place.files, marker, json.dumps(label).encode())
            place.files.sync_directory(data_dir)
        for directory in (place.blobs, place.temporary):
            place.files.make_directory(directory)
        for name in place.files.names(place.temporary):
            place.files.unlink(os.path.join(place.temporary, name))
        yield place
    finally:
        at_once(place.stop())


def _begun(marker: str) -> str | None:
    """What was being restored; None for nothing. A marker that was not written to its end is none: nothing followed."""
    try:
        with open(open_regular(marker), encoding="utf-8") as file:
            return str(json.load(file))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


async def _holders(tx: ITransaction, blob_ids: list[bytes]) -> list[str]:
    """Names of the objects that have these blobs."""
    buckets, found = await bucket_names(tx), []
    for blob_id in blob_ids:
        rows = await tx.all("SELECT bucket, key FROM versions WHERE blob = ?", blob_id)
        for table in ("versions", "uploads"):
            of_parts = f"SELECT t.bucket, t.key FROM parts p JOIN {table} t ON t.id = p.owner WHERE p.blob = ?"
            rows += await tx.all(of_parts, blob_id)
        found += [name_of(buckets, bucket_id, key) for bucket_id, key in rows]
    return sorted(set(found))
