"""Signatures in the query."""

from __future__ import annotations

from urllib.parse import quote

from post3tw.wire.signer import Signer
from tests.s3.rawhttp import Reply
from tests.s3.serving import UNSIGNED, Headers, ServingTestCase, wire

HOST = (b"host", b"localhost")


class PresignedTests(ServingTestCase):
    """URLs that anybody may use until they expire."""

    def _presigned(
        self, method: bytes, target: bytes, headers: Headers = (), *, expires: int = 60, signer: Signer | None = None
    ) -> bytes:
        return (signer or self.signer).presign(
            method, target, [HOST, *headers], time=self.ids.now(), expires=expires, payload_hash=UNSIGNED
        )

    async def _use(self, method: bytes, url: bytes, headers: Headers = (), body: bytes = b"") -> Reply:
        fields = [HOST, *headers]
        if method == b"PUT":
            fields.append((b"content-length", b"%d" % len(body)))
        return await self.ask(wire(method, url, fields, body), method.decode())

    async def test_get_and_put(self) -> None:
        """A URL does what it was signed for."""
        reply = await self._use(b"PUT", self._presigned(b"PUT", b"/b/a%20k?x-id=PutObject"), body=b"abc")
        self.assertEqual(reply.status, 200)
        reply = await self._use(b"GET", self._presigned(b"GET", b"/b/a%20k"))
        self.assertEqual(reply.body, b"abc")
        self.assertEqual(self.records.all[0].user_id, "alice-id")

    async def test_is_not_in_the_log(self) -> None:
        """The record has the target without what would let its reader use it."""
        url = self._presigned(b"GET", b"/b/k?versionId=v")
        await self._use(b"GET", url)
        uri = self.records.all[0].uri
        self.assertIn("X-Amz-Signature=REDACTED", uri)
        self.assertIn("X-Amz-Credential=REDACTED", uri)
        self.assertIn("versionId=v", uri)
        self.assertNotIn(url.rpartition(b"=")[2].decode(), uri)

    async def test_another_method_target_or_query(self) -> None:
        """A URL does nothing else."""
        url = self._presigned(b"PUT", b"/b/k")
        for method, target in (
            (b"GET", url),
            (b"DELETE", url),
            (b"PUT", url.replace(b"/b/k", b"/b/l")),
            (b"PUT", url + b"&tagging"),
            (b"PUT", url + b"&uploadId=1&partNumber=1"),
        ):
            reply = await self._use(method, target, body=b"abc" if method == b"PUT" else b"")
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), target)
        self.assertEqual(self.service.objects, {})

    async def test_SIG_5_unsigned_headers(self) -> None:
        """No x-amz-* header beside a URL takes effect unless it was signed."""
        url = self._presigned(b"PUT", b"/b/k")
        for name, value in (
            (b"x-amz-copy-source", b"/b/other"),
            (b"x-amz-tagging", b"a=b"),
            (b"x-amz-acl", b"public-read"),
            (b"x-amz-meta-a", b"b"),
            (b"x-amz-object-lock-mode", b"COMPLIANCE"),
            (b"x-amz-content-sha256", UNSIGNED),
            (b"x-amz-website-redirect-location", b"/"),
        ):
            reply = await self._use(b"PUT", url, [(name, value)], b"abc")
            self.assertEqual((reply.status, reply.code), (403, "AccessDenied"), name)
            self.assertIn(b"<HeadersNotSigned>" + name + b"</HeadersNotSigned>", reply.body)
        self.assertEqual(self.service.admitted, [])

    async def test_signed_headers(self) -> None:
        """A header that was signed has to come, as it was signed."""
        meta = (b"x-amz-meta-a", b"b")
        url = self._presigned(b"PUT", b"/b/k", [meta])
        self.assertEqual((await self._use(b"PUT", url, body=b"abc")).status, 403)
        self.assertEqual((await self._use(b"PUT", url, [(b"x-amz-meta-a", b"c")], b"abc")).status, 403)
        self.assertEqual((await self._use(b"PUT", url, [meta], b"abc")).status, 200)
        self.assertEqual(self.service.inputs[0].metadata, {"a": "b"})

    async def test_SIG_6_plain_hash_is_no_signature(self) -> None:
        """A URL that was forged without the secret is refused."""
        for secret in ("", "AWS4", "ALICEKEY"):
            url = self._presigned(b"GET", b"/b/k", signer=Signer("ALICEKEY", secret))
            reply = await self._use(b"GET", url)
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"))
        unknown = self._presigned(b"GET", b"/b/k", signer=Signer("NOBODY", "x"))
        self.assertEqual((await self._use(b"GET", unknown)).code, "InvalidAccessKeyId")

    async def test_SIG_7_expires_must_make_sense(self) -> None:
        """X-Amz-Expires is a number of seconds between 1 and a week, once."""
        url = self._presigned(b"GET", b"/b/k")
        for value in (b"-1", b"0", b"604801"):
            reply = await self._use(b"GET", url.replace(b"X-Amz-Expires=60", b"X-Amz-Expires=" + value))
            self.assertEqual((reply.status, reply.code), (403, "AccessDenied"), value)
        for value in (b"1e9", b"", b"60&X-Amz-Expires=60", b"%2B60", b"60.0"):
            reply = await self._use(b"GET", url.replace(b"X-Amz-Expires=60", b"X-Amz-Expires=" + value))
            self.assertEqual((reply.status, reply.code), (400, "AuthorizationQueryParametersError"), value)
        missing = url.replace(b"&X-Amz-Expires=60", b"")
        self.assertEqual((await self._use(b"GET", missing)).code, "AuthorizationQueryParametersError")

    async def test_SIG_7_expiry(self) -> None:
        """A URL of one second is dead after it; one of seven days lives longer than the skew."""
        self.service.objects["b", "k"] = b"x"
        short, long = self._presigned(b"GET", b"/b/k", expires=1), self._presigned(b"GET", b"/b/k", expires=604800)
        self.assertEqual((await self._use(b"GET", short)).status, 200)
        self.clock.advance(2)
        reply = await self._use(b"GET", short)
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
        self.assertIn(b"Request has expired", reply.body)
        self.clock.advance(6 * 24 * 3600)
        self.assertEqual((await self._use(b"GET", long)).status, 200)
        self.clock.advance(24 * 3600)
        self.assertEqual((await self._use(b"GET", long)).status, 403)

    async def test_not_yet_valid(self) -> None:
        """A URL signed more than 15 minutes ahead is refused."""
        url = self.signer.presign(b"GET", b"/b/k", [HOST], time=self.ids.now() + 16 * 60_000, expires=60)
        self.assertEqual((await self._use(b"GET", url)).code, "AccessDenied")

    async def test_one_mechanism(self) -> None:
        """A header and a query cannot both say who it is."""
        url = self._presigned(b"GET", b"/b/k")
        reply = await self.ask(self.signed(b"GET", url))
        self.assertEqual((reply.status, reply.code), (400, "InvalidArgument"))
        self.assertIn(b"Only one auth mechanism allowed", reply.body)

    async def test_SIG_12_scope(self) -> None:
        """Region and service of the scope count in the query too."""
        for signer in (Signer("ALICEKEY", "alice-secret", "mars-1"), Signer("ALICEKEY", "alice-secret", service="iam")):
            reply = await self._use(b"GET", self._presigned(b"GET", b"/b/k", signer=signer))
            self.assertEqual((reply.status, reply.code), (400, "AuthorizationQueryParametersError"))

    async def test_sessions(self) -> None:
        """A token in the query is no better than one in a header."""
        url = self._presigned(b"GET", b"/b/k?X-Amz-Security-Token=t")
        self.assertEqual((await self._use(b"GET", url)).code, "InvalidToken")

    async def test_headers_hoisted_into_the_query(self) -> None:
        """A header that the signer put into the query is in force as if it had come; it must not come as well."""
        url = self._presigned(b"PUT", b"/b/k?x-amz-meta-a=b%20c&X-Amz-Storage-Class=STANDARD_IA")
        self.assertEqual((await self._use(b"PUT", url, body=b"abc")).status, 200)
        self.assertEqual(self.service.inputs[0].metadata, {"a": "b c"})
        self.assertEqual(self.service.inputs[0].storage_class, "STANDARD_IA")
        twice = self._presigned(b"PUT", b"/b/k?x-amz-meta-a=b", [(b"x-amz-meta-a", b"c")])
        reply = await self._use(b"PUT", twice, [(b"x-amz-meta-a", b"c")], b"abc")
        self.assertEqual((reply.status, reply.code), (400, "InvalidRequest"))

    async def test_what_cannot_be_a_header_is_not_hoisted(self) -> None:
        """Line breaks, control characters and names that are no tokens are refused, and nothing is stored."""
        for parameter in ("x-amz-meta-a=b%0D%0Ac:d", "x-amz-meta-a=%00", "X-Amz-Meta-a%0D%0Ab=c", "x-amz-meta-a%20b=c"):
            url = self._presigned(b"PUT", b"/b/k?" + parameter.encode())
            reply = await self._use(b"PUT", url, body=b"abc")
            self.assertEqual((reply.status, reply.code), (400, "InvalidRequest"), parameter)
        self.assertEqual(self.service.objects, {})

    async def test_hoisted_copy_source_is_a_copy(self) -> None:
        """What the query makes of a request is routed as that."""
        url = self._presigned(b"PUT", b"/b/k?x-amz-copy-source=%2Fb%2Fs")
        self.assertEqual((await self._use(b"PUT", url)).status, 200)
        self.assertEqual(self.service.admitted, ["CopyObject"])

    async def test_checksum_in_the_query_is_not_verified(self) -> None:
        """docs/decisions/0002: the CRC32 of no bytes, as the JavaScript SDK signs it, does not refuse a body."""
        query = "x-amz-checksum-crc32=" + quote("AAAAAA==", safe="") + "&x-amz-sdk-checksum-algorithm=CRC32"
        url = self._presigned(b"PUT", b"/b/k?" + query.encode())
        self.assertEqual((await self._use(b"PUT", url, body=b"abc")).status, 200)
        self.assertIsNone(self.service.inputs[0].checksum_crc32)
        self.assertIsNone(self.service.inputs[0].checksum_algorithm)
        changed = url.replace(b"AAAAAA", b"AAAAAB")
        self.assertEqual((await self._use(b"PUT", changed, body=b"abc")).code, "SignatureDoesNotMatch")

    async def test_checksum_in_a_header_reaches_the_service(self) -> None:
        """A checksum that was signed as a header is the service's to verify."""
        checksum = (b"x-amz-checksum-crc32", b"AAAAAA==")
        url = self._presigned(b"PUT", b"/b/k", [checksum])
        await self._use(b"PUT", url, [checksum], b"abc")
        self.assertEqual(self.service.inputs[0].checksum_crc32, "AAAAAA==")
