"""Signature Version 4: reading what a client says, in the Authorization header or in the query."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    DomainError,
    InvalidArgument,
)
from post3tw.wire.sigv4 import (
    Authorization,
    Credential,
    Presigned,
    _parsed_claims,
    parse_authorization,
    parse_presigned,
)
from tests.wire.sigv4_example import ACCESS, SCOPE, TIMESTAMP, authorization


class ParseAuthorizationTests(SynchronousTestCase):
    """The Authorization header."""

    def test_spellings(self) -> None:
        """Spaces after commas, tabs, and the order of components make no difference."""
        expected = Authorization(Credential(ACCESS, "20130524", "us-east-1", "s3"), (b"host", b"x-amz-date"), b"ab12")
        credential, signed, signature = f"Credential={SCOPE}", "SignedHeaders=host;x-amz-date", "Signature=ab12"
        for text in (
            f"AWS4-HMAC-SHA256 {credential},{signed},{signature}",
            f"AWS4-HMAC-SHA256 {credential}, {signed}, {signature}",
            f" AWS4-HMAC-SHA256   {credential} ,\t{signed} , {signature} ",
            f"AWS4-HMAC-SHA256 {signature}, {signed}, {credential}",
        ):
            self.assertEqual(parse_authorization(text.encode()), expected, text)

    def test_access_key_with_slashes(self) -> None:
        """The scope is what stands after the fourth slash from the end."""
        parsed = parse_authorization(authorization("host", "x", "team/a/20130524/us-east-1/s3/aws4_request"))
        self.assertEqual(parsed.credential.access_key, "team/a")
        self.assertEqual(parsed.credential.scope, "20130524/us-east-1/s3/aws4_request")

    def test_claims_are_read_once(self) -> None:
        """What a client repeats with each request is kept, when it is at most 1024 bytes and a signature follows."""
        signature = b"0123456789abcdef" * 4
        empty = authorization("", "").removesuffix(b"Signature=")
        for length, kept in ((1024, True), (1025, False)):
            header = authorization("h" * (length - len(empty)), signature.decode())
            before = _parsed_claims.cache_info()
            for _ in range(2):
                self.assertEqual(parse_authorization(header).signature, signature)
            after = _parsed_claims.cache_info()
            self.assertEqual((after.misses - before.misses, after.hits - before.hits), (kept, kept), length)
        before = _parsed_claims.cache_info()
        parse_authorization(authorization("host", signature[:-1].decode()))
        self.assertEqual(_parsed_claims.cache_info(), before)

    def test_malformed(self) -> None:
        """Components that are missing, repeated, unknown or unreadable are refused."""
        good = f"Credential={SCOPE},SignedHeaders=host,Signature=ab"
        for rest in (
            "",
            "garbage",
            f"Credential={SCOPE},SignedHeaders=host",
            f"SignedHeaders=host,Signature=ab,Credential={SCOPE},",
            good + ",Signature=ab",
            good + ",X=1",
            good.replace("Credential", "credential"),
            good.replace("Credential", "XCredential"),
            good.replace(SCOPE, ""),
            good.replace(SCOPE, ACCESS),
            good.replace(SCOPE, SCOPE.removeprefix(ACCESS)),
            good.replace("20130524", "2013-05-24"),
            good.replace("20130524", "\u0662\u0660130524"),
            good.replace("us-east-1", ""),
            good.replace(ACCESS, "\xe9"),
            good.replace("=host", "="),
            good.replace("=host", "=host;host"),
            good.replace("=host", "=Host"),
            good.replace("=host", "=host;"),
            good.replace("=host", "=host; x-amz-date"),
            good.replace("=host", "=host;x:y"),
        ):
            header = f"AWS4-HMAC-SHA256 {rest}".encode()
            self.assertRaises(AuthorizationHeaderMalformed, parse_authorization, header)

    def test_other_kinds(self) -> None:
        """They are an unsupported type."""
        for header in (
            b"",
            b"AWS AKID:c2ln",
            b"Bearer x",
            b"Basic eDp5",
            b"AWS4-HMAC-SHA256,Credential=x",
            b"X" + authorization("host", "x"),
            b"\xff",
        ):
            self.assertRaises(InvalidArgument, parse_authorization, header)
        error = self.assertRaises(InvalidArgument, parse_authorization, b"Bearer \xff")
        self.assertEqual(error.details, {"argument_name": "Authorization", "argument_value": "Bearer \\xff"})

    def test_no_secrets_in_repr(self) -> None:
        """A signature, which would allow replay, is not shown."""
        self.assertNotIn("secret-signature", repr(parse_authorization(authorization("host", "secret-signature"))))

    @given(st.binary(max_size=80))
    def test_any_bytes(self, rest: bytes) -> None:
        """Arbitrary headers are refused with a domain error."""
        for header in (rest, b"AWS4-HMAC-SHA256 " + rest, authorization("host", "x").replace(b"us-east", rest)):
            try:
                parse_authorization(header)
            except DomainError:
                continue


class ParsePresignedTests(SynchronousTestCase):
    """X-Amz-* parameters of the query."""

    good = {  # noqa: RUF012 - never changed
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": SCOPE,
        "X-Amz-Date": TIMESTAMP,
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "ab",
    }

    def parse(self, **changes: str) -> Presigned:
        """Parse the good parameters with changes; underscores stand for hyphens."""
        changed = {f"X-Amz-{name}": value for name, value in changes.items()}
        return parse_presigned([("prefix", "p"), *{**self.good, **changed}.items(), ("X-Amz-Security-Token", "t")])

    def test_good(self) -> None:
        """Other parameters do not disturb."""
        presigned = self.parse()
        self.assertEqual((presigned.expires, presigned.authorization.signature), (60, b"ab"))
        self.assertEqual(self.parse(SignedHeaders="host;range").authorization.signed_headers, (b"host", b"range"))

    def test_sig_7_expiry_bounds(self) -> None:
        """SIG-7: expiry is a plain number of 1 to 604800 seconds."""
        self.assertEqual(self.parse(Expires="1").expires, 1)
        self.assertEqual(self.parse(Expires="604800").expires, 604800)
        self.assertEqual(self.parse(Expires="0" * 9 + "1").expires, 1)
        for value in ("1e9", "", "+60", " 60", "60 ", "6_0", "0x3c", "\u0666\u0660", "-", "--1", "-\u0666"):
            error = self.assertRaises(AuthorizationQueryParametersError, self.parse, Expires=value)
            self.assertIn("X-Amz-Expires", error.message)
        for value, why in (
            ("-1", "non-negative"),
            ("-0", "non-negative"),
            ("0", "between 1 and 604800 seconds, a week"),
            ("604801", "between 1 and 604800 seconds, a week"),
            ("0" * 10 + "1", "between 1 and 604800 seconds, a week"),
            ("9" * 5000, "between 1 and 604800 seconds, a week"),
        ):
            error = self.assertRaises(AccessDenied, self.parse, Expires=value)
            self.assertEqual(error.message, f"X-Amz-Expires must be {why}")

    def test_missing(self) -> None:
        """Each of the six parameters is required."""
        for name in self.good:
            parameters = [(other, value) for other, value in self.good.items() if other != name]
            self.assertRaises(AuthorizationQueryParametersError, parse_presigned, parameters)

    def test_repeated(self) -> None:
        """None of the six parameters may come twice, even with the same value."""
        for pair in self.good.items():
            self.assertRaises(AuthorizationQueryParametersError, parse_presigned, [*self.good.items(), pair])

    def test_unreadable(self) -> None:
        """Each parameter that cannot be read is named in the message."""
        for name, value in (
            ("Algorithm", "AWS4-HMAC-SHA1"),
            ("Algorithm", "AWS4-ECDSA-P256-SHA256"),
            ("Credential", "a/b"),
            ("Credential", "\xe9/20130524/us-east-1/s3/aws4_request"),
            ("Date", "2013-05-24T00:00:00Z"),
            ("SignedHeaders", "host;host"),
            ("SignedHeaders", ""),
        ):
            error = self.assertRaises(AuthorizationQueryParametersError, self.parse, **{name: value})
            self.assertIn(f"X-Amz-{name}", error.message)
        error = self.assertRaises(AuthorizationQueryParametersError, self.parse, Algorithm="AWS4-HMAC-SHA1")
        self.assertEqual(error.message, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
