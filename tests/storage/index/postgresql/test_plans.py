"""What statements cost in PostgreSQL: pages that are looked at, when plans were made while there was nothing yet.

A plan is kept for a while. So every statement here is planned in an empty database, then the database is filled, and
what counts is what the statement touches then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql as compose
from zope.interface import implementer

from post3tw.model.version import Placement
from post3tw.storage.index.postgresql.index import WALKS
from post3tw.storage.index.postgresql.pipeline import PLANS_KEPT, pipeline_on
from post3tw.storage.index.postgresql.statements import joining, request, statement_of
from post3tw.storage.index.rows import joined_row
from post3tw.storage.index.transactions.blobs import condemn
from post3tw.storage.index.transactions.buckets import delete_bucket, find_bucket, list_buckets
from post3tw.storage.index.transactions.listing import (
    OBJECTS,
    UPLOADS,
    VERSIONS,
    Names,
    Position,
    joined_objects,
    walk,
)
from post3tw.storage.index.transactions.multipart import stale_uploads
from post3tw.storage.index.transactions.objects import put_version
from post3tw.storage.index.transactions.parts import list_parts
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import ITransaction
from post3tw.storage.postgresql.connection import Connection
from post3tw.testing.index_fixture import NOW, object_id, version
from tests.storage.index.memory import now
from tests.storage.index.postgresql.case import ANY, PostgresCase, PostgresFixture

_BUCKET = (
    "INSERT INTO buckets (id, tenant, name, owner_id, owner_name, created, region)"
    " VALUES (1, '', 'bucket-1', 'ada', 'Ada', 0, '')"
)
_FILL = (
    "INSERT INTO buckets (id, tenant, name, owner_id, owner_name, created, region)"
    " SELECT n, '', 'bucket-' || n, 'ada', 'Ada', 0, '' FROM generate_series(2, 2000) n",
    "INSERT INTO current SELECT 1, convert_to(n / 600 || '/key-' || n, 'UTF8'), 1, '0|0||', 'ada', 'Ada'"
    " FROM generate_series(1, 6000) n",
    "INSERT INTO versions (bucket, key, seq, id, is_null, delete_marker, created, size, etag, owner_id, owner_name,"
    " blob) SELECT 1, key, 1, key, 1, 0, 0, 0, '', '', '', sha256(key) FROM current",
    "INSERT INTO versions (bucket, key, seq, id, is_null, delete_marker, created, size, etag, owner_id, owner_name)"
    " SELECT 1, 'hot', n, 'v', 0, 0, 0, 0, '', '', '' FROM generate_series(1, 2000) n",
    "INSERT INTO blobs SELECT sha256(key), 1, 'c', 0, NULL, NULL FROM current",
    "INSERT INTO blob_references SELECT sha256(key), key FROM current",
    "INSERT INTO blobs SELECT sha256(convert_to(n || 'free', 'UTF8')), 1, 'c', 0, 0, NULL"
    " FROM generate_series(1, 50) n",
    "INSERT INTO uploads (id, bucket, key, created, owner_id, owner_name, initiator_id, initiator_name, storage_class)"
    " SELECT sha256(key), 1, key, 0, '', '', '', '', '' FROM current",
    "INSERT INTO parts (owner, number, id, size, etag, created, blob)"
    " SELECT sha256(key), n, key, 1, '', 0, sha256(key) FROM current, generate_series(1, 3) n",
)


@implementer(ITransaction)
class CountingTransaction:
    """Runs statements and counts the pages that they look at."""

    memo = None

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.pages = 0
        self.plans: list[str] = []
        self._names: dict[str, str] = {}

    async def all(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """See ITransaction."""
        statement = statement_of(sql)
        name = self._names.get(sql)
        if name is None:
            name = self._names[sql] = statement.name.decode()
            self.connection.execute(f"PREPARE {name} AS {statement.text.decode()}".encode())
        values = compose.SQL(", ").join(map(compose.Literal, parameters))
        execute = compose.SQL("EXECUTE {} ({})").format(compose.Identifier(name), values)
        self.connection.execute("SAVEPOINT counted")
        explain = compose.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ") + execute
        [(found,)] = self.connection.execute(explain).fetchall()
        self.connection.execute("ROLLBACK TO SAVEPOINT counted")
        plan = found[0]["Plan"]
        self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        self.plans.append(f"{sql}\n{plan}")
        cursor = self.connection.execute(execute)
        return cursor.fetchall() if cursor.description else [()] * cursor.rowcount

    async def one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """See ITransaction."""
        rows = await self.all(sql, *parameters)
        return rows[0] if rows else None

    async def joined(self, sql: str, *parameters: object) -> tuple[bytes, str]:
        """See ITransaction."""
        [row] = await self.all(joining(sql), *parameters)
        return joined_row(row)

    async def run(self, sql: str, *parameters: object) -> int:
        """See ITransaction."""
        return len(await self.all(sql, *parameters))

    async def write(self, sql: str, *parameters: object) -> None:
        """See ITransaction."""
        await self.all(sql, *parameters)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See ITransaction."""
        for row in rows:
            await self.all(sql, *row)


def _put(key: bytes) -> Callable[[ITransaction], Awaitable[Any]]:
    made = version(1, Placement(1, object_id(1), crcs=b"c"))
    return partial(put_version, bucket_id=1, key=key, version=made, data=b"x", conditions=ANY, now=NOW)


def _page(relation: Any, names: Names, position: Position) -> Callable[[ITransaction], Awaitable[Any]]:
    return partial(walk, relation=relation, bucket_id=1, names=names, position=position, room=10)


_MIDDLE = Position(b"5/key-3300")

_COSTS: dict[str, tuple[Callable[[ITransaction], Awaitable[Any]], int]] = {
    "find a bucket": (partial(find_bucket, tenant="", name="bucket-77"), 10),
    "list buckets": (
        partial(list_buckets, tenant="", owner_id="ada", prefix="bucket-1", after="bucket-12", limit=10),
        40,
    ),
    "put a new key": (_put(b"new"), 60),
    "overwrite a key": (_put(b"5/key-3300"), 90),
    "put a version of a key that has many": (_put(b"hot"), 60),
    "get": (partial(require_object, bucket_id=1, key=b"5/key-3300", with_body=True), 20),
    "get of a key that has many versions": (partial(require_object, bucket_id=1, key=b"hot"), 20),
    "list objects plainly": (
        partial(joined_objects, bucket_id=1, key=b"5/key-3300", end=b"\xff", limit=10),
        30,
    ),
    "list objects": (_page(OBJECTS, Names(b"5/"), _MIDDLE), 30),
    "list groups": (_page(OBJECTS, Names(b"", b"/"), Position()), 60),
    "list versions": (_page(VERSIONS, Names(), _MIDDLE), 30),
    "list groups of versions": (_page(VERSIONS, Names(b"", b"/"), Position()), 60),
    "list versions of a key that has many": (_page(VERSIONS, Names(), Position(b"hot", 1500)), 60),
    "list uploads": (_page(UPLOADS, Names(), _MIDDLE), 40),
    "list parts": (partial(list_parts, owner=b"none"), 10),
    "find stale uploads": (partial(stale_uploads, before=1, limit=10), 60),
    "refuse to delete a bucket": (partial(delete_bucket, bucket_id=1, now=NOW), 20),
    "condemn": (partial(condemn, now=1, limit=10), 700),
}
"""Transactions, and the pages that they may look at."""


class PlansTests(PostgresFixture):
    """Costs do not follow the size of what is there."""

    def cost(self, tx: CountingTransaction, transaction: Callable[[ITransaction], Awaitable[Any]]) -> int:
        """The pages that a transaction looks at; it is undone."""
        tx.pages = 0
        tx.plans.clear()
        tx.connection.execute("BEGIN")
        try:
            now(transaction(tx))
        except Exception as refused:
            self.assertIn(type(refused).__name__, {"NoSuchKey", "BucketNotEmpty", "NoSuchBucket"})
        finally:
            tx.connection.execute("ROLLBACK")
        return tx.pages

    def check(self, before: str, after: str) -> None:
        """Plan everything in an empty database, fill it, and compare the costs."""
        with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None) as connection:
            for name, value in WALKS.items():
                connection.execute(f"SET {name} = {value}".encode())
            tx = CountingTransaction(connection)
            connection.execute(_BUCKET)
            connection.execute(before.encode())
            for transaction, _ in _COSTS.values():
                self.cost(tx, transaction)
            with psycopg.connect(self.dsn, autocommit=True) as other:
                for statement in _FILL:
                    other.execute(statement)
            connection.execute(after.encode())
            for name, (transaction, most) in _COSTS.items():
                pages = self.cost(tx, transaction)
                self.assertLessEqual(pages, most, f"{name}: {pages} pages\n" + "\n".join(tx.plans))

    def test_costs(self) -> None:
        """Each transaction stays within its pages, with plans from before there was anything."""
        self.check("SELECT 1", "SELECT 1")

    def test_costs_after_analyze(self) -> None:
        """So does each when the database knew that there was nothing, from when the plans are made anew."""
        self.check("ANALYZE", "DISCARD PLANS")


class KeptPlansTests(PostgresCase):
    """Plans on the connections of the index."""

    async def test_plans_are_made_anew(self) -> None:
        """A connection plans its statements again after a while, outside of transactions."""
        seconds = 0.0

        async def scan(connection: Connection) -> bool:
            pipeline = pipeline_on(connection)
            if pipeline.seconds is monotonic:
                pipeline.seconds = lambda: seconds
                pipeline._plan_until = PLANS_KEPT
            question = request("SELECT name FROM buckets WHERE id = ?", (1,))
            await pipeline.exchange([question])
            explain = f"EXPLAIN EXECUTE {question.statement.name.decode()} (1)"
            return "Index" in (await pipeline.exchange([request(explain)]))[0].rows()[0][0]

        pool = (await self.started()).pools[1]
        found = [await pool.run(scan)]
        [connection] = pool._idle
        await pipeline_on(connection).exchange(
            [request("SET enable_indexscan = off"), request("SET enable_seqscan = on")]
        )
        found.append(await pool.run(scan))
        seconds = PLANS_KEPT
        found.append(await pool.run(scan))
        self.assertEqual(found, [True, True, False])
