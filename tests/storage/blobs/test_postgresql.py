"""Blobs in PostgreSQL: the contract, and what is in the database."""

from __future__ import annotations

import psycopg
from twisted.internet.defer import Deferred

from post3tw.model.errors import CorruptedData, ServiceUnavailable
from post3tw.storage.blobs.postgresql import BLOCK_SIZE
from post3tw.testing.blob_contract import BlobStoreContract
from post3tw.testing.blob_fixture import MIB, ONE, TWO, noise
from tests.storage.blobs.postgresql_case import PostgresBlobsCase, SmallBlocksCase
from tests.storage.postgresql.test_connection import turn


class PostgresBlobsTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, with blocks as large as they are by default."""


class SmallBlocksTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, with blocks that are smaller than what is written and read, and fit no power of two."""

    block_size = 100_003


class OneConnectionTests(PostgresBlobsCase, BlobStoreContract):
    """The contract, when everybody waits for one connection."""

    block_size = 64 * 1024
    pool_size = 1


class BlocksTests(SmallBlocksCase):
    """What is in the database."""

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

    async def test_in_their_pages(self) -> None:
        """A row of the size that is the default fills a page, with nothing of it elsewhere."""
        self.block_size = BLOCK_SIZE
        store = await self.store()
        await self.put(store, ONE, noise(MIB + 1), noise(MIB))
        ((pages, elsewhere),) = self.query(
            "SELECT pg_relation_size(oid) / 8192, pg_relation_size(reltoastrelid) FROM pg_class"
            " WHERE relname = 'blocks'"
        )
        self.assertEqual(len(self.blocks()), -(-(2 * MIB + 1) // BLOCK_SIZE))
        self.assertLess(pages, len(self.blocks()) + 5)
        self.assertEqual(elsewhere, 0)

    async def test_written_together(self) -> None:
        """What is written at a time comes in one transaction, if it is not very much."""
        store = await self.store()
        writer = await store.create(ONE)
        for size in (500, 2500, 10, 3_000_000):
            await writer.write(noise(size))
        self.assertEqual(
            self.query("SELECT first, blocks FROM block_batches ORDER BY first"), [(0, 3), (3, 2097), (2100, 903)]
        )
        await writer.finish()
        self.assertEqual(await self.get(store, ONE, 10, 3000), noise(10))

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

    async def test_small_ones_come_with_opening(self) -> None:
        """A small blob, of one block or more, costs one round trip; any other waits until something of it is read."""
        self.block_size = 300
        store = await self.store()
        for size, kept in ((0, True), (1, True), (300, True), (1000, True), (1001, False)):
            blob_id, data = size.to_bytes(16, "big"), noise(size)
            await self.put(store, blob_id, data)
            reader = await store.open(blob_id)
            self.query("DELETE FROM blocks WHERE blob = %s", blob_id)
            if kept:
                self.assertEqual(await reader.read(0, size), data)
                self.assertEqual(await reader.read(size // 2, size - size // 2), data[size // 2 :])
            else:
                with self.assertRaises(CorruptedData):
                    await reader.read(0, size)
            reader.close()

    async def test_missing_only_block(self) -> None:
        """A blob whose one block is not there, or too short, is corrupted."""
        store = await self.store()
        for blob_id in (ONE, TWO):
            await self.put(store, blob_id, noise(500))
        self.query("DELETE FROM blocks WHERE blob = %s", ONE)
        self.query("UPDATE blocks SET data = 'short' WHERE blob = %s", TWO)
        for blob_id in (ONE, TWO):
            with self.assertRaises(CorruptedData):
                await self.get(store, blob_id, 500)

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


class DeletingTests(SmallBlocksCase):
    """How a blob goes, also under a writer."""

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
        with self.assertRaises(ServiceUnavailable):
            await writer.write(noise(1000))
        await writer.abandon()
        writer = await store.create(TWO)
        await store.delete([TWO])
        with self.assertRaises(ServiceUnavailable):
            await writer.finish()
        self.assertEqual((self.blocks(), self.query("SELECT * FROM stored_blobs")), ([], []))
        self.assertEqual(self.query("SELECT * FROM block_batches"), [])

    async def test_last_block_of_a_doomed_blob(self) -> None:
        """The last block of a blob is not written when the blob is being deleted."""
        store = await self.store()
        writer = await store.create(ONE)
        await writer.write(noise(500))
        self.query("UPDATE stored_blobs SET doomed = TRUE")
        with self.assertRaises(ServiceUnavailable):
            await writer.finish()
        self.assertEqual(self.blocks(), [])

    async def test_block_during_delete(self) -> None:
        """A block that is being written while its blob is deleted is deleted as well."""
        store = await self.store()
        await store.create(ONE)
        writing = psycopg.connect(self.dsn)
        self.addCleanup(writing.close)
        writing.execute("INSERT INTO block_batches VALUES (%s, 0, 1)", (ONE,))
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
