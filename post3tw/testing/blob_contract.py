"""What every blob store must do: run these tests against yours.

    class MyBlobsTests(BlobStoreContract, TestCase):
        def make_store(self) -> MyBlobs:
            return MyBlobs(...)

TestCase is `twisted.trial.unittest.TestCase`. Tests of an optional capability skip where the store does not provide it.
"""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface.verify import verifyObject

from post3tw.model.errors import CorruptedData, DomainError
from post3tw.storage.interfaces import IBlobInventory, IBlobReader, IBlobStore, IBlobWriter

if TYPE_CHECKING:

    class _Base(TestCase, ABC):
        """What a contract can count on; only a subclass of it is a TestCase, so that the contract itself is not run."""

else:
    _Base = ABC

T = TypeVar("T")

ONE = bytes(range(16))
TWO = bytes(range(15)) + b"\x10"
MIB = 1 << 20


def noise(size: int, seed: int = 0) -> bytes:
    """`size` bytes without a pattern, the same each time."""
    return random.Random(seed).randbytes(size)


class BlobStoreContract(_Base):
    """Tests of an IBlobStore. `make_store` is all that a subclass has to say."""

    @abstractmethod
    def make_store(self) -> IBlobStore:
        """A store that is not started yet. Called again in the same test, after the first was stopped, it answers one
        that holds the same blobs; in another test the store is empty."""

    _running: IBlobStore | None = None

    # -- tools ---------------------------------------------------------------------------------------------------------

    async def started(self) -> IBlobStore:
        """A started store, stopped when the test ends."""
        store = self.make_store()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.stop(store)))
        self._running = store
        await store.start()
        return store

    async def stop(self, store: IBlobStore) -> None:
        """Stop a store that `started` made."""
        if store is self._running:
            self._running = None
            await store.stop()

    async def put(self, store: IBlobStore, blob_id: bytes, *chunks: bytes) -> None:
        """Write a blob."""
        writer = await store.create(blob_id)
        for chunk in chunks:
            await writer.write(chunk)
        await writer.finish()

    async def get(self, store: IBlobStore, blob_id: bytes, length: int, offset: int = 0) -> bytes:
        """Read from a blob."""
        reader = await store.open(blob_id)
        try:
            return await reader.read(offset, length)
        finally:
            reader.close()

    async def cancel(self, call: Deferred[T]) -> T | None:
        """Cancel a call and wait for its end; what it returns, when it was too late."""
        call.cancel()
        try:
            return await call
        except (CancelledError, DomainError):
            return None

    async def assert_absent(self, store: IBlobStore, blob_id: bytes) -> None:
        """There is no such blob."""
        with self.assertRaises(CorruptedData):
            await store.open(blob_id)
        if IBlobInventory.providedBy(store):
            self.assertNotIn(blob_id, await store.blob_ids())

    def inventory(self, store: IBlobStore) -> IBlobInventory:
        """The store's inventory, or the end of the test."""
        if not IBlobInventory.providedBy(store):
            raise SkipTest("the store cannot list its blobs")
        return store

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
        await unfinished.abandon()

    async def test_ids_are_distinct(self) -> None:
        """Ids that differ in a single bit, anywhere, name different blobs."""
        store = await self.started()
        ids = [(1 << bit).to_bytes(16, "big") for bit in range(0, 128, 9)]
        for blob_id in ids:
            await self.put(store, blob_id, blob_id)
        for blob_id in ids:
            self.assertEqual(await self.get(store, blob_id, 16), blob_id)

    # -- ids are used once ---------------------------------------------------------------------------------------------

    async def test_finished_id_is_taken(self) -> None:
        """A finished blob is never written again."""
        store = await self.started()
        await self.put(store, ONE, b"first")
        with self.assertRaises(DomainError):
            await self.put(store, ONE, b"other")
        self.assertEqual(await self.get(store, ONE, 5), b"first")

    async def test_id_in_use_is_taken(self) -> None:
        """Two writers cannot have one id, and the one that came first is not disturbed."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.write(b"fir")
        with self.assertRaises(DomainError):
            await store.create(ONE)
        await writer.write(b"st")
        await writer.finish()
        self.assertEqual(await self.get(store, ONE, 5), b"first")

    # -- abandoning ----------------------------------------------------------------------------------------------------

    async def test_abandon(self) -> None:
        """An abandoned blob leaves nothing."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.write(noise(100_000))
        await writer.abandon()
        await self.assert_absent(store, ONE)

    async def test_abandon_at_once(self) -> None:
        """A blob can be abandoned before its first byte."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.abandon()
        await self.assert_absent(store, ONE)

    async def test_abandon_finished(self) -> None:
        """A blob can be abandoned after it was finished, as long as nobody refers to it."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.write(b"bytes")
        await writer.finish()
        await writer.abandon()
        await self.assert_absent(store, ONE)

    async def test_abandon_twice(self) -> None:
        """Abandoning again does nothing."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.abandon()
        await writer.abandon()
        await self.assert_absent(store, ONE)

    async def test_abandoned_writer_is_dead(self) -> None:
        """An abandoned blob takes no more bytes and cannot be finished."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.abandon()
        with self.assertRaises(DomainError):
            await writer.write(b"late")
        with self.assertRaises(DomainError):
            await writer.finish()
        await self.assert_absent(store, ONE)

    async def test_abandon_leaves_others(self) -> None:
        """Abandoning one blob does not touch another."""
        store = await self.started()
        abandoned, kept = await store.create(ONE), await store.create(TWO)
        await kept.write(b"kept")
        await abandoned.abandon()
        await kept.finish()
        self.assertEqual(await self.get(store, TWO, 4), b"kept")

    async def test_cancelled_write(self) -> None:
        """A write whose caller was cancelled can be abandoned, at whatever point the work is."""
        store = await self.started()
        writer = await store.create(ONE)
        writing = Deferred.fromCoroutine(writer.write(noise(4 * MIB)))
        await self.cancel(writing)
        await writer.abandon()
        await self.assert_absent(store, ONE)
        await self.put(store, TWO, b"next")
        self.assertEqual(await self.get(store, TWO, 4), b"next")

    async def test_cancelled_finish(self) -> None:
        """The same holds for finishing."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.write(noise(MIB))
        finishing = Deferred.fromCoroutine(writer.finish())
        await self.cancel(finishing)
        await writer.abandon()
        await self.assert_absent(store, ONE)

    # -- deleting ------------------------------------------------------------------------------------------------------

    async def test_delete(self) -> None:
        """A deleted blob is not there any more."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        await store.delete([ONE])
        await self.assert_absent(store, ONE)

    async def test_delete_missing(self) -> None:
        """Deleting what is not there is no error, once or twice or among others."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        await store.delete([TWO])
        await store.delete([TWO, ONE, TWO])
        await store.delete([ONE])
        await self.assert_absent(store, ONE)

    async def test_delete_nothing(self) -> None:
        """Deleting no blobs deletes none."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        await store.delete([])
        self.assertEqual(await self.get(store, ONE, 5), b"bytes")

    async def test_delete_some(self) -> None:
        """Only the blobs named are deleted; any iterable names them."""
        store = await self.started()
        ids = [bytes([n]) * 16 for n in range(20)]
        for blob_id in ids:
            await self.put(store, blob_id, blob_id)
        await store.delete(iter(ids[::2]))
        for blob_id in ids[::2]:
            await self.assert_absent(store, blob_id)
        for blob_id in ids[1::2]:
            self.assertEqual(await self.get(store, blob_id, 16), blob_id)

    async def test_delete_while_reading(self) -> None:
        """A reader that was open before a delete gives the right bytes or raises, and nothing else."""
        store = await self.started()
        data = noise(2 * MIB)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        self.addCleanup(reader.close)
        self.assertTrue(await reader.read(0, MIB) == data[:MIB])
        await store.delete([ONE])
        try:
            rest = await reader.read(MIB, MIB)
        except DomainError:
            return
        self.assertTrue(rest == data[MIB:])

    # -- closing -------------------------------------------------------------------------------------------------------

    async def test_close_twice(self) -> None:
        """Closing a reader again does nothing."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        reader = await store.open(ONE)
        reader.close()
        reader.close()
        self.assertEqual(await self.get(store, ONE, 5), b"bytes")

    async def test_read_after_close(self) -> None:
        """A closed reader reads no more."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        reader = await store.open(ONE)
        reader.close()
        with self.assertRaises(DomainError):
            await reader.read(0, 5)

    async def test_readers_are_independent(self) -> None:
        """Closing one reader leaves another of the same blob open."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        first, second = await store.open(ONE), await store.open(ONE)
        self.addCleanup(second.close)
        first.close()
        self.assertEqual(await second.read(0, 5), b"bytes")

    async def test_close_while_reading(self) -> None:
        """A reader may be closed while it reads: the read ends one way or the other."""
        store = await self.started()
        data = noise(MIB)
        await self.put(store, ONE, data)
        reader = await store.open(ONE)
        reading = Deferred.fromCoroutine(reader.read(0, MIB))
        reader.close()
        try:
            read = await reading
        except DomainError:
            return
        self.assertTrue(read == data)

    async def test_cancelled_open(self) -> None:
        """A caller that was cancelled while it opened a blob leaves the store as it was."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        opening = Deferred.fromCoroutine(store.open(ONE))
        reader = await self.cancel(opening)
        if reader is not None:
            reader.close()
        self.assertEqual(await self.get(store, ONE, 5), b"bytes")

    # -- restarting ----------------------------------------------------------------------------------------------------

    async def test_restart_keeps_finished(self) -> None:
        """Finished blobs are there after a restart."""
        store = await self.started()
        data = noise(MIB + 1)
        await self.put(store, ONE, data)
        await self.stop(store)
        store = await self.started()
        self.assertTrue(await self.get(store, ONE, len(data)) == data)

    async def test_restart_forgets_unfinished(self) -> None:
        """What was not finished when the process ended never becomes visible."""
        store = await self.started()
        writer = await store.create(ONE)
        await writer.write(b"half")
        await self.stop(store)
        store = await self.started()
        await self.assert_absent(store, ONE)

    async def test_restart_keeps_deleted_away(self) -> None:
        """Deleted blobs do not come back."""
        store = await self.started()
        await self.put(store, ONE, b"bytes")
        await self.put(store, TWO, b"bytes")
        await store.delete([ONE])
        await self.stop(store)
        store = await self.started()
        await self.assert_absent(store, ONE)
        self.assertEqual(await self.get(store, TWO, 5), b"bytes")

    async def test_stop_unused(self) -> None:
        """A store that did nothing can be stopped."""
        await self.stop(await self.started())
