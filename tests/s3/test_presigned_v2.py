"""Signatures of version 2 in the query."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api.routes import _SUB_RESOURCES
from post3tw.wire import sigv2
from post3tw.wire.uri import parse_query, split_target
from tests.s3.rawhttp import Reply
from tests.s3.serving import NOW, UNSIGNED, Headers, ServingTestCase, wire

HOST = (b"host", b"localhost")


def presigned(
    method: bytes,
    target: bytes,
    headers: Headers = (),
    *,
    expires: int = int(NOW) + 60,
    user: tuple[str, str] = ("ALICEKEY", "alice-secret"),
    bucket: bytes = b"",
) -> bytes:
    """A URL as clients make it; `bucket` is that of the host."""
    path, query = split_target(target)
    parameters = parse_query(query)
    text = sigv2.string_to_sign(
        method,
        str(expires),
        sigv2.signed_headers(list(headers), parameters),
        sigv2.canonical_resource(bucket + path, parameters),
    )
    access_key, secret = user
    signature = quote(sigv2.signature(secret, text), safe="")
    added = f"AWSAccessKeyId={access_key}&Signature={signature}&Expires={expires}".encode()
    return path + b"?" + b"&".join(filter(None, (query, added)))


class SignedParametersTests(SynchronousTestCase):
    """What a signature covers."""

    def test_every_sub_resource(self) -> None:
        """Whatever makes another operation of a path is signed; but for the version of a listing, which clients leave
        out."""
        self.assertEqual(_SUB_RESOURCES - sigv2.SIGNED_PARAMETERS, {"list-type"})


class PresignedV2Tests(ServingTestCase):
    """URLs that anybody may use until they expire."""

    def options(self) -> dict[str, Any]:
        """Buckets in the host as well."""
        return {"domains": ["s3.test"]}

    async def _use(
        self, method: bytes, url: bytes, headers: Headers = (), body: bytes = b"", *, host: bytes = b"localhost"
    ) -> Reply:
        fields = [(b"host", host), *headers]
        if method == b"PUT":
            fields.append((b"content-length", b"%d" % len(body)))
        return await self.ask(wire(method, url, fields, body), method.decode())

    async def test_get_put_head_delete(self) -> None:
        """A URL does what it was signed for."""
        for method, status, body in (
            (b"PUT", 200, b""),
            (b"GET", 200, b"abc"),
            (b"HEAD", 200, b""),
            (b"DELETE", 204, b""),
        ):
            sent = b"abc" if method == b"PUT" else b""
            reply = await self._use(method, presigned(method, b"/b/a%20k"), body=sent)
            self.assertEqual((reply.status, reply.body), (status, body), method)
        self.assertEqual({record.user_id for record in self.records.all}, {"alice-id"})
        self.assertEqual(self.service.objects, {})

    async def test_bucket_in_the_host(self) -> None:
        """The bucket is signed even if only the host names it."""
        self.service.objects["b", "k"] = b"abc"
        url = presigned(b"GET", b"/k", bucket=b"/b")
        self.assertEqual((await self._use(b"GET", url, host=b"b.s3.test")).body, b"abc")
        self.assertEqual((await self._use(b"GET", url, host=b"c.s3.test")).code, "SignatureDoesNotMatch")
        self.assertEqual((await self._use(b"GET", url)).code, "SignatureDoesNotMatch")

    async def test_is_not_in_the_log(self) -> None:
        """The record has the target without what would let its reader use it."""
        await self._use(b"GET", presigned(b"GET", b"/b/k?versionId=v"))
        uri = self.records.all[0].uri
        self.assertEqual(uri, f"/b/k?versionId=v&AWSAccessKeyId=REDACTED&Signature=REDACTED&Expires={int(NOW) + 60}")

    async def test_another_method_target_or_query(self) -> None:
        """A URL does nothing else."""
        url = presigned(b"PUT", b"/b/k")
        for method, target in (
            (b"GET", url),
            (b"DELETE", url),
            (b"PUT", url.replace(b"/b/k", b"/b/l")),
            (b"PUT", url.replace(b"Expires=1", b"Expires=2")),
            (b"PUT", url + b"&tagging"),
            (b"PUT", url + b"&legal-hold"),
            (b"PUT", url + b"&uploadId=1&partNumber=1"),
            (b"PUT", url + b"&x-amz-copy-source=/b/other"),
            (b"PUT", url + b"&content-type=text/html"),
            (b"PUT", url + b"&response-content-type=%00"),
        ):
            reply = await self._use(method, target, body=b"abc" if method == b"PUT" else b"")
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), target)
        self.assertEqual((self.service.objects, self.service.admitted), ({}, []))

    async def test_SIG_5_unsigned_headers(self) -> None:
        """No x-amz-* header beside a URL, nor a content type, takes effect unless it was signed."""
        url = presigned(b"PUT", b"/b/k")
        for name, value in (
            (b"x-amz-copy-source", b"/b/other"),
            (b"x-amz-tagging", b"a=b"),
            (b"x-amz-acl", b"public-read"),
            (b"x-amz-content-sha256", UNSIGNED),
            (b"content-type", b"text/html"),
            (b"content-md5", b"1B2M2Y8AsgTpgAmY7PhCfg=="),
        ):
            reply = await self._use(b"PUT", url, [(name, value)], b"abc")
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), name)
        self.assertEqual(self.service.admitted, [])

    async def test_headers_hoisted_into_the_query(self) -> None:
        """A header that the signer put into the query, as botocore does, is in force; it may come as well."""
        url = presigned(b"PUT", b"/b/k?x-amz-meta-a=b%20c&content-type=text%2Fplain")
        for headers in ([], [(b"x-amz-meta-a", b"b c"), (b"content-type", b"text/plain")]):
            self.assertEqual((await self._use(b"PUT", url, headers, b"abc")).status, 200)
            input = self.service.inputs[-1]
            self.assertEqual((input.metadata, input.content_type), ({"a": "b c"}, "text/plain"))
        reply = await self._use(b"PUT", url, [(b"content-type", b"text/html")], b"abc")
        self.assertEqual(reply.code, "SignatureDoesNotMatch")

    async def test_SIG_6_plain_hash_is_no_signature(self) -> None:
        """A URL that was forged without the secret is refused."""
        for secret in ("", "AWS", "ALICEKEY", "not-her-secret"):
            reply = await self._use(b"GET", presigned(b"GET", b"/b/k", user=("ALICEKEY", secret)))
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"))
            self.assertNotIn(b"alice-secret", reply.body)
        for user in (("NOBODY", "x"), ("", ""), ("BOBKEY", "bob-secret"), ("BOBKEY", "x")):
            reply = await self._use(b"GET", presigned(b"GET", b"/b/k", user=user))
            self.assertEqual((reply.status, reply.code), (403, "InvalidAccessKeyId"))
        self.assertEqual(self.service.admitted, [])

    async def test_SIG_7_expiry(self) -> None:
        """A URL is dead after the time it names, however far that was."""
        self.service.objects["b", "k"] = b"x"
        url = presigned(b"GET", b"/b/k", expires=int(NOW) + 30 * 24 * 3600)
        self.assertEqual((await self._use(b"GET", url)).status, 200)
        self.clock.advance(30 * 24 * 3600 + 1)
        reply = await self._use(b"GET", url)
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
        self.assertIn(b"Request has expired", reply.body)

    async def test_three_parameters_once(self) -> None:
        """Each must be there, once, and Expires be a number."""
        url = presigned(b"GET", b"/b/k")
        names = (b"AWSAccessKeyId", b"Signature", b"Expires")
        parameters = url.partition(b"?")[2].split(b"&")
        for name, parameter in zip(names, parameters, strict=True):
            rest = b"&".join(each for each in parameters if each is not parameter)
            reply = await self._use(b"GET", b"/b/k?" + rest)
            self.assertEqual((reply.status, reply.code), (403, "AccessDenied"), name)
            reply = await self._use(b"GET", url + b"&" + parameter)
            self.assertEqual((reply.status, reply.code), (400, "InvalidRequest"), name)
        reply = await self._use(b"GET", url.replace(b"Expires=", b"Expires=x"))
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))

    async def test_one_mechanism(self) -> None:
        """Version 2 goes neither with a header of authorization nor with version 4 in the query."""
        url = presigned(b"GET", b"/b/k")
        both = self.signer.presign(b"GET", url, [HOST], time=self.ids.now(), expires=60)
        for request in (self.signed(b"GET", url), wire(b"GET", both, [HOST])):
            reply = await self.ask(request)
            self.assertEqual((reply.status, reply.code), (400, "InvalidArgument"))
            self.assertIn(b"Only one auth mechanism allowed", reply.body)
        header = (b"authorization", b"AWS ALICEKEY:c2ln")
        self.assertEqual((await self._use(b"GET", url, [header])).code, "InvalidArgument")

    async def test_sessions(self) -> None:
        """A token in the query or in a header is refused."""
        url = presigned(b"GET", b"/b/k?x-amz-security-token=t")
        self.assertEqual((await self._use(b"GET", url)).code, "InvalidToken")

    async def test_payload(self) -> None:
        """A signed hash is verified and unsigned chunks are read, but there is no key for signed ones."""
        chunks = b"3\r\nabc\r\n0\r\n\r\n"
        for content, body, code in (
            (b"UNSIGNED-PAYLOAD", b"abc", ""),
            (b"0" * 64, b"abc", "XAmzContentSHA256Mismatch"),
            (b"STREAMING-UNSIGNED-PAYLOAD-TRAILER", chunks, ""),
            (b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunks, "AccessDenied"),
            (b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", chunks, "AccessDenied"),
        ):
            headers = [(b"x-amz-content-sha256", content), (b"x-amz-decoded-content-length", b"3")]
            self.service.objects.clear()
            reply = await self._use(b"PUT", presigned(b"PUT", b"/b/k", headers), headers, body)
            if code:
                self.assertEqual((reply.code, self.service.objects), (code, {}), content)
            else:
                self.assertEqual((reply.status, self.service.objects), (200, {("b", "k"): b"abc"}), content)
