"""What tests of ingest work with."""

from __future__ import annotations

import os
import time
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.version import Placement
from post3tw.service.ingest import Stored, ingest
from post3tw.service.interfaces import IByteSource
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from tests.service.stores import make_store
from tests.storage.faulty import FaultyFiles, open_files

A = ChecksumAlgorithm
LIMIT = 1 << 40


class IngestCase(TestCase):
    """A store, and ways to look into it."""

    async def open_store(self) -> Store:
        """A store over files that can fail, whose clock the test moves."""
        self.now = time.time()
        store = await make_store(self, files=True, seconds=lambda: self.now)
        assert isinstance(store.blobs, FileBlobs)
        self.files = FaultyFiles()
        self.blobs = evolve(store.blobs, files=self.files, durable=True)
        return evolve(store, blobs=self.blobs)

    def open_files(self) -> list[str]:
        """The files of blobs that are open."""
        return open_files(self.blobs.directory, self.blobs.temporary)

    async def leases(self, store: Store) -> list[tuple[bytes, int, int]]:
        """id, created and lease_until of every blob's row."""

        async def select(tx: Any) -> Any:
            return await tx.all("SELECT id, created, lease_until FROM blobs")

        rows: list[tuple[bytes, int, int]] = await store.index.read(select)
        return rows

    async def read(self, store: Store, placement: Placement) -> bytes:
        """The bytes of a blob."""
        assert placement.blob is not None
        reader = await store.blobs.open(placement.blob)
        try:
            return await reader.read(0, placement.size)
        finally:
            reader.close()

    async def assert_nothing_left(self, store: Store) -> None:
        """No blob, finished or not."""
        self.assertEqual(await self.blobs.blob_ids(), [])
        self.assertEqual(os.listdir(self.blobs.temporary), [])

    def begin(self, store: Store, source: IByteSource, **options: Any) -> Deferred[Stored]:
        """Start to ingest."""
        return Deferred.fromCoroutine(ingest(store, source, (), max_size=options.pop("max_size", LIMIT), **options))

    async def turn(self, store: Store) -> None:
        """Let the index commit what waits."""

        async def nothing(tx: Any) -> None:
            pass

        await store.index.run(nothing)
