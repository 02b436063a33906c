"""What the tests of uploads in parts share: a store, a bucket, and the operations as short methods."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.model.bucket import Versioning
from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import (
    DomainError,
)
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from post3tw.storage.interfaces import ITransaction
from post3tw.wire import checksums
from tests.service.stores import BytesBody, admitted, make_bucket, make_store, read_body

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
