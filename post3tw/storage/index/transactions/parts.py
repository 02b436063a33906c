"""Parts: of an upload while it lasts, and after Complete of the version that took over the upload's id.

A part owns its bytes as a version does: an inline body goes with its row, a blob is referenced by the part's id.
"""

from __future__ import annotations

import hashlib

from attrs import evolve

from post3tw.model.version import Part
from post3tw.storage.index.rows import PART_COLUMNS, PART_TABLES, part_from_row, part_values
from post3tw.storage.index.transactions.blobs import release, share
from post3tw.storage.interfaces import ITransaction

_SELECT = f"SELECT {PART_COLUMNS} FROM {PART_TABLES}"
_NUMBERED = f"{_SELECT} WHERE p.owner = ? AND p.number = ?"
_AFTER = f"{_SELECT} WHERE p.owner = ? AND p.number > ? ORDER BY p.number LIMIT ?"
_BETWEEN = (
    f'{_SELECT} WHERE p.owner = ? AND p.number > ? AND p."offset" <= ? AND p."offset" + p.size > ? '
    "ORDER BY p.number LIMIT ?"
)
_INSERT = (
    'INSERT INTO parts (owner, number, id, "offset", size, etag, checksum, created, body, blob, coding) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_BATCH = 1000
"""Parts handled at once, so that an object of 10,000 parts is never wholly in memory."""


async def parts_between(
    tx: ITransaction, owner: bytes, first: int, last: int, after_number: int = 0, limit: int = 100
) -> list[Part]:
    """The parts that hold any of the bytes `first` to `last` (both inclusive) of a completed object, in order.

    Returns at most `limit`; go on with `after_number` of the last one. Parts without bytes are left out.
    """
    return [part_from_row(row) for row in await tx.all(_BETWEEN, owner, after_number, last, first, limit)]


async def part_numbered(tx: ITransaction, owner: bytes, number: int) -> Part | None:
    """The part with this number, or None."""
    row = await tx.one(_NUMBERED, owner, number)
    return None if row is None else part_from_row(row)


async def list_parts(tx: ITransaction, owner: bytes, after_number: int = 0, limit: int = 1000) -> list[Part]:
    """Parts in the order of their numbers, from the first one above `after_number`."""
    return [part_from_row(row) for row in await tx.all(_AFTER, owner, after_number, limit)]


async def insert_part(tx: ITransaction, owner: bytes, part: Part) -> None:
    """Add the row of a part whose bytes were placed under its id."""
    await tx.run(_INSERT, *part_values(owner, part))


async def release_part(tx: ITransaction, owner: bytes, part: Part, now: int) -> None:
    """Remove one part and let go of its bytes."""
    await release(tx, part.id, part.placement, now)
    await tx.run("DELETE FROM parts WHERE owner = ? AND number = ?", owner, part.number)


async def release_parts(tx: ITransaction, owner: bytes, now: int) -> None:
    """Remove all parts of an upload or a version and let go of their bytes. `now` is milliseconds since the epoch."""
    number = 0
    while batch := await list_parts(tx, owner, number, _BATCH):
        for part in batch:
            await release(tx, part.id, part.placement, now)
        number = batch[-1].number
    await tx.run("DELETE FROM parts WHERE owner = ?", owner)


async def copy_parts(tx: ITransaction, owner: bytes, new_owner: bytes, now: int) -> None:
    """Give `new_owner` the same parts, with the same bytes by reference: a copy of a multipart object."""
    number = 0
    while batch := await list_parts(tx, owner, number, _BATCH):
        for part in batch:
            part_id = derived_part_id(new_owner, part.number)
            placement = await share(tx, part_id, part.placement, now)
            copied = evolve(part, id=part_id, placement=placement, created=now)
            await insert_part(tx, new_owner, copied)
        number = batch[-1].number


def derived_part_id(owner: bytes, number: int) -> bytes:
    """The id of a part that is made inside a transaction, where nothing random may be: of owner and number."""
    return hashlib.blake2b(number.to_bytes(2, "big"), key=owner, digest_size=16).digest()
