"""How long connections and requests have, how many there may be, and how they end with the site."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from post3tw.api import types
from post3tw.s3.limits import Limits
from post3tw.service.interfaces import IRequestBody
from tests.s3.doubles import Collector, Pieces
from tests.s3.serving import UNSIGNED, ServingTestCase, wire

LIVE = b"GET /-/health/live HTTP/1.1\r\nHost: h\r\n\r\n"
LIMITS = Limits(
    head_timeout=10, body_timeout=10, body_rate=100, idle_timeout=60, max_connections=3, max_requests=2, drain_time=5
)


class TimeTests(ServingTestCase):
    """Who lets us wait too long."""

    def options(self) -> dict[str, Any]:
        """Short timeouts, few connections and requests."""
        return {"limits": LIMITS}

    def _pass(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    async def test_idle_connections_are_closed(self) -> None:
        """After idle_timeout without a request, fresh and used ones alike."""
        fresh, used = await self.connect(), await self.connect()
        used.send(LIVE)
        await used.reply()
        self._pass(59)
        used.send(LIVE)
        self.assertEqual((await used.reply()).status, 200)
        self._pass(3)
        self.assertEqual(await fresh.until_closed(), b"")
        self.assertIsNone(used.closed)
        self._pass(60)
        self.assertEqual(await used.until_closed(), b"")

    async def test_slow_heads_are_answered_and_closed(self) -> None:
        """A head that drips in has head_timeout from its first byte, however often another byte comes."""
        client = await self.connect()
        for byte in LIVE[:12]:
            client.send(bytes([byte]))
            await self.turn()
            await self.turn()
            self._pass(1)
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (400, "RequestTimeout"))
        self.assertEqual(await client.until_closed(), b"")

    async def test_slow_bodies_are_answered_and_closed(self) -> None:
        """A body that falls behind its minimum rate is a RequestTimeout."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"100000")], payload_hash=UNSIGNED))
        while not self.service.inputs:
            await self.turn()
        client.send(b"x" * 999)
        await self.until_read(999)
        self._pass(11)
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (400, "RequestTimeout"))
        await client.until_closed()
        self.assertEqual(self.service.objects, {})

    async def test_a_body_at_its_minimum_rate_may_take_long(self) -> None:
        """What matters is the rate in each window, not how long it takes."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"5000")], payload_hash=UNSIGNED))
        while not self.service.inputs:
            await self.turn()
        for n in range(1, 6):
            client.send(b"x" * 1000)
            if n < 5:
                await self.until_read(1000 * n)
                self._pass(10)
        self.assertEqual((await client.reply()).status, 200)

    async def test_our_own_slowness_is_not_the_clients(self) -> None:
        """While the consumer pauses, the client may not send, so it cannot be too slow."""
        collector = Collector()

        async def put(caller: object, input: object, body: IRequestBody) -> types.PutObjectOutput:
            delivering = body.deliver_to(collector)
            collector.producer.pauseProducing()
            await delivering
            return types.PutObjectOutput()

        self.service.instead["PutObject"] = put
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"5")], payload_hash=UNSIGNED))
        while collector.producer is None:
            await self.turn()
        self._pass(100)
        collector.producer.resumeProducing()
        client.send(b"abcde")
        self.assertEqual((await client.reply()).status, 200)

    async def test_readers_that_do_not_read_are_closed(self) -> None:
        """A reply that nobody takes ends after idle_timeout, and so does its producer."""
        body = Pieces(b"x" * 1024 * 1024, 100)
        self.service.answer_get(body, body.length)
        client = await self.connect()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        client.send(self.signed(b"GET", b"/b/k"))
        for _ in range(50):
            await self.turn()
        self._pass(62)
        await self.records.until(1)
        self.assertTrue(body.stopped)
        client.transport.resumeProducing()  # type: ignore[union-attr]
        with self.assertRaises(ConnectionError):
            await client.reply()

    async def test_refused_bodies_are_drained_for_a_while_only(self) -> None:
        """After an early error the rest of a body has drain_time to come."""
        client = await self.connect()
        client.send(wire(b"PUT", b"/b/k", [(b"Host", b"h"), (b"Content-Length", b"1000")]))
        self.assertEqual((await client.reply()).status, 403)
        self._pass(7)
        self.assertEqual(await client.until_closed(), b"")

    async def test_too_many_connections(self) -> None:
        """One connection too many is told to slow down."""
        for _ in range(3):
            client = await self.connect()
            client.send(LIVE)
            self.assertEqual((await client.reply()).status, 200)
        reply = await self.ask(LIVE)
        self.assertEqual((reply.status, reply.code, reply.headers["retry-after"]), (503, "SlowDown", "1"))
        self.assertEqual(reply.headers["connection"], "close")

    async def test_too_many_requests(self) -> None:
        """One request too many at the same time is told to slow down; the connection stays."""
        admission: Deferred[None] = Deferred()
        self.service.before_admission = lambda: admission
        busy = [await self.connect() for _ in range(2)]
        for client in busy:
            client.send(self.signed(b"GET", b"/b/k"))
        while self.site.requests < 2:
            await self.turn()
        third = await self.connect()
        third.send(self.signed(b"GET", b"/b/k"))
        reply = await third.reply()
        self.assertEqual((reply.status, reply.code, reply.headers["retry-after"]), (503, "SlowDown", "1"))
        admission.callback(None)
        for client in busy:
            self.assertEqual((await client.reply()).status, 404)
        third.send(self.signed(b"GET", b"/b/k"))
        self.assertEqual((await third.reply()).status, 404)


class DrainTests(ServingTestCase):
    """The end of a site."""

    async def test_lets_requests_finish(self) -> None:
        """Idle connections close at once, a request that runs is answered, and that is all."""
        admission: Deferred[None] = Deferred()
        self.service.before_admission = lambda: admission
        idle, busy = await self.connect(), await self.connect()
        busy.send(self.signed(b"PUT", b"/b/k", body=b"abc"))
        while not self.site.requests:
            await self.turn()
        drained = Deferred.fromCoroutine(self.site.drain(30))
        self.assertEqual(await idle.until_closed(), b"")
        self.assertFalse(drained.called)
        admission.callback(None)
        reply = await busy.reply()
        self.assertEqual((reply.status, reply.headers["connection"]), (200, "close"))
        await busy.until_closed()
        await drained
        self.assertEqual(self.site.connections, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_has_an_end(self) -> None:
        """What does not finish in time is cut off and cancelled."""
        admission: Deferred[None] = Deferred()
        self.service.before_admission = lambda: admission
        busy = await self.connect()
        busy.send(self.signed(b"PUT", b"/b/k", body=b"abc"))
        while not self.site.requests:
            await self.turn()
        drained = Deferred.fromCoroutine(self.site.drain(30))
        self.clock.advance(31)
        await drained
        self.assertEqual(self.records.all[0].status, 499)
        await busy.until_closed()
