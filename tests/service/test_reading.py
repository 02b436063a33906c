"""Tests of post3tw.service.reading."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import ClientGone, CorruptedData, OperationAborted, StorageFailed
from post3tw.model.version import Placement
from post3tw.service.ingest import ingest
from post3tw.service.interfaces import IByteSource
from post3tw.service.reading import Piece, open_pieces, stream_pieces
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.threads import IThreads, Threads
from post3tw.testing.blob_contract import noise
from post3tw.wire.checksums import FRAME, frame_crcs
from tests.service.bodies import Connection, HeldThreads
from tests.service.stores import BytesBody, make_store
from tests.storage.faulty import FaultyFiles, open_files

LIMIT = 1 << 40


class ReadingCase(TestCase):
    """A store with blobs in it."""

    async def open_store(self) -> Store:
        """A store over files that can fail."""
        store = await make_store(self)
        assert isinstance(store.blobs, FileBlobs)
        self.files = FaultyFiles()
        self.blobs = evolve(store.blobs, files=self.files)
        return evolve(store, blobs=self.blobs)

    def open_files(self) -> list[str]:
        """The files of blobs that are open."""
        return open_files(self.blobs.directory, self.blobs.temporary)

    async def put(self, store: Store, data: bytes) -> Placement:
        """Make a blob."""
        stored = await ingest(store, BytesBody(data), (), max_size=LIMIT, inline_max=0)
        return stored.placement

    def held(self, store: Store) -> tuple[Store, HeldThreads]:
        """The same store with a disk that does nothing until it is told to."""
        disk = HeldThreads()
        return evolve(store, blobs=evolve(self.blobs, threads=disk)), disk

    async def source(self, store: Store, *pieces: Piece) -> IByteSource:
        """The source of some pieces."""
        body = await open_pieces(store, pieces)
        assert not isinstance(body, bytes)
        return body

    def flip(self, placement: Placement, position: int) -> None:
        """Turn a bit of a blob on disk."""
        assert placement.blob is not None
        with open(self.blobs.path(placement.blob), "r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ 1]))


class InlineTests(ReadingCase):
    """Bodies that are in the index."""

    async def test_one_inline_piece(self) -> None:
        """A body that came with its row is answered as it is, or the part of it that is asked for."""
        store = await self.open_store()
        placement = Placement(5, body=b"b" * 16, crcs=frame_crcs(b"hello"))
        self.assertEqual(await open_pieces(store, [Piece(placement, 0, 5, b"hello")]), b"hello")
        self.assertEqual(await open_pieces(store, [Piece(placement, 1, 3, b"hello")]), b"ell")

    async def test_nothing(self) -> None:
        """No bytes need no source."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        self.assertEqual(await open_pieces(store, []), b"")
        self.assertEqual(await open_pieces(store, [Piece(Placement(0), 0, 0)]), b"")
        self.assertEqual(await open_pieces(store, [Piece(placement, 7, 0)]), b"")

    async def test_corrupted(self) -> None:
        """An inline body that does not match its checksum is refused, also when other bytes of it are asked for."""
        store = await self.open_store()
        placement = Placement(5, body=b"b" * 16, crcs=frame_crcs(b"hello"))
        with self.assertRaises(CorruptedData):
            await open_pieces(store, [Piece(placement, 0, 1, b"hellO")])

    async def test_read_when_its_turn_comes(self) -> None:
        """An inline body that did not come with its row is read from the index, and verified."""
        store = await self.open_store()
        placement = Placement(5, body=b"b" * 16, crcs=frame_crcs(b"hello"))
        broken = evolve(placement, body=b"c" * 16)
        await store.index.run(lambda tx: place(tx, b"h" * 16, placement, b"hello"))
        await store.index.run(lambda tx: place(tx, b"i" * 16, broken, b"hellO"))
        self.assertEqual(await open_pieces(store, [Piece(placement, 1, 4)]), b"ello")
        with self.assertRaises(CorruptedData):
            await open_pieces(store, [Piece(broken, 1, 4)])
        with self.assertRaises(CorruptedData):
            await open_pieces(store, [Piece(evolve(placement, body=b"d" * 16), 0, 5)])


class FlowTests(ReadingCase):
    """Bodies that flow."""

    async def test_round_trip(self) -> None:
        """Blobs of every awkward size flow out as they went in."""
        store = await self.open_store()
        for size in (1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 17):
            data = noise(size, size)
            placement = await self.put(store, data)
            source, connection = await self.source(store, Piece(placement, 0, size)), Connection()
            self.assertEqual(source.length, size)
            await source.deliver_to(connection)
            self.assertTrue(connection.data == data, size)
            self.assertEqual((connection.registered, connection.unregistered), (1, 1))

    async def test_ranges(self) -> None:
        """Ranges at every edge of frames give exactly their bytes, and read only the frames they touch."""
        store = await self.open_store()
        data = noise(3 * FRAME + 5)
        placement = await self.put(store, data)
        for first, length, frames in (
            (0, 1, 1),
            (FRAME - 1, 1, 1),
            (FRAME - 1, 2, 2),
            (FRAME, FRAME, 1),
            (FRAME + 1, FRAME, 2),
            (3 * FRAME, 5, 1),
            (3 * FRAME + 4, 1, 1),
            (5, 3 * FRAME, 4),
        ):
            source, connection = await self.source(store, Piece(placement, first, length)), Connection()
            self.files.calls.clear()
            await source.deliver_to(connection)
            self.assertTrue(connection.data == data[first : first + length], (first, length))
            self.assertEqual(len(self.files.called("pread")), frames)

    async def test_many_pieces(self) -> None:
        """Pieces follow each other, inline ones among them, one file open at a time."""
        store = await self.open_store()
        inline = Placement(4, body=b"b" * 16, crcs=frame_crcs(b"line"))
        await store.index.run(lambda tx: place(tx, b"h" * 16, inline, b"line"))
        bodies = [noise(FRAME + n, n) for n in range(3)]
        placements = [await self.put(store, body) for body in bodies]
        pieces = [
            Piece(placements[0], 3, FRAME - 5),
            Piece(inline, 1, 3),
            Piece(placements[1], 0, FRAME + 1),
            Piece(placements[2], FRAME, 2),
        ]
        source, connection = await self.source(store, *pieces), Connection()
        self.files.calls.clear()
        await source.deliver_to(connection)
        expected = bodies[0][3 : FRAME - 2] + b"ine" + bodies[1] + bodies[2][FRAME:]
        self.assertTrue(connection.data == expected)
        self.assertEqual(source.length, len(expected))
        opened = [name for name, _ in self.files.calls if name in ("open", "close")]
        self.assertEqual(opened, ["open", "close"] * 3)

    async def test_pieces_as_they_come(self) -> None:
        """Pieces may be looked up while others flow; what the lookup raises ends the flow."""
        store = await self.open_store()
        placement = await self.put(store, noise(100))

        async def pieces() -> AsyncIterator[Piece]:
            yield Piece(placement, 0, 100)
            yield Piece(placement, 50, 50)
            raise OperationAborted

        connection = Connection()
        with self.assertRaises(OperationAborted):
            await stream_pieces(store, pieces(), 300).deliver_to(connection)
        self.assertEqual(connection.data, noise(100) + noise(100)[50:])

    async def test_threads(self) -> None:
        """The same with real threads and a consumer that pauses after each write."""
        from twisted.internet import reactor

        class Slow(Connection):
            def write(self, data: bytes) -> None:
                super().write(data)
                producer = self.producer
                producer.pauseProducing()
                reactor.callLater(0, producer.resumeProducing)

        store = await self.open_store()
        data = noise(5 * FRAME + 3)
        placement = await self.put(store, data)
        pool = Threads(reactor, "disk", 2)
        pool.start()
        self.addCleanup(pool.stop)
        threads: IThreads = pool
        threaded = evolve(store, blobs=evolve(self.blobs, threads=threads))
        source, connection = await self.source(threaded, Piece(placement, 0, len(data))), Slow()
        await source.deliver_to(connection)
        self.assertEqual(hashlib.sha256(connection.data).digest(), hashlib.sha256(data).digest())


class BackPressureTests(ReadingCase):
    """Consumers that are slow, stuck or gone."""

    async def test_read_ahead(self) -> None:
        """While one frame is being sent the next is read, and no more; a stuck consumer stops the reading."""
        store = await self.open_store()
        data = noise(5 * FRAME)
        held, disk = self.held(store)
        placement = await self.put(store, data)
        source, connection = await self.source(held, Piece(placement, 0, len(data))), Connection(stuck=True)
        done = source.deliver_to(connection)
        self.files.calls.clear()
        disk.work_all()
        self.assertEqual((len(connection.taken), len(self.files.called("pread"))), (1, 2))
        connection.producer.resumeProducing()
        self.assertEqual(len(connection.taken), 2)
        disk.work_all()
        self.assertEqual((len(connection.taken), len(self.files.called("pread"))), (2, 3))
        while not done.called:
            connection.producer.resumeProducing()
            disk.work_all()
        await done
        self.assertTrue(connection.data == data)

    async def test_paused_from_the_start(self) -> None:
        """A consumer that is already full gets nothing until it says so."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        source = await self.source(store, Piece(placement, 0, FRAME))

        class Full(Connection):
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                super().registerProducer(producer, streaming)
                producer.pauseProducing()
                producer.pauseProducing()

        connection = Full()
        done = source.deliver_to(connection)
        self.assertEqual(connection.taken, [])
        connection.producer.resumeProducing()
        await done
        self.assertEqual(len(connection.data), FRAME)

    async def test_vanishing_client(self) -> None:
        """A client that goes away, at any point, ends the flow with ClientGone and leaves no file open."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        before = self.open_files()
        for steps in range(7):
            held, disk = self.held(store)
            source, connection = await self.source(held, Piece(placement, 0, 4 * FRAME)), Connection()
            done = source.deliver_to(connection)
            for _ in range(steps):
                disk.work()
            producer, taken = connection.producer, len(connection.taken)
            if done.called:
                break
            producer.stopProducing()
            producer.stopProducing()
            disk.work_all()
            await self.assertFailure(done, ClientGone)
            self.assertEqual(len(connection.taken), taken)
            self.assertEqual(connection.unregistered, 0)
            self.assertEqual(self.open_files(), before)
        self.assertGreater(steps, 4)

    async def test_stuck_client_vanishes(self) -> None:
        """The same when the consumer is paused."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        before = self.open_files()
        source, connection = await self.source(store, Piece(placement, 0, 4 * FRAME)), Connection(stuck=True)
        done = source.deliver_to(connection)
        connection.producer.stopProducing()
        await self.assertFailure(done, ClientGone)
        self.assertEqual((len(connection.taken), self.open_files()), (1, before))

    async def test_client_vanishes_while_written_to(self) -> None:
        """The same when it says so while it is being written to."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        before = self.open_files()

        class Vanishing(Connection):
            def write(self, data: bytes) -> None:
                super().write(data)
                self.producer.stopProducing()

        connection = Vanishing()
        done = (await self.source(store, Piece(placement, 0, 4 * FRAME))).deliver_to(connection)
        await self.assertFailure(done, ClientGone)
        self.assertEqual((len(connection.taken), self.open_files()), (1, before))
        self.flip(placement, FRAME)  # now the frame that is read ahead fails, which is nobody's business any more
        source = await self.source(store, Piece(placement, 0, 4 * FRAME))
        await self.assertFailure(source.deliver_to(Vanishing()), ClientGone)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_client_is_already_gone(self) -> None:
        """The same when it is gone before anything flows."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        before = self.open_files()
        connection = Connection(gone_at_once=True)
        done = (await self.source(store, Piece(placement, 0, 4 * FRAME))).deliver_to(connection)
        await self.assertFailure(done, ClientGone)
        self.assertEqual((connection.taken, self.open_files()), ([], before))

    async def test_cancel(self) -> None:
        """Cancelling, at any point, stops the flow, unregisters and leaves no file open."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        before = self.open_files()
        for steps in range(5):
            held, disk = self.held(store)
            source, connection = await self.source(held, Piece(placement, 0, 4 * FRAME)), Connection()
            done = source.deliver_to(connection)
            for _ in range(steps):
                disk.work()
            taken = len(connection.taken)
            done.cancel()
            disk.work_all()
            await self.assertFailure(done, CancelledError)
            self.assertEqual((len(connection.taken), connection.unregistered), (taken, 1))
            self.assertEqual(self.open_files(), before)

    async def test_cancel_while_written_to(self) -> None:
        """A consumer may cancel the flow from within a write."""
        store = await self.open_store()
        placement = await self.put(store, noise(4 * FRAME))
        held, disk = self.held(store)
        flows: list[Deferred[None]] = []

        class Cancelling(Connection):
            def write(self, data: bytes) -> None:
                super().write(data)
                flows[0].cancel()

        connection = Cancelling()
        flows.append((await self.source(held, Piece(placement, 0, 4 * FRAME))).deliver_to(connection))
        disk.work_all()
        await self.assertFailure(flows[0], CancelledError)
        self.assertEqual(len(connection.taken), 1)

    async def test_source_never_used(self) -> None:
        """A source that nobody asks for its bytes has opened nothing."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        before = self.open_files()
        await self.source(store, Piece(placement, 0, FRAME))
        self.assertEqual(self.open_files(), before)


class DamageTests(ReadingCase):
    """Bytes that are not what was stored."""

    async def test_flipped_bit(self) -> None:
        """A wrong bit anywhere in a frame keeps every byte of that frame back."""
        store = await self.open_store()
        data = noise(3 * FRAME)
        for position, good in ((0, 0), (FRAME - 1, 0), (FRAME, 1), (3 * FRAME - 1, 2)):
            placement = await self.put(store, data)
            self.flip(placement, position)
            connection = Connection()
            source = await self.source(store, Piece(placement, 0, len(data)))
            with self.assertRaises(CorruptedData) as caught:
                await source.deliver_to(connection)
            self.assertEqual(caught.exception.details, {"blob": (placement.blob or b"").hex(), "frame": good})
            self.assertTrue(connection.data == data[: good * FRAME])

    async def test_flipped_bit_outside_the_range(self) -> None:
        """A range of one byte fails when its frame is damaged elsewhere, and does not when another frame is."""
        store = await self.open_store()
        data = noise(3 * FRAME)
        placement = await self.put(store, data)
        self.flip(placement, FRAME + 700)
        connection = Connection()
        await (await self.source(store, Piece(placement, FRAME - 1, 1))).deliver_to(connection)
        self.assertEqual(connection.data, data[FRAME - 1 : FRAME])
        source = await self.source(store, Piece(placement, FRAME, 1))
        await self.assertFailure(source.deliver_to(Connection()), CorruptedData)

    async def test_truncated(self) -> None:
        """A file that lost its end gives the whole frames before that, and an error."""
        store = await self.open_store()
        data = noise(2 * FRAME + 10)
        placement = await self.put(store, data)
        os.truncate(self.blobs.path(placement.blob or b""), 2 * FRAME + 9)
        connection = Connection()
        source = await self.source(store, Piece(placement, 0, len(data)))
        await self.assertFailure(source.deliver_to(connection), CorruptedData)
        self.assertTrue(connection.data == data[: 2 * FRAME])

    async def test_swapped(self) -> None:
        """A file in the place of another is found out before the first byte."""
        store = await self.open_store()
        one, two = await self.put(store, noise(FRAME, 1)), await self.put(store, noise(FRAME, 2))
        os.rename(self.blobs.path(one.blob or b""), self.blobs.path(two.blob or b""))
        connection = Connection()
        await self.assertFailure((await self.source(store, Piece(two, 0, FRAME))).deliver_to(connection), CorruptedData)
        self.assertEqual(connection.taken, [])

    async def test_missing(self) -> None:
        """A blob that is not there is an error before the first byte."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        await store.blobs.delete([placement.blob or b""])
        connection = Connection()
        source = await self.source(store, Piece(placement, 0, FRAME))
        await self.assertFailure(source.deliver_to(connection), CorruptedData)
        self.assertEqual((connection.taken, connection.unregistered), ([], 1))

    async def test_failing_disk(self) -> None:
        """A disk that fails ends the flow, and leaves no file open."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        before = self.open_files()
        for call in ("open", "pread"):
            self.files.fail = {call: errno.EIO}
            source = await self.source(store, Piece(placement, 0, FRAME))
            await self.assertFailure(source.deliver_to(Connection()), StorageFailed)
            self.assertEqual(self.open_files(), before)

    async def test_deleted_while_read(self) -> None:
        """A flow that began before a delete ends with the old bytes."""
        store = await self.open_store()
        data = noise(3 * FRAME)
        placement = await self.put(store, data)
        source, connection = await self.source(store, Piece(placement, 0, len(data))), Connection(stuck=True)
        done = source.deliver_to(connection)
        await store.blobs.delete([placement.blob or b""])
        while not done.called:
            connection.producer.resumeProducing()
        await done
        self.assertTrue(connection.data == data)
