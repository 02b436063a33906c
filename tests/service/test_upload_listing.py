"""Tests of ListMultipartUploads and ListParts."""

from __future__ import annotations

import hashlib
from typing import Any

from post3tw.model.errors import (
    InvalidArgument,
)
from post3tw.service.upload_listing import UploadListing
from tests.service.multipart_case import MultipartCase, crc64
from tests.service.stores import OWNER


class UploadListingTests(MultipartCase):
    """Uploads in progress, and their parts."""

    async def test_parts(self) -> None:
        """Parts are listed by number, in pages, with size, quoted ETag and checksum, beside who uploads what."""
        await self.start()
        upload_id = await self.create(checksum_algorithm="CRC64NVME", storage_class="GLACIER_IR")
        for number in (3, 1, 2):
            await self.put(upload_id, number, b"%d" % number)
        page = await self.call(UploadListing, "list_parts", key="key", upload_id=upload_id, max_parts=2)
        self.assertEqual([part.part_number for part in page.parts], [1, 2])
        self.assertEqual((page.is_truncated, page.next_part_number_marker, page.max_parts), (True, 2, 2))
        self.assertEqual(page.parts[0].etag, f'"{hashlib.md5(b"1").hexdigest()}"')
        self.assertEqual((page.parts[0].size, page.parts[0].checksum_crc64nvme), (1, crc64(b"1")))
        self.assertEqual((page.owner.id, page.initiator.display_name), (OWNER.user_id, OWNER.display_name))
        self.assertEqual((page.storage_class, page.checksum_type), ("GLACIER_IR", "FULL_OBJECT"))
        rest = await self.call(
            UploadListing, "list_parts", key="key", upload_id=upload_id, part_number_marker=2, max_parts=1
        )
        self.assertEqual(([part.part_number for part in rest.parts], rest.is_truncated), ([3], False))
        for members in ({"max_parts": -1}, {"part_number_marker": -1}):
            await self.fails(
                InvalidArgument, self.call(UploadListing, "list_parts", key="key", upload_id=upload_id, **members)
            )

    async def test_uploads(self) -> None:
        """Uploads are listed by key and age; pages by both markers show each once."""
        await self.start()
        ids = []
        for key in ("b", "a", "b", "c/1", "c/2"):
            self.time += 1
            ids.append((key, await self.create(key)))
        expected = sorted(ids, key=lambda pair: (pair[0], ids.index(pair)))
        seen: list[tuple[str, str]] = []
        markers: dict[str, Any] = {}
        while True:
            page = await self.call(UploadListing, "list_multipart_uploads", max_uploads=1, **markers)
            seen += [(upload.key, upload.upload_id) for upload in page.uploads]
            if not page.is_truncated:
                break
            markers = {"key_marker": page.next_key_marker, "upload_id_marker": page.next_upload_id_marker}
        self.assertEqual(seen, expected)
        grouped = await self.call(UploadListing, "list_multipart_uploads", delimiter="/", key_marker="a")
        self.assertEqual([upload.key for upload in grouped.uploads], ["b", "b"])
        self.assertEqual([prefix.prefix for prefix in grouped.common_prefixes], ["c/"])
        prefixed = await self.call(UploadListing, "list_multipart_uploads", prefix="c/", max_uploads=1)
        self.assertEqual(([upload.key for upload in prefixed.uploads], prefixed.is_truncated), (["c/1"], True))

    async def test_bad_upload_markers(self) -> None:
        """An upload marker counts only with a key marker, and must then be an id."""
        await self.start()
        await self.create()
        page = await self.call(UploadListing, "list_multipart_uploads", upload_id_marker="x")
        self.assertEqual(len(page.uploads), 1)
        call = self.call(UploadListing, "list_multipart_uploads", key_marker="a", upload_id_marker="x")
        await self.fails(InvalidArgument, call)
