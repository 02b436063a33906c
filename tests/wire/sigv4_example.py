"""The key, the time and the scope of AWS's examples of signature version 4."""

from __future__ import annotations

from post3tw.wire.sigv4 import (
    EMPTY_SHA256,
)

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
