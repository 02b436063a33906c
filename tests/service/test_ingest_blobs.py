"""Tests of post3tw.service.ingest: bodies that become blobs."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from post3tw.model.errors import (
    BadDigest,
    BlobGone,
    ClientGone,
    ContentSHA256Mismatch,
    EntityTooLarge,
    InsufficientStorage,
    SlowDown,
    StorageFailed,
)
from post3tw.service.crowd import MUCH, Crowd
from post3tw.service.ingest import INLINE_MAX, LEASE, RENEW_AFTER, SLICE, ingest
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.index.transactions.blobs import condemn, place
from post3tw.storage.interfaces import IIndex
from post3tw.storage.threads import Threads
from post3tw.testing.blob_fixture import noise
from post3tw.wire.checksums import FRAME, frame_crcs
from tests.service.bodies import HandFed, HeldThreads
from tests.service.ingest_case import LIMIT, A, IngestCase
from tests.service.stores import BytesBody


class SlowIndex:
    """An index whose transactions begin when the gate is opened."""

    def __init__(self, index: IIndex) -> None:
        self.gate: Deferred[None] = Deferred()
        self._index = index

    async def run(self, *arguments: Any) -> Any:
        await self.gate
        return await self._index.run(*arguments)


class LargeBodyTests(IngestCase):
    """Bodies that become blobs."""

    async def test_round_trip(self) -> None:
        """Bodies of every awkward size and chunking are stored whole, with the digests and frame checksums they
        have."""
        store = await self.open_store()
        for size in (INLINE_MAX + 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 17):
            for chunk in (65_536, 100_003, 5 * FRAME):
                data = noise(size, size)
                stored = await ingest(store, BytesBody(data, chunk=chunk), (A.SHA256,), max_size=LIMIT)
                self.assertEqual(stored.size, size)
                self.assertEqual(stored.md5, hashlib.md5(data).digest())
                self.assertEqual(stored.digests[A.SHA256], hashlib.sha256(data).digest())
                self.assertEqual(stored.placement.crcs, frame_crcs(data))
                self.assertTrue(await self.read(store, stored.placement) == data, (size, chunk))

    async def test_undeclared_length(self) -> None:
        """A body whose length nobody knows becomes a blob once it is too large to be inline."""
        store = await self.open_store()
        data = noise(FRAME + 5)
        stored = await ingest(store, BytesBody(data, declared=False, chunk=1000), (), max_size=LIMIT)
        self.assertTrue(await self.read(store, stored.placement) == data)

    async def test_threads(self) -> None:
        """The same holds with real threads, for several bodies at a time."""
        from twisted.internet import reactor

        store = await self.open_store()
        pools = [Threads(reactor, name, 3) for name in ("disk", "cpu")]
        for pool in pools:
            pool.start()
            self.addCleanup(pool.stop)
        store = evolve(store, blobs=evolve(self.blobs, threads=pools[0]), cpu=pools[1])
        bodies = [noise(2 * FRAME + n, n) for n in range(4)]
        taken = [
            Deferred.fromCoroutine(ingest(store, BytesBody(body), (A.SHA1, A.CRC32), max_size=LIMIT)) for body in bodies
        ]
        for body, stored in zip(bodies, await gatherResults(taken), strict=True):
            self.assertEqual(stored.digests[A.SHA1], hashlib.sha1(body).digest())
            self.assertTrue(await self.read(store, stored.placement) == body)

    async def test_lease_comes_at_once(self) -> None:
        """The lease is committed while the body comes."""
        store = await self.open_store()
        source = HandFed(length=FRAME)
        stored = self.begin(store, source)
        source.feed(noise(FRAME))
        await self.turn(store)
        now = store.ids.now()
        ((blob_id, created, until),) = await self.leases(store)
        self.assertEqual((created, until), (now, now + LEASE))
        self.assertEqual(os.listdir(self.blobs.temporary), [blob_id.hex()])
        source.end()
        self.assertEqual((await stored).placement.blob, blob_id)

    async def test_lease_comes_before_the_blob(self) -> None:
        """No blob is finished whose lease is not committed, however long that takes."""
        store = await self.open_store()
        index: Any = SlowIndex(store.index)
        source = HandFed(length=FRAME)
        stored = self.begin(evolve(store, index=index), source)
        source.feed(noise(FRAME))
        source.end()
        self.assertEqual((await self.blobs.blob_ids(), await self.leases(store)), ([], []))
        index.gate.callback(None)
        blob_id = (await stored).placement.blob
        self.assertEqual(await self.blobs.blob_ids(), [blob_id])

    async def test_no_lease(self) -> None:
        """Without a lease there is no blob."""
        store = await self.open_store()
        for cancelled in (False, True):
            index: Any = SlowIndex(store.index)
            source = HandFed(length=FRAME)
            stored = self.begin(evolve(store, index=index), source)
            source.feed(noise(FRAME))
            source.end()
            if cancelled:
                stored.cancel()
            else:
                index.gate.errback(SlowDown())
            await self.assertFailure(stored, SlowDown, CancelledError)
            await self.assert_nothing_left(store)
            self.assertEqual(await self.leases(store), [])

    async def test_lease_fails_in_the_middle(self) -> None:
        """A lease that fails beside the first frames ends the body at once, however much of it is still to come."""
        store = await self.open_store()
        for fed in (1000, 1000 * FRAME // 999):
            index: Any = SlowIndex(store.index)
            source = HandFed(length=5000 * FRAME)
            stored = self.begin(evolve(store, index=index), source)
            source.feed(bytes(fed))
            index.gate.errback(SlowDown())
            await self.assertFailure(stored, SlowDown)
            self.assertTrue(source.cancelled)
            await self.assert_nothing_left(store)

    async def test_stores_that_remember_wait_for_the_lease(self) -> None:
        """Where unfinished blobs stay, none is begun before its lease is committed."""
        store = await self.open_store()
        self.patch(FileBlobs, "forgets_unfinished", False)
        index: Any = SlowIndex(store.index)
        source = HandFed(length=FRAME)
        stored = self.begin(evolve(store, index=index), source)
        source.feed(noise(FRAME))
        self.assertEqual(self.files.calls, [])
        index.gate.callback(None)
        source.end()
        await stored

    async def test_lease_is_renewed(self) -> None:
        """A body that takes long keeps its lease, also when less than a frame came meanwhile."""
        store = await self.open_store()
        source = HandFed(length=FRAME)
        stored = self.begin(store, source)
        source.feed(b"x" * 1000)
        await self.turn(store)
        for _ in range(8):
            self.now += RENEW_AFTER / 1000
            source.feed(b"x")
            await self.turn(store)
            self.assertEqual((await self.leases(store))[0][2], store.ids.now() + LEASE)
            self.assertEqual(await store.index.run(lambda tx: condemn(tx, store.ids.now(), 10)), 0)
        source.end()
        placement = (await stored).placement
        await store.index.run(lambda tx: place(tx, b"h" * 16, placement))

    async def test_lease_is_not_renewed_needlessly(self) -> None:
        """Before its time the lease stays as it is."""
        store = await self.open_store()
        source = HandFed(length=4 * FRAME)
        stored = self.begin(store, source)
        source.feed(noise(FRAME))
        await self.turn(store)
        (first,) = await self.leases(store)
        self.now += RENEW_AFTER / 1000 - 1
        source.feed(noise(2 * FRAME))
        source.end()
        await stored
        self.assertEqual(await self.leases(store), [first])

    async def test_lost_lease(self) -> None:
        """A body whose blob was condemned meanwhile fails instead of being acknowledged."""
        store = await self.open_store()
        source = HandFed(length=FRAME)
        stored = self.begin(store, source)
        source.feed(b"x" * 1000)
        await self.turn(store)
        self.now += LEASE / 1000 + 1
        self.assertEqual(await store.index.run(lambda tx: condemn(tx, store.ids.now(), 10)), 1)
        source.feed(b"x")
        await self.assertFailure(stored, BlobGone)
        self.assertTrue(source.cancelled)
        await self.assert_nothing_left(store)

    async def test_back_pressure(self) -> None:
        """When the disk or the hash lags, the source is paused with two frames waiting, and goes on afterwards."""
        store = await self.open_store()
        cpu = HeldThreads()
        source = HandFed(length=6 * FRAME)
        stored = self.begin(evolve(store, cpu=cpu), source)
        data = noise(6 * FRAME)
        fed = 0
        while not source.paused:
            source.feed(data[fed : fed + 65_536])
            fed += 65_536
            await self.turn(store)
        self.assertEqual(fed, 3 * FRAME)
        self.assertEqual(len(cpu.waiting), 1)
        cpu.work()
        self.assertFalse(source.paused)
        source.feed(data[fed:])
        self.assertTrue(source.paused)
        cpu.work_all()
        source.end()
        while not stored.called:
            cpu.work_all()
            await self.turn(store)
        placement = (await stored).placement
        self.assertTrue(await self.read(store, placement) == data)

    async def test_many_at_a_stand(self) -> None:
        """When bodies that came to a stand hold much together, one more holds no more than a slice, and is what was
        sent when it goes on, by slices or by frames. In the end it holds nothing, nor does one that fails."""
        store = await self.open_store()
        data = noise(3 * FRAME + 17)
        for others, waits in ((0, FRAME - 1000), (MUCH, SLICE - 1000)):
            for end in range(2):
                crowded = evolve(store, uploads=Crowd(MUCH))
                crowded.uploads.bytes = others
                source = HandFed(length=len(data))
                stored = self.begin(crowded, source)
                source.feed(data[: FRAME - 1000], 1000)
                await self.turn(store)
                source.feed(data[FRAME - 1000 : FRAME - 999])
                self.assertLessEqual(crowded.uploads.bytes - others, waits + 1)
                crowded.uploads.bytes -= others * end
                source.feed(data[FRAME - 999 :], 9973)
                source.end()
                placement = (await stored).placement
                self.assertEqual((placement.size, placement.crcs), (len(data), frame_crcs(data)))
                self.assertTrue(await self.read(store, placement) == data)
                self.assertEqual(crowded.uploads.bytes, others * (1 - end))
            source = HandFed(length=len(data))
            stored = self.begin(crowded, source)
            source.feed(data[:FRAME])
            source.fail(ClientGone())
            await self.assertFailure(stored, ClientGone)
            self.assertEqual(crowded.uploads.bytes, 0)

    async def test_nothing_stays_of_a_vanished_client(self) -> None:
        """A source that fails in the middle leaves a row for the sweeper, and no file."""
        store = await self.open_store()
        source = HandFed(length=4 * FRAME)
        stored = self.begin(store, source)
        source.feed(noise(2 * FRAME + 5))
        await self.turn(store)
        source.fail(ClientGone())
        await self.assertFailure(stored, ClientGone)
        await self.assert_nothing_left(store)
        self.assertEqual(len(await self.leases(store)), 1)

    async def test_vanished_before_the_lease(self) -> None:
        """The same when it fails while the lease is being committed."""
        store = await self.open_store()
        source = HandFed(length=4 * FRAME)
        stored = self.begin(store, source)
        source.feed(noise(FRAME))
        source.fail(ClientGone())
        await self.assertFailure(stored, ClientGone)
        await self.turn(store)
        await self.assert_nothing_left(store)

    async def test_cancel_anywhere(self) -> None:
        """A caller who cancels, at whatever step, leaves no file and nothing open, even while threads still work."""
        store = await self.open_store()
        before = self.open_files()
        for steps in range(12):
            disk, cpu = HeldThreads(), HeldThreads()
            held = evolve(store, blobs=evolve(self.blobs, threads=disk), cpu=cpu)
            source = HandFed(length=2 * FRAME)
            stored = self.begin(held, source)
            source.feed(noise(2 * FRAME))
            source.end()
            for _ in range(steps):
                await self.turn(store)
                if not disk.work():
                    cpu.work()
            ended = stored.called
            stored.cancel()
            stored.addErrback(lambda failure: failure.trap(CancelledError))
            for _ in range(3):
                await self.turn(store)
                disk.work_all()
                cpu.work_all()
            self.assertTrue(stored.called)
            self.assertEqual(self.open_files(), before)
            if not ended:
                await self.assert_nothing_left(store)
        self.assertTrue(ended)

    async def test_disk_fails(self) -> None:
        """A disk that fails at any step fails the body with its error, stops the source and leaves no file."""
        store = await self.open_store()
        for call in ("open", "write", "fdatasync", "mkdir", "rename", "fsync"):
            for error, expected in ((errno.EIO, StorageFailed), (errno.ENOSPC, InsufficientStorage)):
                self.files.fail = {call: error}
                source = HandFed(length=2 * FRAME)
                stored = self.begin(store, source)
                source.feed(noise(2 * FRAME))
                await self.turn(store)
                if not source.cancelled:
                    source.end()
                await self.assertFailure(stored, expected)
                self.files.fail = {}
                await self.assert_nothing_left(store)

    async def test_failed_sync_is_not_acknowledged(self) -> None:
        """After a failed sync the body fails, and the sync is not tried again."""
        store = await self.open_store()
        self.files.fail = {"fdatasync": errno.EIO}
        with self.assertRaises(StorageFailed):
            await ingest(store, BytesBody(noise(FRAME)), (), max_size=LIMIT)
        self.assertEqual(len(self.files.called("fdatasync")), 1)

    async def test_next_body_works(self) -> None:
        """A disk that works again takes the next body."""
        store = await self.open_store()
        self.files.fail = {"write": errno.ENOSPC}
        with self.assertRaises(InsufficientStorage):
            await ingest(store, BytesBody(noise(FRAME)), (), max_size=LIMIT)
        self.files.fail = {}
        stored = await ingest(store, BytesBody(noise(FRAME)), (), max_size=LIMIT)
        self.assertTrue(await self.read(store, stored.placement) == noise(FRAME))

    async def test_too_large(self) -> None:
        """A large body is stopped at the byte that is too much, and leaves nothing."""
        store = await self.open_store()
        source = HandFed()
        stored = self.begin(store, source, max_size=2 * FRAME)
        source.feed(noise(2 * FRAME))
        await self.turn(store)
        self.assertFalse(source.cancelled)
        source.feed(b"x")
        await self.assertFailure(stored, EntityTooLarge)
        self.assertTrue(source.cancelled)
        await self.assert_nothing_left(store)

    async def test_wrong_payload(self) -> None:
        """A large payload that is not the signed one leaves nothing, and is never synced."""
        store = await self.open_store()
        with self.assertRaises(ContentSHA256Mismatch):
            await ingest(store, BytesBody(noise(FRAME), sha256="0" * 64), (), max_size=LIMIT)
        await self.assert_nothing_left(store)
        self.assertEqual(self.files.called("fdatasync"), [])

    async def test_refused_by_verify(self) -> None:
        """The same for a body that its caller refuses."""
        store = await self.open_store()

        def refuse(md5: bytes, digests: Any) -> None:
            raise BadDigest

        with self.assertRaises(BadDigest):
            await ingest(store, BytesBody(noise(FRAME)), (), max_size=LIMIT, verify=refuse)
        await self.assert_nothing_left(store)
        self.assertEqual(self.files.called("fdatasync"), [])

    async def test_pull_producers_are_refused(self) -> None:
        """A source that waits to be asked would wait for ever, so it is refused."""

        class PullSource(HandFed):
            def deliver_to(self, consumer: Any) -> Deferred[None]:
                consumer.registerProducer(self, False)
                return Deferred()

        store = await self.open_store()
        with self.assertRaises(ValueError):
            await ingest(store, PullSource(length=5), (), max_size=LIMIT)
