"""A store of blobs in PostgreSQL, for its tests."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.storage.blobs import postgresql_reading
from post3tw.storage.blobs.postgresql import BLOCK_SIZE, PostgresBlobs
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.pool import Pool
from post3tw.testing.blob_fixture import BlobStoreFixture
from post3tw.testing.postgresql import database_of, shared_cluster
from tests.storage.postgresql.databases import empty_database


class PostgresBlobsCase(TestCase):
    """A database with tables, and stores in it."""

    block_size = BLOCK_SIZE
    pool_size = 3

    def setUp(self) -> None:
        """An empty database with the schema, and a machine that is never too busy to read ahead."""
        self.patch(postgresql_reading, "_PAUSE", 60.0)
        self.dsn = empty_database(self)

    def make_store(self, *, durable: bool = True) -> PostgresBlobs:
        """Blobs in the database."""
        from twisted.internet import reactor

        return PostgresBlobs(Pool(reactor, Dsn.parse(self.dsn), self.pool_size), self.block_size, durable)


class SmallBlocksCase(PostgresBlobsCase, BlobStoreFixture):
    """Stores with blocks of 1000 bytes, of which one comes with opening a blob, and a look behind them."""

    block_size = 1000
    small = 1000

    def setUp(self) -> None:
        """See `small`."""
        super().setUp()
        self.patch(postgresql_reading, "_SMALL", self.small)

    async def store(self, **arguments: Any) -> PostgresBlobs:
        """A started store, stopped with the test."""
        store = self.make_store(**arguments)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.stop()))
        await store.start()
        return store

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return shared_cluster().query(sql, *parameters, database=database_of(self.dsn))

    def blocks(self) -> list[tuple[int, int]]:
        """Number and size of every block there is."""
        return self.query("SELECT number, length(data) FROM blocks ORDER BY blob, number")
