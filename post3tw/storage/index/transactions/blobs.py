"""Where bytes are: inline bodies, references to blobs, leases, and the death of a blob.

Theory of operation
===================
The row of a blob goes through these states, and only forward but for the one arrow back:

    begun      lease_until set, no reference     `begin_blob`, kept alive by `renew_leases`
    live       lease_until NULL, >= 1 reference  `place`, `share`
    released   lease_until set, no reference     `release` dropped the last reference; `share` may make it live again
    condemned  condemned set, no reference       `condemn`, when lease_until has passed
    forgotten  no row                            `forget`, after the blob store has deleted the bytes

References are rows, never a counter that can drift. A reference is taken only where `condemned` is NULL, in the
transaction that also takes the blob off the sweeper's list; `condemn` looks for references once more in its own. Both
are write transactions, so one of them comes first and the other sees it. A reader needs no reference: the sweeper
deletes the bytes of a condemned blob only after a grace period (`condemned_before`).

Inline bodies have one owner each and go with it. The id of a version's body may name the body of the version that
replaces it later (`place_over`): whoever wants the bytes of a version reads them in the statement that reads the
version.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from post3tw.model.errors import BlobGone, CorruptedData
from post3tw.model.version import Placement
from post3tw.storage.interfaces import ITransaction


async def begin_blob(tx: ITransaction, blob_id: bytes, now: int, lease_until: int) -> None:
    """Announce a blob before its first byte is written, so that the sweeper knows it from then on.

    Its writer must `place` it, or renew the lease, before `lease_until` (milliseconds since the epoch).
    """
    await tx.write("INSERT INTO blobs (id, created, lease_until) VALUES (?, ?, ?)", blob_id, now, lease_until)


async def renew_leases(tx: ITransaction, blob_ids: Sequence[bytes], lease_until: int) -> None:
    """Give blobs that are being written more time.

    Raises:
        BlobGone: one of them is condemned or gone; then no lease is renewed.
    """
    for blob_id in blob_ids:
        if await tx.one("SELECT 1 FROM blobs WHERE id = ? AND condemned IS NULL", blob_id) is None:
            raise BlobGone
    await tx.many(
        "UPDATE blobs SET lease_until = ? WHERE id = ? AND lease_until IS NOT NULL",
        [(lease_until, blob_id) for blob_id in blob_ids],
    )


_PLACE_BLOB = "UPDATE blobs SET size = ?, crcs = ?, lease_until = NULL WHERE id = ? AND condemned IS NULL"
_REVIVE = "UPDATE blobs SET lease_until = NULL WHERE id = ? AND condemned IS NULL AND crcs IS NOT NULL"
_REFER = "INSERT INTO blob_references (blob, holder) VALUES (?, ?)"


async def place(tx: ITransaction, holder: bytes, placement: Placement, data: bytes | None = None) -> None:
    """Make new bytes belong to a version or a part.

    Args:
        tx: the transaction.
        holder: the id of the version or the part.
        placement: where the bytes are; one without bytes needs nothing.
        data: the bytes themselves, when `placement.body` is set.

    Raises:
        BlobGone: the blob's lease ran out and the sweeper condemned it; nothing was changed.
    """
    if placement.body is not None:
        await tx.write(
            "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", placement.body, placement.crcs, data or b""
        )
    elif placement.blob is not None:
        if not await tx.run(_PLACE_BLOB, placement.size, placement.crcs, placement.blob):
            raise BlobGone
        await tx.write(_REFER, placement.blob, holder)


_PUT_BODY = (
    "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET crcs = excluded.crcs, data = excluded.data"
)
"""The body that goes may be missing, in a damaged index; what comes must not be missing with it."""


async def place_over(tx: ITransaction, body_id: bytes, placement: Placement, data: bytes) -> Placement:
    """Put new inline bytes in the place of an inline body whose owner is being replaced. Half the work of deleting the
    one and inserting the other.

    Args:
        tx: the transaction.
        body_id: the body that goes.
        placement: of the new bytes; its own `body` is not used.
        data: the new bytes.

    Returns:
        The placement for the new owner.
    """
    await tx.write(_PUT_BODY, body_id, placement.crcs, data)
    return Placement(placement.size, body_id, None, placement.crcs, placement.coding)


async def share(tx: ITransaction, placement: Placement, holder: bytes, body_id: bytes) -> Placement:
    """Make bytes that are already placed belong to another version or part too, without moving a blob's bytes.

    Args:
        tx: the transaction.
        placement: where the bytes are.
        holder: the id of the version or part that will have them as well.
        body_id: the id of the copy, when they are inline (an inline body has one owner).

    Returns:
        The placement for the new holder.

    Raises:
        BlobGone: they are not there any more; nothing was changed.
    """
    if placement.body is not None:
        copied = await tx.run(
            "INSERT INTO bodies (id, crcs, data) SELECT ?, crcs, data FROM bodies WHERE id = ?", body_id, placement.body
        )
        if not copied:
            raise BlobGone
        return evolve(placement, body=body_id)
    if placement.blob is not None:
        if not await tx.run(_REVIVE, placement.blob):
            raise BlobGone
        await tx.write(_REFER, placement.blob, holder)
    return placement


RELEASE_BLOBS = "UPDATE blobs SET lease_until = ? WHERE condemned IS NULL AND id"
KEEP_BLOBS = (
    "UPDATE blobs SET lease_until = NULL WHERE lease_until IS NOT NULL"
    " AND EXISTS (SELECT 1 FROM blob_references r WHERE r.blob = blobs.id) AND id"
)
"""To be followed by which blobs. The first releases them and locks their rows; the second, which sees what was
committed while the first waited, takes it back for those that are still referred to. One statement that looks for
references and releases would not do: of two holders who let go at the same time, each would see the other's."""


async def release(tx: ITransaction, holder: bytes, placement: Placement | None, now: int) -> None:
    """Let go of the bytes of a version or part that is being deleted. The last to let go leaves them to the sweeper."""
    if placement is None:
        return
    if placement.body is not None:
        await tx.write("DELETE FROM bodies WHERE id = ?", placement.body)
    elif placement.blob is not None:
        await tx.write("DELETE FROM blob_references WHERE blob = ? AND holder = ?", placement.blob, holder)
        await tx.write(f"{RELEASE_BLOBS} = ?", now, placement.blob)
        await tx.write(f"{KEEP_BLOBS} = ?", placement.blob)


async def load_body(tx: ITransaction, body_id: bytes) -> tuple[bytes, bytes]:
    """The CRC32C of each frame, and the bytes, of a part's inline body.

    Raises:
        CorruptedData: it is not there.
    """
    row = await tx.one("SELECT crcs, data FROM bodies WHERE id = ?", body_id)
    if row is None:
        raise CorruptedData(body=body_id.hex())
    return row[0], row[1]


# -- for the sweeper --------------------------------------------------------------------------------------------------


async def condemn(tx: ITransaction, now: int, limit: int) -> int:
    """Condemn at most `limit` blobs that nobody refers to and whose lease has passed. Returns how many.

    References are looked for again, whatever the lease says: a mistake elsewhere must not cost bytes. And once more
    afterwards: where transactions run at the same time, one that took a reference may have been committed while the
    first statement waited for the blob's row. The second sees it, and none can come after, because the row is ours.
    """
    condemned = await tx.run(_CONDEMN, now, now, limit)
    return condemned - await tx.run(_PARDON, now) if condemned else 0


_CONDEMN = (
    "UPDATE blobs SET condemned = ?, lease_until = NULL WHERE condemned IS NULL AND id IN (SELECT o.id FROM blobs o"
    " WHERE o.lease_until < ? AND o.condemned IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM blob_references r WHERE r.blob = o.id)"
    " AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.blob = o.id)"
    " AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.blob = o.id)"
    " LIMIT ?)"
)
_PARDON = (
    "UPDATE blobs SET condemned = NULL WHERE condemned = ? AND ("
    "EXISTS (SELECT 1 FROM blob_references r WHERE r.blob = blobs.id)"
    " OR EXISTS (SELECT 1 FROM versions v WHERE v.blob = blobs.id)"
    " OR EXISTS (SELECT 1 FROM parts p WHERE p.blob = blobs.id))"
)


async def condemned_before(tx: ITransaction, time: int, limit: int) -> list[bytes]:
    """Ids of at most `limit` blobs condemned before `time`: the bytes of these may be deleted."""
    rows = await tx.all("SELECT id FROM blobs WHERE condemned < ? ORDER BY condemned LIMIT ?", time, limit)
    return [blob_id for (blob_id,) in rows]


async def forget(tx: ITransaction, blob_ids: Sequence[bytes]) -> None:
    """Forget condemned blobs whose bytes are deleted."""
    await tx.many("DELETE FROM blobs WHERE id = ? AND condemned IS NOT NULL", [(blob_id,) for blob_id in blob_ids])
