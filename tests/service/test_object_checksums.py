"""Additional checksums: what is announced, verified, kept and shown."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import BadDigest, InvalidRequest, MalformedTrailer
from post3tw.service.object_checksums import CHECKSUM_MEMBER, Announcement, announced
from post3tw.wire.checksums import HEADER, encode, new
from tests.service.object_case import ObjectCase
from tests.service.stores import BytesBody

DATA = b"The quick brown fox"
OTHER = b"The quick brown dog"


def checksum(algorithm: ChecksumAlgorithm, data: bytes = DATA) -> str:
    """The checksum as clients write it."""
    hasher = new(algorithm)
    hasher.update(data)
    return encode(hasher.digest())


class AnnouncementTests(SynchronousTestCase):
    """What headers and announced trailers mean together."""

    def announce(self, *trailers: str, **members: Any) -> Announcement:
        """The announcement of a PutObject."""
        return announced(types.PutObjectInput(**members), trailers)

    def test_nothing(self) -> None:
        """Without any announcement CRC64NVME is computed and nothing compared."""
        self.assertEqual(self.announce(), Announcement(ChecksumAlgorithm.CRC64NVME))
        self.assertEqual(self.announce("x-other"), Announcement(ChecksumAlgorithm.CRC64NVME))

    def test_header_and_trailer(self) -> None:
        """Each algorithm is recognised in a header and in a trailer, with and without being named."""
        for algorithm in ChecksumAlgorithm:
            value = checksum(algorithm)
            for named in (None, algorithm.value):
                header = self.announce(**{CHECKSUM_MEMBER[algorithm]: value, "checksum_algorithm": named})
                self.assertEqual((header.algorithm, header.trailer), (algorithm, None))
                trailer = self.announce(HEADER[algorithm], checksum_algorithm=named)
                self.assertEqual(trailer, Announcement(algorithm, trailer=HEADER[algorithm]))

    def test_contradictions(self) -> None:
        """Two checksums, a named algorithm without a checksum, or with another one, are refused."""
        crc32, sha1 = checksum(ChecksumAlgorithm.CRC32), checksum(ChecksumAlgorithm.SHA1)
        contradictions: list[Callable[[], Announcement]] = [
            lambda: self.announce(checksum_crc32=crc32, checksum_sha1=sha1),
            lambda: self.announce("x-amz-checksum-sha1", checksum_crc32=crc32),
            lambda: self.announce("x-amz-checksum-sha1", "x-amz-checksum-crc32"),
            lambda: self.announce(checksum_algorithm="CRC32"),
            lambda: self.announce(checksum_algorithm="SHA1", checksum_crc32=crc32),
            lambda: self.announce("x-amz-checksum-sha512"),
            lambda: self.announce(checksum_algorithm="MD6"),
        ]
        for contradiction in contradictions:
            self.assertRaises(InvalidRequest, contradiction)

    def test_forms(self) -> None:
        """What is not base64 of the right size is refused before the body."""
        for value in ("", "x", "AAAA", "AAAAAAA=", "!!!!!!==", checksum(ChecksumAlgorithm.SHA1)):
            self.assertRaises(BadDigest, self.announce, checksum_crc32=value)


class PutTests(ObjectCase):
    """Checksums of objects."""

    async def test_computed(self) -> None:
        """When the client sends none, CRC64NVME is answered, kept, and shown on demand."""
        expected = checksum(ChecksumAlgorithm.CRC64NVME)
        put = await self.put("key", DATA)
        self.assertEqual((put.checksum_crc64nvme, put.checksum_type), (expected, "FULL_OBJECT"))
        got = await self.get("key", checksum_mode="ENABLED")
        self.assertEqual((got.checksum_crc64nvme, got.checksum_type), (expected, "FULL_OBJECT"))
        self.assertIsNone((await self.get("key")).checksum_crc64nvme)
        self.assertIsNone((await self.head("key")).checksum_type)

    async def test_known_value(self) -> None:
        """A CRC32 is the one that everybody else computes."""
        put = await self.put("key", DATA, checksum_crc32=b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode())
        self.assertEqual(put.checksum_crc32, b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode())

    async def test_headers(self) -> None:
        """Each algorithm is verified; a wrong value leaves what was there."""
        for algorithm in ChecksumAlgorithm:
            member = CHECKSUM_MEMBER[algorithm]
            announced_value: dict[str, Any] = {member: checksum(algorithm)}
            put = await self.put("key", DATA, **announced_value)
            self.assertEqual(getattr(put, member), checksum(algorithm))
            head = await self.head("key", checksum_mode="ENABLED")
            self.assertEqual(getattr(head, member), checksum(algorithm))
            error = await self.fails(BadDigest, self.put("key", OTHER, **announced_value))
            self.assertEqual(
                error.message, f"The {algorithm.value} you specified did not match the calculated checksum."
            )
            self.assertEqual((await self.get("key")).body, DATA)

    async def test_trailers(self) -> None:
        """The same, when the value comes behind the body."""
        for algorithm in ChecksumAlgorithm:
            trailers = {HEADER[algorithm]: checksum(algorithm)}
            put = await self.put("key", body=BytesBody(DATA, trailers=trailers))
            self.assertEqual(getattr(put, CHECKSUM_MEMBER[algorithm]), checksum(algorithm))
            await self.fails(BadDigest, self.put("key", body=BytesBody(OTHER, trailers=trailers)))
        malformed = BytesBody(DATA, trailers={"x-amz-checksum-crc32": "nonsense"})
        await self.fails(BadDigest, self.put("key", body=malformed))
        self.assertEqual((await self.get("key")).body, DATA)

    async def test_trailer_that_does_not_come(self) -> None:
        """An announced trailer has to come."""
        await self.fails(MalformedTrailer, self.put("key", body=_Forgetful(DATA)))

    async def test_not_of_a_range(self) -> None:
        """The checksum of the whole is not shown with a part of it."""
        await self.put("key", DATA)
        self.assertIsNone((await self.get("key", checksum_mode="ENABLED", range="bytes=0-3")).checksum_type)

    async def test_of_parts(self) -> None:
        """With a part by number comes the checksum of that part, said to be of the object's type; not with a range."""
        await self.put_parts("key", {1: DATA, 2: OTHER})
        for number, data in ((1, DATA), (2, OTHER)):
            head = await self.head("key", part_number=number, checksum_mode="ENABLED")
            self.assertEqual(head.checksum_crc32, checksum(ChecksumAlgorithm.CRC32, data))
            self.assertEqual(head.checksum_type, "COMPOSITE")
        whole = await self.get("key", checksum_mode="ENABLED")
        self.assertEqual((whole.checksum_crc32, whole.checksum_type), ("AAAAAA==-2", "COMPOSITE"))
        self.assertIsNone((await self.get("key", checksum_mode="ENABLED", range="bytes=0-3")).checksum_crc32)

    async def test_of_a_blob(self) -> None:
        """A body of several frames has the checksum of all of it."""
        data = DATA * 150_000
        for algorithm in ChecksumAlgorithm:
            announced_value: dict[str, Any] = {CHECKSUM_MEMBER[algorithm]: checksum(algorithm, data)}
            await self.put("key", data, **announced_value)
            await self.fails(BadDigest, self.put("key", data + b"!", **announced_value))


class _Forgetful(BytesBody):
    """A body that announces a trailer and does not bring it."""

    @property
    def trailer_names(self) -> tuple[str, ...]:
        return ("x-amz-checksum-crc32",)
