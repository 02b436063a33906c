"""Tests of CompleteMultipartUpload."""

from __future__ import annotations

from post3tw.api import types
from post3tw.model.bucket import Versioning
from post3tw.model.errors import (
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from post3tw.service.listing import Listing
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from tests.service.multipart_case import FIVE, START, MultipartCase, crc64, etag_of
from tests.service.stores import switch_versioning


class CompleteTests(MultipartCase):
    """What parts become."""

    async def test_parts_become_an_object(self) -> None:
        """The object has the bytes of the parts in order, AWS's ETag, and the CRC64NVME of all its bytes."""
        await self.start()
        one, two = b"1" * FIVE, b"2" * 70_000
        output = await self.upload(one, two)
        self.assertEqual(output.etag, etag_of(one, two))
        self.assertEqual((output.checksum_crc64nvme, output.checksum_type), (crc64(one + two), "FULL_OBJECT"))
        self.assertEqual((output.location, output.bucket, output.key), ("/bucket/key", "bucket", "key"))
        self.assertIsNone(output.version_id)
        self.assertEqual(await self.get(), one + two)
        self.assertEqual(await self.count("uploads"), 0)

    async def test_a_small_last_part(self) -> None:
        """A part small enough for the index is read back like any other, alone and in a range over two."""
        await self.start()
        one = b"1" * FIVE
        await self.upload(one, b"last")
        self.assertEqual(await self.get(range=f"bytes={FIVE - 2}-"), b"11last")
        self.assertEqual(await self.get(part_number=2), b"last")

    async def test_an_empty_part(self) -> None:
        """One part without bytes makes an empty object."""
        await self.start()
        output = await self.upload(b"")
        self.assertEqual(output.etag, etag_of(b""))
        self.assertEqual(await self.get(), b"")

    async def test_sparse_numbers_and_unlisted_parts(self) -> None:
        """Numbers may have gaps; parts that are not listed are let go."""
        await self.start()
        upload_id = await self.create()
        one = b"1" * FIVE
        first = await self.put(upload_id, 7, one)
        await self.put(upload_id, 8, b"unlisted" * 100_000)
        last = await self.put(upload_id, 10_000, b"end")
        await self.complete(upload_id, (7, first), (10_000, last))
        self.assertEqual(await self.get(), one + b"end")
        self.assertEqual(await self.count("parts"), 2)
        self.assertEqual(await self.referenced_blobs(), 1)

    async def test_a_part_may_be_sent_again(self) -> None:
        """The last body of a number counts, and the earlier one is let go."""
        await self.start()
        upload_id = await self.create()
        old = await self.put(upload_id, 1, b"old" * 100_000)
        new = await self.put(upload_id, 1, b"new")
        await self.fails(InvalidPart, self.complete(upload_id, (1, old)))
        await self.complete(upload_id, (1, new))
        self.assertEqual(await self.get(), b"new")
        self.assertEqual(await self.referenced_blobs(), 0)

    async def test_a_part_may_be_listed_again(self) -> None:
        """When a client lists both bodies that it sent for a number, the last one counts."""
        await self.start()
        upload_id = await self.create()
        old, new = await self.put(upload_id, 1, b"old"), await self.put(upload_id, 1, b"new")
        await self.fails(InvalidPart, self.complete(upload_id, (1, new), (1, old)))
        output = await self.complete(upload_id, (1, old), (1, new))
        self.assertEqual((await self.get(), output.etag), (b"new", etag_of(b"new")))

    async def test_what_create_said_is_kept(self) -> None:
        """Headers, metadata, tags and storage class of the upload are those of the object; so is its date."""
        await self.start()
        upload_id = await self.create(
            content_type="text/plain",
            cache_control="no-store",
            metadata={"Colour": "red"},
            tagging="a=1&b=2",
            storage_class="STANDARD_IA",
        )
        part = await self.put(upload_id, 1, b"x")
        self.time += 60
        await self.complete(upload_id, (1, part))
        head = await self.call(Objects, "head_object", key="key")
        self.assertEqual((head.content_type, head.cache_control), ("text/plain", "no-store"))
        self.assertEqual((head.metadata, head.tag_count, head.storage_class), ({"colour": "red"}, 2, "STANDARD_IA"))
        self.assertEqual(head.last_modified.timestamp(), START)

    async def test_parts_must_be_the_ones_that_were_uploaded(self) -> None:
        """A number without part, another ETag, and a list out of order are refused, and the upload lives on."""
        await self.start()
        upload_id = await self.create()
        one, two = await self.put(upload_id, 1, b"1" * FIVE), await self.put(upload_id, 2, b"2")
        error = await self.fails(InvalidPart, self.complete(upload_id, (1, one), (3, two)))
        self.assertEqual(error.details["part_number"], 3)
        await self.fails(InvalidPart, self.complete(upload_id, (1, two)))
        await self.fails(InvalidPartOrder, self.complete(upload_id, (2, two), (1, one)))
        await self.complete(upload_id, (1, one.strip('"')), (2, two))

    async def test_small_parts_are_for_the_end(self) -> None:
        """A part under 5 MiB that is not the last is EntityTooSmall."""
        await self.start()
        upload_id = await self.create()
        one, two = await self.put(upload_id, 1, b"1" * (FIVE - 1)), await self.put(upload_id, 2, b"2")
        error = await self.fails(EntityTooSmall, self.complete(upload_id, (1, one), (2, two)))
        self.assertEqual(error.details["proposed_size"], FIVE - 1)
        self.assertEqual(error.details["part_number"], 1)

    async def test_documents_that_list_nothing(self) -> None:
        """No document, no parts, too many, or parts without number or ETag are MalformedXML."""
        await self.start()
        upload_id = await self.create()
        missing = self.call(Multipart, "complete_multipart_upload", key="key", upload_id=upload_id)
        await self.fails(MalformedXML, missing)
        await self.fails(MalformedXML, self.complete(upload_id))
        await self.fails(MalformedXML, self.complete(upload_id, types.CompletedPart(etag="x")))
        await self.fails(MalformedXML, self.complete(upload_id, types.CompletedPart(part_number=1)))
        await self.fails(MalformedXML, self.complete(upload_id, *[(n, "x") for n in range(1, 10_002)]))

    async def test_complete_may_be_repeated(self) -> None:
        """A repetition gets the same answer, until the object is gone; another list of parts is no repetition."""
        await self.start(Versioning.ENABLED)
        upload_id = await self.create()
        one, two = await self.put(upload_id, 1, b"1" * FIVE), await self.put(upload_id, 2, b"2")
        first = await self.complete(upload_id, (1, one), (2, two), if_none_match="*")
        self.assertEqual(await self.complete(upload_id, (1, one), (2, two), if_none_match="*"), first)
        await self.fails(NoSuchUpload, self.complete(upload_id, (1, one)))
        await self.fails(NoSuchUpload, self.complete(upload_id, (1, one), (2, two), key="other"))
        await self.call(Objects, "delete_object", key="key", version_id=first.version_id)
        await self.fails(NoSuchUpload, self.complete(upload_id, (1, one), (2, two)))

    async def test_versions(self) -> None:
        """In a bucket with versions, each upload makes one."""
        await self.start(Versioning.ENABLED)
        first = await self.upload(b"old")
        second = await self.upload(b"new")
        self.assertNotEqual(first.version_id, second.version_id)
        self.assertEqual(await self.get(version_id=first.version_id), b"old")
        self.assertEqual(await self.get(), b"new")

    async def test_replacing_an_object_of_parts(self) -> None:
        """Without versions, the parts of the object that is replaced are let go."""
        await self.start()
        await self.upload(b"1" * FIVE, b"2")
        await self.upload(b"new")
        self.assertEqual(await self.get(), b"new")
        self.assertEqual((await self.count("parts"), await self.referenced_blobs()), (1, 0))
        await self.call(Objects, "delete_object", key="key")
        self.assertEqual((await self.count("parts"), await self.count("bodies")), (0, 0))

    async def test_conditions(self) -> None:
        """If-None-Match and If-Match are looked at in the transaction; a refusal leaves the upload as it was."""
        await self.start()
        upload_id = await self.create()
        part = await self.put(upload_id, 1, b"x")
        await self.fails(NoSuchKey, self.complete(upload_id, (1, part), if_match='"x"'))
        done = await self.complete(upload_id, (1, part), if_none_match="*")
        second = await self.create()
        part = await self.put(second, 1, b"y")
        await self.fails(PreconditionFailed, self.complete(second, (1, part), if_none_match="*"))
        await self.fails(PreconditionFailed, self.complete(second, (1, part), if_match='"x"'))
        await self.complete(second, (1, part), if_match=done.etag)
        self.assertEqual(await self.get(), b"y")

    async def test_the_listing_shows_it(self) -> None:
        """An object made of parts is listed with its size, ETag and type of checksum; an upload is not listed."""
        await self.start()
        await self.create("unfinished")
        done = await self.upload(b"1" * FIVE, b"2")
        listed = await self.call(Listing, "list_objects_v2")
        (entry,) = listed.contents
        self.assertEqual((entry.key, entry.size, entry.etag), ("key", FIVE + 1, done.etag))
        self.assertEqual((entry.checksum_algorithm, entry.checksum_type), (["CRC64NVME"], "FULL_OBJECT"))

    async def test_the_expected_size(self) -> None:
        """x-amz-mp-object-size is checked."""
        await self.start()
        upload_id = await self.create()
        part = await self.put(upload_id, 1, b"four")
        await self.fails(InvalidRequest, self.complete(upload_id, (1, part), mpu_object_size=5))
        await self.complete(upload_id, (1, part), mpu_object_size=4)

    async def test_suspended_versioning(self) -> None:
        """With versioning suspended an upload replaces the null version and leaves the others."""
        await self.start(Versioning.ENABLED)
        kept = await self.upload(b"kept")
        self.bucket = await switch_versioning(self.store, self.bucket, Versioning.SUSPENDED)
        await self.upload(b"null 1")
        await self.upload(b"null 2")
        self.assertEqual(await self.get(), b"null 2")
        self.assertEqual(await self.get(version_id=kept.version_id), b"kept")
        self.assertEqual(await self.count("versions"), 2)
