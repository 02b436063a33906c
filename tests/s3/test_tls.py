"""The same over TLS, which is where clients send their bodies unsigned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import SSL4ClientEndpoint
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS

from post3tw.testing.certificates import make_certificate
from post3tw.wire.aws_chunked import encode
from tests.s3 import test_authentication, test_presigned, test_presigned_v2
from tests.s3.doubles import Pieces
from tests.s3.serving import UNSIGNED, ServingTestCase, wire

TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class OverTls(ServingTestCase):
    """Serves with a certificate; clients trust it, and would speak HTTP/2."""

    def listen(self) -> Any:
        """Open the port, with a new certificate."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.made = made = make_certificate(directory)
        pair = PrivateCertificate.loadPEM(made.certificate.read_bytes() + made.private_key.read_bytes())
        return self.reactor.listenSSL(0, self.site, pair.options(), interface="127.0.0.1")

    def endpoint(self) -> Any:
        """What clients connect to."""
        trusted = Certificate.loadPEM(self.made.certificate.read_bytes())
        options = optionsForClientTLS("localhost", trusted, acceptableProtocols=[b"h2", b"http/1.1"])
        return SSL4ClientEndpoint(self.reactor, "127.0.0.1", self.port.getHost().port, options)


class HeaderOverTlsTests(OverTls, test_authentication.HeaderTests):
    """Signatures in the header."""

    async def test_identifies_the_caller(self) -> None:
        """The service is told that the connection is safe, and how safe."""
        await self.ask(self.signed(b"PUT", b"/b/k", body=b"abc"))
        caller = self.service.callers[0]
        self.assertTrue(caller.secure)
        self.assertEqual(caller.facts()["s3:tlsversion"], "1.3")


class AnonymousOverTlsTests(OverTls, test_authentication.AnonymousTests):
    """No signatures."""


class MatrixOverTlsTests(OverTls, test_authentication.MatrixTests):
    """Wrong signatures."""


class PresignedOverTlsTests(OverTls, test_presigned.PresignedTests):
    """Signatures in the query."""


class PresignedV2OverTlsTests(OverTls, test_presigned_v2.PresignedV2Tests):
    """The same of version 2."""


class TlsTests(OverTls):
    """What differs below."""

    async def test_speaks_http_1_1(self) -> None:
        """A client that would rather have HTTP/2 is told that there is none."""
        client = await self.connect()
        client.send(wire(b"GET", b"/-/health/live", [(b"Host", b"h")]))
        self.assertEqual((await client.reply()).status, 200)
        self.assertEqual(client.transport.negotiatedProtocol, b"http/1.1")  # type: ignore[union-attr]

    async def test_upload_as_boto3_sends_it(self) -> None:
        """Expect, HTTP chunks, aws-chunked, a trailer, several megabytes."""
        data = b"0123456789abcdef" * 200_000
        fields = [
            (b"expect", b"100-continue"),
            (b"transfer-encoding", b"chunked"),
            (b"content-encoding", b"aws-chunked"),
            (b"x-amz-decoded-content-length", b"%d" % len(data)),
            (b"x-amz-trailer", b"x-amz-checksum-crc32"),
        ]
        body = b"".join(
            encode(
                [data[at : at + 2**20] for at in range(0, len(data), 2**20)],
                trailers={"x-amz-checksum-crc32": "AAAAAA=="},
            )
        )
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", fields, payload_hash=TRAILER))
        self.assertEqual((await client.reply()).status, 100)
        for at in range(0, len(body), 16384):
            piece = body[at : at + 16384]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        self.assertEqual((await client.reply()).status, 200)
        self.assertEqual(self.service.objects["b", "k"], data)

    async def test_a_large_reply(self) -> None:
        """A pull producer fills a TLS connection as it does a plain one."""
        body = Pieces(b"x" * 256 * 1024, 20)
        self.service.answer_get(body, body.length)
        client = await self.connect()
        client.send(self.signed(b"GET", b"/b/k"))
        self.assertEqual(len((await client.reply()).body), body.length)

    async def test_an_early_answer(self) -> None:
        """A refusal reaches a client that is still sending."""
        client = await self.connect()
        client.send(wire(b"PUT", b"/b/k", [(b"Host", b"h"), (b"Content-Length", b"5000000000")], b"x" * 100_000))
        reply = await client.reply()
        self.assertEqual((reply.status, reply.headers["connection"]), (403, "close"))

    async def test_gone_in_the_middle(self) -> None:
        """An upload whose client vanishes leaves nothing behind."""
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/k", [(b"content-length", b"10")], payload_hash=UNSIGNED) + b"12345")
        while not self.service.inputs:
            await self.turn()
        client.abort()
        await self.records.until(1)
        self.assertEqual((self.records.all[0].status, self.service.objects), (499, {}))
