"""Requests signed by our own client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import SignatureDoesNotMatch
from post3tw.wire.signer import Signer
from post3tw.wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, parse_authorization, parse_presigned, verify
from post3tw.wire.uri import parse_query, quote, split_target

TIME = 1369353600000
HOST = (b"host", b"examplebucket.s3.amazonaws.com")
SIGNER = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


class SignRequestTests(SynchronousTestCase):
    """Authorization headers."""

    def test_published_example(self) -> None:
        """The signature of AWS's example of listing objects."""
        headers = SIGNER.sign_request(b"GET", b"/?max-keys=2&prefix=J", [HOST], time=TIME, payload_hash=EMPTY_SHA256)
        self.assertEqual(
            headers,
            [
                HOST,
                (b"x-amz-date", b"20130524T000000Z"),
                (b"x-amz-content-sha256", EMPTY_SHA256),
                (
                    b"authorization",
                    b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                    b"SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
                    b"Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                ),
            ],
        )

    @given(st.text(), st.text(), st.sampled_from([b"GET", b"PUT", b"DELETE"]))
    def test_verifies(self, key: str, value: str, method: bytes) -> None:
        """Whatever is signed verifies with the same secret only."""
        target = f"/b/{quote(key)}?x={quote(value)}".encode()
        headers = SIGNER.sign_request(method, target, [HOST, (b"x-amz-meta-a", value.encode())], time=TIME)
        path, query = split_target(target)

        def verify_with(secret: str) -> None:
            verify(
                parse_authorization(headers[-1][1]),
                secret,
                method=method,
                path=path,
                query=query,
                headers=headers[:-1],
                timestamp="20130524T000000Z",
                payload_hash=UNSIGNED_PAYLOAD,
            )

        verify_with(SIGNER.secret_key)
        self.assertRaises(SignatureDoesNotMatch, verify_with, "another")

    def test_no_secret_in_repr(self) -> None:
        """The secret is not shown."""
        self.assertNotIn("wJalr", repr(SIGNER))


class PresignTests(SynchronousTestCase):
    """Presigned targets."""

    def test_published_example(self) -> None:
        """The URL of AWS's example."""
        self.assertEqual(
            SIGNER.presign(b"GET", b"/test.txt", [HOST], time=TIME, expires=86400),
            b"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        )

    @given(st.text(), st.text())
    def test_verifies(self, key: str, value: str) -> None:
        """Whatever is presigned verifies, with further parameters and signed headers."""
        headers = [HOST, (b"x-amz-meta-a", b"1")]
        target = SIGNER.presign(
            b"PUT", f"/b/{quote(key)}?versionId={quote(value)}".encode(), headers, time=TIME, expires=60
        )
        path, query = split_target(target)
        presigned = parse_presigned(parse_query(query))
        self.assertEqual((presigned.time, presigned.expires), (TIME, 60))
        verify(
            presigned.authorization,
            SIGNER.secret_key,
            method=b"PUT",
            path=path,
            query=query,
            headers=headers,
            timestamp=presigned.timestamp,
            payload_hash=UNSIGNED_PAYLOAD,
            presigned=True,
        )
