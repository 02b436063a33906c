"""What the authenticator makes of a request's head, without a server around it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import (
    AccessDenied,
    AuthorizationQueryParametersError,
    DomainError,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    NotImplementedHere,
    SignatureDoesNotMatch,
)
from post3tw.model.identity import Identity
from post3tw.s3.addressing import Addressing
from post3tw.s3.authentication import Authenticator, Payload, hoisted_headers
from post3tw.s3.exchange import RequestHead
from post3tw.wire import sigv2
from post3tw.wire.dates import amz_date, http_date
from post3tw.wire.signer import Signer
from post3tw.wire.sigv4 import EMPTY_SHA256
from tests.s3.doubles import Users

NOW = 1_795_000_000_000
HOST = (b"host", b"h")
ALICE = Signer("ALICEKEY", "alice-secret")
UNSIGNED = b"UNSIGNED-PAYLOAD"
CHUNKS = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_CHUNKS = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"

Fields = Sequence[tuple[bytes, bytes]]


def head_of(target: bytes, fields: Fields = (), method: str = "PUT") -> RequestHead:
    """A head with these fields and no other ones."""
    names = [name.decode() for name, _ in fields]
    headers = {name.decode(): value.decode("latin-1") for name, value in fields}
    repeated = frozenset(name for name in names if names.count(name) > 1)
    return RequestHead(method, target, "HTTP/1.1", list(fields), headers, repeated)


class AuthenticatorCase(SynchronousTestCase):
    """An authenticator, and requests."""

    def setUp(self) -> None:
        """Alice is known, Bob is disabled."""
        self.authenticator = Authenticator(Users(), "us-east-1", lambda: NOW)
        self.addressing = Addressing([])

    def ask(self, target: bytes, fields: Fields = ()) -> tuple[Identity | None, Payload]:
        """Who sent it, and how its body is vouched for."""
        head = head_of(target, fields)
        return self.authenticator.authenticate(head, self.addressing.locate(head))

    def signed(self, content: bytes, extra: Fields = (), target: bytes = b"/b/k") -> tuple[Identity | None, Payload]:
        """The same, signed by Alice in the header."""
        fields = ALICE.sign_request(b"PUT", target, [HOST, *extra], time=NOW, payload_hash=content)
        return self.ask(target, fields)

    def refused(self, kind: type[DomainError], target: bytes, fields: Fields = ()) -> DomainError:
        """How a request is refused; by this error, not by a more special one."""
        error = self.assertRaises(kind, self.ask, target, fields)
        assert isinstance(error, DomainError)
        self.assertIs(type(error), kind)
        return error


class PayloadTests(AuthenticatorCase):
    """What x-amz-content-sha256 says of a body."""

    def test_modes(self) -> None:
        """Each mode says whether there are chunks, whether a trailer follows them, and what is verified."""
        digest = hashlib.sha256(b"abc").hexdigest()
        for content, payload in (
            (UNSIGNED, Payload()),
            (digest.encode(), Payload(sha256=digest)),
            (digest.upper().encode(), Payload(sha256=digest)),
            (UNSIGNED_CHUNKS, Payload(chunked=True, trailer=True)),
        ):
            self.assertEqual(self.signed(content)[1], payload, content)
            self.assertIs(payload.trailer, payload.chunked)
        for content, trailer in ((CHUNKS, False), (CHUNKS + b"-TRAILER", True)):
            payload = self.signed(content)[1]
            self.assertEqual((payload.sha256, payload.chunked, payload.trailer), (None, True, trailer))
            self.assertIsNotNone(payload.chain)

    def test_without_any(self) -> None:
        """Nobody's body, or that of a presigned request, is unsigned unless it says otherwise."""
        self.assertEqual(self.ask(b"/b/k"), (None, Payload()))
        url = ALICE.presign(b"PUT", b"/b/k", [HOST], time=NOW, expires=60)
        self.assertEqual(self.ask(url, [HOST])[1], Payload())

    def test_in_the_query(self) -> None:
        """A presigned request may name it as a parameter, which a header goes before."""
        digest = EMPTY_SHA256.decode()
        target = b"/b/k?X-Amz-Content-Sha256=" + EMPTY_SHA256
        url = ALICE.presign(b"PUT", target, [HOST], time=NOW, expires=60, payload_hash=EMPTY_SHA256)
        self.assertEqual(self.ask(url, [HOST])[1], Payload(sha256=digest))
        fields = [HOST, (b"x-amz-content-sha256", UNSIGNED)]
        url = ALICE.presign(b"PUT", target, fields, time=NOW, expires=60, payload_hash=UNSIGNED)
        self.assertEqual(self.ask(url, fields)[1], Payload())

    def test_what_is_none(self) -> None:
        """An unknown mode is named in the error; those of elliptic curves are not implemented; a header is missing."""
        error = self.assertRaises(InvalidArgument, self.signed, b"sha256")
        self.assertEqual(error.details, {"argument_name": "x-amz-content-sha256", "argument_value": "sha256"})
        for trailer in (b"", b"-TRAILER"):
            content = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" + trailer
            error = self.assertRaises(NotImplementedHere, self.signed, content)
            self.assertEqual(error.details, {"header": "x-amz-content-sha256"})
        self.assertRaises(InvalidArgument, self.signed, b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOADX")
        for digest in (EMPTY_SHA256[1:], EMPTY_SHA256 + b"0", b"g" + EMPTY_SHA256[1:]):
            self.assertRaises(InvalidArgument, self.signed, digest)

    def test_signed_chunks_need_a_key(self) -> None:
        """No request of nobody, and none of version 2, can have them."""
        for content in (CHUNKS, CHUNKS + b"-TRAILER"):
            self.refused(AccessDenied, b"/b/k", [HOST, (b"x-amz-content-sha256", content)])


class MechanismTests(AuthenticatorCase):
    """Where a signature is, and that there is one."""

    def test_a_part_is_not_nobody(self) -> None:
        """Each parameter of a presigned request makes it one, which then lacks the others."""
        for name in (b"X-Amz-Algorithm", b"X-Amz-Signature", b"X-Amz-Credential"):
            self.refused(AuthorizationQueryParametersError, b"/b/k?" + name + b"=x")
        for name in (b"AWSAccessKeyId", b"Signature"):
            self.refused(AccessDenied, b"/b/k?" + name + b"=x")

    def test_sessions(self) -> None:
        """There are none, whichever way a token is spelled."""
        for target, fields in (
            (b"/b/k?X-Amz-Security-Token=t", []),
            (b"/b/k?x-amz-security-token=t", []),
            (b"/b/k", [(b"x-amz-security-token", b"t")]),
        ):
            self.refused(InvalidToken, target, fields)

    def test_two_mechanisms(self) -> None:
        """Any two are refused; the error shows one of them."""
        header = (b"authorization", b"AWS a:b")
        for query, fields, name, value in (
            (b"X-Amz-Algorithm=x&Signature=s", [], "Signature", "s"),
            (b"X-Amz-Signature=x&AWSAccessKeyId=a", [], "Signature", ""),
            (b"X-Amz-Credential=x", [header], "Authorization", "AWS a:b"),
            (b"Signature=s", [header], "Authorization", "AWS a:b"),
            (b"Signature=s", [(b"authorization", b"")], "Authorization", ""),
        ):
            error = self.refused(InvalidArgument, b"/b/k?" + query, fields)
            self.assertEqual(error.details, {"argument_name": name, "argument_value": value})

    def test_repeated_headers(self) -> None:
        """Those that are signed or sign are named; others may repeat."""
        for name in (b"x-amz-acl", b"authorization"):
            error = self.refused(InvalidRequest, b"/b/k", [(name, b"a"), (name, b"a")])
            self.assertEqual(error.details, {"header": name.decode()})
        self.assertEqual(self.ask(b"/b/k", [(b"accept", b"a"), (b"accept", b"a")]), (None, Payload()))

    def test_who(self) -> None:
        """All four mechanisms say who it was."""
        time = str(NOW // 1000 + 60)
        resource = sigv2.string_to_sign(b"PUT", time, {}, b"/b/k")
        query = f"AWSAccessKeyId=ALICEKEY&Expires={time}&Signature=".encode()
        date = http_date(NOW)
        text = sigv2.string_to_sign(b"PUT", date, {}, b"/b/k")
        for target, fields in (
            (b"/b/k", ALICE.sign_request(b"PUT", b"/b/k", [HOST], time=NOW)),
            (ALICE.presign(b"PUT", b"/b/k", [HOST], time=NOW, expires=60), [HOST]),
            (b"/b/k?" + query + sigv2.signature("alice-secret", resource).replace(b"+", b"%2B"), [HOST]),
            (
                b"/b/k",
                [
                    HOST,
                    (b"date", date.encode()),
                    (b"authorization", b"AWS ALICEKEY:" + sigv2.signature("alice-secret", text)),
                ],
            ),
        ):
            identity, payload = self.ask(target, fields)
            assert identity is not None
            self.assertEqual((identity.user_id, payload), ("alice-id", Payload()), target)

    def test_headers_that_are_missing(self) -> None:
        """A signature in the header needs x-amz-content-sha256, and a date, x-amz-date before Date."""
        fields = ALICE.sign_request(b"PUT", b"/b/k", [HOST], time=NOW)
        self.refused(InvalidRequest, b"/b/k", [each for each in fields if each[0] != b"x-amz-content-sha256"])
        self.refused(AccessDenied, b"/b/k", [each for each in fields if each[0] != b"x-amz-date"])
        date = (b"date", amz_date(NOW).encode())
        signed = [date, *(each for each in fields if each[0] != b"x-amz-date")]
        self.refused(SignatureDoesNotMatch, b"/b/k", signed)  # the date was found: x-amz-date is not needed for that


class KeyTests(AuthenticatorCase):
    """Whose key it is."""

    def test_the_secret_of_nobody(self) -> None:
        """It is made anew for each authenticator, is long, and is not shown."""
        first, second = (Authenticator(Users(), "us-east-1", lambda: NOW) for _ in range(2))
        self.assertNotEqual(first._nobody, second._nobody)
        self.assertEqual(len(first._nobody), 40)
        self.assertNotIn(first._nobody, repr(first))

    def test_holder(self) -> None:
        """A key is its holder's when the signature is good; who is unknown or disabled is told no more than that."""
        tried: list[str] = []
        self.assertEqual(self.authenticator.holder("ALICEKEY", tried.append).user_id, "alice-id")
        self.assertEqual(tried, ["alice-secret"])

        def wrong(secret: str) -> None:
            raise SignatureDoesNotMatch()

        self.assertRaises(SignatureDoesNotMatch, self.authenticator.holder, "ALICEKEY", wrong)
        for key in ("BOBKEY", "NOBODY"):
            for verify in (wrong, tried.append):
                error = self.assertRaises(InvalidAccessKeyId, self.authenticator.holder, key, verify)
                self.assertEqual(error.details, {"aws_access_key_id": key})
        self.assertEqual(tried[1:], [self.authenticator._nobody] * 2)


class TenantTests(AuthenticatorCase):
    """Which tenant's buckets a request means, before its signature is looked at."""

    def test_claimed(self) -> None:
        """The key is found in both versions of header and query; without a known one there is no tenant."""
        scope = b"/20261118/us-east-1/s3/aws4_request"
        for target, header, tenant in (
            (b"/b", None, ""),
            (b"/b", b"", ""),
            (b"/b", b"AWS4-HMAC-SHA256 Credential=CAROLKEY" + scope + b", SignedHeaders=host, Signature=0", "acme"),
            (b"/b", b"AWS CAROLKEY:c2ln", "acme"),
            (b"/b", b"AWS OTHER:c2ln", ""),
            (b"/b", b"AWS4-HMAC-SHA256 Credential=OTHER" + scope, ""),
            (b"/b?X-Amz-Credential=CAROLKEY" + scope.replace(b"/", b"%2F"), None, "acme"),
            (b"/b?AWSAccessKeyId=CAROLKEY", None, "acme"),
            (b"/b?AWSAccessKeyId=OTHER", b"AWS CAROLKEY:c2ln", ""),
        ):
            head = head_of(target, [] if header is None else [(b"authorization", header)])
            found = self.authenticator.claimed_tenant(head, self.addressing.locate(head))
            self.assertEqual(found, tenant, (target, header))


class HoistedTests(SynchronousTestCase):
    """Headers that the signer of a URL put into its query."""

    def merged(self, arguments: dict[str, str], headers: dict[str, str] | None = None) -> tuple[object, object]:
        """Headers and arguments of a request that is presigned in version 4."""
        signed = {"X-Amz-Signature": "s", **arguments}
        merged, rest = hoisted_headers(headers or {}, signed)
        self.assertEqual(rest.get("X-Amz-Signature"), "s")
        return merged, {name: value for name, value in rest.items() if name != "X-Amz-Signature"}

    def test_moves(self) -> None:
        """What begins with x-amz- becomes a header, in lower case; what authenticates or sums up stays."""
        stays = {
            f"{prefix}{name}": "v"
            for prefix in ("X-Amz-", "x-amz-")
            for name in ("Algorithm", "Content-Sha256", "Credential", "Date", "Expires", "Security-Token")
        }
        stays |= {"X-Amz-SignedHeaders": "v", "x-amz-checksum-crc32": "v", "x-amz-sdk-checksum-algorithm": "v"}
        stays |= {"content-type": "v", "prefix": "v"}
        self.assertEqual(self.merged({"X-Amz-Acl": "private", **stays}), ({"x-amz-acl": "private"}, stays))
        self.assertEqual(self.merged(stays, {"a": "b"}), ({"a": "b"}, stays))

    def test_version_2(self) -> None:
        """There, content-type and content-md5 move as well, and a header that came counts."""
        arguments = {"Signature": "s", "content-type": "a", "Content-MD5": "b", "x-amz-acl": "c", "prefix": "p"}
        merged, rest = hoisted_headers({"content-type": "came"}, arguments)
        self.assertEqual(merged, {"content-type": "came", "content-md5": "b", "x-amz-acl": "c"})
        self.assertEqual(rest, {"Signature": "s", "prefix": "p"})

    def test_unsigned_requests(self) -> None:
        """Nobody signed the query of others, and nothing moves."""
        headers, arguments = {"a": "b"}, {"x-amz-acl": "private"}
        self.assertEqual(hoisted_headers(headers, arguments), (headers, arguments))

    def test_refuses(self) -> None:
        """In version 4 a header that came as itself too; a value that is none."""
        error = self.assertRaises(InvalidRequest, self.merged, {"X-Amz-Acl": "a"}, {"x-amz-acl": "a"})
        self.assertEqual(error.details, {"header": "x-amz-acl"})
        error = self.assertRaises(InvalidRequest, self.merged, {"X-Amz-Acl": "a\n"})
        self.assertEqual(error.details, {"header": "x-amz-acl"})
