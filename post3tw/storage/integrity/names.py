"""What people call stored bytes."""

from __future__ import annotations

from post3tw.storage.index.transactions.damage import UNREADABLE
from post3tw.storage.interfaces import ITransaction


async def bucket_names(tx: ITransaction) -> dict[int, str]:
    """Every bucket as `BUCKET` or `TENANT:BUCKET`, by id."""
    rows = await tx.all("SELECT id, tenant, name FROM buckets")
    return {bucket_id: f"{tenant}:{name}" if tenant else name for bucket_id, tenant, name in rows}


def name_of(buckets: dict[int, str], bucket_id: int, key: bytes, version_id: str = "", part: int = 0) -> str:
    """`s3://BUCKET/KEY`, with the version and the part when there are any. What a terminal would take for a command is
    escaped: keys come from others."""
    shown = key.decode(errors="backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    details = [f"versionId={version_id}"] if version_id not in ("", UNREADABLE) else []
    details += [f"partNumber={part}"] if part else []
    bucket = buckets.get(bucket_id, f"(bucket {bucket_id})")
    return f"s3://{bucket}/{shown}{'?' if details else ''}{'&'.join(details)}"
