"""Blobs in PostgreSQL: what is read before it is asked for."""

from __future__ import annotations

from post3tw.model.errors import CorruptedData
from post3tw.storage.blobs import postgresql_reading
from post3tw.testing.blob_fixture import ONE, noise
from tests.storage.blobs.postgresql_case import SmallBlocksCase


class ReadingAheadTests(SmallBlocksCase):
    """Who gets more than was asked for, and how much."""

    async def test_read_ahead(self) -> None:
        """Reads that follow each other find their bytes already there, and get the right ones."""
        store, sizes = await self.store(), [1000] * 20 + [500]
        data = noise(sum(sizes))
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        ahead, read = [], b""
        for size in sizes:
            read += await reader.read(len(read), size)
            ahead.append(store.ahead.ranges)
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
            self.assertEqual(store.ahead.ranges, 0)
        reader.close()

    async def test_no_read_ahead_for_slow_clients(self) -> None:
        """Who comes back late for more gets what was read ahead, and then no more is."""
        store = await self.store()
        data = noise(20_000)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        for offset in range(0, 6000, 1000):
            await reader.read(offset, 1000)
        self.patch(postgresql_reading, "_PAUSE", -1.0)
        ahead, read = [store.ahead.ranges], b""
        for offset in range(6000, 10_000, 1000):
            read += await reader.read(offset, 1000)
            ahead.append(store.ahead.ranges)
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
        self.assertEqual(store.ahead.ranges, 2)
        self.assertEqual(await reader.read(6500, 1000), data[6500:7500])
        self.assertEqual(store.ahead.ranges, 0)
        for offset in range(7500, 13_500, 1000):
            self.assertEqual(await reader.read(offset, 1000), data[offset : offset + 1000])
        self.assertEqual(store.ahead.ranges, 2)
        reader.close()
        self.assertEqual(store.ahead.ranges, 0)
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
                most = max(most, store.ahead.ranges)
        self.assertEqual(most, 32)
        for reader in readers:
            reader.close()
        self.assertEqual(store.ahead.ranges, 0)

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
