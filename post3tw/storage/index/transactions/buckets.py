"""Buckets: their rows, and what must hold before one goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketChanged,
    BucketNotEmpty,
    InvalidBucketState,
    NoSuchBucket,
)
from post3tw.model.version import Version
from post3tw.storage.index.rows import BUCKET_COLUMNS, INSERT_BUCKET, bucket_from_row, bucket_values
from post3tw.storage.index.transactions.parts import release_parts
from post3tw.storage.interfaces import ITransaction


async def create_bucket(tx: ITransaction, bucket: Bucket, documents: Mapping[str, bytes] | None = None) -> None:
    """Insert a bucket, with the documents that it begins with, by kind.

    Raises:
        BucketAlreadyOwnedByYou: the tenant has one of this name, and `bucket.owner_id` owns it.
        BucketAlreadyExists: somebody else owns it.
    """
    existing = await find_bucket(tx, bucket.tenant, bucket.name)
    if existing is not None:
        taken = BucketAlreadyOwnedByYou if existing.owner_id == bucket.owner_id else BucketAlreadyExists
        raise taken(bucket_name=bucket.name)
    await tx.write(INSERT_BUCKET, *bucket_values(bucket))
    for kind, body in (documents or {}).items():
        await tx.write(
            "INSERT INTO bucket_documents (bucket, kind, body, generation) VALUES (?, ?, ?, ?)",
            bucket.id,
            kind,
            body,
            bucket.generation,
        )


_FIND = f"SELECT {BUCKET_COLUMNS} FROM buckets k WHERE k.tenant = ? AND k.name = ?"


async def find_bucket(tx: ITransaction, tenant: str, name: str) -> Bucket | None:
    """The bucket of this name in a tenant's namespace, or None."""
    if "\0" in name:
        return None  # PostgreSQL's text cannot hold it, not even to be asked for
    memo = tx.memo
    found: Bucket | None = None if memo is None else memo.get((find_bucket, tenant, name))
    if found is None:
        row = await tx.one(_FIND, tenant, name)
        if row is None:
            return None
        found = bucket_from_row(row)
        if memo is not None:
            memo[find_bucket, tenant, name] = found
    return found


_REQUIRE = f"SELECT {BUCKET_COLUMNS} FROM buckets k WHERE k.id = ?"
_GENERATION = "SELECT k.generation FROM buckets k WHERE k.id = ?"


async def require_bucket(tx: ITransaction, bucket_id: int) -> Bucket:
    """The bucket as it is now. Every write begins with it: what was admitted may have been deleted since.

    Raises:
        NoSuchBucket: it is gone. The caller knows the name, and may add it.
        BucketChanged: it is not in the state that the transaction was decided on (see DecidedTransaction).
    """
    decided = decided_bucket(tx, bucket_id)
    row = await tx.one(_REQUIRE if decided is None else _GENERATION, bucket_id)
    if row is None:
        raise NoSuchBucket
    return bucket_from_row(row) if decided is None else still(decided, row[0])


ObjectName = tuple[int, bytes, str | None]
"""The id of a bucket, a key, and a version id, None for whichever is the latest."""

_NO_OBJECTS: Mapping[ObjectName, Version | None] = {}


class DecidedTransaction:
    """A transaction that was decided on a state of buckets and objects, and is refused on another one.

    What was read to decide may be older than what the transaction sees: another request, or another node, may have
    changed the bucket's policy meanwhile. A state is known by its generation, so that is all that has to be read again.
    Where the decision depended on an object (its owner, its list, its tags), another object may have its key by now;
    what finds it (`versions.require_object`) looks whether it is still the one.

    Args:
        tx: the transaction itself.
        buckets: those that the decision rested on, by id.
        objects: likewise, by bucket, key and the version id that was asked for; None is one that was not there.
    """

    __slots__ = ("all", "buckets", "many", "memo", "objects", "one", "run", "write")

    def __init__(
        self,
        tx: ITransaction,
        buckets: Mapping[int, Bucket],
        objects: Mapping[ObjectName, Version | None] = _NO_OBJECTS,
    ) -> None:
        self.one, self.all, self.run, self.write, self.many, self.memo = (
            tx.one,
            tx.all,
            tx.run,
            tx.write,
            tx.many,
            tx.memo,
        )
        self.buckets = buckets
        self.objects = objects


def decided_bucket(tx: Any, bucket_id: int) -> Bucket | None:
    """The bucket in the state that the transaction was decided on; None when it was not decided on any."""
    return tx.buckets.get(bucket_id) if type(tx) is DecidedTransaction else None


def decided_objects(tx: Any) -> Mapping[ObjectName, Version | None]:
    """The objects that the transaction was decided on."""
    return tx.objects if type(tx) is DecidedTransaction else _NO_OBJECTS


def still(decided: Bucket, generation: int) -> Bucket:
    """The bucket that was decided on, if this is still its generation, and so every column what it was.

    Raises:
        BucketChanged: it is not.
    """
    if decided.generation != generation:
        raise BucketChanged
    return decided


async def note_object_acl(tx: ITransaction, bucket: Bucket, owner_id: str, acl: str | None) -> None:
    """Let the bucket's row say that a version or an upload is not simply the bucket owner's, when it is the first."""
    if bucket.object_acls or (acl is None and owner_id == bucket.owner_id):
        return
    await tx.write(
        "UPDATE buckets SET object_acls = 1, generation = generation + 1 WHERE id = ? AND object_acls = 0", bucket.id
    )


async def delete_bucket(tx: ITransaction, bucket_id: int, now: int) -> None:
    """Delete an empty bucket with its documents; uploads in progress are aborted with it, as AWS does.

    Needs the exclusive lock of the bucket.

    Raises:
        NoSuchBucket: it is gone already.
        BucketNotEmpty: versions or delete markers are left.
    """
    bucket = await require_bucket(tx, bucket_id)
    if await tx.one("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", bucket_id) is not None:
        raise BucketNotEmpty(bucket_name=bucket.name)
    for (upload_id,) in await tx.all("SELECT id FROM uploads WHERE bucket = ?", bucket_id):
        await release_parts(tx, upload_id, now)
    await tx.write("DELETE FROM uploads WHERE bucket = ?", bucket_id)
    await tx.write("DELETE FROM bucket_documents WHERE bucket = ?", bucket_id)
    await tx.write("DELETE FROM buckets WHERE id = ?", bucket_id)


async def list_buckets(
    tx: ITransaction,
    tenant: str,
    owner_id: str | None,
    prefix: str = "",
    after: str = "",
    limit: int = 1000,
    region: str | None = None,
) -> list[Bucket]:
    """At most `limit` buckets of a tenant in the order of their names.

    Args:
        tx: the transaction.
        tenant: the namespace.
        owner_id: only those of this owner; None for everybody's.
        prefix: only names that begin with it.
        after: only names greater than it, where the last page ended.
        limit: how many at most.
        region: only those in this region.
    """
    if not prefix.isascii() or "\0" in prefix:
        return []  # names are ASCII
    # A NUL, which PostgreSQL's text cannot hold, makes no difference: it is in no name, and nothing is before it.
    conditions, parameters = ["k.tenant = ?", "k.name > ?"], [tenant, after.partition("\0")[0]]
    if prefix:
        conditions += ["k.name >= ?", "k.name < ?"]
        parameters += [prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)]
    if owner_id is not None:
        conditions.append("k.owner_id = ?")
        parameters.append(owner_id)
    if region is not None:
        conditions.append("k.region = ?")
        parameters.append(region)
    sql = f"SELECT {BUCKET_COLUMNS} FROM buckets k WHERE {' AND '.join(conditions)} ORDER BY k.name LIMIT ?"
    return [bucket_from_row(row) for row in await tx.all(sql, *parameters, limit)]


async def set_versioning(tx: ITransaction, bucket_id: int, versioning: Versioning) -> None:
    """Set a bucket's versioning state. Which changes S3 allows is the caller's to decide.

    Raises:
        NoSuchBucket: the bucket is gone.
        InvalidBucketState: it has object lock, which needs versioning enabled.
    """
    bucket = await require_bucket(tx, bucket_id)
    if bucket.object_lock and versioning is not Versioning.ENABLED:
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            bucket_name=bucket.name,
        )
    await tx.write(
        "UPDATE buckets SET versioning = ?, generation = generation + 1 WHERE id = ?", versioning.value, bucket_id
    )
