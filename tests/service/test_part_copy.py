"""Tests of UploadPartCopy."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from post3tw.api import types
from post3tw.model.bucket import Versioning
from post3tw.model.errors import (
    InvalidArgument,
    InvalidRange,
    NoSuchKey,
    NoSuchUpload,
    OperationAborted,
    PreconditionFailed,
)
from post3tw.model.identity import Owner
from post3tw.model.version import Part, Placement, Version
from post3tw.service.objects import Objects
from post3tw.service.part_copy import PartCopying
from post3tw.service.upload_listing import UploadListing
from post3tw.storage.index.transactions.multipart import put_shared_part
from tests.service.multipart_case import FIVE, MultipartCase, crc64
from tests.service.stores import BytesBody, admitted, make_bucket


class PartCopyTests(MultipartCase):
    async def put_source(self, data: bytes, key: str = "source", **members: Any) -> types.PutObjectOutput:
        """Store an object to copy from."""
        output: types.PutObjectOutput = await self.call(Objects, "put_object", BytesBody(data), key=key, **members)
        return output

    async def copy(
        self, upload_id: str, number: int = 1, source: str = "bucket/source", **members: Any
    ) -> types.UploadPartCopyOutput:
        """Copy a part."""
        asked = types.UploadPartCopyInput(
            bucket="bucket", key="key", upload_id=upload_id, part_number=number, copy_source=source, **members
        )
        caller = admitted("UploadPartCopy", self.bucket, self.bucket)
        return await PartCopying(self.store).upload_part_copy(caller, asked)

    async def copied(self, output: types.UploadPartCopyOutput) -> str:
        """The ETag of a copied part."""
        assert output.copy_part_result is not None and output.copy_part_result.etag is not None
        return output.copy_part_result.etag

    async def test_a_whole_object_is_shared(self) -> None:
        """A part made of a whole object refers to the same blob, which outlives the source."""
        await self.start()
        data = b"x" * 100_000
        source = await self.put_source(data)
        upload_id = await self.create()
        etag = await self.copied(await self.copy(upload_id))
        self.assertEqual(etag, source.etag)
        self.assertEqual((await self.count("blobs"), await self.count("blob_references")), (1, 2))
        await self.call(Objects, "delete_object", key="source")
        await self.complete(upload_id, (1, etag))
        self.assertEqual(await self.get(), data)

    async def test_a_small_object_is_copied_within_the_index(self) -> None:
        """An object whose bytes are in the index makes a part with its own copy of them."""
        await self.start()
        await self.put_source(b"small")
        upload_id = await self.create()
        etag = await self.copied(await self.copy(upload_id))
        await self.put_source(b"other")
        done = await self.complete(upload_id, (1, etag))
        self.assertEqual(await self.get(), b"small")
        self.assertEqual(done.checksum_crc64nvme, crc64(b"small"))

    async def test_an_empty_object(self) -> None:
        """An object without bytes makes a part without bytes."""
        await self.start()
        await self.put_source(b"")
        upload_id = await self.create()
        await self.complete(upload_id, (1, await self.copied(await self.copy(upload_id))))
        self.assertEqual(await self.get(), b"")

    async def test_a_range(self) -> None:
        """A range is stored as a part of its own, with the MD5 of its bytes."""
        await self.start()
        data = bytes(range(256)) * 1000
        await self.put_source(data)
        upload_id = await self.create()
        etag = await self.copied(await self.copy(upload_id, copy_source_range="bytes=1000-200999"))
        self.assertEqual(etag, f'"{hashlib.md5(data[1000:201_000]).hexdigest()}"')
        await self.complete(upload_id, (1, etag))
        self.assertEqual(await self.get(), data[1000:201_000])

    async def test_a_source_made_of_parts(self) -> None:
        """An object that was itself uploaded in parts is read and stored as one part, whole or over a seam."""
        await self.start()
        await self.upload(b"1" * FIVE, b"2222", key="source")
        upload_id = await self.create()
        whole = await self.copied(await self.copy(upload_id, 1))
        seam = await self.copied(await self.copy(upload_id, 2, copy_source_range=f"bytes={FIVE - 2}-{FIVE + 1}"))
        self.assertEqual(whole, f'"{hashlib.md5(b"1" * FIVE + b"2222").hexdigest()}"')
        await self.complete(upload_id, (1, whole), (2, seam))
        self.assertEqual(await self.get(), b"1" * FIVE + b"2222" + b"1122")

    async def test_another_algorithm(self) -> None:
        """When the upload needs a checksum that the source has not, it is computed."""
        await self.start()
        await self.put_source(b"data" * 50_000)
        upload_id = await self.create(checksum_algorithm="SHA256")
        await self.copy(upload_id)
        listed = await self.call(UploadListing, "list_parts", key="key", upload_id=upload_id)
        self.assertEqual(len(listed.parts[0].checksum_sha256), 44)

    async def test_bad_ranges(self) -> None:
        """A range must be bytes=first-last and lie within the source."""
        await self.start()
        await self.put_source(b"12345")
        upload_id = await self.create()
        for bad in (
            "0-2",
            "bytes=0",
            "bytes=hello-world",
            "bytes=0-bar",
            "bytes=hello-",
            "bytes=0-2,3-5",
            "bytes=-2",
            "",
        ):
            await self.fails(InvalidArgument, self.copy(upload_id, copy_source_range=bad))
        await self.fails(InvalidRange, self.copy(upload_id, copy_source_range="bytes=0-21"))
        self.assertEqual(await self.count("parts"), 0)

    async def test_what_is_not_there(self) -> None:
        """A missing upload comes before a missing source."""
        await self.start()
        await self.fails(NoSuchUpload, self.copy("0" * 32))
        upload_id = await self.create()
        await self.fails(NoSuchKey, self.copy(upload_id))
        await self.fails(InvalidArgument, self.copy(upload_id, 0))

    async def test_conditions_on_the_source(self) -> None:
        """Conditions on the source are those of CopyObject."""
        await self.start()
        source = await self.put_source(b"data")
        upload_id = await self.create()
        await self.fails(PreconditionFailed, self.copy(upload_id, copy_source_if_none_match=source.etag))
        await self.copy(upload_id, copy_source_if_match=source.etag)

    async def test_a_version_of_the_source(self) -> None:
        """A version that is named is the one copied, and is answered."""
        await self.start(Versioning.ENABLED)
        old = await self.put_source(b"old")
        await self.put_source(b"new")
        upload_id = await self.create()
        output = await self.copy(upload_id, source=f"bucket/source?versionId={old.version_id}")
        self.assertEqual(output.copy_source_version_id, old.version_id)
        await self.complete(upload_id, (1, await self.copied(output)))
        self.assertEqual(await self.get(), b"old")

    async def test_another_bucket(self) -> None:
        """The source may be in another bucket."""
        await self.start()
        target = self.bucket
        self.bucket = await make_bucket(self.store, "elsewhere")
        await self.put_source(b"from afar")
        source_bucket, self.bucket = self.bucket, target
        upload_id = await self.create()
        asked = types.UploadPartCopyInput(
            bucket="bucket", key="key", upload_id=upload_id, part_number=1, copy_source="elsewhere/source"
        )
        caller = admitted("UploadPartCopy", self.bucket, source_bucket)
        output = await PartCopying(self.store).upload_part_copy(caller, asked)
        await self.complete(upload_id, (1, await self.copied(output)))
        self.assertEqual(await self.get(), b"from afar")

    async def test_a_source_that_is_gone(self) -> None:
        """Bytes are shared only while the version that has them is there."""
        await self.start()
        upload_id = bytes.fromhex(await self.create())
        part = Part(1, b"p" * 16, 0, 0, "e", 0, Placement(0))
        gone = Version(b"v" * 16, 1, True, False, 0, 0, "e", Owner("ada", "Ada"))
        sharing = partial(
            put_shared_part,
            bucket_id=self.bucket.id,
            key=b"key",
            upload_id=upload_id,
            part=part,
            source_bucket_id=self.bucket.id,
            source_key=b"source",
            source=gone,
            now=0,
        )
        await self.fails(OperationAborted, self.store.index.run(sharing))
        self.assertEqual(await self.count("parts"), 0)
