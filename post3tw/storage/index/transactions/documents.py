"""Bucket documents: tagging, policy, CORS and so on, by kind. Their text means nothing to the index."""

from __future__ import annotations

from collections.abc import Mapping

from post3tw.model.errors import NoSuchBucket
from post3tw.storage.index.transactions.buckets import decided_bucket, still
from post3tw.storage.interfaces import ITransaction


async def get_document(tx: ITransaction, bucket_id: int, kind: str) -> bytes | None:
    """The bucket's document of this kind, or None."""
    row = await tx.one("SELECT body FROM bucket_documents WHERE bucket = ? AND kind = ?", bucket_id, kind)
    return None if row is None else row[0]


async def get_documents(tx: ITransaction, bucket_id: int) -> Mapping[str, bytes]:
    """All documents of a bucket, by kind."""
    return dict(await tx.all("SELECT kind, body FROM bucket_documents WHERE bucket = ?", bucket_id))


async def put_document(tx: ITransaction, bucket_id: int, kind: str, body: bytes) -> int:
    """Write a document, replacing the one of its kind. Returns the bucket's new generation.

    Raises:
        NoSuchBucket: the bucket is gone.
        BucketChanged: see require_bucket.
    """
    generation = await _next_generation(tx, bucket_id)
    await tx.write(
        "INSERT INTO bucket_documents (bucket, kind, body, generation) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (bucket, kind) DO UPDATE SET body = excluded.body, generation = excluded.generation",
        bucket_id,
        kind,
        body,
        generation,
    )
    return generation


async def delete_document(tx: ITransaction, bucket_id: int, kind: str) -> bool:
    """Delete a document. Returns whether there was one; when there was, the bucket's generation rises.

    Raises:
        NoSuchBucket: the bucket is gone.
    """
    if await get_document(tx, bucket_id, kind) is None:
        if await tx.one("SELECT 1 FROM buckets WHERE id = ?", bucket_id) is None:
            raise NoSuchBucket
        return False
    await _next_generation(tx, bucket_id)
    await tx.write("DELETE FROM bucket_documents WHERE bucket = ? AND kind = ?", bucket_id, kind)
    return True


async def _next_generation(tx: ITransaction, bucket_id: int) -> int:
    row = await tx.one("SELECT generation FROM buckets WHERE id = ?", bucket_id)
    if row is None:
        raise NoSuchBucket
    decided = decided_bucket(tx, bucket_id)
    if decided is not None:
        still(decided, row[0])
    generation: int = row[0] + 1
    await tx.write("UPDATE buckets SET generation = ? WHERE id = ?", generation, bucket_id)
    return generation
