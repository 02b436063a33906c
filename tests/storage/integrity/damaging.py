"""Ways to damage what a store holds, on either backend."""

from __future__ import annotations

import os
from typing import Any

from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs


async def flip_body(store: Store, body_id: bytes, offset: int) -> None:
    """Flip a bit of an inline body."""

    async def flip(tx: Any) -> None:
        (data,) = await tx.one("SELECT data FROM bodies WHERE id = ?", body_id)
        await tx.run("UPDATE bodies SET data = ? WHERE id = ?", flipped(data, offset), body_id)

    await store.index.run(flip)


async def flip_blob(store: Store, blob_id: bytes, offset: int) -> None:
    """Flip a bit of a blob."""
    if isinstance(store.blobs, FileBlobs):
        flip_file(store.blobs.path(blob_id), offset)
        return

    async def flip(tx: Any) -> None:
        (size,) = await tx.one("SELECT block_size FROM stored_blobs WHERE id = ?", blob_id)
        where = (blob_id, offset // size)
        (data,) = await tx.one("SELECT data FROM blocks WHERE blob = ? AND number = ?", *where)
        await tx.run("UPDATE blocks SET data = ? WHERE blob = ? AND number = ?", flipped(data, offset % size), *where)

    await store.index.run(flip)


def flip_file(path: str | os.PathLike[str], offset: int) -> None:
    """Flip a bit of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 1 << offset % 8,)))


def flipped(data: bytes, offset: int) -> bytes:
    """The same bytes but for one bit."""
    return data[:offset] + bytes((data[offset] ^ 1 << offset % 8,)) + data[offset + 1 :]
