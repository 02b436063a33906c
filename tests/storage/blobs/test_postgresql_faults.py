"""Blobs in PostgreSQL: connections, durability, and what happens when the database fails."""

from __future__ import annotations

import random
from typing import Any

import psycopg
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from post3tw.model.errors import ServiceUnavailable, StorageFailed
from post3tw.storage.blobs.postgresql import PostgresBlobs
from post3tw.storage.postgresql.connection import Connection
from post3tw.testing.blob_fixture import ONE, TWO, noise
from post3tw.testing.postgresql import Cluster, database_of, shared_cluster
from tests.storage.blobs.postgresql_case import SmallBlocksCase
from tests.storage.postgresql.databases import make_schema
from tests.storage.postgresql.test_connection import turn


class ConnectionsTests(SmallBlocksCase):
    """What is held of the database, and what is lost with it."""

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
        while not shared_cluster().terminate_backends(self.dsn, "%COPY blocks%"):
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
            make_schema(self.dsn)
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


class CancellationTests(SmallBlocksCase):
    """Clients that go away."""

    async def test_anywhere(self) -> None:
        """Whenever uploads and downloads are cancelled, what was finished is whole, the rest is gone, and no connection
        is lost to the others."""
        store, chance = await self.store(), random.Random(7)
        data = noise(7500)
        await self.put(store, ONE, data)
        for n in range(40):
            blob_id = n.to_bytes(16, "big")
            calls: list[Deferred[Any]] = [Deferred.fromCoroutine(self.upload(store, blob_id, data))]
            calls += [Deferred.fromCoroutine(self.get(store, ONE, 1000, 1000 * block)) for block in range(3)]
            enough = chance.randrange(300) if n % 8 else 1_000_000
            while enough and not all(call.called for call in calls):
                enough -= 1
                await turn()
            for call in calls:
                await self.cancel(call)
        while store.pool.in_use:
            await turn()
        finished = await store.blob_ids()
        self.assertGreaterEqual(len(finished), 6)
        for blob_id in finished:
            self.assertTrue(await self.get(store, blob_id, 7500) == data)
        self.assertEqual(len(self.blocks()), 8 * len(finished))
        self.assertEqual(self.query("SELECT count(*) FROM stored_blobs"), [(len(finished),)])
        self.assertLessEqual(store.pool.open, self.pool_size)
        self.assertEqual(store.pool.lost, 0)

    async def upload(self, store: PostgresBlobs, blob_id: bytes, data: bytes) -> None:
        """Write a blob as the service does, which abandons it when it is cancelled."""
        writer = await store.create(blob_id)
        try:
            for start in range(0, len(data), 1000):
                await writer.write(data[start : start + 1000])
            await writer.finish()
        except BaseException:
            await writer.abandon()
            raise


class DurabilityTests(SmallBlocksCase):
    """What a crash may take, and what it may not."""

    async def test_durable_at_the_end(self) -> None:
        """Blocks do not wait for the disk and the standbys, the end of a blob does, unless durability is relaxed."""
        with Cluster() as cluster:
            self.dsn = cluster.create_database()
            make_schema(self.dsn)
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

    async def test_crash_while_writing(self) -> None:
        """A blob is not finished when the database crashed and lost what it had not made durable yet, although the
        writer goes on through new connections; written again, it is."""
        with Cluster(
            settings={"wal_writer_delay": "10s", "wal_writer_flush_after": "0", "autovacuum": "off"}
        ) as cluster:
            self.dsn = cluster.create_database()
            make_schema(self.dsn)
            store = await self.store()
            writer = await store.create(ONE)
            cluster.query("CHECKPOINT")
            await writer.write(noise(2000))
            cluster.restart("immediate")
            while store.pool.lost < store.pool.opened:
                await turn()
            await writer.write(noise(1000))
            if cluster.query("SELECT count(*) FROM blocks", database=database_of(self.dsn)) != [(1,)]:
                raise SkipTest("the server had written its log in that moment already")
            with self.assertRaises(ServiceUnavailable):
                await writer.finish()
            await writer.abandon()
            await self.assert_absent(store, ONE)
            await self.put(store, ONE, noise(3000))
            self.assertEqual(await self.get(store, ONE, 3000), noise(3000))
            await store.stop()

    async def test_hole(self) -> None:
        """A blob that lost a block before it was finished is not."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(1500))
        await writer.write(noise(2000))
        self.query("DELETE FROM block_batches WHERE first = 1")
        with self.assertRaises(ServiceUnavailable):
            await writer.finish()
        await self.assert_absent(store, ONE)

    async def impatient(self, connection: Connection) -> None:
        """Make the connection that the pool has already as impatient as the next ones."""
        connection.answer_timeout = 0.2
