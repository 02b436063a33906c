"""Bodies: payload modes, lengths, digests, documents."""

from __future__ import annotations

import base64
import hashlib
import zlib

from post3tw.api import types
from post3tw.service.interfaces import IRequestBody
from post3tw.wire import sigv4
from post3tw.wire.aws_chunked import SignatureChain, encode
from post3tw.wire.dates import amz_date
from tests.s3.doubles import Collector
from tests.s3.rawhttp import Reply
from tests.s3.serving import UNSIGNED, Headers, ServingTestCase, wire

DATA = b"0123456789" * 10_000
TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()


def md5(data: bytes) -> bytes:
    """Content-MD5 of some bytes."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest())


class PayloadTests(ServingTestCase):
    """A body in each of its modes."""

    def _chunked(self, body: bytes, fields: Headers, payload: bytes, length: int = len(DATA)) -> bytes:
        declared = (b"x-amz-decoded-content-length", b"%d" % length)
        return self.signed(b"PUT", b"/b/k", [declared, *fields], body, payload_hash=payload)

    def _signed_chunks(self, *, trailers: dict[str, str] | None = None, data: bytes = DATA) -> tuple[bytes, bytes]:
        """Head and body of an upload whose chunks are signed, 64 KiB each."""
        payload = SIGNED if trailers is None else SIGNED + b"-TRAILER"
        chunks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        fields = [(b"x-amz-decoded-content-length", b"%d" % len(data))]
        if trailers is not None:
            fields.append((b"x-amz-trailer", ",".join(trailers).encode()))
        length = len(b"".join(encode(chunks, chain=self._chain(b"0" * 64), trailers=trailers)))
        fields.append((b"content-length", b"%d" % length))
        head = self.signed(b"PUT", b"/b/k", fields, payload_hash=payload)
        seed = head.partition(b"Signature=")[2][:64]
        return head, b"".join(encode(chunks, chain=self._chain(seed), trailers=trailers))

    def _chain(self, seed: bytes) -> SignatureChain:
        timestamp = amz_date(self.ids.now())
        credential = self.signer.credential(timestamp)
        return SignatureChain(sigv4.signing_key("alice-secret", credential), timestamp, credential.scope, seed)

    async def _refused(self, request: bytes, code: str, status: int = 400) -> Reply:
        reply = await self.ask(request)
        self.assertEqual((reply.status, reply.code), (status, code))
        self.assertEqual(self.service.objects, {})
        return reply

    async def _stored(self, request: bytes, data: bytes = DATA) -> None:
        reply = await self.ask(request)
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(self.service.objects.pop(("b", "k")), data)

    async def test_whole_body_hash(self) -> None:
        """A body that is not the one signed is refused by whoever takes it."""
        await self._stored(self.signed(b"PUT", b"/b/k", body=DATA))
        await self._refused(self.signed(b"PUT", b"/b/k", body=DATA)[:-1] + b"x", "XAmzContentSHA256Mismatch")
        upper = hashlib.sha256(DATA).hexdigest().upper().encode()
        await self._stored(self.signed(b"PUT", b"/b/k", body=DATA, payload_hash=upper))

    async def test_unsigned(self) -> None:
        """UNSIGNED-PAYLOAD takes any body."""
        await self._stored(self.signed(b"PUT", b"/b/k", body=DATA, payload_hash=UNSIGNED))
        await self._stored(self.signed(b"PUT", b"/b/k", body=b"", payload_hash=UNSIGNED), b"")

    async def test_unsigned_trailer(self) -> None:
        """Chunks without signatures, the trailer handed on with the body."""
        seen: list[IRequestBody] = []

        async def put(caller: object, input: object, body: IRequestBody) -> types.PutObjectOutput:
            self.assertEqual((body.length, body.trailer_names), (len(DATA), ("x-amz-checksum-crc32",)))
            collector = Collector()
            await body.deliver_to(collector)
            self.assertEqual(bytes(collector.data), DATA)
            seen.append(body)
            return types.PutObjectOutput()

        self.service.instead["PutObject"] = put
        trailers = {"x-amz-checksum-crc32": CRC32}
        body = b"".join(encode([DATA], trailers=trailers))
        reply = await self.ask(self._chunked(body, [(b"x-amz-trailer", b"X-Amz-Checksum-Crc32")], TRAILER))
        self.assertEqual(reply.status, 200)
        self.assertEqual(seen[0].trailers, trailers)

    async def test_as_boto3_sends_it_over_https(self) -> None:
        """No Content-Length, HTTP chunks around those of aws-chunked, which leaves no trace in Content-Encoding."""
        body = b"".join(encode([DATA], trailers={"x-amz-checksum-crc32": CRC32}))
        for encoding, kept in ((b"aws-chunked", None), (b"aws-chunked,gzip", "gzip"), (b"gzip, aws-chunked", "gzip")):
            fields = [
                (b"transfer-encoding", b"chunked"),
                (b"content-encoding", encoding),
                (b"x-amz-trailer", b"x-amz-checksum-crc32"),
            ]
            framed = b"%x\r\n%b\r\n5\r\n%b\r\n0\r\n\r\n" % (len(body) - 5, body[:-5], body[-5:])
            await self._stored(self._chunked(framed, fields, TRAILER))
            self.assertEqual(self.service.inputs[-1].content_encoding, kept)

    async def test_signed_chunks(self) -> None:
        """Every chunk signed, and the trailer."""
        head, body = self._signed_chunks()
        await self._stored(head + body)
        head, body = self._signed_chunks(trailers={"x-amz-checksum-crc32": CRC32})
        await self._stored(head + body)

    async def test_wrong_chunk_signatures(self) -> None:
        """A changed byte of data, of a signature, or of the trailer."""
        head, body = self._signed_chunks()
        for at in (200, len(body) - 10, body.index(b"signature=") + 12):
            changed = body[:at] + (b"1" if body[at : at + 1] == b"0" else b"0") + body[at + 1 :]
            await self._refused(head + changed, "SignatureDoesNotMatch", 403)
        head, body = self._signed_chunks(trailers={"x-amz-checksum-crc32": CRC32})
        await self._refused(head + body.replace(CRC32.encode(), b"AAAAAA=="), "SignatureDoesNotMatch", 403)

    async def test_SIG_3_chunks_that_do_not_come(self) -> None:
        """A chunk longer than what is sent, and a missing last chunk, with the connection closed or the length met."""
        head, body = self._signed_chunks()
        client = await self.connect()
        client.send(head + body[:1024])
        client.half_close()
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (400, "IncompleteBody"))
        last = body.rindex(b"0;chunk-signature")
        for cut in (1024, last, len(body) - 2):
            fields = [(b"x-amz-decoded-content-length", b"%d" % len(DATA)), (b"content-length", b"%d" % cut)]
            head = self.signed(b"PUT", b"/b/k", fields, payload_hash=SIGNED)
            seed = head.partition(b"Signature=")[2][:64]
            chunks = [DATA[:65536], DATA[65536:]]
            await self._refused(head + b"".join(encode(chunks, chain=self._chain(seed)))[:cut], "IncompleteBody")

    async def test_the_decoded_length_counts(self) -> None:
        """More or less than x-amz-decoded-content-length is refused, whatever the chunks say."""
        body = b"".join(encode([DATA], trailers={}))
        for length in (0, len(DATA) - 1, len(DATA) + 1):
            await self._refused(self._chunked(body, [], TRAILER, length), "IncompleteBody")

    async def test_a_length_is_needed(self) -> None:
        """A body of which nobody knows how long it is cannot be stored."""
        none = self.signed(b"PUT", b"/b/k", payload_hash=UNSIGNED).replace(b"content-length: 0\r\n", b"x: y\r\n")
        fields = self.signer.sign_request(b"PUT", b"/b/k", [(b"host", b"h")], time=self.ids.now())
        none = wire(b"PUT", b"/b/k", fields)
        await self._refused(none, "MissingContentLength", 411)
        undeclared = self.signed(b"PUT", b"/b/k", body=b"0\r\n\r\n", payload_hash=TRAILER)
        await self._refused(undeclared, "MissingContentLength", 411)
        for length in (b"-1", b"x", b"1e3", b"9" * 20):
            request = self.signed(
                b"PUT", b"/b/k", [(b"x-amz-decoded-content-length", length)], b"0\r\n\r\n", payload_hash=TRAILER
            )
            await self._refused(request, "InvalidArgument")

    async def test_chunks_of_http_say_how_a_body_ends(self) -> None:
        """A plain body may come in HTTP's own chunks, without any length."""
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DATA), DATA)
        head = [(b"host", b"h"), (b"transfer-encoding", b"chunked")]
        fields = self.signer.sign_request(b"PUT", b"/b/k", head, payload_hash=UNSIGNED, time=self.ids.now())
        client = await self.connect()
        client.send(wire(b"PUT", b"/b/k", fields, body))
        self.assertEqual((await client.reply()).status, 200)
        self.assertEqual(self.service.objects["b", "k"], DATA)

    async def test_trailers_need_a_mode_that_has_them(self) -> None:
        """An announced trailer that cannot come would be a checksum that nobody checks."""
        request = self.signed(b"PUT", b"/b/k", [(b"x-amz-trailer", b"x-amz-checksum-crc32")], DATA)
        await self._refused(request, "InvalidRequest")

    async def test_malformed_framing(self) -> None:
        """What is not aws-chunked is refused, and the connection knows where the next request begins."""
        client = await self.connect()
        request = self._chunked(b"hello\r\n" * 100, [], TRAILER)
        client.send(request + self.signed(b"GET", b"/b/k"))
        self.assertEqual((await client.reply()).code, "InvalidRequest")
        self.assertEqual((await client.reply()).code, "NoSuchKey")

    async def test_pausing_passes_through_the_framing(self) -> None:
        """A consumer that pauses stops a framed body as well."""
        collector = Collector()

        async def put(caller: object, input: object, body: IRequestBody) -> types.PutObjectOutput:
            delivering = body.deliver_to(collector)
            collector.producer.pauseProducing()
            await delivering
            return types.PutObjectOutput()

        self.service.instead["PutObject"] = put
        client = await self.connect()
        client.send(self._chunked(b"".join(encode([DATA], trailers={})), [], TRAILER))
        while collector.producer is None:
            await self.turn()
        for _ in range(20):
            await self.turn()
        before = len(collector.data)
        collector.producer.resumeProducing()
        self.assertEqual((await client.reply()).status, 200)
        self.assertLess(before, len(DATA))
        self.assertEqual(bytes(collector.data), DATA)


class DocumentTests(ServingTestCase):
    """XML bodies, read whole and checked."""

    TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"

    async def _put(self, fields: Headers = (), body: bytes = TAGS, **options: bytes) -> Reply:
        return await self.ask(self.signed(b"PUT", b"/b?tagging", fields, body, **options))  # type: ignore[arg-type]

    async def test_reach_the_service_parsed(self) -> None:
        """The document is part of the input."""
        reply = await self._put([(b"content-md5", md5(self.TAGS))])
        self.assertEqual(reply.status, 204)
        self.assertEqual(self.service.inputs[0].tagging.tag_set[0].key, "a")

    async def test_in_every_payload_mode(self) -> None:
        """Framed, and with a checksum in the trailer."""
        checksum = base64.b64encode(zlib.crc32(self.TAGS).to_bytes(4, "big")).decode()
        body = b"".join(encode([self.TAGS], trailers={"x-amz-checksum-crc32": checksum}))
        fields = [
            (b"x-amz-decoded-content-length", b"%d" % len(self.TAGS)),
            (b"x-amz-trailer", b"x-amz-checksum-crc32"),
        ]
        self.assertEqual((await self._put(fields, body, payload_hash=TRAILER)).status, 204)
        bad = body.replace(checksum.encode(), b"AAAAAA==")
        reply = await self._put(fields, bad, payload_hash=TRAILER)
        self.assertEqual((reply.status, reply.code), (400, "BadDigest"))

    async def test_digests(self) -> None:
        """A digest that is none, and one of something else."""
        for fields, code in (
            ([(b"content-md5", b"abc")], "InvalidDigest"),
            ([(b"content-md5", md5(b"x"))], "BadDigest"),
            ([(b"x-amz-checksum-crc32", b"AAAAAA==")], "BadDigest"),
            ([(b"x-amz-checksum-sha256", b"AAAAAA==")], "BadDigest"),
            ([(b"x-amz-checksum-rot13", b"AAAAAA==")], "InvalidRequest"),
            ([(b"x-amz-sdk-checksum-algorithm", b"CRC32")], "InvalidRequest"),
        ):
            reply = await self._put(fields)
            self.assertEqual((reply.status, reply.code), (400, code), fields)
        reply = await self._put(payload_hash=b"0" * 64)
        self.assertEqual(reply.code, "XAmzContentSHA256Mismatch")
        self.assertEqual(self.service.inputs, [])

    async def test_the_objects_checksum_is_not_the_documents(self) -> None:
        """In CompleteMultipartUpload x-amz-checksum-crc32 is of the object, and for the service to verify."""
        body = (
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
        )
        checksum = (b"x-amz-checksum-crc32", b"AAAAAA==")
        reply = await self.ask(self.signed(b"POST", b"/b/k?uploadId=u", [checksum], body))
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.service.inputs[0].checksum_crc32, "AAAAAA==")

    async def test_are_bounded(self) -> None:
        """A document that is too large is refused, before it is read when its length is known."""
        reply = await self.ask(
            self.signed(b"PUT", b"/b?tagging", [(b"content-length", b"5000000000")], payload_hash=UNSIGNED)
        )
        self.assertEqual((reply.status, reply.code), (400, "MaxMessageLengthExceeded"))
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b?tagging", [(b"transfer-encoding", b"chunked")], payload_hash=UNSIGNED))
        for _ in range(48):
            client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (400, "MaxMessageLengthExceeded"))

    async def test_malformed(self) -> None:
        """What is not XML, or not this document, never reaches the service."""
        for body in (b"hello", b"<a/>", b"<!DOCTYPE a><Tagging/>", b"<Tagging>" * 1000):
            reply = await self._put(body=body)
            self.assertEqual((reply.status, reply.code), (400, "MalformedXML"), body[:20])
        self.assertEqual((await self._put(body=b"")).status, 400)
        self.assertEqual(self.service.inputs, [])

    async def test_too_short(self) -> None:
        """A document that ends early is refused."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b?tagging", body=self.TAGS)[:-1])
        client.half_close()
        self.assertEqual((await client.reply()).code, "IncompleteBody")
