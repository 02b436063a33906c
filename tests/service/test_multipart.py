"""Tests of uploads in parts, from CreateMultipartUpload to the object."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import (
    BadDigest,
    DomainError,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NoSuchKey,
    NoSuchUpload,
    NotImplementedHere,
    PreconditionFailed,
)
from post3tw.service.listing import Listing
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from post3tw.service.stale_uploads import abort_stale_uploads
from post3tw.service.upload_listing import UploadListing
from post3tw.storage.interfaces import ITransaction
from post3tw.wire import checksums
from tests.service.stores import OWNER, BytesBody, admitted, make_bucket, make_store, read_body, switch_versioning

MIB = 1024 * 1024
FIVE = 5 * MIB
START = 1_700_000_000.0


def crc64(data: bytes) -> str:
    """CRC64NVME, as clients see it."""
    hasher = checksums.new(ChecksumAlgorithm.CRC64NVME)
    hasher.update(data)
    return checksums.encode(hasher.digest())


def base64(digest: bytes) -> str:
    """A digest as clients see it."""
    return b64encode(digest).decode()


def etag_of(*parts: bytes) -> str:
    """The ETag of an object made of these parts."""
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'


class MultipartCase(TestCase):
    """A store, a bucket, and one call for each operation."""

    async def start(self, versioning: Versioning = Versioning.NEVER) -> None:
        """Make store and bucket."""
        self.time = START
        self.store = await make_store(self, seconds=lambda: self.time)
        self.bucket = await make_bucket(self.store, versioning=versioning)

    async def call(self, noun: Any, operation: str, *body: Any, **members: Any) -> Any:
        """Run an operation on the bucket as its owner."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        input_type = getattr(types, f"{name}Input")
        caller = admitted(name, self.bucket)
        return await getattr(noun(self.store), operation)(caller, input_type(bucket="bucket", **members), *body)

    async def create(self, key: str = "key", **members: Any) -> str:
        """Begin an upload."""
        upload_id: str = (await self.call(Multipart, "create_multipart_upload", key=key, **members)).upload_id
        return upload_id

    async def put(self, upload_id: str, number: int, data: bytes, key: str = "key", **members: Any) -> str:
        """Upload a part; its ETag."""
        output = await self.call(
            Multipart, "upload_part", BytesBody(data), key=key, upload_id=upload_id, part_number=number, **members
        )
        etag: str = output.etag
        return etag

    async def complete(
        self, upload_id: str, *parts: tuple[int, str] | types.CompletedPart, key: str = "key", **members: Any
    ) -> types.CompleteMultipartUploadOutput:
        """Complete an upload with these parts."""
        listed = [
            part if isinstance(part, types.CompletedPart) else types.CompletedPart(part_number=part[0], etag=part[1])
            for part in parts
        ]
        document = types.CompletedMultipartUpload(parts=listed)
        output: types.CompleteMultipartUploadOutput = await self.call(
            Multipart, "complete_multipart_upload", key=key, upload_id=upload_id, multipart_upload=document, **members
        )
        return output

    async def upload(self, *parts: bytes, key: str = "key", **members: Any) -> types.CompleteMultipartUploadOutput:
        """A whole upload of these parts."""
        upload_id = await self.create(key)
        etags = [(number, await self.put(upload_id, number, data, key)) for number, data in enumerate(parts, 1)]
        return await self.complete(upload_id, *etags, key=key, **members)

    async def get(self, key: str = "key", **members: Any) -> bytes:
        """The bytes of an object."""
        return await read_body((await self.call(Objects, "get_object", key=key, **members)).body)

    async def fails(self, error: type[DomainError], awaitable: Any) -> Any:
        """The error that a call must end with."""
        try:
            await awaitable
        except error as raised:
            return raised
        return self.fail(f"{error.__name__} was not raised")

    async def count(self, table: str) -> int:
        """How many rows a table has."""

        async def rows(tx: ITransaction) -> int:
            row = await tx.one(f"SELECT COUNT(*) FROM {table}")
            assert row is not None
            return int(row[0])

        return await self.store.index.read(rows)

    async def referenced_blobs(self) -> int:
        """How many blobs nobody may remove."""
        return await self.count("blobs WHERE lease_until IS NULL")


class CompleteTests(MultipartCase):
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


class UploadPartTests(MultipartCase):
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


class ChecksumTests(MultipartCase):
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


class AbortTests(MultipartCase):
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

    async def test_stale_uploads(self) -> None:
        """Uploads older than the limit are aborted, younger ones stay; 0 is never."""
        await self.start()
        old = await self.create("old")
        await self.put(old, 1, b"x", "old")
        self.time += 100
        young = await self.create("young")
        self.assertEqual(await abort_stale_uploads(self.store, 0), 0)
        self.assertEqual(await abort_stale_uploads(self.store, 200), 0)
        self.time += 50
        self.assertEqual(await abort_stale_uploads(self.store, 100), 1)
        await self.fails(NoSuchUpload, self.put(old, 2, b"x", "old"))
        await self.put(young, 1, b"x", "young")


class UploadListingTests(MultipartCase):
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


class BucketTests(MultipartCase):
    async def test_suspended_versioning(self) -> None:
        """With versioning suspended an upload replaces the null version and leaves the others."""
        await self.start(Versioning.ENABLED)
        kept = await self.upload(b"kept")
        self.bucket: Bucket = await switch_versioning(self.store, self.bucket, Versioning.SUSPENDED)
        await self.upload(b"null 1")
        await self.upload(b"null 2")
        self.assertEqual(await self.get(), b"null 2")
        self.assertEqual(await self.get(version_id=kept.version_id), b"kept")
        self.assertEqual(await self.count("versions"), 2)
