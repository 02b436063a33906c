"""Object lock: the lock that a version begins with, what may change it, and the refusal to remove what it protects.

Theory of operation
===================
The lock of a version is in its own row, so that whoever removes the row has it in hand. `require_unlocked` is asked on
every path that removes or replaces a version, in the transaction that does it, with the row that it read there: delete,
delete by version, overwriting and copying onto a null version, rename. Nothing else removes versions: a bucket with any
is not deleted, and the sweeper takes only blobs that no row refers to.

A bucket's own part is the switch (`object_lock`, which is never taken back and keeps versioning enabled) and a default
retention, a document that is read only when a version is written into such a bucket.

What cannot be read counts as locked: a version whose retention makes no sense stays, and a default retention that makes
no sense lets nothing be written.
"""

from __future__ import annotations

import json

from attrs import asdict, evolve

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import AccessDenied, CorruptedData, InvalidBucketState, InvalidRequest
from post3tw.model.object_lock import MODES, NO_LOCK, DefaultRetention, Retention
from post3tw.model.version import Incumbent, Version
from post3tw.storage.index.rows import legal_hold_to_column
from post3tw.storage.index.transactions.buckets import require_bucket
from post3tw.storage.index.transactions.changes import record_change
from post3tw.storage.index.transactions.documents import delete_document, get_document, put_document
from post3tw.storage.index.transactions.versions import require_object, told_of
from post3tw.storage.interfaces import ITransaction

DEFAULT_RETENTION = "object-lock"
"""The kind of the bucket document that holds a default retention."""

# -- versions ---------------------------------------------------------------------------------------------------------


def require_unlocked(version: Version | Incumbent, now: int, *, bypass_governance: bool = False) -> None:
    """Let a version go only when neither retention nor a legal hold protects it.

    Raises:
        AccessDenied: one does.
    """
    if version.retention.protects(now, bypass_governance=bypass_governance):
        raise _protected()


async def with_lock(tx: ITransaction, bucket: Bucket, version: Version, now: int) -> Version:
    """A version that is going to be written, with the lock that it begins with: what was asked for, else the default.

    Raises:
        InvalidRequest: a lock was asked for, and the bucket has no object lock.
        CorruptedData: the default retention cannot be read.
    """
    asked = version.description.retention
    if not bucket.object_lock:
        require_lockable(bucket, asked)
        return version
    if asked.mode is not None:
        return version
    default = await default_retention(tx, bucket.id)
    if default is None:
        return version
    retention = evolve(asked, mode=default.mode, until=default.until(now))
    return evolve(version, description=evolve(version.description, retention=retention))


def require_lockable(bucket: Bucket, asked: Retention | None = None) -> None:
    """Refuse to lock anything in a bucket without object lock; `asked` may turn out to be no lock at all.

    Raises:
        InvalidRequest.
    """
    if not bucket.object_lock and asked != NO_LOCK:
        raise InvalidRequest("Bucket is missing Object Lock Configuration")


async def set_retention(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version_id: str | None,
    mode: str | None,
    until: int | None,
    *,
    bypass_governance: bool,
    change_id: bytes,
    now: int,
) -> Version:
    """Replace the retention of a version. While it retains it can only be extended, or bypassed in governance mode.

    Args:
        tx: the transaction, under the shared lock of the bucket and the lock of the key.
        bucket_id, key, version_id: the version; the latest without `version_id`.
        mode, until: the new retention; None and None for none.
        bypass_governance: whether retention in governance mode is no obstacle.
        change_id: 16 new bytes, for the outbox.
        now: milliseconds since the epoch.

    Returns:
        The version as it is now.

    Raises:
        NoSuchBucket, InvalidRequest (no object lock), NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
        AccessDenied: the present retention does not allow it.
    """
    bucket = await require_bucket(tx, bucket_id)
    require_lockable(bucket)
    version = await require_object(tx, bucket_id, key, version_id)
    retention = version.description.retention
    if not retention.may_become(mode, until, now, bypass_governance=bypass_governance):
        raise _protected()
    await tx.write(
        "UPDATE versions SET retention_mode = ?, retain_until = ? WHERE bucket = ? AND key = ? AND seq = ?",
        mode,
        until,
        bucket_id,
        key,
        version.seq,
    )
    await record_change(tx, bucket, key, version.seq, "ObjectRetention:Put", change_id, now, told_of(version))
    return _locked(version, evolve(retention, mode=mode, until=until))


async def set_legal_hold(
    tx: ITransaction, bucket_id: int, key: bytes, version_id: str | None, held: bool, *, change_id: bytes, now: int
) -> Version:
    """Hold a version, or let it go. Returns the version as it is now.

    Raises:
        NoSuchBucket, InvalidRequest (no object lock), NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker).
    """
    bucket = await require_bucket(tx, bucket_id)
    require_lockable(bucket)
    version = await require_object(tx, bucket_id, key, version_id)
    await tx.write(
        "UPDATE versions SET legal_hold = ? WHERE bucket = ? AND key = ? AND seq = ?",
        legal_hold_to_column(held),
        bucket_id,
        key,
        version.seq,
    )
    await record_change(tx, bucket, key, version.seq, "ObjectLegalHold:Put", change_id, now, told_of(version))
    return _locked(version, evolve(version.description.retention, legal_hold=held))


def _locked(version: Version, retention: Retention) -> Version:
    return evolve(version, description=evolve(version.description, retention=retention))


def _protected() -> AccessDenied:
    return AccessDenied("Access Denied because object protected by object lock.")


# -- buckets ----------------------------------------------------------------------------------------------------------


async def set_lock_configuration(tx: ITransaction, bucket_id: int, default: DefaultRetention | None) -> None:
    """Give a bucket object lock, which it keeps for good, and a default retention or none.

    Needs the exclusive lock of the bucket.

    Raises:
        NoSuchBucket.
        InvalidBucketState: versioning is not enabled.
    """
    bucket = await require_bucket(tx, bucket_id)
    if bucket.versioning is not Versioning.ENABLED:
        raise InvalidBucketState(
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration", bucket_name=bucket.name
        )
    if default is None:
        await delete_document(tx, bucket_id, DEFAULT_RETENTION)
    else:
        await put_document(tx, bucket_id, DEFAULT_RETENTION, json.dumps(asdict(default)).encode())
    if not bucket.object_lock:
        await tx.write("UPDATE buckets SET object_lock = 1, generation = generation + 1 WHERE id = ?", bucket_id)


async def default_retention(tx: ITransaction, bucket_id: int) -> DefaultRetention | None:
    """The retention of versions that are written without one, or None.

    Raises:
        CorruptedData: it cannot be read.
    """
    body = await get_document(tx, bucket_id, DEFAULT_RETENTION)
    return None if body is None else _parsed(body)


def _parsed(body: bytes) -> DefaultRetention:
    try:
        default = DefaultRetention(**json.loads(body))
    except (ValueError, TypeError):
        raise CorruptedData(document=DEFAULT_RETENTION) from None
    periods = [period for period in (default.days, default.years) if period is not None]
    if default.mode not in MODES or len(periods) != 1 or type(periods[0]) is not int or periods[0] < 1:
        raise CorruptedData(document=DEFAULT_RETENTION)
    return default
