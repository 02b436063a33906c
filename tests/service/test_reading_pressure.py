"""Tests of post3tw.service.reading: consumers that are slow, stuck or gone."""

from __future__ import annotations

import gc
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from post3tw.model.errors import ClientGone, CorruptedData
from post3tw.service.crowd import PLENTY, SLICE, Crowd
from post3tw.service.reading import Piece
from post3tw.testing.blob_fixture import noise
from post3tw.wire.checksums import FRAME
from tests.service.bodies import Connection
from tests.service.reading_case import ReadingCase


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

    async def test_many_stuck_consumers(self) -> None:
        """When answers hold much together, one more reads nothing ahead; when they hold very much, it gives away a
        slice of a frame at a time, and reads the others when their turn comes. In the end it holds nothing."""
        store = await self.open_store()
        data = noise(2 * FRAME + 5)
        placement = await self.put(store, data)
        for others, first, reads in ((0, FRAME, 2), (PLENTY * 2 // 3, FRAME, 1), (PLENTY, SLICE, 1)):
            held, disk = self.held(evolve(store, crowd=Crowd()))
            held.crowd.bytes = others
            source, connection = await self.source(held, Piece(placement, 7, len(data) - 7)), Connection(stuck=True)
            self.files.calls.clear()
            done = source.deliver_to(connection)
            disk.work_all()
            self.assertEqual([len(taken) for taken in connection.taken], [min(first, FRAME - 7)])
            self.assertEqual(len(self.files.called("pread")), reads)
            self.assertLessEqual(held.crowd.bytes - others, reads * FRAME)
            while not done.called:
                connection.producer.resumeProducing()
                disk.work_all()
            await done
            self.assertTrue(connection.data == data[7:])
            self.assertEqual(held.crowd.bytes, others)

    async def test_crowds_of_workers(self) -> None:
        """Several workers together keep to what one alone may hold, until each would have too little to work with."""
        self.assertEqual([Crowd.of_worker(PLENTY, count).plenty >> 20 for count in (1, 2, 3, 64)], [48, 24, 16, 16])

    async def test_slices_are_verified(self) -> None:
        """A slice that has changed since its frame was verified is not sent."""
        store = await self.open_store()
        placement = await self.put(store, noise(FRAME))
        crowded = evolve(store, crowd=Crowd())
        crowded.crowd.bytes = PLENTY
        source, connection = await self.source(crowded, Piece(placement, 0, FRAME)), Connection(stuck=True)
        done = source.deliver_to(connection)
        self.assertEqual(len(connection.data), SLICE)
        self.flip(placement, FRAME - 1)
        with self.assertRaises(CorruptedData):
            while not done.called:
                connection.producer.resumeProducing()
            await done
        self.assertEqual(len(connection.data), FRAME - SLICE)
        self.assertEqual(crowded.crowd.bytes, PLENTY)

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
