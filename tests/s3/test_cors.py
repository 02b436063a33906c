"""Preflight requests, and the headers for pages of other origins, on a real port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from post3tw.model.cors import CorsRule
from post3tw.service.interfaces import ICorsRules
from tests.s3.rawhttp import Reply
from tests.s3.serving import ServingTestCase, wire

PAGE = b"https://page.example"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@implementer(ICorsRules)
class Rules:
    """Rules by tenant and bucket; counts how often it is asked."""

    def __init__(self, by_bucket: dict[tuple[str, str], Sequence[CorsRule]]) -> None:
        self.by_bucket = by_bucket
        self.asked = 0

    async def rules_of(self, tenant: str, bucket: str) -> Sequence[CorsRule] | None:
        self.asked += 1
        return self.by_bucket.get((tenant, bucket))


class CorsCase(ServingTestCase):
    """A bucket `b` whose rules tests set, one without rules, and one of alice's tenant."""

    rules: Sequence[CorsRule] = ()
    origins: Sequence[str] = ()

    def options(self) -> dict[str, Any]:
        self.lookup = Rules({("", "b"): self.rules, ("", "without"): ()})
        return {"cors_rules": self.lookup, "cors_origins": self.origins}

    async def preflight(
        self, method: str | None = "GET", headers: str = "", origin: bytes | None = PAGE, target: bytes = b"/b/k"
    ) -> Reply:
        """What a browser asks before it sends a request."""
        fields = [(b"Host", b"h")]
        if origin is not None:
            fields.append((b"Origin", origin))
        if method is not None:
            fields.append((b"Access-Control-Request-Method", method.encode()))
        if headers:
            fields.append((b"Access-Control-Request-Headers", headers.encode()))
        return await self.ask(wire(b"OPTIONS", target, fields))

    def assert_silent(self, reply: Reply) -> None:
        """The reply allows nothing."""
        self.assertEqual([name for name in reply.headers if name.startswith("access-control-")], [])


class BucketRuleTests(CorsCase):
    """Rules of the bucket."""

    rules = (
        CorsRule(
            ("https://*.example",), ("GET", "PUT"), headers=("X-Amz-*", "content-type"), expose=("ETag",), max_age=3000
        ),
        CorsRule(("*",), ("HEAD",)),
    )

    async def test_preflight(self) -> None:
        """It is answered without a signature, by the rule that allows it, with all that the rule says."""
        reply = await self.preflight("PUT", "Content-Type, x-amz-date")
        self.assertEqual((reply.status, reply.body), (200, b""))
        for name, value in (
            ("access-control-allow-origin", PAGE.decode()),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "content-type, x-amz-date"),
            ("access-control-expose-headers", "ETag"),
            ("access-control-max-age", "3000"),
            ("access-control-allow-credentials", "true"),
            ("vary", VARY),
        ):
            self.assertEqual(reply.headers.get(name), value, name)

    async def test_preflight_for_everybody(self) -> None:
        """A rule for every origin names none, and never allows credentials."""
        reply = await self.preflight("HEAD", origin=b"null")
        self.assertEqual(reply.headers["access-control-allow-origin"], "*")
        self.assertNotIn("access-control-allow-credentials", reply.headers)
        self.assertNotIn("access-control-max-age", reply.headers)

    async def test_preflight_not_allowed(self) -> None:
        """Another origin, method or header: 403 with AWS's words, and nothing that a browser takes for a yes."""
        for reply in (
            await self.preflight("PUT", origin=b"https://page.example.org"),
            await self.preflight("DELETE"),
            await self.preflight("PUT", "authorization"),
        ):
            self.assertEqual((reply.status, reply.code), (403, "AccessForbidden"))
            self.assertIn(b"CORSResponse: This CORS request is not allowed.", reply.body)
            self.assertIn(b"<ResourceType>OBJECT</ResourceType>", reply.body)
            self.assert_silent(reply)

    async def test_preflight_without_rules(self) -> None:
        """A bucket without rules, none at all, and the service itself allow nothing."""
        for target in (b"/without/k", b"/missing/k", b"/"):
            reply = await self.preflight(target=target)
            self.assertEqual((reply.status, reply.code), (403, "AccessForbidden"), target)
            self.assert_silent(reply)

    async def test_no_preflight(self) -> None:
        """OPTIONS without an origin or a method of S3 is a bad request."""
        for reply in (
            await self.preflight(origin=None),
            await self.preflight(None),
            await self.preflight("PATCH"),
            await self.preflight("PUT", ",".join(["x-amz-a"] * 51)),
        ):
            self.assertEqual((reply.status, reply.code), (400, "BadRequest"))

    async def test_answers(self) -> None:
        """An answer has the headers, and those that it has anyway."""
        self.service.objects["b", "k"] = b"hello"
        reply = await self.ask(self.signed(b"GET", b"/b/k", [(b"origin", PAGE)]))
        self.assertEqual((reply.status, reply.body), (200, b"hello"))
        self.assertEqual(reply.headers["access-control-allow-origin"], PAGE.decode())
        self.assertEqual(reply.headers["access-control-expose-headers"], "ETag")
        self.assertEqual(reply.headers["vary"], VARY)
        self.assertIn("etag", reply.headers)

    async def test_errors(self) -> None:
        """A page can read why it was refused: no key, no permission, a wrong signature, no such operation."""
        for request, status in (
            (self.signed(b"GET", b"/b/missing", [(b"origin", PAGE)]), 404),
            (wire(b"GET", b"/b/k", [(b"Host", b"h"), (b"Origin", PAGE)]), 403),
            (self.signed(b"GET", b"/b/k", [(b"origin", PAGE)]).replace(b"Signature=", b"Signature=0"), 403),
            (self.signed(b"GET", b"/b/k?torrent", [(b"origin", PAGE)]), 501),
        ):
            reply = await self.ask(request)
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.headers.get("access-control-allow-origin"), PAGE.decode(), status)

    async def test_answers_to_others(self) -> None:
        """A page that no rule names gets the answer without them, and caches are told that pages differ."""
        self.service.objects["b", "k"] = b"hello"
        reply = await self.ask(self.signed(b"GET", b"/b/k", [(b"origin", b"https://evil.org")]))
        self.assertEqual(reply.status, 200)
        self.assert_silent(reply)
        self.assertEqual(reply.headers["vary"], VARY)

    async def test_no_origin(self) -> None:
        """Who is no browser pays nothing."""
        self.service.objects["b", "k"] = b"hello"
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assert_silent(reply)
        self.assertNotIn("vary", reply.headers)
        self.assertEqual(self.lookup.asked, 0)

    async def test_tenants(self) -> None:
        """A presigned URL is for the bucket of its signer's tenant, in a preflight request too."""
        self.lookup.by_bucket["acme", "theirs"] = self.rules
        for query in (
            b"X-Amz-Credential=CAROLKEY%2F20261118%2Fus-east-1%2Fs3%2Faws4_request",
            b"AWSAccessKeyId=CAROLKEY",
        ):
            self.assertEqual((await self.preflight(target=b"/theirs/k?" + query)).status, 200)
        self.assertEqual((await self.preflight(target=b"/theirs/k")).status, 403)
        for value, named in (
            (b"AWS4-HMAC-SHA256 Credential=CAROLKEY/20261118/us-east-1/s3/aws4_request, Signature=0", PAGE.decode()),
            (b"AWS CAROLKEY:0", PAGE.decode()),
            (b"AWS4-HMAC-SHA256 Credential=", None),
            (b"Bearer CAROLKEY", None),
        ):
            fields = [(b"Host", b"h"), (b"Origin", PAGE), (b"Authorization", value)]
            reply = await self.ask(wire(b"GET", b"/theirs/k", fields))
            self.assertEqual((reply.status // 100, reply.headers.get("access-control-allow-origin")), (4, named), value)


class ServerOriginTests(CorsCase):
    """Origins that the server was started with."""

    rules = (CorsRule(("https://page.example",), ("GET",), expose=("ETag",)),)
    origins = ("https://*.example", "http://localhost:3000")

    async def test_everywhere(self) -> None:
        """They may do everything in every bucket, and make buckets."""
        for target in (b"/b/k", b"/without", b"/missing", b"/"):
            reply = await self.preflight("DELETE", "authorization,x-amz-date", target=target)
            self.assertEqual(reply.status, 200, target)
            self.assertEqual(reply.headers["access-control-allow-origin"], PAGE.decode())
            self.assertEqual(reply.headers["access-control-allow-headers"], "authorization, x-amz-date")
        reply = await self.ask(self.signed(b"GET", b"/", [(b"origin", b"http://localhost:3000")]))
        self.assertEqual(reply.headers["access-control-expose-headers"], "*")

    async def test_PAR_10_no_credentials(self) -> None:
        """PAR-10: an origin that is echoed because of the option never gets credentials."""
        reply = await self.preflight("DELETE")
        self.assertNotIn("access-control-allow-credentials", reply.headers)

    async def test_rules_first(self) -> None:
        """Where the bucket has a rule that fits, that one counts."""
        reply = await self.preflight("GET")
        self.assertEqual(reply.headers["access-control-expose-headers"], "ETag")

    async def test_others(self) -> None:
        """Who is not named is refused."""
        reply = await self.preflight("GET", origin=b"http://localhost:3001", target=b"/without")
        self.assertEqual((reply.status, reply.code), (403, "AccessForbidden"))


class OpenServerTests(CorsCase):
    """A server that is open to every page."""

    origins = ("*",)

    async def test_everybody(self) -> None:
        """The answer names nobody."""
        reply = await self.preflight("PUT", "authorization")
        self.assertEqual((reply.status, reply.headers["access-control-allow-origin"]), (200, "*"))
        self.assertEqual(reply.headers["access-control-allow-methods"], "GET, PUT, POST, DELETE, HEAD")


class ClosedServerTests(ServingTestCase):
    """A server whose service has no rules, started without the option."""

    async def test_PAR_10_nothing_is_reflected(self) -> None:
        """PAR-10: no page of another origin is told anything."""
        self.service.objects["b", "k"] = b"hello"
        for request in (
            self.signed(b"GET", b"/b/k", [(b"origin", PAGE)]),
            wire(b"OPTIONS", b"/b/k", [(b"Host", b"h"), (b"Origin", PAGE), (b"Access-Control-Request-Method", b"GET")]),
        ):
            reply = await self.ask(request)
            self.assertNotIn("access-control-allow-origin", reply.headers)
