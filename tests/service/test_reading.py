"""Tests of post3tw.service.reading: what flows, and what of it is damaged."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncIterator

from attrs import evolve

from post3tw.model.errors import CorruptedData, OperationAborted, StorageFailed
from post3tw.model.version import Placement
from post3tw.service.reading import Piece, open_pieces, stream_pieces
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.threads import IThreads, Threads
from post3tw.testing.blob_fixture import noise
from post3tw.wire.checksums import FRAME, frame_crcs
from tests.service.bodies import Connection
from tests.service.reading_case import ReadingCase


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
