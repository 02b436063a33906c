"""Parts: of an upload while it lasts, and after Complete of the version that took over the upload's id.

A part owns its bytes as a version does: an inline body goes with its row, a blob is referenced by the part's id.
"""

from __future__ import annotations

import hashlib

from attrs import evolve

from post3tw.model.version import Part
from post3tw.storage.index.rows import FROM_PARTS, INSERT_PART, PART_COLUMNS, part_from_row, part_values
from post3tw.storage.index.transactions.blobs import KEEP_BLOBS, RELEASE_BLOBS, load_body, release, share
from post3tw.storage.interfaces import ITransaction

_SELECT = f"SELECT {PART_COLUMNS} FROM {FROM_PARTS}"
_NUMBERED = f"{_SELECT} WHERE p.owner = ? AND p.number = ?"
_AFTER = f"{_SELECT} WHERE p.owner = ? AND p.number > ? ORDER BY p.number LIMIT ?"
_BETWEEN = (
    f'{_SELECT} WHERE p.owner = ? AND p.number > ? AND p."offset" <= ? AND p."offset" + p.size > ?'
    " ORDER BY p.number LIMIT ?"
)

PartWithBody = tuple[Part, bytes | None]
"""A part, and the bytes of its body where that is inline."""

_BATCH = 1000
"""Parts handled at once, so that the rows of an object of 10,000 parts are never all in memory."""


async def parts_between(
    tx: ITransaction, owner: bytes, first: int, last: int, after_number: int = 0, limit: int = 100
) -> list[Part]:
    """The parts that hold any of the bytes `first` to `last` (both inclusive) of a completed object, in order.

    Returns at most `limit`; go on with `after_number` of the last one. Parts without bytes are left out.
    """
    return [part_from_row(row) for row in await tx.all(_BETWEEN, owner, after_number, last, first, limit)]


async def parts_with_bodies(
    tx: ITransaction, owner: bytes, first: int, last: int, after_number: int = 0
) -> list[PartWithBody]:
    """The same, with the bytes and CRCs of those whose body is inline.

    Raises:
        CorruptedData: an inline body is not there.
    """
    found: list[PartWithBody] = []
    for part in await parts_between(tx, owner, first, last, after_number):
        inline = None
        if part.placement.body is not None:
            crcs, inline = await load_body(tx, part.placement.body)
            part = evolve(part, placement=evolve(part.placement, crcs=crcs))
        found.append((part, inline))
    return found


async def part_numbered(tx: ITransaction, owner: bytes, number: int) -> Part | None:
    """The part with this number, or None."""
    row = await tx.one(_NUMBERED, owner, number)
    return None if row is None else part_from_row(row)


async def list_parts(tx: ITransaction, owner: bytes, after_number: int = 0, limit: int = _BATCH) -> list[Part]:
    """Parts in the order of their numbers, from the first one above `after_number`."""
    return [part_from_row(row) for row in await tx.all(_AFTER, owner, after_number, limit)]


async def insert_part(tx: ITransaction, owner: bytes, part: Part) -> None:
    """Add the row of a part whose bytes were placed or shared under its id."""
    await tx.write(INSERT_PART, *part_values(owner, part))


async def delete_part(tx: ITransaction, owner: bytes, part: Part, now: int) -> None:
    """Delete one part and let go of its bytes. `now` is milliseconds since the epoch."""
    await release(tx, part.id, part.placement, now)
    await tx.write("DELETE FROM parts WHERE owner = ? AND number = ?", owner, part.number)


async def release_parts(tx: ITransaction, owner: bytes, now: int) -> None:
    """Delete every part of an upload or of a version, and let go of their bytes."""
    await tx.write(
        "DELETE FROM bodies WHERE id IN (SELECT p.body FROM parts p WHERE p.owner = ? AND p.body IS NOT NULL)", owner
    )
    await tx.write(
        "DELETE FROM blob_references WHERE (blob, holder) IN"
        " (SELECT p.blob, p.id FROM parts p WHERE p.owner = ? AND p.blob IS NOT NULL)",
        owner,
    )
    blobs = "IN (SELECT p.blob FROM parts p WHERE p.owner = ? AND p.blob IS NOT NULL)"
    await tx.write(f"{RELEASE_BLOBS} {blobs}", now, owner)
    await tx.write(f"{KEEP_BLOBS} {blobs}", owner)
    await tx.write("DELETE FROM parts WHERE owner = ?", owner)


async def copy_parts(tx: ITransaction, owner: bytes, new_owner: bytes, now: int) -> None:
    """Give `new_owner` the same parts over the same bytes, by reference: a copy of an object made of parts.

    Raises:
        BlobGone: see transactions.blobs.share.
    """
    number = 0
    while batch := await list_parts(tx, owner, number):
        rows = []
        for part in batch:
            part_id = derived_part_id(new_owner, part.number)
            placement = await share(tx, part.placement, part_id, part_id)
            rows.append(part_values(new_owner, evolve(part, id=part_id, placement=placement, created=now)))
        await tx.many(INSERT_PART, rows)
        number = batch[-1].number


def derived_part_id(owner: bytes, number: int) -> bytes:
    """The id of a part made in a transaction, which may run again and so makes nothing random: of owner and number."""
    return hashlib.blake2b(number.to_bytes(2, "big"), key=owner, digest_size=16).digest()
