"""What a blob store keeps: the bytes it was given, for those who may see them."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from post3tw.model.errors import CorruptedData
from post3tw.storage.interfaces import IBlobReader, IBlobStore, IBlobWriter
from post3tw.testing.blob_fixture import MIB, ONE, TWO, BlobStoreFixture, noise


class BlobContentRules(BlobStoreFixture):
    """Interfaces, writing and reading, visibility."""

    # -- interfaces ----------------------------------------------------------------------------------------------------

    async def test_interfaces(self) -> None:
        """Store, writer and reader provide their interfaces."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.finish()
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        verifyObject(IBlobStore, store)
        verifyObject(IBlobWriter, writer)
        verifyObject(IBlobReader, reader)

    # -- writing and reading -------------------------------------------------------------------------------------------

    async def test_round_trip(self) -> None:
        """A finished blob reads as it was written."""
        store = await self.started()
        await self.put(store, ONE, b"some bytes")
        self.assertEqual(await self.get(store, ONE, 10), b"some bytes")

    async def test_empty(self) -> None:
        """A blob may be empty."""
        store = await self.started()
        await self.put(store, ONE)
        self.assertEqual(await self.get(store, ONE, 0), b"")
        with self.assertRaises(CorruptedData):
            await self.get(store, ONE, 1)

    async def test_writes_append(self) -> None:
        """Writes follow each other without gap or overlap, empty ones included."""
        store = await self.started()
        await self.put(store, ONE, b"ab", b"", b"c", b"defg")
        self.assertEqual(await self.get(store, ONE, 7), b"abcdefg")

    async def test_all_byte_values(self) -> None:
        """Bytes are stored as they are."""
        store = await self.started()
        data = bytes(range(256)) * 3
        await self.put(store, ONE, data)
        self.assertEqual(await self.get(store, ONE, len(data)), data)

    async def test_read_inside(self) -> None:
        """A read gives exactly the bytes asked for."""
        store = await self.started()
        await self.put(store, ONE, b"0123456789")
        self.assertEqual(await self.get(store, ONE, 4, offset=3), b"3456")

    async def test_read_last_byte(self) -> None:
        """The last byte can be read alone."""
        store = await self.started()
        await self.put(store, ONE, b"0123456789")
        self.assertEqual(await self.get(store, ONE, 1, offset=9), b"9")

    async def test_read_nothing(self) -> None:
        """Reading no bytes gives none, at the end as well."""
        store = await self.started()
        await self.put(store, ONE, b"0123456789")
        self.assertEqual(await self.get(store, ONE, 0, offset=5), b"")
        self.assertEqual(await self.get(store, ONE, 0, offset=10), b"")

    async def test_read_past_end(self) -> None:
        """A read that the blob is too short for is CorruptedData, never fewer bytes."""
        store = await self.started()
        await self.put(store, ONE, b"0123456789")
        for offset, length in ((0, 11), (9, 2), (10, 1), (1000, 1)):
            with self.assertRaises(CorruptedData):
                await self.get(store, ONE, length, offset)

    async def test_large(self) -> None:
        """A blob of several MiB, written in uneven pieces, reads back whole."""
        store = await self.started()
        data = noise(5 * MIB + 1)
        cuts = [0, 1, 65_536, MIB, 3 * MIB + 7, len(data)]
        await self.put(store, ONE, *(data[a:b] for a, b in pairwise(cuts)))
        read = await self.get(store, ONE, len(data))
        self.assertEqual(hashlib.sha256(read).digest(), hashlib.sha256(data).digest())

    async def test_large_in_uneven_reads(self) -> None:
        """Reads of any size and place agree with each other."""
        store = await self.started()
        data = noise(2 * MIB + 3)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        sizes = random.Random(1)
        offset, pieces = 0, []
        while offset < len(data):
            length = min(sizes.randrange(1, 400_000), len(data) - offset)
            pieces.append(await reader.read(offset, length))
            offset += length
        self.assertTrue(b"".join(pieces) == data)

    async def test_reads_backwards(self) -> None:
        """A reader has no position."""
        store = await self.started()
        await self.put(store, ONE, b"0123456789")
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        self.assertEqual([await reader.read(at, 2) for at in (8, 4, 0, 4)], [b"89", b"45", b"01", b"45"])

    async def test_reads_side_by_side(self) -> None:
        """Reads of one reader may overlap in time."""
        store = await self.started()
        data = noise(MIB)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        offsets = range(0, MIB, MIB // 16)
        reads: list[Deferred[Any]] = [Deferred.fromCoroutine(reader.read(offset, MIB // 16)) for offset in offsets]
        self.assertTrue(b"".join(await gatherResults(reads)) == data)

    async def test_writers_side_by_side(self) -> None:
        """Blobs that are written at the same time do not mix."""
        store = await self.started()
        bodies = {bytes([n]) * 16: noise(100_000 + n, n) for n in range(12)}
        puts = [Deferred.fromCoroutine(self.put(store, i, d[:50_000], d[50_000:])) for i, d in bodies.items()]
        await gatherResults(puts)
        for blob_id, data in bodies.items():
            self.assertTrue(await self.get(store, blob_id, len(data)) == data)

    async def test_write_while_reading(self) -> None:
        """Reading one blob does not wait for, nor disturb, the writing of another."""
        store = await self.started()
        await self.put(store, ONE, b"first")
        writer = await store.create(TWO)
        await writer.write(b"sec")
        self.assertEqual(await self.get(store, ONE, 5), b"first")
        await writer.write(b"ond")
        await writer.finish()
        self.assertEqual(await self.get(store, TWO, 6), b"second")

    # -- visibility ----------------------------------------------------------------------------------------------------

    async def test_missing(self) -> None:
        """A blob that was never written is CorruptedData."""
        await self.assert_absent(await self.started(), ONE)

    async def test_invisible_before_finish(self) -> None:
        """Nobody sees a blob before it is finished."""
        store = await self.started()
        writer = await store.create(ONE)
        await self.assert_absent(store, ONE)
        await writer.write(b"bytes")
        await self.assert_absent(store, ONE)
        await writer.finish()
        self.assertEqual(await self.get(store, ONE, 5), b"bytes")

    async def test_inventory(self) -> None:
        """The inventory lists finished blobs, each once."""
        store = await self.started()
        inventory = self.inventory(store)
        self.assertEqual(await inventory.blob_ids(), [])
        ids = [bytes([n]) * 16 for n in (0, 7, 255)]
        for blob_id in ids:
            await self.put(store, blob_id, b"x")
        unfinished = await store.create(ONE)
        self.assertEqual(sorted(await inventory.blob_ids()), ids)
        batches = [batch async for batch in inventory.batches()]
        self.assertEqual(sorted(blob_id for batch in batches for blob_id in batch), ids)
        await unfinished.abandon()

    async def test_ids_are_distinct(self) -> None:
        """Ids that differ in a single bit, anywhere, name different blobs."""
        store = await self.started()
        ids = [(1 << bit).to_bytes(16, "big") for bit in range(0, 128, 9)]
        for blob_id in ids:
            await self.put(store, blob_id, blob_id)
        for blob_id in ids:
            self.assertEqual(await self.get(store, blob_id, 16), blob_id)
