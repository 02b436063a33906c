"""Tests of post3tw.storage.blobs.postgresql, on a real PostgreSQL."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import psycopg
from twisted.trial.unittest import TestCase

from post3tw.storage.blobs.postgresql import PostgresBlobs
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.pool import Pool
from post3tw.testing.blob_contract import BlobStoreContract
from post3tw.testing.blob_fixture import MIB
from post3tw.testing.postgresql import database_of, new_database, shared_cluster


@cache
def template() -> str:
    """The name of a database with the schema and nothing else."""
    dsn = shared_cluster().create_database()
    schema = files("post3tw.storage.index").joinpath("schema")
    for script in sorted(entry.name for entry in schema.iterdir() if entry.name.startswith("postgres_")):
        with psycopg.connect(dsn) as connection:
            connection.execute(schema.joinpath(script).read_bytes())
    return database_of(dsn)


class PostgresBlobsCase(TestCase):
    """A database with tables, and stores in it."""

    block_size = MIB
    pool_size = 3

    def setUp(self) -> None:
        """An empty database with the schema."""
        self.dsn = new_database(self, template())

    def make_store(self, *, durable: bool = True) -> PostgresBlobs:
        """Blobs in the database."""
        from twisted.internet import reactor

        return PostgresBlobs(Pool(reactor, Dsn.parse(self.dsn), self.pool_size), self.block_size, durable)


class PostgresBlobsTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, with blocks as large as they are by default."""


class SmallBlocksTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, with blocks that are smaller than what is written and read, and fit no power of two."""

    block_size = 100_003


class OneConnectionTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, when everybody waits for one connection."""

    block_size = 64 * 1024
    pool_size = 1
