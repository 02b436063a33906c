"""What the contract of blob stores works with."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SkipTest, TestCase

from post3tw.model.errors import CorruptedData, DomainError
from post3tw.storage.interfaces import IBlobInventory, IBlobStore

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


class BlobStoreFixture(_Base):
    """A store, and ways to use it in a test."""

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
