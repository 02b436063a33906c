"""How blobs come and go: ids, abandoning, deleting, closing, restarting."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from post3tw.model.errors import DomainError
from post3tw.testing.blob_fixture import MIB, ONE, TWO, BlobStoreFixture, noise


class BlobLifeRules(BlobStoreFixture):
    """Ids are used once; what is abandoned or deleted is gone; what is finished stays."""

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
