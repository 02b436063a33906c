"""Multipart uploads: begin, add parts, complete, abort, and find those that nobody finishes.

An upload and the version it becomes have one id, so its parts become the version's without being touched: Complete says
where in the object each part begins, lets go of the parts that it does not list, and makes the version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import NoSuchUpload
from post3tw.model.values import value_class
from post3tw.model.version import Part, Upload, Version
from post3tw.storage.index.rows import (
    FROM_VERSIONS,
    INSERT_UPLOAD,
    UPLOAD_COLUMNS,
    VERSION_COLUMNS,
    upload_from_row,
    upload_values,
    version_from_row,
)
from post3tw.storage.index.transactions.blobs import place, share
from post3tw.storage.index.transactions.buckets import note_object_acl, require_bucket
from post3tw.storage.index.transactions.object_lock import require_lockable
from post3tw.storage.index.transactions.objects import put_version
from post3tw.storage.index.transactions.parts import (
    delete_part,
    insert_part,
    list_parts,
    part_numbered,
    release_parts,
)
from post3tw.storage.index.transactions.versions import require_still_there
from post3tw.storage.interfaces import ITransaction


async def create_upload(tx: ITransaction, upload: Upload) -> None:
    """Begin an upload.

    Raises:
        NoSuchBucket: the bucket is gone.
        InvalidRequest: the object is to be locked, and the bucket has no object lock.
    """
    bucket = await require_bucket(tx, upload.bucket_id)
    require_lockable(bucket, upload.description.retention)
    await note_object_acl(tx, bucket, upload.initiator.id, upload.description.acl)
    await tx.write(INSERT_UPLOAD, *upload_values(upload))


_FIND = f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE u.id = ? AND u.bucket = ? AND u.key = ?"


async def find_upload(tx: ITransaction, bucket_id: int, key: bytes, upload_id: bytes) -> Upload | None:
    """The upload of this id, if it is in progress and of this key."""
    row = await tx.one(_FIND, upload_id, bucket_id, key)
    return None if row is None else upload_from_row(row)


async def require_upload(tx: ITransaction, bucket_id: int, key: bytes, upload_id: bytes) -> Upload:
    """The same.

    Raises:
        NoSuchUpload: there is none.
    """
    upload = await find_upload(tx, bucket_id, key, upload_id)
    if upload is None:
        raise NoSuchUpload(upload_id=upload_id.hex())
    return upload


# -- parts ------------------------------------------------------------------------------------------------------------


async def put_part(
    tx: ITransaction, bucket_id: int, key: bytes, upload_id: bytes, part: Part, data: bytes | None, now: int
) -> None:
    """Add a part with new bytes, in place of the one of its number.

    Args:
        data: the bytes, when the placement is inline.

    Raises:
        NoSuchUpload: completed or aborted meanwhile.
        NoSuchBucket, BucketChanged: see require_bucket.
        BlobGone: see transactions.blobs.place.
    """
    await require_bucket(tx, bucket_id)
    await require_upload(tx, bucket_id, key, upload_id)
    await place(tx, part.id, part.placement, data)
    await _replace(tx, upload_id, part, now)


async def put_shared_part(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    upload_id: bytes,
    part: Part,
    source_bucket_id: int,
    source_key: bytes,
    source: Version,
    now: int,
) -> None:
    """Add a part that has the bytes of a stored version; `part.placement` is that version's. No bytes are moved.

    Args:
        source: the version that was decided to be copied.

    Raises:
        NoSuchUpload, NoSuchBucket, BucketChanged, BlobGone.
        OperationAborted: the version is not there any more.
    """
    await require_bucket(tx, bucket_id)
    await require_upload(tx, bucket_id, key, upload_id)
    await require_still_there(tx, source_bucket_id, source_key, source)
    shared = await share(tx, part.placement, part.id, part.id)
    await _replace(tx, upload_id, evolve(part, placement=shared), now)


async def _replace(tx: ITransaction, upload_id: bytes, part: Part, now: int) -> None:
    replaced = await part_numbered(tx, upload_id, part.number)
    if replaced is not None:
        await delete_part(tx, upload_id, replaced, now)
    await insert_part(tx, upload_id, part)


# -- completing -------------------------------------------------------------------------------------------------------


@value_class
class Assembly:
    """What an upload becomes: the version, and the parts it is made of, in order, with their offsets."""

    version: Version
    parts: Sequence[Part]


async def complete_upload(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    upload_id: bytes,
    assemble: Callable[[Upload, Sequence[Part]], Assembly],
    conditions: WriteConditions,
    *,
    now: int,
) -> Version:
    """Make an object of an upload; or find the one that this upload became, when Complete is repeated.

    Args:
        tx: the transaction, under the shared lock of the bucket and the lock of the key.
        bucket_id: the bucket.
        key: the key.
        upload_id: the upload.
        assemble: given the upload and all its parts, decides what is made of which of them, or raises.
        conditions: checked against the current object.
        now: milliseconds since the epoch.

    Returns:
        The version as it was written.

    Raises:
        NoSuchUpload: never begun, aborted, or what it became is gone.
        What `assemble` and put_version raise.
    """
    upload = await find_upload(tx, bucket_id, key, upload_id)
    if upload is None:
        return await _completed(tx, bucket_id, key, upload_id)
    parts = await _all_parts(tx, upload_id)
    assembly = assemble(upload, parts)
    version = await put_version(
        tx, bucket_id, key, assembly.version, None, conditions, now=now, kind="ObjectCreated:CompleteMultipartUpload"
    )
    kept = {part.number for part in assembly.parts}
    for part in parts:
        if part.number not in kept:
            await delete_part(tx, upload_id, part, now)
    await tx.many(
        'UPDATE parts SET "offset" = ? WHERE owner = ? AND number = ?',
        [(part.offset, upload_id, part.number) for part in assembly.parts],
    )
    await _delete_upload(tx, upload_id)
    return version


_COMPLETED = (
    f"SELECT {VERSION_COLUMNS} FROM {FROM_VERSIONS} WHERE v.bucket = ? AND v.key = ? AND v.id = ?"
    " ORDER BY v.seq DESC LIMIT 1"
)


async def _completed(tx: ITransaction, bucket_id: int, key: bytes, upload_id: bytes) -> Version:
    """The version that an upload became. When the upload is gone, parts are left only if it became one: so the versions
    of the key are not searched for an id that never was."""
    if await tx.one("SELECT 1 FROM parts WHERE owner = ? LIMIT 1", upload_id) is not None:
        row = await tx.one(_COMPLETED, bucket_id, key, upload_id)
        if row is not None:
            return version_from_row(row)
    raise NoSuchUpload(upload_id=upload_id.hex())


async def _all_parts(tx: ITransaction, upload_id: bytes) -> list[Part]:
    parts: list[Part] = []
    while batch := await list_parts(tx, upload_id, parts[-1].number if parts else 0):
        parts += batch
    return parts


# -- ending -----------------------------------------------------------------------------------------------------------


async def abort_upload(tx: ITransaction, bucket_id: int, key: bytes, upload_id: bytes, now: int) -> None:
    """Forget an upload and let go of its parts. What an upload became is no upload any more, and is safe from this.

    Raises:
        NoSuchUpload: it is not in progress.
        BucketChanged: see require_bucket.
    """
    await require_upload(tx, bucket_id, key, upload_id)
    await require_bucket(tx, bucket_id)
    await release_parts(tx, upload_id, now)
    await _delete_upload(tx, upload_id)


async def _delete_upload(tx: ITransaction, upload_id: bytes) -> None:
    await tx.write("DELETE FROM uploads WHERE id = ?", upload_id)


async def stale_uploads(tx: ITransaction, before: int, limit: int) -> list[Upload]:
    """At most `limit` uploads that were begun before a time (milliseconds since the epoch), the oldest first."""
    rows = await tx.all(
        f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE u.created < ? ORDER BY u.created LIMIT ?", before, limit
    )
    return [upload_from_row(row) for row in rows]
