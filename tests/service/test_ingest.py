"""Tests of post3tw.service.ingest: bodies that are placed in the index."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from post3tw.model.errors import (
    BadDigest,
    ClientGone,
    ContentSHA256Mismatch,
    EntityTooLarge,
    InsufficientStorage,
)
from post3tw.model.version import Placement
from post3tw.service.ingest import INLINE_MAX, ingest
from post3tw.testing.blob_fixture import noise
from post3tw.wire.checksums import frame_crcs, new
from tests.service.bodies import HandFed
from tests.service.ingest_case import LIMIT, A, IngestCase
from tests.service.stores import BytesBody


class SmallBodyTests(IngestCase):
    """Bodies that are placed in the index."""

    async def test_inline(self) -> None:
        """A small body is handed back, with a row id of its own, and touches neither files nor leases."""
        store = await self.open_store()
        stored = await ingest(store, BytesBody(b"hello"), (A.CRC32C, A.SHA256), max_size=LIMIT)
        self.assertEqual(stored.data, b"hello")
        self.assertEqual(stored.size, 5)
        self.assertEqual(stored.md5, hashlib.md5(b"hello").digest())
        self.assertEqual(
            stored.digests,
            {A.CRC32C: bytes.fromhex("9a71bb4c"), A.SHA256: hashlib.sha256(b"hello").digest()},
        )
        placement = stored.placement
        self.assertEqual((placement.size, placement.blob, placement.crcs), (5, None, frame_crcs(b"hello")))
        self.assertEqual(len(placement.body or b""), 16)
        self.assertEqual((self.files.calls, await self.leases(store)), ([], []))

    async def test_empty(self) -> None:
        """An empty body is placed nowhere."""
        store = await self.open_store()
        stored = await ingest(store, BytesBody(b""), (A.CRC64NVME,), max_size=LIMIT)
        self.assertEqual((stored.placement, stored.data, stored.size), (Placement(0), None, 0))
        self.assertEqual(stored.md5.hex(), "d41d8cd98f00b204e9800998ecf8427e")
        self.assertEqual(stored.digests, {A.CRC64NVME: bytes(8)})

    async def test_threshold(self) -> None:
        """A body of the inline limit is inline, one byte more makes a blob; declared or not."""
        store = await self.open_store()
        for declared in (True, False):
            small = await ingest(store, BytesBody(noise(INLINE_MAX), declared=declared), (), max_size=LIMIT)
            large = await ingest(store, BytesBody(noise(INLINE_MAX + 1), declared=declared), (), max_size=LIMIT)
            self.assertEqual((small.placement.blob, large.placement.body), (None, None))
            self.assertTrue(await self.read(store, large.placement) == noise(INLINE_MAX + 1))
            self.assertIsNone(large.data)

    async def test_every_algorithm(self) -> None:
        """Every checksum that can be asked for is computed, in both ways."""
        store = await self.open_store()
        for data in (noise(100), noise(INLINE_MAX * 3)):
            stored = await ingest(store, BytesBody(data), tuple(A), max_size=LIMIT)
            for algorithm in A:
                hasher = new(algorithm)
                hasher.update(data)
                self.assertEqual(stored.digests[algorithm], hasher.digest())

    async def test_signed_payload(self) -> None:
        """A payload must have the SHA-256 that was signed."""
        store = await self.open_store()
        right = hashlib.sha256(b"hello").hexdigest()
        stored = await ingest(store, BytesBody(b"hello", sha256=right), (), max_size=LIMIT)
        self.assertEqual(stored.digests[A.SHA256].hex(), right)
        with self.assertRaises(ContentSHA256Mismatch) as caught:
            await ingest(store, BytesBody(b"hullo", sha256=right), (), max_size=LIMIT)
        self.assertEqual(caught.exception.details["client_computed_content_sha256"], right)
        self.assertEqual(caught.exception.details["s3_computed_content_sha256"], hashlib.sha256(b"hullo").hexdigest())

    async def test_too_large(self) -> None:
        """A body over the limit is refused, before it is asked for when its length is declared."""
        store = await self.open_store()
        ingest_ok = await ingest(store, BytesBody(b"12345"), (), max_size=5)
        self.assertEqual(ingest_ok.size, 5)
        source = HandFed(length=6)
        with self.assertRaises(EntityTooLarge) as caught:
            await ingest(store, source, (), max_size=5)
        self.assertEqual(caught.exception.details, {"proposed_size": 6, "max_size_allowed": 5})
        self.assertIsNone(source.consumer)

    async def test_too_large_undeclared(self) -> None:
        """A body that turns out to be too large is stopped at once."""
        store = await self.open_store()
        source = HandFed()
        stored = self.begin(store, source, max_size=5)
        source.feed(b"12345")
        self.assertFalse(source.cancelled)
        source.feed(b"6")
        self.assertTrue(source.cancelled)
        await self.assertFailure(stored, EntityTooLarge)

    async def test_too_large_while_subscribing(self) -> None:
        """The same when the source delivers before its `deliver_to` has returned."""

        class Hasty(HandFed):
            def deliver_to(self, consumer: Any) -> Deferred[None]:
                done = super().deliver_to(consumer)
                self.feed(b"123456")
                return done

        store = await self.open_store()
        source = Hasty()
        with self.assertRaises(EntityTooLarge):
            await ingest(store, source, (), max_size=5)
        self.assertTrue(source.cancelled)

    async def test_verify(self) -> None:
        """The caller's check sees the digests, and what it raises ends the ingest."""
        store = await self.open_store()
        seen: list[Any] = []

        def refuse(md5: bytes, digests: Any) -> None:
            seen.append((md5, digests))
            raise BadDigest

        with self.assertRaises(BadDigest):
            await ingest(store, BytesBody(b"hello"), (A.CRC32C,), max_size=LIMIT, verify=refuse)
        self.assertEqual(seen, [(hashlib.md5(b"hello").digest(), {A.CRC32C: bytes.fromhex("9a71bb4c")})])

    async def test_full_disk(self) -> None:
        """Nothing is taken in while the disk is known to be full."""

        def refuse() -> None:
            raise InsufficientStorage

        store = evolve(await self.open_store(), admit_write=refuse)
        source = HandFed(length=5)
        with self.assertRaises(InsufficientStorage):
            await ingest(store, source, (), max_size=LIMIT)
        self.assertIsNone(source.consumer)

    async def test_source_fails(self) -> None:
        """What ends the source ends the ingest."""
        store = await self.open_store()
        source = HandFed(length=10)
        stored = self.begin(store, source)
        source.feed(b"12345")
        source.fail(ClientGone())
        await self.assertFailure(stored, ClientGone)

    async def test_cancel(self) -> None:
        """Cancelling stops the source."""
        store = await self.open_store()
        source = HandFed(length=10)
        stored = self.begin(store, source)
        source.feed(b"12345")
        stored.cancel()
        self.assertTrue(source.cancelled)
        await self.assertFailure(stored, CancelledError)
