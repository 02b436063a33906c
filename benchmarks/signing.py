"""Requests as S3's clients send them, signed before the clock starts.

Two styles, which differ where a body is sent:

- signed: the SHA-256 of the body is in x-amz-content-sha256, and nothing more; what many other SDKs send.
- boto3: what boto3 1.44 sends without being configured. Over http the SHA-256, a CRC32 in a header, and Expect:
  100-continue; over https the body unsigned in aws-chunked framing with the CRC32 as a trailer, inside HTTP chunks of
  16 KiB. tests/benchmarks compares with botocore itself.
"""

from __future__ import annotations

import base64
import hashlib
import time
import zlib
from functools import lru_cache

from attrs import frozen

from benchmarks.exchange import Endpoint, Request
from post3tw.wire.signer import Signer
from post3tw.wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD

Headers = list[tuple[bytes, bytes]]

_AWS_CHUNK = 1 << 20
_HTTP_CHUNK = 16 << 10
_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@frozen
class Account:
    """Somebody who may do everything at an endpoint."""

    endpoint: Endpoint
    signer: Signer

    def request(
        self, method: bytes, target: bytes, headers: Headers | None = None, *, expected: int | None = None
    ) -> Request:
        """A request without a body.

        Args:
            method: in upper case.
            target: as it is sent, quoted.
            headers: besides those of the signature, names in lower case.
            expected: bytes of body that the answer must have.
        """
        return Request(self._head(method, target, headers or [], EMPTY_SHA256, []), expected=expected)

    def sending(self, method: bytes, target: bytes, body: bytes, style: str = "signed") -> Request:
        """A request with a body, in one of the STYLES."""
        if style == "signed":
            length = [(b"content-length", b"%d" % len(body))]
            return Request(self._head(method, target, length, sha256_of(body), []), body)
        unsigned = [(b"expect", b"100-continue")]
        algorithm = (b"x-amz-sdk-checksum-algorithm", b"CRC32")
        if not self.endpoint.tls:
            headers = [(b"x-amz-checksum-crc32", crc32_of(body)), algorithm]
            unsigned.append((b"content-length", b"%d" % len(body)))
            return Request(self._head(method, target, headers, sha256_of(body), unsigned), body, waits=True)
        headers = [
            (b"content-encoding", b"aws-chunked"),
            (b"x-amz-decoded-content-length", b"%d" % len(body)),
            (b"x-amz-trailer", b"x-amz-checksum-crc32"),
            algorithm,
        ]
        unsigned.append((b"transfer-encoding", b"chunked"))
        return Request(self._head(method, target, headers, _TRAILER, unsigned), framed(body), waits=True)

    def announcing(self, method: bytes, target: bytes, size: int) -> Request:
        """The head of a request whose body of `size` bytes is not signed, and comes by itself."""
        length = [(b"content-length", b"%d" % size)]
        return Request(self._head(method, target, length, UNSIGNED_PAYLOAD, []))

    def _head(self, method: bytes, target: bytes, headers: Headers, payload_hash: bytes, unsigned: Headers) -> bytes:
        signed = self.signer.sign_request(
            method,
            target,
            [(b"host", self.endpoint.authority), *headers],
            time=int(time.time() * 1000),
            payload_hash=payload_hash,
        )
        lines = [b"%b: %b" % header for header in (*signed, *unsigned)]
        return b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), *lines, b"", b""])


STYLES = ("signed", "boto3")

# A cell sends one body thousands of times. The largest, 64 MiB, exists once for each framing.


@lru_cache(maxsize=8)
def sha256_of(body: bytes) -> bytes:
    """For x-amz-content-sha256."""
    return hashlib.sha256(body).hexdigest().encode()


@lru_cache(maxsize=8)
def crc32_of(body: bytes) -> bytes:
    """For x-amz-checksum-crc32."""
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))


@lru_cache(maxsize=4)
def framed(body: bytes) -> bytes:
    """A body in aws-chunked with a trailer, in HTTP chunks."""
    pieces = [body[start : start + _AWS_CHUNK] for start in range(0, len(body), _AWS_CHUNK)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    chunks += b"0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % crc32_of(body)
    pieces = [chunks[start : start + _HTTP_CHUNK] for start in range(0, len(chunks), _HTTP_CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
