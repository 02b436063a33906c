"""The fs backend: an index and blobs that share a data directory and its reserve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from post3tw.metrics.readings import COUNTERS, GAUGES
from post3tw.model.errors import InsufficientStorage
from post3tw.storage.fs import FileBackend
from post3tw.storage.interfaces import IBackend, IBlobStore, IIndex, IMeasured, ISpace, OpenedStore, StoreRefused


class FileBackendTests(TestCase):
    """What the backend opens to."""

    def setUp(self) -> None:
        self.data = Path(self.mktemp())

    def open(self, **options: Any) -> OpenedStore:
        """A store that is not started yet."""
        from twisted.internet import reactor

        return FileBackend().open({"data_dir": self.data, "durability": "relaxed", "reserve": 4096, **options}, reactor)

    async def start(self, store: OpenedStore) -> None:
        """Start it until the end of the test."""
        for part in (store.space, store.index, store.blobs):
            await part.start()
            self.addCleanup(self.stop, part)

    def stop(self, part: Any) -> Any:
        """Stop one part."""
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(part.stop())

    def test_interfaces(self) -> None:
        """Everything provides what it should, and nothing is touched by opening."""
        verifyObject(IBackend, FileBackend())
        store = self.open()
        verifyObject(IIndex, store.index)
        verifyObject(IMeasured, store.index)
        verifyObject(IBlobStore, store.blobs)
        verifyObject(ISpace, store.space)
        self.assertFalse(self.data.exists())

    async def test_belongs_to_one(self) -> None:
        """A data directory that is in use is refused."""
        await self.start(self.open())
        with self.assertRaises(StoreRefused) as caught:
            await self.open().space.start()
        self.assertIn("in use", str(caught.exception))

    async def test_durability(self) -> None:
        """`full` syncs rows and bytes, `relaxed` neither."""
        self.assertTrue(self.open(durability="full").blobs.durable)
        self.assertEqual(self.open(durability="full").index.durability, "full")
        self.assertFalse(self.open().blobs.durable)
        self.assertEqual(self.open().index.durability, "relaxed")

    async def test_full_disk(self) -> None:
        """A transaction that finds the disk full gives the reserve back and runs once more; then writes are refused."""
        store = self.open()
        await self.start(store)
        full = [InsufficientStorage()]

        async def transaction(tx: Any) -> str:
            if full:
                raise full.pop()
            return "deleted"

        reserve = self.data / "reserve"
        self.assertEqual(reserve.stat().st_size, 4096)
        self.assertEqual(await store.index.run(transaction), "deleted")
        self.assertFalse(reserve.exists())
        self.assertRaises(InsufficientStorage, store.space.admit_write)
        await store.space.recover()
        store.space.admit_write()
        self.assertTrue(reserve.exists())

    async def test_still_full(self) -> None:
        """A transaction for which even the reserve is not enough fails, after two attempts."""
        store = self.open()
        await self.start(store)
        attempts = []

        async def transaction(tx: Any) -> None:
            attempts.append(tx)
            raise InsufficientStorage()

        with self.assertRaises(InsufficientStorage):
            await store.index.run(transaction)
        self.assertEqual(len(attempts), 2)

    async def test_readings(self) -> None:
        """Commits and transactions are counted, and the space that is left is known."""
        store = self.open()
        await self.start(store)
        readings = store.index.readings()
        self.assertEqual(readings.keys() - GAUGES.keys() - COUNTERS.keys(), set())
        before = readings["post3_index_transactions"]()

        async def transaction(tx: Any) -> None:
            await tx.run("UPDATE buckets SET generation = generation")

        await store.index.run(transaction)
        self.assertEqual(readings["post3_index_transactions"](), before + 1)
        self.assertGreater(readings["post3_free_bytes"](), 0)
