"""Tests of uploading parts and of aborting; test_completion has what becomes of them."""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.defer import Deferred

from post3tw.model.errors import (
    BadDigest,
    InvalidArgument,
    NoSuchUpload,
)
from post3tw.service.multipart import Multipart
from post3tw.service.upload_listing import UploadListing
from tests.service.multipart_case import MultipartCase, base64
from tests.service.stores import BytesBody


class UploadPartTests(MultipartCase):
    """UploadPart."""

    async def test_part_numbers(self) -> None:
        """Numbers are 1 to 10,000."""
        await self.start()
        upload_id = await self.create()
        for number in (0, 10_001, -1):
            error = await self.fails(InvalidArgument, self.put(upload_id, number, b"x"))
            self.assertEqual(error.message, "Part number must be an integer between 1 and 10000, inclusive")
        await self.put(upload_id, 10_000, b"x")

    async def test_uploads_that_are_not_there(self) -> None:
        """Ids that never were, malformed ones, and those of another key are NoSuchUpload in every operation."""
        await self.start()
        upload_id = await self.create()
        for bad in ("", "x", "../../etc/passwd", "0" * 32, upload_id.upper(), upload_id + "00", upload_id + "\n"):
            await self.fails(NoSuchUpload, self.put(bad, 1, b"x"))
            await self.fails(NoSuchUpload, self.complete(bad, (1, "x")))
            await self.fails(NoSuchUpload, self.call(Multipart, "abort_multipart_upload", key="key", upload_id=bad))
            await self.fails(NoSuchUpload, self.call(UploadListing, "list_parts", key="key", upload_id=bad))
        await self.fails(NoSuchUpload, self.put(upload_id, 1, b"x", key="other"))
        self.assertEqual(await self.count("parts"), 0)

    async def test_digests_are_verified(self) -> None:
        """A body with another MD5 or checksum than announced is no part."""
        await self.start()
        upload_id = await self.create()
        wrong = base64(hashlib.md5(b"y").digest())
        await self.fails(BadDigest, self.put(upload_id, 1, b"x", content_md5=wrong))
        await self.fails(BadDigest, self.put(upload_id, 1, b"x", checksum_crc32="AAAAAA=="))
        self.assertEqual(await self.count("parts"), 0)

    async def test_the_upload_ends_while_a_part_comes(self) -> None:
        """A part whose upload is aborted meanwhile is refused, and nothing refers to its bytes."""
        await self.start()
        upload_id = await self.create()
        test = self

        class Slow(BytesBody):
            """Aborts the upload before its bytes come."""

            def deliver_to(self, consumer: Any) -> Any:
                aborted = test.call(Multipart, "abort_multipart_upload", key="key", upload_id=upload_id)
                return Deferred.fromCoroutine(aborted).addCallback(lambda _: BytesBody(self.data).deliver_to(consumer))

        late = self.call(Multipart, "upload_part", Slow(b"x" * 100_000), key="key", upload_id=upload_id, part_number=1)
        await self.fails(NoSuchUpload, late)
        self.assertEqual((await self.count("parts"), await self.referenced_blobs()), (0, 0))


class AbortTests(MultipartCase):
    """AbortMultipartUpload."""

    async def test_abort(self) -> None:
        """An aborted upload is gone with its parts, and cannot be aborted again."""
        await self.start()
        upload_id = await self.create()
        await self.put(upload_id, 1, b"x" * 100_000)
        await self.put(upload_id, 2, b"small")
        await self.call(Multipart, "abort_multipart_upload", key="key", upload_id=upload_id)
        for table in ("uploads", "parts", "bodies", "blob_references"):
            self.assertEqual(await self.count(table), 0, table)
        self.assertEqual(await self.referenced_blobs(), 0)
        await self.fails(NoSuchUpload, self.call(Multipart, "abort_multipart_upload", key="key", upload_id=upload_id))

    async def test_abort_after_complete(self) -> None:
        """Aborting what was completed is NoSuchUpload and leaves the object alone."""
        await self.start()
        upload_id = await self.create()
        part = await self.put(upload_id, 1, b"safe")
        await self.complete(upload_id, (1, part))
        await self.fails(NoSuchUpload, self.call(Multipart, "abort_multipart_upload", key="key", upload_id=upload_id))
        self.assertEqual(await self.get(), b"safe")
