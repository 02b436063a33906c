"""Versions of a key: writing, copying, deleting, tagging, renaming them.

Theory of operation
===================
A key has rows in `versions`, ordered by `seq`; the highest is the latest. `current` repeats the latest one of each key
whose latest version is an object, so that listings meet no delete markers. Every transaction here keeps both in step.

At most one version of a key is the *null version*: what a bucket without versioning, or with suspended versioning,
writes. A bucket that never was versioned has no others, so its latest version is the null version, and writing replaces
it. With versioning suspended the null version may lie anywhere below the latest.

What a write depends on (the bucket's state, the conditions, object lock) is read here, under the locks of the bucket
and the key, never taken from what admission saw. All of it is checked before the first write.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.conditions import ReadConditions, WriteConditions
from post3tw.model.errors import NotImplementedHere, OperationAborted
from post3tw.model.identity import Owner
from post3tw.model.object_lock import NO_LOCK
from post3tw.model.values import value_class
from post3tw.model.version import Incumbent, Placement, Version
from post3tw.storage.index.rows import INSERT_VERSION, mapping_to_text, version_values
from post3tw.storage.index.transactions.blobs import place, place_over, share
from post3tw.storage.index.transactions.buckets import note_object_acl, require_bucket
from post3tw.storage.index.transactions.changes import record_change
from post3tw.storage.index.transactions.object_lock import require_unlocked, with_lock
from post3tw.storage.index.transactions.parts import copy_parts
from post3tw.storage.index.transactions.versions import (
    bucket_and_latest,
    find_version,
    null_incumbent,
    remove_version,
    replace_version,
    require_object,
    require_still_there,
    set_current,
    told_of,
)
from post3tw.storage.interfaces import ITransaction

# -- writing ----------------------------------------------------------------------------------------------------------


async def put_version(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version: Version,
    data: bytes | None,
    conditions: WriteConditions,
    *,
    now: int,
    kind: str = "ObjectCreated:Put",
) -> Version:
    """Make a version of a key, the latest from now on.

    Args:
        tx: the transaction, under the shared lock of the bucket and the lock of the key.
        bucket_id: the bucket.
        key: the key.
        version: what to write, under a new id; `seq` and `is_null` are given here. Without a placement its bytes are
            the parts that have its id for owner.
        data: the bytes, when the placement is inline.
        conditions: checked against the current object.
        now: milliseconds since the epoch.
        kind: the event for the outbox.

    Returns:
        The version as it was written.

    Raises:
        NoSuchBucket, NoSuchKey, PreconditionFailed, AccessDenied (object lock), BlobGone.
        What with_lock raises.
    """
    slot = await _open_slot(tx, bucket_id, key, conditions, now)
    if slot.bucket.object_lock or version.description.retention is not NO_LOCK:
        version = await with_lock(tx, slot.bucket, version, now)
    placement, body = version.placement, None if slot.replaced is None else slot.replaced.body
    if placement is not None:
        if placement.body is not None and body is not None:
            placement = await place_over(tx, body, placement, data or b"")
        else:
            await place(tx, version.id, placement, data)
    return await _fill(tx, slot, key, version, placement, now, kind)


async def copy_version(
    tx: ITransaction,
    source_bucket_id: int,
    source_key: bytes,
    source: Version,
    bucket_id: int,
    key: bytes,
    version: Version,
    conditions: WriteConditions,
    *,
    now: int,
) -> Version:
    """Make a version of a key that has the bytes of another version, wherever that is; no bytes are moved.

    Args:
        source: the version that was decided to be copied.
        version: what to write, under a new id; `seq`, `is_null` and `placement` are given here.

    Raises:
        OperationAborted: the source is not there any more.
        What put_version raises.
    """
    slot = await _open_slot(tx, bucket_id, key, conditions, now)
    await require_still_there(tx, source_bucket_id, source_key, source)
    version = await with_lock(tx, slot.bucket, version, now)
    placement = None
    if source.part_count is not None:
        await copy_parts(tx, source.id, version.id, now)
    elif source.placement is not None:
        placement = await share(tx, source.placement, version.id, version.id)
    return await _fill(tx, slot, key, version, placement, now, "ObjectCreated:Copy")


@value_class
class _Slot:
    """Where a new version goes, once everything that forbids it was looked at. `replaced` has to make way."""

    bucket: Bucket
    seq: int
    is_null: bool
    replaced: Incumbent | None


async def _open_slot(
    tx: ITransaction, bucket_id: int, key: bytes, conditions: WriteConditions, now: int, *, deleting: bool = False
) -> _Slot:
    bucket, latest = await bucket_and_latest(tx, bucket_id, key)
    if deleting:
        _check_deletion(conditions, latest, key)
    else:
        conditions.check(None if latest is None or latest.delete_marker else latest, key.decode())
    seq = 1 if latest is None else latest.seq + 1
    if bucket.versioning is Versioning.ENABLED:
        return _Slot(bucket, seq, False, None)
    replaced = latest
    if latest is not None and not latest.is_null:
        replaced = await null_incumbent(tx, bucket_id, key)
    if replaced is not None:
        require_unlocked(replaced, now)
    return _Slot(bucket, seq, True, replaced)


async def _fill(
    tx: ITransaction, slot: _Slot, key: bytes, version: Version, placement: Placement | None, now: int, kind: str
) -> Version:
    version = _in_slot(version, slot, placement)
    await note_object_acl(tx, slot.bucket, version.owner.id, version.description.acl)
    if slot.replaced is None:
        await tx.write(INSERT_VERSION, *version_values(slot.bucket.id, key, version))
    else:
        await replace_version(tx, slot.bucket.id, key, slot.replaced, version, now)
    await set_current(tx, slot.bucket.id, key, version)
    await record_change(tx, slot.bucket, key, version.seq, kind, version.id, now, told_of(version))
    return version


def _in_slot(version: Version, slot: _Slot, placement: Placement | None) -> Version:
    """The version with its place and bytes. In full, as every PUT comes by and attrs.evolve is three times slower."""
    return Version(
        version.id,
        slot.seq,
        slot.is_null,
        version.delete_marker,
        version.created,
        version.size,
        version.etag,
        version.owner,
        version.description,
        version.checksum,
        placement,
        version.part_count,
    )


# -- deleting ---------------------------------------------------------------------------------------------------------


@value_class
class Deletion:
    """What a delete did. `version_id` is that of what was removed by its id, or of the delete marker that was made;
    None when neither. `delete_marker` says that it was or is a delete marker."""

    version_id: str | None = None
    delete_marker: bool = False


async def delete_version(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version_id: str | None,
    conditions: WriteConditions,
    *,
    new_id: bytes,
    owner: Owner,
    now: int,
    bypass_governance: bool = False,
) -> Deletion:
    """Delete a key as its bucket's versioning has it, or exactly one version of it. What is not there is no error.

    Args:
        tx: the transaction, under the shared lock of the bucket and the lock of the key.
        bucket_id: the bucket.
        key: the key.
        version_id: which version; None for the key.
        conditions: checked against the current object, or the version that is named.
        new_id: 16 new bytes, for a delete marker and for the outbox.
        owner: who owns the delete marker.
        now: milliseconds since the epoch.
        bypass_governance: whether retention in governance mode is no obstacle.

    Raises:
        NoSuchBucket, NoSuchKey, PreconditionFailed, AccessDenied (object lock).
    """
    if version_id is not None:
        return await _delete_one(tx, bucket_id, key, version_id, conditions, new_id, now, bypass_governance)
    slot = await _open_slot(tx, bucket_id, key, conditions, now, deleting=True)
    bucket = slot.bucket
    if bucket.versioning is Versioning.NEVER:
        if slot.replaced is not None:
            await remove_version(tx, bucket_id, key, slot.replaced, now)
            await set_current(tx, bucket_id, key, None)
            await record_change(tx, bucket, key, slot.replaced.seq, "ObjectRemoved:Delete", new_id, now)
        return Deletion()
    marker = Version(new_id, slot.seq, slot.is_null, True, now, 0, "", owner)
    if slot.replaced is None:
        await tx.write(INSERT_VERSION, *version_values(bucket_id, key, marker))
    else:
        await replace_version(tx, bucket_id, key, slot.replaced, marker, now)
    await set_current(tx, bucket_id, key, marker)
    await record_change(tx, bucket, key, marker.seq, "ObjectRemoved:DeleteMarkerCreated", new_id, now, told_of(marker))
    return Deletion(marker.version_id, True)


async def _delete_one(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version_id: str,
    conditions: WriteConditions,
    new_id: bytes,
    now: int,
    bypass_governance: bool,
) -> Deletion:
    bucket = await require_bucket(tx, bucket_id)
    version = await find_version(tx, bucket_id, key, version_id)
    if version is None:
        return Deletion(version_id)
    if conditions.any:
        conditions.check(version, key.decode())
    require_unlocked(version, now, bypass_governance=bypass_governance)
    await remove_version(tx, bucket_id, key, version, now)
    newest = await find_version(tx, bucket_id, key)
    if newest is None or newest.seq < version.seq:
        await set_current(tx, bucket_id, key, newest)
    await record_change(tx, bucket, key, version.seq, "ObjectRemoved:Delete", new_id, now, told_of(version))
    return Deletion(version_id, version.delete_marker)


def _check_deletion(conditions: WriteConditions, latest: Incumbent | None, key: bytes) -> None:
    """Conditions of a delete: a key that is not there at all fails If-Match (404), but none of the others."""
    if not conditions.any or (latest is None and conditions.if_match is None):
        return
    conditions.check(None if latest is None or latest.delete_marker else latest, key.decode())


# -- tags, lists and names --------------------------------------------------------------------------------------------


async def set_tags(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version_id: str | None,
    tags: Mapping[str, str],
    *,
    change_id: bytes,
    now: int,
) -> Version:
    """Replace the tags of a version; none at all removes them. Returns the version as it is now.

    Raises:
        NoSuchBucket, and what require_object raises.
    """
    bucket = await require_bucket(tx, bucket_id)
    version = await require_object(tx, bucket_id, key, version_id)
    await tx.write(
        "UPDATE versions SET tags = ? WHERE bucket = ? AND key = ? AND seq = ?",
        mapping_to_text(tags),
        bucket_id,
        key,
        version.seq,
    )
    kind = "ObjectTagging:Put" if tags else "ObjectTagging:Delete"
    await record_change(tx, bucket, key, version.seq, kind, change_id, now, told_of(version))
    return evolve(version, description=evolve(version.description, tags=tags))


async def set_acl(
    tx: ITransaction,
    bucket_id: int,
    key: bytes,
    version_id: str | None,
    acl: str | None,
    *,
    meant: Version | None = None,
    change_id: bytes,
    now: int,
) -> Version:
    """Replace the ACL of a version; None makes it private. Returns the version as it is now.

    Args:
        meant: the version that the list was made for, None for whichever it is.

    Raises:
        OperationAborted: another one is in its place.
        NoSuchBucket, and what require_object raises.
    """
    bucket = await require_bucket(tx, bucket_id)
    version = await require_object(tx, bucket_id, key, version_id)
    if meant is not None and version.id != meant.id:
        raise OperationAborted(key=key.decode())
    await note_object_acl(tx, bucket, version.owner.id, acl)
    await tx.write(
        "UPDATE versions SET acl = ? WHERE bucket = ? AND key = ? AND seq = ?", acl, bucket_id, key, version.seq
    )
    await record_change(tx, bucket, key, version.seq, "ObjectAcl:Put", change_id, now, told_of(version))
    return evolve(version, description=evolve(version.description, acl=acl))


async def rename(
    tx: ITransaction,
    bucket_id: int,
    source: bytes,
    target: bytes,
    source_conditions: ReadConditions,
    target_conditions: WriteConditions,
    *,
    change_ids: tuple[bytes, bytes],
    now: int,
) -> None:
    """Give an object another key, with everything it has, in place of what is there.

    Args:
        change_ids: two ids of 16 new bytes, for the outbox.

    Raises:
        NotImplementedHere: the bucket has versions.
        NoSuchBucket, NoSuchKey, PreconditionFailed, AccessDenied (object lock).
    """
    slot = await _open_slot(tx, bucket_id, target, target_conditions, now)
    bucket = slot.bucket
    if bucket.versioning is not Versioning.NEVER:
        raise NotImplementedHere("RenameObject needs a bucket that never had versioning.", operation="RenameObject")
    version = await require_object(tx, bucket_id, source)
    source_conditions.check(version, copy=True)
    if source == target:
        return
    require_unlocked(version, now)
    if slot.replaced is not None:
        await remove_version(tx, bucket_id, target, slot.replaced, now)
    await tx.write(
        "UPDATE versions SET key = ?, seq = ? WHERE bucket = ? AND key = ? AND seq = ?",
        target,
        slot.seq,
        bucket_id,
        source,
        version.seq,
    )
    await set_current(tx, bucket_id, source, None)
    await set_current(tx, bucket_id, target, evolve(version, seq=slot.seq))
    removed, created = change_ids
    await record_change(tx, bucket, source, version.seq, "ObjectRemoved:Delete", removed, now, told_of(version))
    await record_change(tx, bucket, target, slot.seq, "ObjectCreated:Copy", created, now, told_of(version))
