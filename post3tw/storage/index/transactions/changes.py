"""The outbox: what changed, written in the transaction that changed it, for consumers that come later."""

from __future__ import annotations

import json
from collections.abc import Mapping

from post3tw.model.bucket import Bucket
from post3tw.storage.interfaces import ITransaction


async def record_change(
    tx: ITransaction,
    bucket: Bucket,
    key: bytes,
    seq: int,
    kind: str,
    change_id: bytes,
    now: int,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note a change of a key, when anybody subscribed to the bucket's changes; otherwise do nothing, at no cost.

    Every mutating transaction calls it, with the bucket row that it read itself.

    Args:
        tx: the transaction.
        bucket: as `require_bucket` gave it in this transaction.
        key: what changed.
        seq: the sequence number of the version that was made or removed.
        kind: the S3 event without `s3:`, such as "ObjectCreated:Put".
        change_id: 16 new bytes, made outside (transactions may run again).
        now: milliseconds since the epoch.
        detail: whatever else consumers are told (size, etag, version id …).
    """
    if not bucket.subscribed:
        return
    await tx.write(
        "INSERT INTO outbox (id, bucket, key, seq, kind, created, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        change_id,
        bucket.id,
        key,
        seq,
        kind,
        now,
        json.dumps(dict(detail or {}), separators=(",", ":")),
    )
