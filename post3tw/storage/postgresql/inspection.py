"""Looking into a store in PostgreSQL from outside, beside its nodes, without a reactor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from attrs import frozen
from psycopg import RawCursor
from zope.interface import implementer

from post3tw.model.errors import CorruptedData
from post3tw.storage.index.postgresql.statements import joining, statement_of
from post3tw.storage.index.rows import joined_row
from post3tw.storage.index.sqlite.inspection import at_once
from post3tw.storage.interfaces import IBlobInventory, IBlobReader, ITransaction, StoreRefused, Transaction
from post3tw.storage.postgresql.dsn import Dsn, conninfo
from post3tw.storage.postgresql.failures import one_line
from post3tw.storage.postgresql.migrations import schema_scripts

T = TypeVar("T")

_LOCK = "LOCK TABLE buckets, versions, current, uploads, parts, blobs, blob_references IN EXCLUSIVE MODE"
_ISOLATION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


@implementer(ITransaction)
class _Blocking:
    """The `tx` of transactions that run at once on a connection that blocks."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.memo: dict[Hashable, Any] | None = None

    def _execute(self, sql: str, parameters: Sequence[object]) -> RawCursor[Any]:
        statement = statement_of(sql)
        cursor = RawCursor(self._connection)
        cursor.execute(statement.text, parameters)
        if statement.tells:  # nodes see the number that changed, and believe their caches no longer
            RawCursor(self._connection).execute("UPDATE bucket_changes SET number = number + 1")
        return cursor

    async def one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """See ITransaction."""
        row: tuple[Any, ...] | None = self._execute(sql, parameters).fetchone()
        return row

    async def all(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """See ITransaction."""
        return self._execute(sql, parameters).fetchall()

    async def joined(self, sql: str, *parameters: object) -> tuple[bytes, str]:
        """See ITransaction."""
        return joined_row(self._execute(joining(sql), parameters).fetchone())

    async def run(self, sql: str, *parameters: object) -> int:
        """See ITransaction."""
        return self._execute(sql, parameters).rowcount

    async def write(self, sql: str, *parameters: object) -> None:
        """See ITransaction."""
        self._execute(sql, parameters)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See ITransaction."""
        for row in rows:
            self._execute(sql, row)


@frozen
class DatabaseInspection:
    """A database, as long as `inspected_database` holds it."""

    connection: psycopg.Connection[Any]

    def read(self, transaction: Transaction[T]) -> T:
        """The result of a reading transaction, which sees one state."""
        with self.connection.transaction():
            self.connection.execute(_ISOLATION)
            return at_once(transaction(_Blocking(self.connection)))

    def change(self, transaction: Transaction[T]) -> T:
        """The result of a writing transaction, committed. Nobody else writes meanwhile; they wait."""
        with self.connection.transaction():
            self.connection.execute(_LOCK)
            return at_once(transaction(_Blocking(self.connection)))


@contextmanager
def inspected_database(text: str) -> Iterator[DatabaseInspection]:
    """A database that nodes may be working on.

    Args:
        text: its DSN.

    Raises:
        StoreRefused: it cannot be reached, or has another schema than this release works with.
    """
    dsn = Dsn.parse(text)
    try:
        with psycopg.connect(conninfo(dsn.parameters), autocommit=True) as connection:
            _require_known_schema(connection, dsn)
            yield DatabaseInspection(connection)
    except psycopg.Error as error:
        raise StoreRefused(f"the database {dsn.place} cannot be used: {one_line(error)}") from error


def _require_known_schema(connection: psycopg.Connection[Any], dsn: Dsn) -> None:
    row = connection.execute("SELECT value FROM store WHERE name = 'schema_version'").fetchone()
    version, known = (row or ("no number",))[0], max(schema_scripts())
    if version != str(known):
        raise StoreRefused(f"the database {dsn.place} has schema {version}; this release works with schema {known}")


# -- blobs ------------------------------------------------------------------------------------------------------------


@implementer(IBlobInventory)
@frozen
class InspectedBlobs:
    """The blobs of a database, as far as reading goes."""

    connection: psycopg.Connection[Any]

    async def open(self, blob_id: bytes) -> _Reader:
        """Open for reading; CorruptedData when the blob is not there."""
        sql = "SELECT size, block_size FROM stored_blobs WHERE id = %s AND size IS NOT NULL AND NOT doomed"
        row = self.connection.execute(sql, (blob_id,)).fetchone()
        if row is None:
            raise CorruptedData(blob=blob_id.hex())
        return _Reader(self.connection, blob_id, *row)

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """See IBlobInventory."""
        sql = "SELECT id FROM stored_blobs WHERE size IS NOT NULL AND NOT doomed AND id > %s ORDER BY id LIMIT 1000"
        last = b""
        while rows := self.connection.execute(sql, (last,)).fetchall():
            last = rows[-1][0]
            yield [blob_id for (blob_id,) in rows]

    async def blob_ids(self) -> list[bytes]:
        """See IBlobInventory."""
        return [blob_id async for batch in self.batches() for blob_id in batch]


@implementer(IBlobReader)
@frozen
class _Reader:
    """A blob being read."""

    _connection: psycopg.Connection[Any]
    _blob_id: bytes
    _size: int
    _block_size: int

    async def read(self, offset: int, length: int) -> bytes:
        """See IBlobReader."""
        first, last = offset // self._block_size, (offset + length - 1) // self._block_size
        sql = "SELECT data FROM blocks WHERE blob = %s AND number BETWEEN %s AND %s ORDER BY number"
        rows = self._connection.execute(sql, (self._blob_id, first, last), binary=True).fetchall()
        data = b"".join(block for (block,) in rows)[offset - first * self._block_size :][:length]
        if len(rows) != last - first + 1 or len(data) != length or offset + length > self._size:
            raise CorruptedData(blob=self._blob_id.hex())
        return data

    def close(self) -> None:
        """See IBlobReader."""
