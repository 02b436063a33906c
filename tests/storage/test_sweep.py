"""Tests of post3tw.storage.sweep."""

from __future__ import annotations

import time
from typing import Any

from attrs import evolve
from twisted.trial.unittest import TestCase

from post3tw.model.errors import BlobGone, InsufficientStorage, StorageFailed
from post3tw.model.version import Placement
from post3tw.service.ingest import LEASE, ingest
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.index.transactions.blobs import place, release, share
from post3tw.storage.sweep import BlobSweep
from post3tw.testing.blob_fixture import noise
from tests.service.stores import BytesBody, make_store
from tests.storage.faulty import FaultyFiles

GRACE = 3_600_000
HOLDER = b"h" * 16


class BlobSweepTests(TestCase):
    """Tests of BlobSweep."""

    async def open_store(self) -> Store:
        """A store whose clock the test moves."""
        self.now = time.time()
        store = await make_store(self, files=True, seconds=lambda: self.now)
        assert isinstance(store.blobs, FileBlobs)
        self.files = FaultyFiles()
        self.blobs = evolve(store.blobs, files=self.files)
        store = evolve(store, blobs=self.blobs)
        self.sweep = BlobSweep(store.index, self.blobs, store.ids, GRACE, batch=3)
        return store

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds / 1000

    async def put(self, store: Store, holder: bytes | None = HOLDER) -> Placement:
        """Make a blob, and let a version hold it."""
        stored = await ingest(store, BytesBody(noise(10)), (), max_size=100, inline_max=0)
        if holder is not None:
            await store.index.run(lambda tx: place(tx, holder, stored.placement))
        return stored.placement

    async def drop(self, store: Store, placement: Placement, holder: bytes = HOLDER) -> None:
        """Let a version go."""
        await store.index.run(lambda tx: release(tx, holder, placement, store.ids.now()))

    async def rows(self, store: Store) -> int:
        """How many blobs the index knows."""

        async def count(tx: Any) -> Any:
            return await tx.one("SELECT count(*) FROM blobs")

        (number,) = await store.index.read(count)
        return int(number)

    async def test_referenced_stays(self) -> None:
        """A blob that a version holds is never swept."""
        store = await self.open_store()
        placement = await self.put(store)
        for _ in range(3):
            self.wait(10 * GRACE)
            self.assertEqual(await self.sweep.run(), 0)
        self.assertEqual(await self.blobs.blob_ids(), [placement.blob])

    async def test_another_grace(self) -> None:
        """When space is wanted, a shorter grace period can be asked for once."""
        store = await self.open_store()
        placement = await self.put(store)
        await self.drop(store, placement)
        self.wait(1)
        self.assertEqual(await self.sweep.run(), 0)
        self.wait(1000)
        self.assertEqual(await self.sweep.run(2000), 0)
        self.assertEqual(await self.sweep.run(500), 1)
        self.assertEqual(await self.blobs.blob_ids(), [])

    async def test_abandoned_write(self) -> None:
        """A blob that no version came to hold goes when its lease and then the grace period have passed."""
        store = await self.open_store()
        await self.put(store, holder=None)
        self.wait(LEASE)
        self.assertEqual(await self.sweep.run(), 0)
        self.wait(GRACE)
        await self.sweep.run()
        self.assertEqual(len(await self.blobs.blob_ids()), 1)
        self.wait(GRACE + 1)
        self.assertEqual(await self.sweep.run(), 1)
        self.assertEqual((await self.blobs.blob_ids(), await self.rows(store)), ([], 0))

    async def test_deleted_version(self) -> None:
        """The blob of a deleted version goes after the grace period, not before."""
        store = await self.open_store()
        placement = await self.put(store)
        await self.drop(store, placement)
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE)
        self.assertEqual(await self.sweep.run(), 0)
        self.assertEqual(await self.blobs.blob_ids(), [placement.blob])
        self.wait(1)
        self.assertEqual(await self.sweep.run(), 1)
        self.assertEqual((await self.blobs.blob_ids(), await self.rows(store)), ([], 0))

    async def test_shared_blob(self) -> None:
        """A blob that two versions hold goes with the second."""
        store = await self.open_store()
        placement = await self.put(store)
        await store.index.run(lambda tx: share(tx, placement, b"i" * 16, b""))
        await self.drop(store, placement)
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE + 1)
        self.assertEqual(await self.sweep.run(), 0)
        await self.drop(store, placement, b"i" * 16)
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE + 1)
        self.assertEqual(await self.sweep.run(), 1)

    async def test_condemned_is_final(self) -> None:
        """A blob that was condemned can be held no more, though its bytes are still there."""
        store = await self.open_store()
        placement = await self.put(store)
        await self.drop(store, placement)
        self.wait(1)
        await self.sweep.run()
        self.assertEqual(await self.blobs.blob_ids(), [placement.blob])
        with self.assertRaises(BlobGone):
            await store.index.run(lambda tx: share(tx, placement, b"i" * 16, b""))

    async def test_batches(self) -> None:
        """More blobs than fit into a batch go in one run."""
        store = await self.open_store()
        kept = await self.put(store, b"k" * 16)
        for _ in range(10):
            await self.drop(store, await self.put(store))
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE + 1)
        self.assertEqual(await self.sweep.run(), 10)
        self.assertEqual((await self.blobs.blob_ids(), await self.rows(store)), ([kept.blob], 1))

    async def test_failing_disk(self) -> None:
        """Bytes that cannot be deleted keep their row, and go the next time."""
        store = await self.open_store()
        await self.drop(store, await self.put(store))
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE + 1)
        self.files.fail = {"unlink": 5}
        with self.assertRaises(StorageFailed):
            await self.sweep.run()
        self.assertEqual(await self.rows(store), 1)
        self.files.fail = {}
        self.assertEqual(await self.sweep.run(), 1)
        self.assertEqual(await self.rows(store), 0)

    async def test_crash_between_bytes_and_row(self) -> None:
        """A row whose bytes are gone already is forgotten."""
        store = await self.open_store()
        placement = await self.put(store)
        await self.drop(store, placement)
        self.wait(1)
        await self.sweep.run()
        await self.blobs.delete([placement.blob or b""])
        self.wait(GRACE + 1)
        await self.sweep.run()
        self.assertEqual(await self.rows(store), 0)

    async def test_full_disk(self) -> None:
        """On a full disk bytes are deleted as ever."""
        store = await self.open_store()
        await self.drop(store, await self.put(store))
        self.wait(1)
        await self.sweep.run()
        self.wait(GRACE + 1)
        self.files.fail = {"write": 28, "mkdir": 28}
        with self.assertRaises(InsufficientStorage):
            await self.put(store)
        self.assertEqual(await self.sweep.run(), 1)
