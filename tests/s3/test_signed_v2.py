"""Signatures of version 2 in the Authorization header."""

from __future__ import annotations

import hashlib
from typing import Any

from post3tw.wire import sigv2
from post3tw.wire.dates import http_date
from post3tw.wire.uri import parse_query, split_target
from tests.s3.rawhttp import Reply
from tests.s3.serving import Headers, ServingTestCase, wire

ALICE = ("ALICEKEY", "alice-secret")


class SignedV2Tests(ServingTestCase):
    """Requests as old clients send them."""

    def options(self) -> dict[str, Any]:
        """Buckets in the host as well."""
        return {"domains": ["s3.test"]}

    def authorization(
        self, method: bytes, target: bytes, headers: Headers, *, bucket: bytes = b"", user: tuple[str, str] = ALICE
    ) -> tuple[bytes, bytes]:
        """The header for a request, whose time is in one of `headers`; `bucket` is that of the host."""
        path, query = split_target(target)
        fields = dict(headers)
        line = "" if b"x-amz-date" in fields else fields[b"date"].decode()
        resource = sigv2.canonical_resource(bucket + path, parse_query(query))
        access_key, secret = user
        text = sigv2.string_to_sign(method, line, sigv2.signed_headers(list(headers), ()), resource)
        signature = sigv2.signature(secret, text)
        return b"authorization", b"AWS %b:%b" % (access_key.encode(), signature)

    def date(self, seconds: int = 0) -> tuple[bytes, bytes]:
        """The Date header of a time so long from now."""
        return b"date", http_date(self.ids.now() + seconds * 1000).encode()

    async def send(
        self, method: bytes, target: bytes, headers: Headers, body: bytes = b"", *, host: bytes = b"localhost"
    ) -> Reply:
        """Send a request as it is."""
        length = [(b"content-length", b"%d" % len(body))] if method == b"PUT" else []
        return await self.ask(wire(method, target, [(b"host", host), *headers, *length], body), method.decode())

    async def use(
        self, method: bytes, target: bytes, headers: Headers = (), body: bytes = b"", **options: Any
    ) -> Reply:
        """Sign a request, now, and send it."""
        fields = [self.date(), *headers]
        return await self.send(method, target, [*fields, self.authorization(method, target, fields, **options)], body)

    async def test_put_get_head_delete(self) -> None:
        """A request does what it was signed for, as who signed it."""
        for method, status, answered in (
            (b"PUT", 200, b""),
            (b"GET", 200, b"abc"),
            (b"HEAD", 200, b""),
            (b"DELETE", 204, b""),
        ):
            reply = await self.use(method, b"/b/a%20k", body=b"abc" if method == b"PUT" else b"")
            self.assertEqual((reply.status, reply.body), (status, answered), method)
        self.assertEqual({record.user_id for record in self.records.all}, {"alice-id"})

    async def test_bucket_in_the_host(self) -> None:
        """It is signed as a part of the path."""
        fields = [self.date()]
        for bucket, status in ((b"/b", 200), (b"", 403), (b"/c", 403)):
            signed = [*fields, self.authorization(b"PUT", b"/k", fields, bucket=bucket)]
            reply = await self.send(b"PUT", b"/k", signed, b"abc", host=b"b.s3.test")
            self.assertEqual(reply.status, status, bucket)

    async def test_dates(self) -> None:
        """x-amz-date counts before Date; a quarter of an hour is the most; without either nobody is believed."""
        for fields, code in (
            ([(b"x-amz-date", self.date()[1]), self.date(-9999)], ""),
            ([self.date(-899)], ""),
            ([self.date(899)], ""),
            ([self.date(-901)], "RequestTimeTooSkewed"),
            ([self.date(901)], "RequestTimeTooSkewed"),
            ([(b"x-amz-date", self.date(-901)[1]), self.date()], "RequestTimeTooSkewed"),
            ([(b"date", b"yesterday")], "AccessDenied"),
            ([(b"x-amz-date", b""), self.date()], "AccessDenied"),
        ):
            header = self.authorization(b"PUT", b"/b/k", fields)
            reply = await self.send(b"PUT", b"/b/k", [*fields, header], b"abc")
            self.assertEqual(reply.code, code, fields)
        reply = await self.send(b"PUT", b"/b/k", [header], b"abc")
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))

    async def test_what_was_signed_is_what_counts(self) -> None:
        """Another method, key, date, sub-resource, type or x-amz-* header is another request."""
        fields = [self.date(), (b"content-type", b"text/plain"), (b"x-amz-meta-a", b"b")]
        header = self.authorization(b"PUT", b"/b/k", fields)
        self.assertEqual((await self.send(b"PUT", b"/b/k", [*fields, header], b"abc")).status, 200)
        for method, target, changed in (
            (b"DELETE", b"/b/k", fields),
            (b"PUT", b"/b/l", fields),
            (b"PUT", b"/b/k?tagging", fields),
            (b"PUT", b"/b/k", [self.date(1), *fields[1:]]),
            (b"PUT", b"/b/k", [fields[0], (b"content-type", b"text/html"), fields[2]]),
            (b"PUT", b"/b/k", fields[:2]),
            (b"PUT", b"/b/k", [*fields, (b"x-amz-acl", b"public-read")]),
        ):
            reply = await self.send(method, target, [*changed, header], b"abc" if method == b"PUT" else b"")
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), (method, target, changed))

    async def test_users(self) -> None:
        """A wrong secret, an unknown key."""
        for user, code in (
            (("ALICEKEY", "other"), "SignatureDoesNotMatch"),
            (("NOBODY", "alice-secret"), "InvalidAccessKeyId"),
        ):
            reply = await self.use(b"GET", b"/b/k", user=user)
            self.assertEqual((reply.status, reply.code), (403, code))
        self.assertEqual(self.service.admitted, [])

    async def test_malformed(self) -> None:
        """A header without a key or a signature is an invalid argument."""
        for value in (b"AWS HAHAHA", b"AWS :c2ln", b"AWS ALICEKEY:"):
            reply = await self.send(b"GET", b"/b/k", [self.date(), (b"authorization", value)])
            self.assertEqual((reply.status, reply.code), (400, "InvalidArgument"), value)

    async def test_bodies(self) -> None:
        """A signed hash is verified; there is no key for signed chunks."""
        name = b"x-amz-content-sha256"
        right = hashlib.sha256(b"abc").hexdigest().encode()
        for content, code in (
            (right, ""),
            (right[::-1], "XAmzContentSHA256Mismatch"),
            (b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "AccessDenied"),
        ):
            reply = await self.use(b"PUT", b"/b/k", [(name, content)], b"abc")
            self.assertEqual(reply.code, code, content)
