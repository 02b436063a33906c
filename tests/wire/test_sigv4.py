"""Signature Version 4: AWS's published examples, what is refused, and agreement with botocore's signer."""

from __future__ import annotations

import hashlib
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
    ExpiredToken,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    UnsignedHeaders,
)
from post3tw.wire.canonical import Headers, canonical_query, canonical_request
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
from tests.wire.sigv4_example import ACCESS, DATE, EMPTY, HOST, SECRET, SIGNED, TIME, TIMESTAMP, authorization


def check(
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
        check(authorization(f"host;range;{SIGNED[5:]}", signature), b"/test.txt", headers)

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
            check(header, target, headers, method=b"PUT", payload_hash=payload_hash)

    def test_get_bucket_lifecycle(self) -> None:
        """A sub-resource without a value is signed as name=."""
        signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        for target in (b"/?lifecycle", b"/?lifecycle="):
            check(authorization(SIGNED, signature), target, [HOST, DATE, EMPTY])

    def test_list_objects(self) -> None:
        """Parameters are signed in order of their names, however they were sent."""
        signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        for target in (b"/?max-keys=2&prefix=J", b"/?prefix=J&max-keys=2"):
            check(authorization(SIGNED, signature), target, [HOST, DATE, EMPTY])

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


class ScopeTests(SynchronousTestCase):
    """SIG-12: a signature holds for one region, service and day."""

    def test_right(self) -> None:
        """Our own scope passes."""
        check_scope(Credential(ACCESS, "20130524", "us-east-1", "s3"), "us-east-1", TIMESTAMP)

    def test_wrong(self) -> None:
        """Another day, region, service or terminal is refused, and said, in the words of where it came from."""
        day = 'This date is not the same as X-Amz-Date: "20130524".'
        for date, region, service, terminal, why in (
            ("20130525", "us-east-1", "s3", "aws4_request", f'Invalid credential date "20130525". {day}'),
            ("20130524", "eu-west-1", "s3", "aws4_request", "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
            ("20130524", "us-east-1", "sts", "aws4_request", 'incorrect service "sts". This endpoint belongs to "s3".'),
            (
                *("20130524", "us-east-1", "s3", "aws5_request"),
                'incorrect terminal "aws5_request". This endpoint uses "aws4_request".',
            ),
        ):
            credential = Credential(ACCESS, date, region, service, terminal)
            error = self.assertRaises(AuthorizationHeaderMalformed, check_scope, credential, "us-east-1", TIMESTAMP)
            self.assertEqual(error.message, f"The authorization header is malformed; {why}")
            with self.assertRaises(AuthorizationQueryParametersError) as caught:
                check_scope(credential, "us-east-1", TIMESTAMP, presigned=True)
            self.assertEqual(caught.exception.message, f"Error parsing the X-Amz-Credential parameter; {why}")
            self.assertEqual("region" in caught.exception.details, region != "us-east-1")

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
        check(header, self.target, self.headers)
        changes: list[tuple[bytes, bytes, Headers, bytes, bytes]] = [
            (header, self.target, self.headers, b"PUT", EMPTY_SHA256),
            (header, b"/a?max-keys=2&prefix=J", self.headers, b"GET", EMPTY_SHA256),
            (header, b"/?max-keys=2&prefix=j", self.headers, b"GET", EMPTY_SHA256),
            (header, self.target + b"&x", self.headers, b"GET", EMPTY_SHA256),
            (header, self.target + b"&X-Amz-Signature=x", self.headers, b"GET", EMPTY_SHA256),
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
                check(changed, target, headers, method=method, payload_hash=payload_hash)

    def test_error_explains_without_the_secret(self) -> None:
        """The error shows what we signed, but neither secret nor the right signature."""
        with self.assertRaises(SignatureDoesNotMatch) as caught:
            check(authorization(SIGNED, "0" * 64), self.target, self.headers)
        details = caught.exception.details
        self.assertEqual(details["aws_access_key_id"], ACCESS)
        self.assertTrue(str(details["string_to_sign"]).startswith("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us"))
        self.assertTrue(str(details["canonical_request"]).startswith("GET\n/\nmax-keys=2&prefix=J\nhost:"))
        for forbidden in (SECRET, self.signature):
            self.assertNotIn(forbidden, repr(caught.exception.details) + repr(caught.exception))

    def test_error_explains_any_bytes(self) -> None:
        """Bytes of a value, and of a signature, that are no text are shown as escapes."""
        headers = [*self.headers, (b"range", b"\xff")]
        with self.assertRaises(SignatureDoesNotMatch) as caught:
            check(authorization(f"host;range;{SIGNED[5:]}", "é"), self.target, headers)
        self.assertIn("\nrange:\\xff\n", str(caught.exception.details["canonical_request"]))
        self.assertEqual(caught.exception.details["signature_provided"], "\\xc3\\xa9")

    def test_sig_5_unsigned_headers(self) -> None:
        """SIG-5: every x-amz-* header that is there, and host, must be signed."""
        header = authorization("host;x-amz-date", self.signature)
        with self.assertRaises(UnsignedHeaders) as caught:
            check(header, self.target, [*self.headers, (b"x-amz-acl", b"public-read"), (b"x-other", b"")])
        self.assertEqual(caught.exception.details, {"headers_not_signed": "x-amz-content-sha256, x-amz-acl"})
        with self.assertRaises(UnsignedHeaders) as caught:
            check(authorization(SIGNED, self.signature), self.target, [*self.headers, (b"x-amz-\xe9", b"")])
        self.assertEqual(caught.exception.details, {"headers_not_signed": "x-amz-\\xe9"})

    def test_sig_12_host_must_be_signed(self) -> None:
        """SIG-12: a header list without host is refused."""
        self.assertEqual(unsigned_headers([HOST, DATE], (b"x-amz-date",)), [b"host"])
        self.assertEqual(unsigned_headers([HOST, DATE], ()), [b"host", b"x-amz-date"])
        self.assertEqual(unsigned_headers([HOST, DATE, DATE], (b"host",)), [b"x-amz-date"])
        self.assertEqual(unsigned_headers([HOST, DATE, (b"range", b"")], (b"host", b"x-amz-date")), [])

    def test_sig_6_needs_the_secret(self) -> None:
        """SIG-6: a plain hash in place of the keyed signature does not pass."""
        request = canonical_request(
            b"GET", b"/", canonical_query(self.target[2:]), self.headers, SIGNED.encode().split(b";"), EMPTY_SHA256
        )
        forged = hashlib.sha256(request).hexdigest()
        with self.assertRaises(SignatureDoesNotMatch):
            check(authorization(SIGNED, forged), self.target, self.headers)


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
