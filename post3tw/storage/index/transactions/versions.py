"""Rows of `versions` and `current`: finding a version, and the steps that the transactions on objects are made of."""

from __future__ import annotations

from post3tw.model.bucket import Bucket
from post3tw.model.errors import (
    BucketChanged,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    OperationAborted,
)
from post3tw.model.version import NULL_VERSION, Incumbent, Version, parse_version_token
from post3tw.storage.index.rows import (
    BUCKET_COLUMNS,
    FROM_VERSIONS,
    FROM_VERSIONS_WITH_BODY,
    INCUMBENT_COLUMNS,
    INCUMBENT_WIDTH,
    UPDATE_VERSION,
    VERSION_COLUMNS,
    VERSION_COLUMNS_WITH_BODY,
    bucket_from_row,
    entry_to_text,
    incumbent_from_row,
    version_from_row,
    version_values,
)
from post3tw.storage.index.transactions.blobs import release
from post3tw.storage.index.transactions.buckets import decided_bucket, decided_objects, still
from post3tw.storage.index.transactions.parts import release_parts
from post3tw.storage.interfaces import ITransaction

# -- finding ----------------------------------------------------------------------------------------------------------

_OF_KEY = "WHERE v.bucket = ? AND v.key = ?"
_LATEST = "ORDER BY v.seq DESC LIMIT 1"
_NULL = "AND v.is_null = 1"
_NUMBERED = "AND v.seq = ?"
_HEAD = f"SELECT {VERSION_COLUMNS} FROM {FROM_VERSIONS} {_OF_KEY} "
_WHOLE = f"SELECT {VERSION_COLUMNS_WITH_BODY} FROM {FROM_VERSIONS_WITH_BODY} {_OF_KEY} "
_LATEST_OF = {False: _HEAD + _LATEST, True: _WHOLE + _LATEST}
_NULL_OF = {False: _HEAD + _NULL, True: _WHOLE + _NULL}
_NUMBERED_OF = {False: _HEAD + _NUMBERED, True: _WHOLE + _NUMBERED}

MAX_SEQ = (1 << 63) - 1
"""The largest number that a column holds; what clients send as a version id may name a larger one."""


async def find_version(
    tx: ITransaction, bucket_id: int, key: bytes, version_id: str | None = None, *, with_body: bool = False
) -> Version | None:
    """A version of a key, or None. It may be a delete marker.

    Args:
        tx: the transaction.
        bucket_id: the bucket.
        key: the key.
        version_id: as clients see it; None for the latest.
        with_body: whether to fill `inline` and the CRCs of an inline body.
    """
    if version_id is None:
        row = await tx.one(_LATEST_OF[with_body], bucket_id, key)
        return None if row is None else version_from_row(row)
    if version_id == NULL_VERSION:
        row = await tx.one(_NULL_OF[with_body], bucket_id, key)
        return None if row is None else version_from_row(row)
    token = parse_version_token(version_id)
    if token is None or token[0] > MAX_SEQ:
        return None
    row = await tx.one(_NUMBERED_OF[with_body], bucket_id, key, token[0])
    if row is None:
        return None
    version = version_from_row(row)
    return version if version.version_id == version_id else None


async def require_object(
    tx: ITransaction, bucket_id: int, key: bytes, version_id: str | None = None, *, with_body: bool = False
) -> Version:
    """Like find_version, but it is there and is not a delete marker.

    Raises:
        NoSuchKey: there is no current object.
        NoSuchVersion: there is no version of this id.
        MethodNotAllowed: the id is that of a delete marker.
        BucketChanged: it is not the one that the transaction was decided on (see DecidedTransaction).
    """
    version = await find_version(tx, bucket_id, key, version_id, with_body=with_body)
    objects = decided_objects(tx)
    if (bucket_id, key, version_id) in objects:
        require_same(objects[bucket_id, key, version_id], version)
    if version is not None and not version.delete_marker:
        return version
    name = key.decode()
    if version_id is None:
        if version is None:
            raise NoSuchKey(key=name)
        raise NoSuchKey(key=name, delete_marker=True, version_id=version.version_id)
    if version is None:
        raise NoSuchVersion(key=name, version_id=version_id)
    raise MethodNotAllowed(
        resource_type="DeleteMarker", delete_marker=True, version_id=version_id, last_modified=version.created
    )


def require_same(decided: Version | None, found: Version | None) -> None:
    """Refuse what was decided on another object than is there now; None, or a delete marker, is none.

    Raises:
        BucketChanged: it has to be decided again.
    """
    if decided is None or found is None or found.delete_marker:
        same = decided is None and (found is None or found.delete_marker)
    else:
        now, then = found.description, decided.description  # the owner of a version never changes
        same = found.id == decided.id and now.acl == then.acl and now.tags == then.tags
    if not same:
        raise BucketChanged


_LATEST_INCUMBENT = (
    "LEFT JOIN versions v ON v.bucket = k.id AND v.key = ?"
    " AND v.seq = (SELECT w.seq FROM versions w WHERE w.bucket = ? AND w.key = ? ORDER BY w.seq DESC LIMIT 1)"
    " WHERE k.id = ?"
)
_INCUMBENT_AND_BUCKET = f"SELECT {INCUMBENT_COLUMNS}, {BUCKET_COLUMNS} FROM buckets k {_LATEST_INCUMBENT}"
_INCUMBENT_AND_GENERATION = f"SELECT {INCUMBENT_COLUMNS}, k.generation FROM buckets k {_LATEST_INCUMBENT}"
_NULL_INCUMBENT = f"SELECT {INCUMBENT_COLUMNS} FROM versions v WHERE v.bucket = ? AND v.key = ? AND v.is_null = 1"


async def bucket_and_latest(tx: ITransaction, bucket_id: int, key: bytes) -> tuple[Bucket, Incumbent | None]:
    """What a write begins with, in one statement: the bucket as it is now, and the key's latest version, if any.

    Raises:
        NoSuchBucket, BucketChanged: see require_bucket.
    """
    decided = decided_bucket(tx, bucket_id)
    sql = _INCUMBENT_AND_BUCKET if decided is None else _INCUMBENT_AND_GENERATION
    row = await tx.one(sql, key, bucket_id, key, bucket_id)
    if row is None:
        raise NoSuchBucket
    bucket = bucket_from_row(row[INCUMBENT_WIDTH:]) if decided is None else still(decided, row[INCUMBENT_WIDTH])
    return bucket, None if row[0] is None else incumbent_from_row(row)


async def null_incumbent(tx: ITransaction, bucket_id: int, key: bytes) -> Incumbent | None:
    """The key's null version, if there is one."""
    row = await tx.one(_NULL_INCUMBENT, bucket_id, key)
    return None if row is None else incumbent_from_row(row)


async def require_still_there(tx: ITransaction, bucket_id: int, key: bytes, version: Version) -> None:
    """Refuse to copy a version that was read before this transaction and is gone.

    Raises:
        OperationAborted: the copy has to begin again.
    """
    if await tx.one(_STILL_THERE, bucket_id, key, version.seq, version.id) is None:
        raise OperationAborted(key=key.decode())


_STILL_THERE = "SELECT 1 FROM versions WHERE bucket = ? AND key = ? AND seq = ? AND id = ?"

# -- single steps -----------------------------------------------------------------------------------------------------

_UPSERT_CURRENT = (
    "INSERT INTO current (bucket, key, seq, entry, owner_id, owner_name) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bucket, key) DO UPDATE SET seq = excluded.seq, entry = excluded.entry,"
    " owner_id = excluded.owner_id, owner_name = excluded.owner_name"
)


async def set_current(tx: ITransaction, bucket_id: int, key: bytes, latest: Version | None) -> None:
    """Let `current` say what the latest version of a key is."""
    if latest is None or latest.delete_marker:
        await tx.write("DELETE FROM current WHERE bucket = ? AND key = ?", bucket_id, key)
        return
    owner = latest.owner
    await tx.write(_UPSERT_CURRENT, bucket_id, key, latest.seq, entry_to_text(latest), owner.id, owner.display_name)


async def replace_version(tx: ITransaction, bucket_id: int, key: bytes, old: Incumbent, new: Version, now: int) -> None:
    """Let a version take the row of another one of its key, whose bytes are let go, unless `place_over` gave their
    place to the new ones."""
    if old.part_count is not None:
        await release_parts(tx, old.id, now)
    elif new.placement is None or new.placement.body is None or new.placement.body != old.body:
        await release(tx, old.id, old.placement, now)
    await tx.write(UPDATE_VERSION, *version_values(bucket_id, key, new)[2:], bucket_id, key, old.seq)


async def remove_version(tx: ITransaction, bucket_id: int, key: bytes, version: Version | Incumbent, now: int) -> None:
    """Delete a version's row and let go of its bytes."""
    await tx.write("DELETE FROM versions WHERE bucket = ? AND key = ? AND seq = ?", bucket_id, key, version.seq)
    if version.part_count is not None:
        await release_parts(tx, version.id, now)
    else:
        await release(tx, version.id, version.placement, now)


def told_of(version: Version) -> dict[str, object]:
    """What consumers of the outbox are told about a version."""
    return {"version_id": version.version_id, "size": version.size, "etag": version.etag}
