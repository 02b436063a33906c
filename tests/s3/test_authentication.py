"""Signatures in the Authorization header, and nobody. Names SIG-n are those of the advisories they come from."""

from __future__ import annotations

import ast
import hashlib
import inspect
from types import ModuleType

from attrs import evolve

from post3tw.api.operation import Operation
from post3tw.api.operations import OPERATIONS
from post3tw.api.routes import NOT_ROUTED
from post3tw.s3 import authentication
from post3tw.wire import aws_chunked, hmac_keys, sigv2, sigv4
from post3tw.wire.dates import amz_date
from post3tw.wire.signer import Signer
from tests.s3.serving import UNSIGNED, ServingTestCase, wire

WRONG = Signer("ALICEKEY", "not-her-secret")
PAYLOADS = {
    b"sha256": hashlib.sha256(b"abc").hexdigest().encode(),
    b"unsigned": UNSIGNED,
    b"signed chunks": b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    b"signed chunks, trailer": b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    b"trailer": b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}
CHUNKED = b"3\r\nabc\r\n0\r\n\r\n"


class HeaderTests(ServingTestCase):
    """The Authorization header."""

    async def _code(self, request: bytes) -> tuple[int, str]:
        reply = await self.ask(request)
        return reply.status, reply.code

    async def test_identifies_the_caller(self) -> None:
        """A good signature says whose request it is."""
        reply = await self.ask(self.signed(b"PUT", b"/b/k", body=b"abc"))
        self.assertEqual(reply.status, 200)
        caller = self.service.callers[0]
        assert caller.identity is not None
        self.assertEqual((caller.identity.user_id, caller.source_ip, caller.secure), ("alice-id", "127.0.0.1", False))
        record = self.records.all[0]
        self.assertEqual((record.user_id, record.access_key), ("alice-id", "ALICEKEY"))
        self.assertEqual(record.request_id, reply.headers["x-amz-request-id"])

    async def test_knows_whom_it_does_not_know(self) -> None:
        """An unknown key, a disabled user and a wrong secret are refused, each in S3's words."""
        for signer, code in (
            (Signer("NOBODY", "x"), "InvalidAccessKeyId"),
            (Signer("BOBKEY", "bob-secret"), "InvalidAccessKeyId"),
            (WRONG, "SignatureDoesNotMatch"),
        ):
            request = self.signed(b"PUT", b"/b/k", body=b"abc", signer=signer)
            self.assertEqual(await self._code(request), (403, code))
        self.assertEqual(self.service.objects, {})

    async def test_says_nothing_secret(self) -> None:
        """What a refused client is told, and what is recorded, has no secret."""
        reply = await self.ask(self.signed(b"GET", b"/b/k", signer=WRONG))
        self.assertIn(b"<StringToSign>", reply.body)
        self.assertNotIn(b"secret", reply.body)
        self.assertNotIn("secret", repr(self.records.all))

    async def test_SIG_8_access_key_alone_is_not_enough(self) -> None:
        """A valid key with a wrong secret is refused on every route that there is, whatever its method."""
        for operation in OPERATIONS.values():
            target = _target(operation.level, operation.selectors)
            request = self.signed(operation.method.encode(), target, signer=WRONG)
            reply = await self.ask(request, operation.method)
            self.assertGreaterEqual(reply.status, 400, operation.name)
            self.assertNotEqual(reply.status, 500, operation.name)
        self.assertEqual(self.service.admitted, [])

    async def test_SIG_11_skew(self) -> None:
        """16 minutes off, in either direction, is too much; 14 are not."""
        self.service.objects["b", "k"] = b"x"
        for minutes, expected in ((-16, 403), (16, 403), (-14, 200), (14, 200)):
            time = self.ids.now() + minutes * 60_000
            fields = self.signer.sign_request(b"GET", b"/b/k", [(b"host", b"h")], time=time)
            reply = await self.ask(wire(b"GET", b"/b/k", fields))
            self.assertEqual(reply.status, expected, minutes)
            self.assertEqual(reply.code, "RequestTimeTooSkewed" if expected == 403 else "")

    async def test_SIG_11_comparisons_take_constant_time(self) -> None:
        """Nothing that is secret is compared with an operator."""
        for module in (authentication, sigv2, sigv4, hmac_keys, aws_chunked):
            self.assertEqual(_careless_comparisons(module), [])

    async def test_SIG_11_unknown_and_known_keys_do_the_same_work(self) -> None:
        """For an unknown key a signature is computed as well."""
        for signer in (WRONG, Signer("NOBODY", "x")):
            request = self.signed(b"GET", b"/b/k", signer=signer)
            before = hmac_keys.derived_key.cache_info()
            await self.ask(request)
            after = hmac_keys.derived_key.cache_info()
            self.assertEqual(after.hits + after.misses, before.hits + before.misses + 1)

    async def test_SIG_12_scope(self) -> None:
        """The right secret with the wrong region or service is refused, and says what is wrong."""
        for change, words in (({"region": "mars-1"}, b"expecting"), ({"service": "iam"}, b"iam")):
            signer = evolve(self.signer, **change)
            reply = await self.ask(self.signed(b"GET", b"/b/k", signer=signer))
            self.assertEqual((reply.status, reply.code), (400, "AuthorizationHeaderMalformed"))
            self.assertIn(words, reply.body)

    async def test_SIG_12_date_of_the_scope(self) -> None:
        """A scope of another day than the request's is refused."""
        request = self.signed(b"GET", b"/b/k")
        today = amz_date(self.ids.now())[:8].encode()
        reply = await self.ask(request.replace(b"/" + today + b"/", b"/20200101/"))
        self.assertEqual((reply.status, reply.code), (400, "AuthorizationHeaderMalformed"))

    async def test_SIG_12_signed_headers(self) -> None:
        """A header list without host, or with a name twice, is refused."""
        request = self.signed(b"GET", b"/b/k")
        without = request.replace(b"SignedHeaders=host;", b"SignedHeaders=")
        reply = await self.ask(without)
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
        self.assertIn(b"<HeadersNotSigned>host</HeadersNotSigned>", reply.body)
        twice = request.replace(b"SignedHeaders=host;", b"SignedHeaders=host;host;")
        self.assertEqual(await self._code(twice), (400, "AuthorizationHeaderMalformed"))

    async def test_SIG_5_unsigned_headers(self) -> None:
        """An x-amz-* header that is not signed is refused, whatever it is."""
        request = self.signed(b"PUT", b"/b/k", body=b"abc")
        for header in (b"x-amz-copy-source: /b/other", b"X-Amz-Meta-A: b", b"x-amz-tagging: a=b"):
            reply = await self.ask(request.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1))
            self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
            self.assertIn(b"There were headers present in the request which were not signed", reply.body)
        self.assertEqual(self.service.admitted, [])

    async def test_repeated_headers(self) -> None:
        """A repeated x-amz-* or Authorization header is refused, signed or not, and so is Host."""
        request = self.signed(b"PUT", b"/b/k", [(b"x-amz-meta-a", b"1")], b"abc")
        for header, code in (
            (b"x-amz-meta-a: 1", "InvalidRequest"),
            (b"x-amz-date: 20200101T000000Z", "InvalidRequest"),
            (b"Authorization: AWS4-HMAC-SHA256 x", "InvalidRequest"),
            (b"Host: localhost", "BadRequest"),
        ):
            repeated = request.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1)
            self.assertEqual(await self._code(repeated), (400, code))

    async def test_other_kinds_of_authorization(self) -> None:
        """They are refused with a hint."""
        for value, code in (
            (b"Basic YTpi", "InvalidArgument"),
            (b"garbage", "InvalidArgument"),
            (b"AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
            (b"AWS4-HMAC-SHA256 Credential=a", "AuthorizationHeaderMalformed"),
        ):
            reply = await self.ask(wire(b"GET", b"/b/k", [(b"Host", b"h"), (b"Authorization", value)]))
            self.assertEqual((reply.status, reply.code), (400, code), value)
        self.assertEqual(self.service.admitted, [])

    async def test_needs_a_date_and_a_payload_hash(self) -> None:
        """A signature without a time or without x-amz-content-sha256 says too little."""
        request = self.signed(b"GET", b"/b/k")
        lines = request.split(b"\r\n")
        undated = b"\r\n".join(line for line in lines if not line.startswith(b"x-amz-date"))
        unhashed = b"\r\n".join(line for line in lines if not line.startswith(b"x-amz-content-sha256"))
        self.assertEqual(await self._code(undated), (403, "AccessDenied"))
        self.assertEqual(await self._code(unhashed), (400, "InvalidRequest"))

    async def test_sessions(self) -> None:
        """There are no session tokens, so none is good."""
        request = self.signed(b"GET", b"/b/k", [(b"x-amz-security-token", b"token")])
        self.assertEqual(await self._code(request), (400, "InvalidToken"))

    async def test_payload_hashes_that_we_do_not_have(self) -> None:
        """A payload mode of elliptic curves is 501, an unknown one an invalid argument."""
        for value, expected in (
            (b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", (501, "NotImplemented")),
            (b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", (501, "NotImplemented")),
            (b"abc", (400, "InvalidArgument")),
            (b"unsigned-payload", (400, "InvalidArgument")),
        ):
            request = self.signed(b"PUT", b"/b/k", body=b"abc", payload_hash=value)
            self.assertEqual(await self._code(request), expected, value)
        self.assertEqual(self.service.objects, {})


class AnonymousTests(ServingTestCase):
    """Requests that nobody signed."""

    async def test_are_nobodys(self) -> None:
        """The service decides what nobody may do, also when Authorization is empty."""
        self.service.public = True
        fields = [(b"Host", b"h"), (b"Content-Length", b"3")]
        for extra in ([], [(b"Authorization", b"")]):
            reply = await self.ask(wire(b"PUT", b"/b/k", fields + extra, b"abc"))
            self.assertEqual(reply.status, 200)
            self.assertIsNone(self.service.callers[-1].identity)
            self.assertIsNone(self.records.all[-1].user_id)

    async def test_SIG_4_no_payload_mode_opens_a_door(self) -> None:
        """Anonymous, or with garbage for a signature, nothing is stored whatever x-amz-content-sha256 says."""
        for payload in PAYLOADS.values():
            fields = [
                (b"Host", b"h"),
                (b"x-amz-content-sha256", payload),
                (b"Content-Length", b"%d" % len(CHUNKED)),
                (b"x-amz-decoded-content-length", b"3"),
            ]
            garbage = (b"Authorization", b"AWS4-HMAC-SHA256 Credential=ALICEKEY, SignedHeaders=host, Signature=0")
            for extra in ([], [garbage]):
                reply = await self.ask(wire(b"PUT", b"/b/k", fields + extra, CHUNKED))
                self.assertIn(reply.status, (400, 403), payload)
        self.assertEqual((self.service.objects, self.service.admitted), ({}, []))

    async def test_signed_chunks(self) -> None:
        """Where nobody signed, no chunk can be signed either, also where anonymous callers may write."""
        self.service.public = True
        for name in (b"signed chunks", b"signed chunks, trailer"):
            fields = [
                (b"Host", b"h"),
                (b"x-amz-content-sha256", PAYLOADS[name]),
                (b"Content-Length", b"%d" % len(CHUNKED)),
                (b"x-amz-decoded-content-length", b"3"),
            ]
            reply = await self.ask(wire(b"PUT", b"/b/k", fields, CHUNKED))
            self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
        self.assertEqual(self.service.objects, {})


class MatrixTests(ServingTestCase):
    """SIG-1, SIG-2: every route that writes × every payload mode × a wrong signature, from the table of operations."""

    async def test_SIG_1_SIG_2_in_the_header(self) -> None:
        """A wrong signature in the Authorization header is refused on every route that writes."""
        client = await self.connect()
        for name, operation in _writes().items():
            target = _target(operation.level, operation.selectors)
            for mode, payload in PAYLOADS.items():
                fields = [(b"x-amz-decoded-content-length", b"3"), *_needed(operation.header)]
                request = self.signed(
                    operation.method.encode(), target, fields, CHUNKED, payload_hash=payload, signer=WRONG
                )
                client.send(request)
                reply = await client.reply()
                self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), (name, mode))
        self.assertEqual((self.service.objects, self.service.admitted), ({}, []))

    async def test_SIG_1_SIG_2_in_the_query(self) -> None:
        """A wrong signature in the query is refused on every route that writes."""
        client = await self.connect()
        for name, operation in _writes().items():
            target = _target(operation.level, operation.selectors)
            for mode, payload in PAYLOADS.items():
                fields = [
                    (b"host", b"localhost"),
                    (b"x-amz-content-sha256", payload),
                    (b"x-amz-decoded-content-length", b"3"),
                    *_needed(operation.header),
                ]
                url = WRONG.presign(
                    operation.method.encode(),
                    target,
                    fields,
                    time=self.ids.now(),
                    expires=60,
                    payload_hash=payload,
                )
                fields.append((b"content-length", b"%d" % len(CHUNKED)))
                client.send(wire(operation.method.encode(), url, fields, CHUNKED))
                reply = await client.reply()
                self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"), (name, mode))
        self.assertEqual((self.service.objects, self.service.admitted), ({}, []))

    async def test_SIG_1_random_signature(self) -> None:
        """64 hex digits that are no signature are refused with an unsigned trailer."""
        for target in (b"/b/k", b"/b/k?partNumber=1&uploadId=u"):
            request = self.signed(
                b"PUT", target, [(b"x-amz-decoded-content-length", b"3")], CHUNKED, payload_hash=PAYLOADS[b"trailer"]
            )
            head, _, rest = request.partition(b"Signature=")
            reply = await self.ask(head + b"Signature=" + b"5a" * 32 + rest[64:])
            self.assertEqual((reply.status, reply.code), (403, "SignatureDoesNotMatch"))
        self.assertEqual(self.service.objects, {})


def _writes() -> dict[str, Operation]:
    """Every operation with a method that changes something."""
    return {n: op for n, op in OPERATIONS.items() if op.method not in ("GET", "HEAD") and n not in NOT_ROUTED}


def _target(level: int, selectors: tuple[tuple[str, str | None], ...]) -> bytes:
    """A target that is routed to the operation with these selectors."""
    query = "&".join(f"{key}={value or _EXAMPLES.get(key, '')}" for key, value in selectors)
    return (("/", "/b", "/b/k")[level] + ("?" + query if query else "")).encode()


_EXAMPLES = {"partNumber": "1", "uploadId": "u", "id": "i"}


def _needed(header: str | None) -> list[tuple[bytes, bytes]]:
    return [] if header is None else [(header.encode(), b"/b/source")]


def _careless_comparisons(module: ModuleType) -> list[str]:
    """Comparisons by ==, != or `in` of anything whose name says that it is secret."""
    found = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            names = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node)}
            if any(word in name.lower() for name in names for word in ("secret", "hmac", "signature")):
                found.append(ast.unparse(node))
    return found
