"""Bodies, in and out, that flow, wait for whoever is slow, and break off."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from post3tw.api import types
from post3tw.service.interfaces import IRequestBody
from tests.s3.doubles import Collector, Pieces, Source
from tests.s3.serving import UNSIGNED, ServingTestCase


class BackPressureTests(ServingTestCase):
    """Nobody's bytes pile up."""

    async def test_body_waits_for_its_consumer(self) -> None:
        """A consumer that pauses stops the client: what the server holds does not grow with the body."""
        collector = Collector()
        begun: Deferred[IRequestBody] = Deferred()
        flowed: Deferred[None] = Deferred()

        async def put(caller: object, input: object, body: IRequestBody) -> types.PutObjectOutput:
            delivering = body.deliver_to(collector)
            collector.producer.pauseProducing()
            begun.callback(body)
            await delivering
            flowed.callback(None)
            return types.PutObjectOutput()

        self.service.instead["PutObject"] = put
        size = 16 * 1024 * 1024
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"%d" % size)], payload_hash=UNSIGNED))
        client.send(b"x" * size)
        await begun
        for _ in range(50):
            await self.turn()
        (channel,) = self.site._channels
        self.assertLess(len(collector.data) + len(channel._buffer), 256 * 1024)
        self.assertGreater(client.unsent, size // 2)
        collector.producer.resumeProducing()
        await flowed
        self.assertEqual(len(collector.data), size)
        self.assertEqual((await client.reply()).status, 200)

    async def test_body_before_its_consumer(self) -> None:
        """While an upload waits for its admission, not more of it is read than shows that the client is there."""
        admission: Deferred[None] = Deferred()
        self.service.before_admission = lambda: admission
        size = 16 * 1024 * 1024
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"%d" % size)], payload_hash=UNSIGNED))
        client.send(b"x" * size)
        for _ in range(50):
            await self.turn()
        self.assertGreater(client.unsent, size // 2)
        admission.callback(None)
        self.assertEqual((await client.reply()).status, 200)
        self.assertEqual(len(self.service.objects["b", "k"]), size)

    async def test_reply_waits_for_its_reader(self) -> None:
        """A client that does not read is not written to, and a pull producer is not asked in vain."""
        body = Pieces(b"x" * 256 * 1024, 100)
        self.service.answer_get(body, body.length)
        client = await self.connect()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        client.send(self.signed(b"GET", b"/b/k"))
        for _ in range(100):
            await self.turn()
        asked = body.asked
        self.assertLess(asked, 50)
        client.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(len((await client.reply()).body), body.length)
        self.assertEqual(body.asked, 101)

    async def test_pipelined_requests_wait_for_their_reader(self) -> None:
        """Many pipelined GETs by a client that does not read are not all answered into memory."""
        self.service.objects["b", "k"] = b"x" * 60_000
        client = await self.connect()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        client.send(self.signed(b"GET", b"/b/k") * 2000)
        for _ in range(100):
            await self.turn()
        self.assertLess(len(self.records.all), 500)
        client.abort()
        await client.until_closed()

    async def test_replies_beyond_the_sockets_room(self) -> None:
        """Replies that the socket has no room for follow those that it took, complete and in their order."""
        bodies = [bytes([number]) * 60_000 for number in range(150)]
        for number, body in enumerate(bodies):
            self.service.objects["b", f"k{number}"] = body
        client = await self.connect()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        client.send(b"".join(self.signed(b"GET", b"/b/k%d" % number) for number in range(len(bodies))))
        for _ in range(50):
            await self.turn()
        client.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual([(await client.reply()).body for _ in bodies], bodies)


class GoneTests(ServingTestCase):
    """Clients that leave."""

    async def test_cancels_what_runs(self) -> None:
        """An operation whose client is gone is cancelled, and recorded as such."""
        source = Source(1000)
        self.service.answer_get(source, 1000)
        for leave in ("abort", "close"):
            source.cancelled = False
            client = await self.connect()
            client.send(self.signed(b"GET", b"/b/k"))
            while source.delivering is None:
                await self.turn()
            if leave == "abort":
                client.abort()
            else:
                await client.close()
            count = len(self.records.all)
            await self.records.until(count + 1)
            record = self.records.all[-1]
            self.assertTrue(source.cancelled)
            self.assertEqual((record.status, record.client_gone, record.error_code), (499, True, None))
            source.delivering = None

    async def test_gone_in_the_middle_of_a_body(self) -> None:
        """An upload whose client vanishes leaves nothing behind."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"10")], payload_hash=UNSIGNED) + b"12345")
        while not self.service.inputs:
            await self.turn()
        client.abort()
        await self.records.until(1)
        self.assertEqual(self.records.all[0].status, 499)
        self.assertEqual(self.service.objects, {})

    async def test_error_after_the_first_byte_drops_the_connection(self) -> None:
        """Who has a part of a body must notice that the rest does not come."""
        source = Source(1000)
        self.service.answer_get(source, 1000)
        client = await self.connect()
        client.send(self.signed(b"GET", b"/b/k"))
        while source.delivering is None:
            await self.turn()
        source.consumer.write(b"x" * 10)
        source.delivering.errback(RuntimeError("the disk broke"))
        with self.assertRaises(ConnectionError):
            await client.reply()
        self.assertEqual(self.records.all[0].error_code, "InternalError")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_error_before_the_first_byte_is_an_error(self) -> None:
        """As long as nothing was written, a reply that was begun can become an error."""
        source = Source(1000)
        self.service.answer_get(source, 1000)
        client = await self.connect()
        client.send(self.signed(b"GET", b"/b/k"))
        while source.delivering is None:
            await self.turn()
        source.delivering.errback(RuntimeError("the disk broke"))
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (500, "InternalError"))
        self.assertNotIn(b"disk", reply.body)
        self.flushLoggedErrors(RuntimeError)

    async def test_a_body_too_short_drops_the_connection(self) -> None:
        """A source that ends before the announced length is an error, not a reply."""
        source = Source(1000)
        self.service.answer_get(source, 1000)
        client = await self.connect()
        client.send(self.signed(b"GET", b"/b/k"))
        while source.delivering is None:
            await self.turn()
        source.consumer.write(b"x" * 999)
        source.end()
        with self.assertRaises(ConnectionError):
            await client.reply()
        self.assertEqual(len(self.flushLoggedErrors()), 1)
