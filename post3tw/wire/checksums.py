"""The additional checksums of S3: computing, writing, reading, combining; and the CRCs of stored frames.

CRC32 is zlib's, which measures twice as fast as awscrt's; the other CRCs are awscrt's, at memory speed.

Source: "Checking object integrity for data uploads in Amazon S3", Amazon S3 User Guide.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from awscrt.checksums import combine_crc32, combine_crc32c, combine_crc64nvme, crc32c, crc64nvme

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import BadDigest

Buffer = bytes | bytearray | memoryview

FRAME = 1 << 20
"""Stored bytes carry one CRC32C for so many of them."""

HEADER: Mapping[ChecksumAlgorithm, str] = {
    algorithm: f"x-amz-checksum-{algorithm.value.lower()}" for algorithm in ChecksumAlgorithm
}
"""The header, or trailer, that a checksum comes in."""

SIZE: Mapping[ChecksumAlgorithm, int] = {
    ChecksumAlgorithm.CRC32: 4,
    ChecksumAlgorithm.CRC32C: 4,
    ChecksumAlgorithm.CRC64NVME: 8,
    ChecksumAlgorithm.SHA1: 20,
    ChecksumAlgorithm.SHA256: 32,
}
"""Bytes of a digest."""

_COMBINE: Mapping[ChecksumAlgorithm, Callable[[int, int, int], int]] = {
    ChecksumAlgorithm.CRC32: combine_crc32,
    ChecksumAlgorithm.CRC32C: combine_crc32c,
    ChecksumAlgorithm.CRC64NVME: combine_crc64nvme,
}


class Hasher(Protocol):
    """What hashlib's objects and ours have in common."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes in."""

    def digest(self) -> bytes:
        """The digest of all bytes taken in so far."""


class _Crc:
    """A CRC with the interface of hashlib."""

    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


_NEW: Mapping[ChecksumAlgorithm, Callable[[], Hasher]] = {
    ChecksumAlgorithm.CRC32: lambda: _Crc(zlib.crc32, 4),
    ChecksumAlgorithm.CRC32C: lambda: _Crc(crc32c, 4),
    ChecksumAlgorithm.CRC64NVME: lambda: _Crc(crc64nvme, 8),
    ChecksumAlgorithm.SHA1: lambda: hashlib.sha1(usedforsecurity=False),
    ChecksumAlgorithm.SHA256: hashlib.sha256,
}


def new(algorithm: ChecksumAlgorithm) -> Hasher:
    """A hasher that has seen no bytes yet."""
    return _NEW[algorithm]()


def encode(digest: bytes) -> str:
    """A digest as clients see it: base64."""
    return b64encode(digest).decode("ascii")


def decode(algorithm: ChecksumAlgorithm, text: str) -> bytes:
    """The digest that a client sent.

    Raises:
        BadDigest: not the base64 of as many bytes as the algorithm has.
    """
    try:
        digest = b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != SIZE[algorithm] or encode(digest) != text:
        raise BadDigest(f"Value for {HEADER[algorithm]} header is invalid.")
    return digest


def combine(algorithm: ChecksumAlgorithm, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC of bytes in a row from the CRCs of their parts.

    Args:
        algorithm: one of the CRCs; nothing else can be combined.
        parts: digest and length of each, in order.
    """
    combine_two = _COMBINE[algorithm]
    value = 0
    for digest, length in parts:
        value = combine_two(value, int.from_bytes(digest, "big"), length)
    return value.to_bytes(SIZE[algorithm], "big")


def composite(algorithm: ChecksumAlgorithm, digests: Iterable[bytes]) -> bytes:
    """The checksum over the checksums of the parts, in order; clients see it with `-N` after it, for N parts."""
    hasher = new(algorithm)
    hasher.update(b"".join(digests))
    return hasher.digest()


def frame_crcs(data: Buffer, frame: int = FRAME) -> bytes:
    """The CRC32C of each `frame` bytes of `data`, the last one perhaps shorter: four bytes each, big-endian."""
    if len(data) <= frame:
        return frame_crc(data) if data else b""
    view = memoryview(data)
    return b"".join(frame_crc(view[at : at + frame]) for at in range(0, len(view), frame))


def frame_crc(data: Buffer, before: Buffer = b"") -> bytes:
    """The CRC32C of one frame, or of what there is of it; `before` is that of what came before `data`."""
    crc: int = crc32c(data, int.from_bytes(before, "big"))
    return crc.to_bytes(4, "big")
