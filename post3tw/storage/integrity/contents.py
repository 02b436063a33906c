"""Looking at stored bytes: whether they are there, and match the checksums that were made when they were written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from post3tw.model.errors import CorruptedData, StorageFailed
from post3tw.model.version import Placement
from post3tw.storage.frames import covering, frame_size, verify_all, verify_frame
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.transactions.blobs import load_body
from post3tw.storage.integrity.walk import Held, Read, still_held
from post3tw.storage.interfaces import IBlobStore
from post3tw.wire.checksums import FRAME

Meter = Callable[[int], Awaitable[None]]
"""Called with the number of bytes after each piece that was read; whoever wants to go slowly waits in it."""


async def what_is_wrong(held: Held, read: Read, blobs: IBlobStore, meter: Meter) -> str | None:
    """What is wrong with bytes, in a few words; None when they are as they were written, or nobody has them any more.

    Raises:
        SlowDown, ServiceUnavailable and the like: it cannot be said now.
    """
    if held.unreadable:
        return held.unreadable
    for _ in range(2):  # once more, as what has gone or changed meanwhile is no damage
        try:
            await _verify(held, read, blobs, meter)
        except CorruptedData as error:
            reason = error.message or _complaint(error)
        except StorageFailed as error:
            reason = f"cannot be read: {error.details['reason']}"
        else:
            return None
        if not await read(partial(still_held, held=held)):
            return None
    return reason


async def _verify(held: Held, read: Read, blobs: IBlobStore, meter: Meter) -> None:
    placement = held.placement
    if placement.body is not None:
        try:
            crcs, data = await read(partial(load_body, body_id=placement.body))
        except IndexFailed as error:  # a page of the database is no page any more
            raise CorruptedData(f"cannot be read: {error}") from error
        await meter(len(data))
        verify_all(Placement(placement.size, body=placement.body, crcs=crcs), data)
    elif placement.blob is None:
        raise CorruptedData("the row names no bytes")
    elif held.recorded is None:
        raise CorruptedData("the index does not know the blob")
    elif held.recorded != placement.size:
        raise CorruptedData(f"{held.recorded} bytes instead of {placement.size}")
    elif held.first:
        await _verify_blob(placement, placement.blob, blobs, meter)


async def _verify_blob(placement: Placement, blob_id: bytes, blobs: IBlobStore, meter: Meter) -> None:
    reader = await blobs.open(blob_id)
    try:
        for number in covering(0, placement.size):
            data = await reader.read(number * FRAME, frame_size(placement, number))
            verify_frame(placement, number, data)
            await meter(len(data))
    finally:
        reader.close()


def _complaint(error: CorruptedData) -> str:
    frame = error.details.get("frame")
    return "bytes are missing" if frame is None else f"does not match its checksum in MiB {frame}"
