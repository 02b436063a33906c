"""Connections: order, keep-alive, early answers, and bytes that no client should send."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from post3tw.api import types
from post3tw.service.interfaces import IRequestBody
from tests.s3.serving import UNSIGNED, ServingTestCase, wire

LIVE = b"GET /-/health/live HTTP/1.1\r\nHost: h\r\n\r\n"


class KeepAliveTests(ServingTestCase):
    """Several requests on one connection."""

    async def test_serves_one_after_the_other(self) -> None:
        """A connection serves request after request, bodies between them."""
        client = await self.connect()
        for n in range(5):
            body = b"%d" % n * 1000
            client.send(self.signed(b"PUT", b"/b/k%d" % n, body=body))
            self.assertEqual((await client.reply()).status, 200)
            client.send(self.signed(b"GET", b"/b/k%d" % n))
            self.assertEqual((await client.reply()).body, body)

    async def test_TW_2_pipelined_replies_are_in_order(self) -> None:
        """100 pipelined GETs, the first one slow: every reply is that of its request."""
        for n in range(100):
            self.service.objects["b", f"k{n}"] = b"body %d" % n
        slow: Deferred[None] = Deferred()
        waits = iter([slow])
        self.service.before_admission = lambda: next(waits, None) or _now()
        client = await self.connect()
        client.send(b"".join([self.signed(b"GET", b"/b/k%d" % n) for n in range(100)]))
        fast = await self.ask(self.signed(b"GET", b"/b/k1"))
        self.assertEqual(fast.body, b"body 1")
        self.assertEqual(bytes(client.received), b"")
        slow.callback(None)
        for n in range(100):
            self.assertEqual((await client.reply()).body, b"body %d" % n)

    async def test_TW_2_pipelined_after_an_early_error(self) -> None:
        """A request refused before its body was read does not turn its body into the next request."""
        self.service.objects["b", "k"] = b"here"
        client = await self.connect()
        refused = wire(b"PUT", b"/b/k", [(b"Host", b"h"), (b"Content-Length", b"%d" % len(LIVE))], LIVE)
        client.send(refused + self.signed(b"GET", b"/b/k") + refused[:-5])
        self.assertEqual((await client.reply()).code, "AccessDenied")
        self.assertEqual((await client.reply()).body, b"here")
        self.assertEqual((await client.reply()).code, "AccessDenied")
        client.send(refused[-5:] + self.signed(b"GET", b"/b/k"))
        self.assertEqual((await client.reply()).body, b"here")

    async def test_body_of_refused_request_comes_later(self) -> None:
        """The rest of a small body that nobody wants is thrown away when it comes."""
        client = await self.connect()
        client.send(wire(b"PUT", b"/b/k", [(b"Host", b"h"), (b"Content-Length", b"100000")]))
        self.assertEqual((await client.reply()).status, 403)
        for _ in range(10):
            client.send(b"x" * 10_000)
        client.send(LIVE)
        self.assertEqual((await client.reply()).body, b"ok\n")

    async def test_closes_when_asked(self) -> None:
        """Connection: close is honoured and answered."""
        client = await self.connect()
        client.send(b"GET /-/health/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + LIVE)
        reply = await client.reply()
        self.assertEqual((reply.status, reply.headers["connection"]), (200, "close"))
        self.assertEqual(await client.until_closed(), b"")

    async def test_http_1_0(self) -> None:
        """HTTP/1.0 is answered and closed, or kept when the client says so."""
        client = await self.connect()
        client.send(b"GET /-/health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual((await client.reply()).headers["connection"], "keep-alive")
        client.send(b"GET /-/health/live HTTP/1.0\r\n\r\n")
        self.assertEqual((await client.reply()).headers["connection"], "close")
        await client.until_closed()

    async def test_tolerates_an_empty_line_between_requests(self) -> None:
        """RFC 9112 section 2.2: a server ignores an empty line before a request line."""
        client = await self.connect()
        client.send(LIVE + b"\r\n" + LIVE)
        self.assertEqual([(await client.reply()).status for _ in range(2)], [200, 200])

    async def test_a_request_in_single_bytes(self) -> None:
        """A head and a chunked body that come byte by byte are the same request."""
        client = await self.connect()
        fields = [(b"transfer-encoding", b"chunked"), (b"x-amz-decoded-content-length", b"3")]
        request = self.signed(
            b"PUT",
            b"/b/k",
            fields,
            payload_hash=b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        )
        body = b"3\r\nabc\r\n0\r\n\r\n"
        for byte in request + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body):
            client.send(bytes([byte]))
        self.assertEqual((await client.reply()).status, 200)
        self.assertEqual(self.service.objects["b", "k"], b"abc")


class ContinueTests(ServingTestCase):
    """`Expect: 100-continue`."""

    EXPECT = (b"expect", b"100-continue")

    async def test_sent_when_the_body_is_wanted(self) -> None:
        """An admitted upload is asked for, then answered."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [self.EXPECT, (b"content-length", b"3")], payload_hash=UNSIGNED))
        self.assertEqual((await client.reply()).status, 100)
        client.send(b"abc")
        self.assertEqual((await client.reply()).status, 200)
        client.send(LIVE)
        self.assertEqual((await client.reply()).status, 200)

    async def test_not_sent_to_who_may_not(self) -> None:
        """Who is not admitted is told so at once; since its body may or may not come, the connection closes."""
        client = await self.connect()
        client.send(wire(b"PUT", b"/b/k", [(b"Host", b"h"), self.EXPECT, (b"Content-Length", b"5000000000")]))
        reply = await client.reply()
        self.assertEqual((reply.status, reply.headers["connection"]), (403, "close"))
        self.assertEqual(await client.until_closed(), b"")

    async def test_not_sent_by_http_1_0(self) -> None:
        """HTTP/1.0 has no interim replies."""
        client = await self.connect()
        request = self.signed(b"PUT", b"/b/k", [self.EXPECT], b"abc").replace(b"HTTP/1.1", b"HTTP/1.0")
        client.send(request)
        self.assertEqual((await client.reply()).status, 200)

    async def test_other_expectations_are_ignored(self) -> None:
        """A server may ignore an expectation that it does not know."""
        reply = await self.ask(self.signed(b"PUT", b"/b/k", [(b"expect", b"cake")], b"abc"))
        self.assertEqual(reply.status, 200)

    async def test_not_sent_before_the_service_wants_it(self) -> None:
        """What an operation refuses without looking at the body is not uploaded."""

        async def refuse(caller: object, input: object, body: IRequestBody) -> types.PutObjectOutput:
            raise NotImplementedError

        self.service.instead["PutObject"] = refuse
        reply = await self.ask(
            self.signed(b"PUT", b"/b/k", [self.EXPECT, (b"content-length", b"3")], payload_hash=UNSIGNED)
        )
        self.assertEqual(reply.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(NotImplementedError)), 1)


class BadBytesTests(ServingTestCase):
    """What is not a request is answered in S3's words, then the connection closes."""

    async def _refused(self, data: bytes, status: int, code: str) -> None:
        client = await self.connect()
        client.send(data)
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (status, code), data[:80])
        self.assertEqual(reply.headers["connection"], "close")
        self.assertEqual(reply.headers["content-type"], "application/xml")
        self.assertEqual(len(reply.headers["x-amz-request-id"]), 16)
        self.assertEqual(await client.until_closed(), b"", data[:80])

    async def test_heads_that_are_too_large(self) -> None:
        """A head of more than 16 KiB, ended or not, and 501 or 10,001 headers."""
        too_many = (wire(b"GET", b"/", [(b"A", b"1")] * 501), wire(b"GET", b"/", [(b"A", b"1")] * 10_001))
        long = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 17000
        for data in (long, long + b"\r\n\r\n", b"GET /" + b"x" * 200_000, *too_many):
            await self._refused(data, 400, "RequestHeaderSectionTooLarge")

    async def test_a_head_as_large_as_allowed(self) -> None:
        """16 KiB are read, with everything that S3 has in a head."""
        filler = 16384 - len(wire(b"GET", b"/-/health/live", [(b"Host", b"h"), (b"A", b"")])) + 4
        reply = await self.ask(wire(b"GET", b"/-/health/live", [(b"Host", b"h"), (b"A", b"x" * filler)]))
        self.assertEqual(reply.status, 200)

    async def test_malformed_heads(self) -> None:
        """See the table of test_head for more."""
        for data in (
            b"hello\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\nHost: h\n\n",
            b"GET / HTTP/1.1\r\nHost: h\r\na: 1\r\n b\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\r\n\r\n\r\nfoo\r\n\r\n",
        ):
            await self._refused(data, 400, "BadRequest")

    async def test_smuggling(self) -> None:
        """A second request hidden in the body of an ambiguous first one is never answered."""
        inner = b"GET /-/health/live HTTP/1.1\r\nHost: h\r\n\r\n"
        fields = (
            b"Content-Length: 0\r\nContent-Length: %d" % len(inner),
            b"Content-Length: %d\r\nContent-Length: 0" % len(inner),
            b"Content-Length: 0, %d" % len(inner),
            b"Content-Length: 0\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(inner),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: identity\r\nContent-Length: %d" % len(inner),
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding:\r\n chunked",
            b"Transfer-Encoding : chunked",
            b" Transfer-Encoding: chunked",
            b"X: y\r\n Transfer-Encoding: chunked",
            b"X: y\rTransfer-Encoding: chunked",
            b"X: y\nTransfer-Encoding: chunked",
            b"X: y\r\n\rTransfer-Encoding: chunked",
            b"Transfer\x00-Encoding: chunked",
            b"Transfer_Encoding\x00: chunked",
            b"Transfer-Encoding: chunked\x00",
            b"Content-Length : 0",
            b"Content-Length: +0",
            b"Content-Length: -1",
            b"Content-Length: 0x0",
            b"Content-Length: 0\x00",
            b"Content-Length: 0 0",
            b"Content-Length: 0e0",
            b"Content-Length:",
            b"Content-Length: \xff",
            b"Content-Length: 0\r\n\tX: y",
            b"Host: other",
            b"Host:",
        )
        for field in fields:
            client = await self.connect()
            client.send(b"GET /-/health/live HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n" + inner)
            reply = await client.reply()
            self.assertIn(reply.status, (400, 501), field)
            self.assertEqual(await client.until_closed(), b"", field)

    async def test_bad_chunks(self) -> None:
        """Framing that goes wrong in the middle of a body ends the request and the connection."""
        for chunks in (
            b"zz\r\n",
            b"+3\r\nabc\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\nabc\n0\n\n",
            b"ffffffffffffffffffff\r\n",
        ):
            client = await self.connect()
            fields = [(b"transfer-encoding", b"chunked"), (b"x-amz-decoded-content-length", b"3")]
            client.send(self.signed(b"PUT", b"/b/k", fields, payload_hash=b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
            client.send(chunks + LIVE + b"\r\n\r\n" * 600)
            reply = await client.reply()
            self.assertEqual((reply.status, reply.code), (400, "BadRequest"), chunks)
            self.assertEqual(await client.until_closed(), b"")
        self.assertEqual(self.service.objects, {})

    async def test_body_ends_early(self) -> None:
        """A client that sends less than it declared, and says that it is done, is told."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"10")], payload_hash=UNSIGNED) + b"12345")
        client.half_close()
        self.assertEqual((await client.reply()).code, "IncompleteBody")
        await client.until_closed()
        self.assertEqual(self.service.objects, {})


def _now() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done
