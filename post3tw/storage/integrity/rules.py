"""What must hold between the rows of the index, as statements that find where it does not.

Every statement is one look at one state, so what it finds is wrong, whoever writes meanwhile. Its rows are (bucket,
key, id, holder), each as far as there is one.

A repair is only made where the rows themselves prove what is right: `versions` and `parts` say what exists, and
`current`, references and flags follow from them. What nobody seems to have is left alone: when rows were lost, it may
be all that is left of an object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from post3tw.storage.index.transactions.versions import find_version, set_current
from post3tw.storage.interfaces import ITransaction

Row = tuple[int | None, bytes | None, bytes | None, bytes | None]
"""Bucket, key, id, holder."""

Repair = Callable[[ITransaction, Row], Awaitable[None]]

LIMIT = 10_000
"""Rows that one look finds at most."""


@frozen
class Rule:
    """One thing that must hold.

    Attributes:
        says: what is wrong with a row that is found.
        sql: finds at most `?` rows.
        repair: what makes it right, where that can be known; run again and again until nothing is found.
    """

    says: str
    sql: str
    repair: Repair | None = None


# -- repairs ----------------------------------------------------------------------------------------------------------


async def _rebuild_current(tx: ITransaction, row: Row) -> None:
    bucket_id, key = row[0] or 0, row[1] or b""
    await set_current(tx, bucket_id, key, await find_version(tx, bucket_id, key))


async def _refer(tx: ITransaction, row: Row) -> None:
    await tx.write("INSERT INTO blob_references (blob, holder) VALUES (?, ?) ON CONFLICT DO NOTHING", row[2], row[3])


async def _keep_blob(tx: ITransaction, row: Row) -> None:
    await tx.write("UPDATE blobs SET lease_until = NULL, condemned = NULL WHERE id = ?", row[2])


async def _note_acls(tx: ITransaction, row: Row) -> None:
    await tx.write("UPDATE buckets SET object_acls = 1, generation = generation + 1 WHERE id = ?", row[0])


# -- rules ------------------------------------------------------------------------------------------------------------

_LATEST = "NOT EXISTS (SELECT 1 FROM versions w WHERE w.bucket = v.bucket AND w.key = v.key AND w.seq > v.seq)"
_HELD = "(EXISTS (SELECT 1 FROM versions v WHERE v.blob = o.id) OR EXISTS (SELECT 1 FROM parts p WHERE p.blob = o.id))"


def _without_bucket(table: str) -> str:
    key = "NULL" if table == "bucket_documents" else "t.key"
    return (
        f"SELECT t.bucket, {key}, NULL, NULL FROM {table} t"
        " WHERE NOT EXISTS (SELECT 1 FROM buckets k WHERE k.id = t.bucket) LIMIT ?"
    )


RULES: Mapping[str, Rule] = {
    "not listed": Rule(
        "the latest version is not what listings show",
        f"SELECT v.bucket, v.key, NULL, NULL FROM versions v WHERE v.delete_marker = 0 AND {_LATEST}"
        " AND NOT EXISTS (SELECT 1 FROM current c WHERE c.bucket = v.bucket AND c.key = v.key AND c.seq = v.seq"
        " AND c.owner_id = v.owner_id AND c.owner_name = v.owner_name"
        " AND v.created || '|' || v.size || '|' || v.etag || '|' || v.storage_class || COALESCE(' ' || v.checksum, '')"
        " LIKE c.entry || CASE WHEN v.checksum IS NULL THEN '' ELSE ' %' END) LIMIT ?",
        _rebuild_current,
    ),
    "listed": Rule(
        "listings show what is not there",
        "SELECT c.bucket, c.key, NULL, NULL FROM current c WHERE NOT EXISTS (SELECT 1 FROM versions v"
        " WHERE v.bucket = c.bucket AND v.key = c.key AND v.seq = c.seq AND v.delete_marker = 0"
        f" AND {_LATEST}) LIMIT ?",
        _rebuild_current,
    ),
    "reference missing": Rule(
        "a blob could be removed although a version has it",
        "SELECT v.bucket, v.key, v.blob, v.id FROM versions v WHERE v.blob IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM blob_references r WHERE r.blob = v.blob AND r.holder = v.id) LIMIT ?",
        _refer,
    ),
    "part's reference missing": Rule(
        "a blob could be removed although a part has it",
        "SELECT NULL, NULL, p.blob, p.id FROM parts p WHERE p.blob IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM blob_references r WHERE r.blob = p.blob AND r.holder = p.id) LIMIT ?",
        _refer,
    ),
    "given up": Rule(
        "a blob is to be removed although somebody has it",
        "SELECT NULL, NULL, o.id, NULL FROM blobs o WHERE (o.lease_until IS NOT NULL OR o.condemned IS NOT NULL)"
        f" AND {_HELD} LIMIT ?",
        _keep_blob,
    ),
    "reference stray": Rule(
        "a reference to a blob by nobody keeps it for ever",
        "SELECT NULL, NULL, r.blob, r.holder FROM blob_references r"
        " WHERE NOT EXISTS (SELECT 1 FROM versions v WHERE v.blob = r.blob AND v.id = r.holder)"
        " AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.blob = r.blob AND p.id = r.holder) LIMIT ?",
    ),
    "blob forgotten": Rule(
        "nobody has this blob, and the sweeper does not know",
        "SELECT NULL, NULL, o.id, NULL FROM blobs o WHERE o.lease_until IS NULL AND o.condemned IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM blob_references r WHERE r.blob = o.id) LIMIT ?",
    ),
    "body of nobody": Rule(
        "an inline body that nobody has",
        "SELECT NULL, NULL, t.id, NULL FROM (SELECT id FROM bodies EXCEPT SELECT body FROM versions"
        " EXCEPT SELECT body FROM parts) t LIMIT ?",
    ),
    "body of several": Rule(
        "an inline body that several have",
        "SELECT NULL, NULL, t.body, NULL FROM (SELECT body FROM versions WHERE body IS NOT NULL"
        " UNION ALL SELECT body FROM parts WHERE body IS NOT NULL) t GROUP BY t.body HAVING count(*) > 1 LIMIT ?",
    ),
    "parts of nobody": Rule(
        "parts of neither an upload nor a version",
        "SELECT NULL, NULL, t.owner, NULL FROM (SELECT owner FROM parts EXCEPT SELECT id FROM uploads"
        " EXCEPT SELECT id FROM versions WHERE part_count IS NOT NULL) t LIMIT ?",
    ),
    "parts missing": Rule(
        "the parts are not as many, or not as long, as the version says",
        "SELECT v.bucket, v.key, v.id, NULL FROM versions v LEFT JOIN"
        " (SELECT owner, count(*) AS n, sum(size) AS total FROM parts GROUP BY owner) p ON p.owner = v.id"
        " WHERE v.part_count IS NOT NULL AND (p.n IS NULL OR p.n <> v.part_count OR p.total <> v.size) LIMIT ?",
    ),
    "parts out of place": Rule(
        "the parts do not follow one another",
        'SELECT NULL, NULL, t.owner, NULL FROM (SELECT p.owner, p."offset" AS start, sum(p.size) OVER (PARTITION BY'
        " p.owner ORDER BY p.number) - p.size AS due FROM parts p WHERE NOT EXISTS"
        " (SELECT 1 FROM uploads u WHERE u.id = p.owner)) t WHERE t.start <> t.due LIMIT ?",
    ),
    "lists not noted": Rule(
        "objects have owners or lists of their own, and the bucket's owner is let in without a look at them",
        "SELECT k.id, NULL, NULL, NULL FROM buckets k WHERE k.object_acls = 0 AND EXISTS (SELECT 1 FROM versions v"
        " WHERE v.bucket = k.id AND (v.acl IS NOT NULL OR v.owner_id <> k.owner_id) LIMIT 1) LIMIT ?",
        _note_acls,
    ),
    **{
        f"bucket of {table} missing": Rule("its bucket does not exist", _without_bucket(table))
        for table in ("versions", "uploads", "bucket_documents")
    },
}
"""By the name that a finding carries."""
