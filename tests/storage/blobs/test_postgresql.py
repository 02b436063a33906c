"""Tests of post3tw.storage.blobs.postgresql, on a real PostgreSQL."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import BlobGone, CorruptedData, ServiceUnavailable, StorageFailed
from post3tw.storage.blobs import postgresql
from post3tw.storage.blobs.postgresql import PostgresBlobs
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.pool import Pool
from post3tw.testing.blob_contract import BlobStoreContract
from post3tw.testing.blob_fixture import MIB, ONE, TWO, BlobStoreFixture, noise
from post3tw.testing.postgresql import Cluster, database_of, new_database, shared_cluster
from tests.storage.postgresql.test_connection import turn


def make_tables(dsn: str) -> None:
    """Make the tables in an empty database."""
    schema = files("post3tw.storage.index").joinpath("schema")
    for script in sorted(entry.name for entry in schema.iterdir() if entry.name.startswith("postgres_")):
        with psycopg.connect(dsn) as connection:
            connection.execute(schema.joinpath(script).read_bytes())


@cache
def template() -> str:
    """The name of a database with the schema and nothing else."""
    dsn = shared_cluster().create_database()
    make_tables(dsn)
    return database_of(dsn)


class PostgresBlobsCase(TestCase):
    """A database with tables, and stores in it."""

    block_size = MIB
    pool_size = 3

    def setUp(self) -> None:
        """An empty database with the schema, and a machine that is never too busy to read ahead."""
        self.patch(postgresql, "_PAUSE", 60.0)
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


class InTheDatabaseTests(PostgresBlobsCase, BlobStoreFixture):
    """What PostgresBlobs does in the database, and what it does when the database fails."""

    block_size = 1000

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

    # -- blocks --------------------------------------------------------------------------------------------------------

    async def test_blocks(self) -> None:
        """However it is written, a blob has full blocks and a rest."""
        store = await self.store()
        data = noise(3500)
        await self.put(store, ONE, data[:1], data[1:999], data[999:1000], data[1000:2000], data[2000:])
        self.assertEqual(self.blocks(), [(0, 1000), (1, 1000), (2, 1000), (3, 500)])
        self.assertEqual(await self.get(store, ONE, 3500), data)

    async def test_written_as_they_come(self) -> None:
        """A block is with the database when the write that filled it returns; only the rest waits in memory."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(2500))
        self.assertEqual(self.blocks(), [(0, 1000), (1, 1000)])
        await writer.abandon()
        self.assertEqual(self.blocks(), [])

    async def test_not_compressed(self) -> None:
        """Blocks are stored as they are, so that a piece can be read without the rest."""
        self.block_size = MIB
        store = await self.store()
        await self.put(store, ONE, bytes(MIB))
        ((stored,),) = self.query("SELECT pg_column_size(data) FROM blocks")
        self.assertEqual(stored, MIB)

    async def test_only_the_blocks_needed(self) -> None:
        """A range needs no block but those it lies in."""
        store = await self.store()
        data = noise(5000)
        await self.put(store, ONE, data)
        self.query("DELETE FROM blocks WHERE number NOT IN (2, 3)")
        for offset, length in ((2000, 1000), (2999, 1), (2100, 50), (2500, 1000), (2000, 2000)):
            self.assertEqual(await self.get(store, ONE, length, offset), data[offset : offset + length])

    async def test_each_blob_has_its_block_size(self) -> None:
        """Another block size later does not change how older blobs are read."""
        store = await self.store()
        data = noise(5000)
        await self.put(store, ONE, data)
        self.block_size = 300
        store = await self.store()
        await self.put(store, TWO, data)
        for blob_id in (ONE, TWO):
            self.assertEqual(await self.get(store, blob_id, 2345, 1001), data[1001:3346])

    async def test_missing_block(self) -> None:
        """A blob with a hole, or a block that is too short, is corrupted, and what is whole of it can be read."""
        store = await self.store()
        data = noise(4000)
        await self.put(store, ONE, data)
        self.query("DELETE FROM blocks WHERE number = 1")
        self.query("UPDATE blocks SET data = substring(data FROM 1 FOR 999) WHERE number = 2")
        for offset, length in (
            (1000, 1000),
            (1500, 10),
            (500, 1000),
            (0, 4000),
            (2000, 1000),
            (2990, 10),
            (2500, 1000),
        ):
            with self.assertRaises(CorruptedData):
                await self.get(store, ONE, length, offset)
        self.assertEqual(await self.get(store, ONE, 1000, 3000), data[3000:])

    # -- deleting ------------------------------------------------------------------------------------------------------

    async def test_delete_many_blocks(self) -> None:
        """A blob of more blocks than one statement deletes goes whole."""
        self.block_size = 10
        store = await self.store()
        await self.put(store, ONE, noise(3000))
        await self.put(store, TWO, noise(20))
        await store.delete([ONE])
        self.assertEqual(self.blocks(), [(0, 10), (1, 10)])
        self.assertEqual(self.query("SELECT id FROM stored_blobs"), [(TWO,)])

    async def test_deleted_while_written(self) -> None:
        """A blob that is deleted under its writer is never finished, and leaves nothing."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(1000))
        await store.delete([ONE])
        with self.assertRaises(BlobGone):
            await writer.write(noise(1000))
        await writer.abandon()
        writer = await store.create(TWO)
        await store.delete([TWO])
        with self.assertRaises(BlobGone):
            await writer.finish()
        self.assertEqual((self.blocks(), self.query("SELECT * FROM stored_blobs")), ([], []))

    async def test_block_during_delete(self) -> None:
        """A block that is being written while its blob is deleted is deleted as well."""
        store = await self.store()
        await store.create(ONE)
        writing = psycopg.connect(self.dsn)
        self.addCleanup(writing.close)
        writing.execute("INSERT INTO blocks VALUES (%s, 0, 'late')", (ONE,))
        deleting = Deferred.fromCoroutine(store.delete([ONE]))
        while not self.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%%'"):
            await turn()
        writing.commit()
        await deleting
        self.assertEqual((self.blocks(), self.query("SELECT * FROM stored_blobs")), ([], []))

    async def test_delete_again_after_a_crash(self) -> None:
        """A delete that was interrupted is completed by the next one; nobody sees the blob in between."""
        store = await self.store()
        await self.put(store, ONE, noise(3000))
        self.query("UPDATE stored_blobs SET doomed = TRUE")
        self.query("DELETE FROM blocks WHERE number = 1")
        await self.assert_absent(store, ONE)
        await store.delete([ONE])
        self.assertEqual((self.blocks(), self.query("SELECT * FROM stored_blobs")), ([], []))

    # -- connections ---------------------------------------------------------------------------------------------------

    async def test_nothing_is_held(self) -> None:
        """Between two blocks neither a writer nor a reader has a connection or a transaction."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(2500))
        self.assert_idle(store)
        await writer.finish()
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        await reader.read(0, 1000)
        self.assert_idle(store)

    def assert_idle(self, store: PostgresBlobs) -> None:
        """No connection is in use, and the server agrees."""
        self.assertEqual(store.pool.in_use, 0)
        self.assertEqual({state for state, _ in shared_cluster().connections(self.dsn)}, {"idle"})

    async def test_connection_lost(self) -> None:
        """A writer that lost its connection is told to try again later, takes nothing more, and leaves nothing."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(1000))
        blocker = psycopg.connect(self.dsn)
        self.addCleanup(blocker.close)
        blocker.execute("LOCK TABLE blocks")
        writing = Deferred.fromCoroutine(writer.write(noise(1000)))
        while not shared_cluster().terminate_backends(self.dsn, "INSERT INTO blocks%"):
            await turn()
        with self.assertRaises(ServiceUnavailable):
            await writing
        blocker.rollback()
        with self.assertRaises(StorageFailed):
            await writer.finish()
        await writer.abandon()
        self.assertEqual((self.blocks(), self.query("SELECT * FROM stored_blobs")), ([], []))

    async def test_database_gone(self) -> None:
        """When the database is gone, everything says so, and abandoning still raises nothing."""
        with Cluster() as cluster:
            self.dsn = cluster.create_database()
            make_tables(self.dsn)
            store = await self.store()
            await self.put(store, TWO, noise(3000))
            writer, reader = await store.create(ONE), await store.open(TWO)
            await writer.write(noise(1000))
            cluster.stop("immediate")
            for call in (writer.write(noise(1000)), reader.read(0, 1000), store.open(TWO), store.create(bytes(16))):
                with self.assertRaises(ServiceUnavailable):
                    await call
            await writer.abandon()
            cluster.start()
            self.assertEqual(await reader.read(0, 3000), noise(3000))
            reader.close()
            await store.stop()

    # -- durability ----------------------------------------------------------------------------------------------------

    async def test_durable_at_the_end(self) -> None:
        """Blocks do not wait for the disk and the standbys, the end of a blob does, unless durability is relaxed."""
        with Cluster() as cluster:
            self.dsn = cluster.create_database()
            make_tables(self.dsn)
            cluster.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            cluster.query("SELECT pg_reload_conf()")
            while cluster.query("SHOW synchronous_standby_names") != [("nobody",)]:
                await turn()
            await self.put(await self.store(durable=False), ONE, noise(2500))
            store = await self.store()
            writer = await store.create(TWO)
            await writer.write(noise(2500))
            store.pool.answer_timeout = 0.2
            await store.pool.run(self.impatient)
            with self.assertRaises(ServiceUnavailable):
                await writer.finish()

    async def impatient(self, connection: Connection) -> None:
        """Make the connection that the pool has already as impatient as the next ones."""
        connection.answer_timeout = 0.2

    # -- reading ahead -------------------------------------------------------------------------------------------------

    async def test_read_ahead(self) -> None:
        """Reads that follow each other find their bytes already there, and get the right ones."""
        store, sizes = await self.store(), [1000] * 20 + [500]
        data = noise(sum(sizes))
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        ahead, read = [], b""
        for size in sizes:
            read += await reader.read(len(read), size)
            ahead.append(store.ahead)
        self.assertTrue(read == data)
        self.assertEqual(ahead, [0, 1, 1] + [2] * 16 + [1, 0])
        reader.close()

    async def test_no_read_ahead_of_pieces(self) -> None:
        """Reads here and there are not taken for a sequence."""
        store = await self.store()
        await self.put(store, ONE, noise(20_000))
        reader = await store.open(ONE)
        for offset in (5000, 3000, 9000, 9500, 0, 19_000):
            await reader.read(offset, 400)
            self.assertEqual(store.ahead, 0)
        reader.close()

    async def test_no_read_ahead_for_slow_clients(self) -> None:
        """Who comes back late for more gets what was read ahead, and then no more is."""
        store = await self.store()
        data = noise(20_000)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        for offset in range(0, 6000, 1000):
            await reader.read(offset, 1000)
        self.patch(postgresql, "_PAUSE", -1.0)
        ahead, read = [store.ahead], b""
        for offset in range(6000, 10_000, 1000):
            read += await reader.read(offset, 1000)
            ahead.append(store.ahead)
        self.assertEqual(ahead, [2, 1, 0, 0, 0])
        self.assertTrue(read == data[6000:10_000])
        reader.close()

    async def test_change_of_mind(self) -> None:
        """What was read ahead in vain is dropped when the reader turns elsewhere, or closes."""
        store = await self.store()
        data = noise(20_000)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        for offset in range(0, 6000, 1000):
            await reader.read(offset, 1000)
        self.assertEqual(store.ahead, 2)
        self.assertEqual(await reader.read(6500, 1000), data[6500:7500])
        self.assertEqual(store.ahead, 0)
        for offset in range(7500, 13_500, 1000):
            self.assertEqual(await reader.read(offset, 1000), data[offset : offset + 1000])
        self.assertEqual(store.ahead, 2)
        reader.close()
        self.assertEqual(store.ahead, 0)
        self.assertEqual(await self.get(store, ONE, 20_000), data)

    async def test_bounded_read_ahead(self) -> None:
        """However many readers there are, no more is read ahead than the store allows."""
        store = await self.store()
        await self.put(store, ONE, noise(10_000))
        readers = [await store.open(ONE) for _ in range(50)]
        most = 0
        for offset in range(0, 6000, 1000):
            for reader in readers:
                await reader.read(offset, 1000)
                most = max(most, store.ahead)
        self.assertEqual(most, 32)
        for reader in readers:
            reader.close()
        self.assertEqual(store.ahead, 0)

    async def test_failure_ahead(self) -> None:
        """A range that could not be read ahead fails when it is asked for, and disturbs nobody before."""
        store = await self.store()
        data = noise(8000)
        await self.put(store, ONE, data)
        self.query("DELETE FROM blocks WHERE number = 5")
        reader = await store.open(ONE)
        for offset in range(0, 5000, 1000):
            self.assertEqual(await reader.read(offset, 1000), data[offset : offset + 1000])
        with self.assertRaises(CorruptedData):
            await reader.read(5000, 1000)
        reader.close()
