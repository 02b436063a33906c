"""The blobs that a snapshot of an index needs, and copying them, verified, to where they are missing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from attrs import define, field, frozen

from post3tw.model.errors import CorruptedData, StorageFailed
from post3tw.model.version import Placement
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.frames import covering, frame_size, verify_frame
from post3tw.storage.index.sqlite.inspection import Inspection
from post3tw.storage.interfaces import ITransaction
from post3tw.wire.checksums import FRAME

_ROWS = 500

_NEEDED = (
    "EXISTS (SELECT 1 FROM blob_references r WHERE r.blob = o.id) OR EXISTS (SELECT 1 FROM versions v"
    " WHERE v.blob = o.id) OR EXISTS (SELECT 1 FROM parts p WHERE p.blob = o.id)"
)


@frozen
class Needed:
    """A blob that somebody has."""

    blob_id: bytes
    size: int
    crcs: bytes


async def needed_blobs(inspection: Inspection) -> AsyncIterator[Needed]:
    """The blobs that versions and parts refer to, in the order of their ids, which is about that of their making."""
    last = b""
    while rows := inspection.read(partial(_needed_behind, last=last)):
        for row in rows:
            yield Needed(*row)
        last = rows[-1][0]


def is_needed(inspection: Inspection, blob_id: bytes) -> bool:
    """Whether versions or parts refer to a blob."""
    sql = f"SELECT 1 FROM blobs o WHERE o.id = ? AND ({_NEEDED})"
    return inspection.read(lambda tx: tx.one(sql, blob_id)) is not None


def needed_sizes(inspection: Inspection) -> tuple[int, int]:
    """How many blobs are needed, and how many bytes they have."""
    sql = f"SELECT count(*), COALESCE(sum(o.size), 0) FROM blobs o WHERE o.crcs IS NOT NULL AND ({_NEEDED})"
    count, size = inspection.read(lambda tx: tx.one(sql)) or (0, 0)
    return int(count), int(size)


async def _needed_behind(tx: ITransaction, last: bytes) -> list[Any]:
    return await tx.all(
        f"SELECT o.id, o.size, o.crcs FROM blobs o WHERE o.id > ? AND o.crcs IS NOT NULL AND ({_NEEDED})"
        " ORDER BY o.id LIMIT ?",
        last,
        _ROWS,
    )


@define
class BlobCopy:
    """Copies the blobs that one place lacks from another.

    Attributes:
        source: where they are.
        target: where they are to be; None to verify them only.
        progress: called with the bytes that are done.
        copied: how many were copied.
        size: how many bytes these have.
        done: how many bytes are there or were copied.
        damaged: those that could not be.
    """

    source: FileBlobs
    target: FileBlobs | None
    progress: Callable[[int], None]
    copied: int = field(default=0, init=False)
    size: int = field(default=0, init=False)
    done: int = field(default=0, init=False)
    damaged: list[bytes] = field(factory=list, init=False)

    async def run(self, inspection: Inspection) -> None:
        """Copy what an index needs. One that is damaged where it comes from is left out, and remembered."""
        async for blob in needed_blobs(inspection):
            if self.target is None or not is_there(self.target, blob.blob_id, blob.size):
                try:
                    await self.copy(blob)
                except CorruptedData:
                    self.damaged.append(blob.blob_id)
                    continue
                self.copied += 1
                self.size += blob.size
            self.done += blob.size
            self.progress(self.done)

    async def copy(self, blob: Needed) -> None:
        """Copy one blob that is not there yet. Raises CorruptedData when it is damaged where it comes from."""
        placement = Placement(blob.size, blob=blob.blob_id, crcs=blob.crcs)
        try:
            reader = await self.source.open(blob.blob_id)
        except StorageFailed as error:  # what has the name is no file
            raise CorruptedData(str(error)) from error
        writer = None if self.target is None else await self.target.create(blob.blob_id)
        try:
            for number in covering(0, blob.size):
                data = await _read(reader, number * FRAME, frame_size(placement, number))
                verify_frame(placement, number, data)
                if writer is not None:
                    await writer.write(data)
                self.progress(self.done + number * FRAME)
            if writer is not None:
                await writer.finish()
        except BaseException:
            if writer is not None:
                await writer.abandon()
            raise
        finally:
            reader.close()


def is_there(target: FileBlobs, blob_id: bytes, size: int) -> bool:
    """Whether a blob is there, durably: whoever named it had synced it, but may have been killed before the name was.
    One that is too short or too long is none, and is removed."""
    files, path = target.files, target.find(blob_id)
    with files.errors(path):
        try:
            found = files.call(os.lstat, path).st_size
        except FileNotFoundError:
            return False
    if found == size:
        target.places.keep(path)
        return True
    files.unlink(path)
    return False


async def _read(reader: Any, offset: int, length: int) -> bytes:
    """Read from a source; an error of its disk is damage, as one of the target's is not."""
    try:
        data: bytes = await reader.read(offset, length)
    except StorageFailed as error:
        raise CorruptedData(str(error)) from error
    return data
