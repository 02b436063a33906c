"""Signature Version 4: AWS's published examples, what is refused, and agreement with botocore's signer."""

from __future__ import annotations

import hashlib
from unittest import TestCase as UnittestCase
from urllib.parse import quote as percent_quote

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    DomainError,
    ExpiredToken,
    InvalidArgument,
    InvalidRequest,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    UnsignedHeaders,
)
from post3tw.wire.canonical import Headers, canonical_path, canonical_query, canonical_request
from post3tw.wire.sigv4 import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Authorization,
    Credential,
    Presigned,
    check_expiry,
    check_scope,
    check_skew,
    parse_authorization,
    parse_presigned,
    request_time,
    signing_key,
    unsigned_headers,
    verify,
)
from post3tw.wire.uri import parse_query, split_target

ACCESS = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TIMESTAMP = "20130524T000000Z"
TIME = 1369353600000
SCOPE = f"{ACCESS}/20130524/us-east-1/s3/aws4_request"
HOST = (b"host", b"examplebucket.s3.amazonaws.com")
DATE = (b"x-amz-date", TIMESTAMP.encode())
EMPTY = (b"x-amz-content-sha256", EMPTY_SHA256)
SIGNED = "host;x-amz-content-sha256;x-amz-date"


def authorization(signed_headers: str, signature: str, credential: str = SCOPE) -> bytes:
    """An Authorization header."""
    return f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={signed_headers},Signature={signature}".encode()


def check(
    test: UnittestCase,
    header: bytes,
    target: bytes,
    headers: Headers,
    *,
    method: bytes = b"GET",
    payload_hash: bytes = EMPTY_SHA256,
) -> None:
    """Verify a request with an Authorization header by the example key."""
    path, query = split_target(target)
    verify(
        parse_authorization(header),
        SECRET,
        method=method,
        path=path,
        query=query,
        headers=headers,
        timestamp=TIMESTAMP,
        payload_hash=payload_hash,
    )


class PublishedExampleTests(SynchronousTestCase):
    """The examples of "Signature Calculations for the Authorization Header" and of "Query Parameters"."""

    def test_get_object(self) -> None:
        """GET of an object with a range."""
        signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        headers = [HOST, (b"range", b"bytes=0-9"), EMPTY, DATE]
        check(self, authorization(f"host;range;{SIGNED[5:]}", signature), b"/test.txt", headers)

    def test_put_object(self) -> None:
        """PUT of a key with a dollar sign, with a Date header beside x-amz-date."""
        signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        payload_hash = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest().encode()
        headers = [
            HOST,
            (b"date", b"Fri, 24 May 2013 00:00:00 GMT"),
            DATE,
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
            (b"x-amz-content-sha256", payload_hash),
        ]
        header = authorization(f"date;{SIGNED};x-amz-storage-class", signature)
        for target in (b"/test%24file.text", b"/test$file.text"):
            check(self, header, target, headers, method=b"PUT", payload_hash=payload_hash)

    def test_get_bucket_lifecycle(self) -> None:
        """A sub-resource without a value is signed as name=."""
        signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        for target in (b"/?lifecycle", b"/?lifecycle="):
            check(self, authorization(SIGNED, signature), target, [HOST, DATE, EMPTY])

    def test_list_objects(self) -> None:
        """Parameters are signed in order of their names, however they were sent."""
        signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        for target in (b"/?max-keys=2&prefix=J", b"/?prefix=J&max-keys=2"):
            check(self, authorization(SIGNED, signature), target, [HOST, DATE, EMPTY])

    def test_presigned(self) -> None:
        """A presigned URL, which is signed without its own signature."""
        target = (
            b"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        )
        path, query = split_target(target)
        presigned = parse_presigned(parse_query(query))
        self.assertEqual((presigned.timestamp, presigned.time, presigned.expires), (TIMESTAMP, TIME, 86400))
        self.assertEqual(presigned.authorization.credential, Credential(ACCESS, "20130524", "us-east-1", "s3"))
        verify(
            presigned.authorization,
            SECRET,
            method=b"GET",
            path=path,
            query=query,
            headers=[HOST, (b"user-agent", b"x")],
            timestamp=TIMESTAMP,
            payload_hash=UNSIGNED_PAYLOAD,
            presigned=True,
        )

    def test_signing_key(self) -> None:
        """The derived key of the example in AWS's General Reference."""
        key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Credential("a", "20150830", "us-east-1", "iam"))
        self.assertEqual(key.hex(), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")


class CanonicalTests(SynchronousTestCase):
    """The canonical form of each piece."""

    def test_paths(self) -> None:
        """Every byte is encoded once; nothing is normalised."""
        for path, canonical in (
            (b"/", b"/"),
            (b"", b"/"),
            (b"/a-b_c.d~e/f", b"/a-b_c.d~e/f"),
            (b"/a b+c*", b"/a%20b%2Bc%2A"),
            (b"/a%20b%2bc%2F%7e", b"/a%20b%2Bc/~"),
            (b"/a/../b//./", b"/a/../b//./"),
            (b"/%25", b"/%25"),
            (b"/\xc3\xa9", b"/%C3%A9"),
            (b"/%c3%a9", b"/%C3%A9"),
        ):
            self.assertEqual(canonical_path(path), canonical, path)

    def test_queries(self) -> None:
        """Parameters are encoded alike and sorted; plus is a space; only presigned requests lose their signature."""
        for query, canonical in (
            (b"", b""),
            (b"b=2&a=1", b"a=1&b=2"),
            (b"a=2&a=1", b"a=1&a=2"),
            (b"uploads&&x", b"uploads=&x="),
            (b"p=a/b+c%20d%2Be", b"p=a%2Fb%20c%20d%2Be"),
            (b"a-b=1&a=1", b"a=1&a-b=1"),
            (b"X-Amz-Signature=1&B=2", b"B=2&X-Amz-Signature=1"),
        ):
            self.assertEqual(canonical_query(query), canonical, query)
        self.assertEqual(canonical_query(b"X-Amz-Signature=1&B=2&X%2DAmz-Signature=3", presigned=True), b"B=2")

    def test_headers(self) -> None:
        """Values are trimmed, runs of spaces become one, repeated headers are joined in order."""
        headers = [
            (b"host", b" h\t"),
            (b"x-amz-meta-a", b"1"),
            (b"other", b"not signed"),
            (b"x-amz-meta-a", b'  "a   b  c" '),
            (b"x-amz-meta-b", b""),
        ]
        request = canonical_request(
            b"PUT", b"/k", b"", headers, (b"host", b"x-amz-meta-a", b"x-amz-meta-b"), UNSIGNED_PAYLOAD
        )
        self.assertEqual(
            request,
            b'PUT\n/k\n\nhost:h\nx-amz-meta-a:1,"a b c"\nx-amz-meta-b:\n\n'
            b"host;x-amz-meta-a;x-amz-meta-b\nUNSIGNED-PAYLOAD",
        )


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
        """Signature version 2 has its own error, everything else is an unsupported type."""
        self.assertRaises(InvalidRequest, parse_authorization, b"AWS AKID:c2ln")
        for header in (b"", b"Bearer x", b"Basic eDp5", b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA256,Credential=x", b"\xff"):
            self.assertRaises((InvalidArgument, AuthorizationHeaderMalformed), parse_authorization, header)
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
        for value in ("1e9", "", "+60", " 60", "60 ", "6_0", "0x3c", "\u0666\u0660"):
            error = self.assertRaises(AuthorizationQueryParametersError, self.parse, Expires=value)
            self.assertIn("X-Amz-Expires", error.message)
        for value in ("-1", "0", "604801", "9" * 5000):
            error = self.assertRaises(AccessDenied, self.parse, Expires=value)
            self.assertIn("X-Amz-Expires", error.message)

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


class ScopeTests(SynchronousTestCase):
    """SIG-12: a signature holds for one region, service and day."""

    def test_right(self) -> None:
        """Our own scope passes."""
        check_scope(Credential(ACCESS, "20130524", "us-east-1", "s3"), "us-east-1", TIMESTAMP)

    def test_wrong(self) -> None:
        """Another day, region, service or terminal is refused, in the words of where it came from."""
        for credential in (
            Credential(ACCESS, "20130525", "us-east-1", "s3"),
            Credential(ACCESS, "20130524", "eu-west-1", "s3"),
            Credential(ACCESS, "20130524", "us-east-1", "sts"),
            Credential(ACCESS, "20130524", "us-east-1", "s3", "aws5_request"),
        ):
            self.assertRaises(AuthorizationHeaderMalformed, check_scope, credential, "us-east-1", TIMESTAMP)
            with self.assertRaises(AuthorizationQueryParametersError):
                check_scope(credential, "us-east-1", TIMESTAMP, presigned=True)

    def test_wrong_region_names_the_right_one(self) -> None:
        """Clients find the region to sign for in the error's Region."""
        credential = Credential(ACCESS, "20130524", "eu-west-1", "s3")
        error = self.assertRaises(AuthorizationHeaderMalformed, check_scope, credential, "us-east-1", TIMESTAMP)
        self.assertEqual(error.details, {"region": "us-east-1"})
        self.assertIn("the region 'eu-west-1' is wrong; expecting 'us-east-1'", error.message)


class TimeTests(SynchronousTestCase):
    """SIG-7 and SIG-11: when a signature holds."""

    def test_request_time(self) -> None:
        """x-amz-date wins over Date; Date may be in both forms and is signed in the basic one."""
        self.assertEqual(request_time(TIMESTAMP, "nonsense"), (TIMESTAMP, TIME))
        self.assertEqual(request_time(None, TIMESTAMP), (TIMESTAMP, TIME))
        self.assertEqual(request_time(None, "Fri, 24 May 2013 00:00:00 GMT"), (TIMESTAMP, TIME))

    def test_no_request_time(self) -> None:
        """Without a readable date nothing is signed."""
        good = "Fri, 24 May 2013 00:00:00 GMT"
        for x_amz_date, date in (
            (None, None),
            ("", TIMESTAMP),
            ("x", good),
            (good, TIMESTAMP),
            (None, "x"),
            (None, ""),
        ):
            self.assertRaises(AccessDenied, request_time, x_amz_date, date)

    def test_sig_11_skew(self) -> None:
        """SIG-11: fifteen minutes either way, not a millisecond more."""
        quarter = 15 * 60 * 1000
        for now in (TIME, TIME - quarter, TIME + quarter):
            check_skew(TIME, now)
        for now in (TIME - quarter - 1, TIME + quarter + 1):
            error = self.assertRaises(RequestTimeTooSkewed, check_skew, TIME, now)
            self.assertEqual(error.details["request_time"], TIMESTAMP)

    def test_sig_7_expiry(self) -> None:
        """SIG-7: a presigned request ends after its time, skew or not, and begins at most 15 minutes early."""
        owner = Authorization(Credential(ACCESS, "20130524", "us-east-1", "s3"), (b"host",), b"")
        for expires in (1, 604800):
            presigned = Presigned(owner, TIMESTAMP, TIME, expires)
            check_expiry(presigned, TIME + expires * 1000)
            check_expiry(presigned, TIME - 15 * 60 * 1000)
            error = self.assertRaises(ExpiredToken, check_expiry, presigned, TIME + expires * 1000 + 1)
            self.assertEqual(error.message, "Request has expired")
            error = self.assertRaises(AccessDenied, check_expiry, presigned, TIME - 15 * 60 * 1000 - 1)
            self.assertNotIsInstance(error, ExpiredToken)


class VerifyTests(SynchronousTestCase):
    """What `verify` refuses."""

    signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    target = b"/?max-keys=2&prefix=J"
    headers = (HOST, DATE, EMPTY)

    def test_every_change_breaks_it(self) -> None:
        """Another method, path, query, header, payload or signature is SignatureDoesNotMatch."""
        header = authorization(SIGNED, self.signature)
        check(self, header, self.target, self.headers)
        changes: list[tuple[bytes, bytes, Headers, bytes, bytes]] = [
            (header, self.target, self.headers, b"PUT", EMPTY_SHA256),
            (header, b"/a?max-keys=2&prefix=J", self.headers, b"GET", EMPTY_SHA256),
            (header, b"/?max-keys=2&prefix=j", self.headers, b"GET", EMPTY_SHA256),
            (header, self.target + b"&x", self.headers, b"GET", EMPTY_SHA256),
            (header, self.target, (HOST, HOST, DATE, EMPTY), b"GET", EMPTY_SHA256),
            (header, self.target, ((b"host", b"other"), DATE, EMPTY), b"GET", EMPTY_SHA256),
            (header, self.target, self.headers, b"GET", UNSIGNED_PAYLOAD),
            (authorization(SIGNED, self.signature.upper()), self.target, self.headers, b"GET", EMPTY_SHA256),
            (authorization(SIGNED, self.signature[:-1]), self.target, self.headers, b"GET", EMPTY_SHA256),
            (authorization(SIGNED, ""), self.target, self.headers, b"GET", EMPTY_SHA256),
            (authorization(SIGNED, "\xff"), self.target, self.headers, b"GET", EMPTY_SHA256),
            (authorization(SIGNED + ";x", self.signature), self.target, self.headers, b"GET", EMPTY_SHA256),
        ]
        for changed, target, headers, method, payload_hash in changes:
            with self.assertRaises(SignatureDoesNotMatch):
                check(self, changed, target, headers, method=method, payload_hash=payload_hash)

    def test_error_explains_without_the_secret(self) -> None:
        """The error shows what we signed, but neither secret nor the right signature."""
        with self.assertRaises(SignatureDoesNotMatch) as caught:
            check(self, authorization(SIGNED, "0" * 64), self.target, self.headers)
        details = caught.exception.details
        self.assertEqual(details["aws_access_key_id"], ACCESS)
        self.assertTrue(str(details["string_to_sign"]).startswith("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us"))
        self.assertTrue(str(details["canonical_request"]).startswith("GET\n/\nmax-keys=2&prefix=J\nhost:"))
        for forbidden in (SECRET, self.signature):
            self.assertNotIn(forbidden, repr(caught.exception.details) + repr(caught.exception))

    def test_sig_5_unsigned_headers(self) -> None:
        """SIG-5: every x-amz-* header that is there, and host, must be signed."""
        header = authorization("host;x-amz-date", self.signature)
        with self.assertRaises(UnsignedHeaders) as caught:
            check(self, header, self.target, [*self.headers, (b"x-amz-acl", b"public-read"), (b"x-other", b"")])
        self.assertEqual(caught.exception.details, {"headers_not_signed": "x-amz-content-sha256, x-amz-acl"})

    def test_sig_12_host_must_be_signed(self) -> None:
        """SIG-12: a header list without host is refused."""
        self.assertEqual(unsigned_headers([HOST, DATE], (b"x-amz-date",)), [b"host"])
        self.assertEqual(unsigned_headers([HOST, DATE, DATE], (b"host",)), [b"x-amz-date"])
        self.assertEqual(unsigned_headers([HOST, DATE, (b"range", b"")], (b"host", b"x-amz-date")), [])

    def test_sig_6_needs_the_secret(self) -> None:
        """SIG-6: a plain hash in place of the keyed signature does not pass."""
        request = canonical_request(
            b"GET", b"/", canonical_query(self.target[2:]), self.headers, SIGNED.encode().split(b";"), EMPTY_SHA256
        )
        forged = hashlib.sha256(request).hexdigest()
        with self.assertRaises(SignatureDoesNotMatch):
            check(self, authorization(SIGNED, forged), self.target, self.headers)


KEYS = st.text(min_size=1, max_size=30)
METADATA = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


class BotocoreTests(SynchronousTestCase):
    """Whatever botocore signs, we accept, and nothing else."""

    @given(KEYS, st.dictionaries(KEYS, KEYS, max_size=3), METADATA)
    def test_header(self, key: str, parameters: dict[str, str], metadata: str) -> None:
        """Any key, query and metadata signed into a header verifies; with another key it does not."""
        query = "&".join(f"{percent_quote(n, safe='')}={percent_quote(v, safe='')}" for n, v in parameters.items())
        target = f"/bucket/{percent_quote(key, safe='/~')}" + (f"?{query}" if query else "")
        request = AWSRequest("PUT", "http://h:9000" + target, headers={"x-amz-meta-m": metadata}, data=b"x")
        S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", "us-east-1").add_auth(request)
        headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        sent = dict(headers)
        headers.append((b"host", b"h:9000"))
        path, raw_query = split_target(target.encode())

        def verify_with(secret: str) -> None:
            verify(
                parse_authorization(sent[b"authorization"]),
                secret,
                method=b"PUT",
                path=path,
                query=raw_query,
                headers=headers,
                timestamp=sent[b"x-amz-date"].decode(),
                payload_hash=sent[b"x-amz-content-sha256"],
            )

        verify_with(SECRET)
        self.assertRaises(SignatureDoesNotMatch, verify_with, SECRET + "x")

    @given(KEYS, st.integers(1, 604800))
    def test_presigned(self, key: str, expires: int) -> None:
        """Any presigned URL of botocore verifies."""
        target = f"/bucket/{percent_quote(key, safe='/~')}?versionId=a%2Fb"
        request = AWSRequest("GET", "http://h:9000" + target)
        S3SigV4QueryAuth(Credentials(ACCESS, SECRET), "s3", "us-east-1", expires=expires).add_auth(request)
        path, query = split_target(request.url.encode())
        presigned = parse_presigned(parse_query(query))
        self.assertEqual(presigned.expires, expires)
        verify(
            presigned.authorization,
            SECRET,
            method=b"GET",
            path=path,
            query=query,
            headers=[(b"host", b"h:9000")],
            timestamp=presigned.timestamp,
            payload_hash=UNSIGNED_PAYLOAD,
            presigned=True,
        )
