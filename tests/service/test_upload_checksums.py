"""Tests of the checksums of uploads in parts."""

from __future__ import annotations

import hashlib
import zlib

from post3tw.api import types
from post3tw.model.errors import (
    BadDigest,
    InvalidPart,
    InvalidRequest,
    NotImplementedHere,
)
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from tests.service.multipart_case import FIVE, MultipartCase, base64, crc64
from tests.service.stores import BytesBody


class ChecksumTests(MultipartCase):
    """Of parts, and of the object that they become."""

    async def test_composite(self) -> None:
        """A composite checksum is over those of the parts, and says of how many."""
        await self.start()
        one, two = b"1" * FIVE, b"2"
        upload_id = await self.create(checksum_algorithm="SHA256")
        sums = [base64(hashlib.sha256(data).digest()) for data in (one, two)]
        etags = [
            await self.put(upload_id, 1, one, checksum_algorithm="SHA256", checksum_sha256=sums[0]),
            await self.put(upload_id, 2, two, checksum_algorithm="SHA256", checksum_sha256=sums[1]),
        ]
        listed = [
            types.CompletedPart(part_number=n, etag=etag, checksum_sha256=value)
            for n, (etag, value) in enumerate(zip(etags, sums, strict=True), 1)
        ]
        whole = hashlib.sha256(hashlib.sha256(one).digest() + hashlib.sha256(two).digest()).digest()
        expected = f"{base64(whole)}-2"
        await self.fails(BadDigest, self.complete(upload_id, *listed, checksum_sha256="bad"))
        output = await self.complete(upload_id, *listed, checksum_sha256=expected)
        self.assertEqual((output.checksum_sha256, output.checksum_type), (expected, "COMPOSITE"))
        head = await self.call(Objects, "head_object", key="key", checksum_mode="ENABLED")
        self.assertEqual((head.checksum_sha256, head.checksum_type), (expected, "COMPOSITE"))

    async def test_full_object(self) -> None:
        """The CRC of the object follows from those of the parts."""
        await self.start()
        one, two = b"1" * FIVE, b"2" * 7
        upload_id = await self.create(checksum_algorithm="CRC32", checksum_type="FULL_OBJECT")
        etags = [(1, await self.put(upload_id, 1, one)), (2, await self.put(upload_id, 2, two))]
        expected = base64(zlib.crc32(one + two).to_bytes(4, "big"))
        await self.fails(InvalidRequest, self.complete(upload_id, *etags, checksum_type="COMPOSITE"))
        output = await self.complete(upload_id, *etags, checksum_crc32=expected, checksum_type="FULL_OBJECT")
        self.assertEqual((output.checksum_crc32, output.checksum_type), (expected, "FULL_OBJECT"))

    async def test_what_create_answers(self) -> None:
        """Create answers the algorithm and the type that follows from it, and neither when none was asked for."""
        await self.start()
        for algorithm, asked, given in (
            ("CRC32", None, "COMPOSITE"),
            ("CRC32C", "FULL_OBJECT", "FULL_OBJECT"),
            ("CRC64NVME", None, "FULL_OBJECT"),
            ("SHA1", None, "COMPOSITE"),
            (None, None, None),
        ):
            output = await self.call(
                Multipart,
                "create_multipart_upload",
                key="key",
                checksum_algorithm=algorithm,
                checksum_type=asked,
            )
            self.assertEqual((output.checksum_algorithm, output.checksum_type), (algorithm, given))

    async def test_what_does_not_go_together(self) -> None:
        """SHA checksums are composite only, CRC64NVME is of the full object only, a type needs an algorithm."""
        await self.start()
        for algorithm, checksum_type in (
            ("SHA1", "FULL_OBJECT"),
            ("SHA256", "FULL_OBJECT"),
            ("CRC64NVME", "COMPOSITE"),
            ("CRC32", "HALF"),
            ("CRC16", None),
            (None, "COMPOSITE"),
        ):
            await self.fails(InvalidRequest, self.create(checksum_algorithm=algorithm, checksum_type=checksum_type))

    async def test_another_algorithm_than_the_uploads(self) -> None:
        """A part, and Complete, must come with the algorithm of the upload."""
        await self.start()
        upload_id = await self.create(checksum_algorithm="SHA256")
        crc = base64(zlib.crc32(b"x").to_bytes(4, "big"))
        await self.fails(InvalidRequest, self.put(upload_id, 1, b"x", checksum_crc32=crc))
        part = await self.put(upload_id, 1, b"x")
        listed = types.CompletedPart(part_number=1, etag=part, checksum_crc32=crc)
        await self.fails(InvalidRequest, self.complete(upload_id, listed))
        await self.fails(InvalidRequest, self.complete(upload_id, (1, part), checksum_crc32=crc))
        wrong = types.CompletedPart(part_number=1, etag=part, checksum_sha256="x")
        await self.fails(InvalidPart, self.complete(upload_id, wrong))
        exotic = types.CompletedPart(part_number=1, etag=part, checksum_xxhash3="x")
        await self.fails(NotImplementedHere, self.complete(upload_id, exotic))

    async def test_sdks_send_a_crc32_with_every_part(self) -> None:
        """An upload without algorithm takes parts with any, verifies them, and makes a CRC64NVME."""
        await self.start()
        upload_id = await self.create()
        crc = base64(zlib.crc32(b"x").to_bytes(4, "big"))
        output = await self.call(
            Multipart,
            "upload_part",
            BytesBody(b"x", trailers={"x-amz-checksum-crc32": crc}),
            key="key",
            upload_id=upload_id,
            part_number=1,
            checksum_algorithm="CRC32",
        )
        self.assertEqual((output.checksum_crc32, output.checksum_crc64nvme), (crc, None))
        done = await self.complete(upload_id, (1, output.etag))
        self.assertEqual(done.checksum_crc64nvme, crc64(b"x"))
