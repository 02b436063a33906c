"""What the tests of operations on objects share: a store, a bucket, and the operations as short methods."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.checksum import Checksum, ChecksumAlgorithm, ChecksumType
from post3tw.model.conditions import WriteConditions
from post3tw.model.identity import Identity
from post3tw.model.version import Part, Version
from post3tw.service.attributes import ObjectAttributes
from post3tw.service.copying import Copying
from post3tw.service.ingest import ingest
from post3tw.service.object_tagging import ObjectTagging
from post3tw.service.objects import Objects
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.objects import put_version
from post3tw.storage.index.transactions.parts import insert_part
from post3tw.wire.checksums import encode
from tests.service.stores import (
    OWNER,
    BytesBody,
    admitted,
    make_bucket,
    make_store,
    read_body,
    switch_versioning,
)

CRC32 = ChecksumAlgorithm.CRC32
NEVER, ENABLED, SUSPENDED = Versioning.NEVER, Versioning.ENABLED, Versioning.SUSPENDED
MIB = 1 << 20
START = 1_700_000_000

E = TypeVar("E", bound=Exception)


class ObjectCase(TestCase):
    """One bucket without versioning, at a time that stands still."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make store and bucket."""
        self.clock = Clock()
        self.clock.advance(START)
        self.store = await make_store(self, seconds=self.clock.seconds)
        self.bucket = await make_bucket(self.store)
        self.objects = Objects(self.store)
        self.copying = Copying(self.store)
        self.tagging = ObjectTagging(self.store)
        self.attributes = ObjectAttributes(self.store)

    async def switch(self, versioning: Versioning) -> None:
        """Change the versioning of the bucket."""
        self.bucket = await switch_versioning(self.store, self.bucket, versioning)

    async def fails(self, error: type[E], call: Coroutine[Any, Any, Any]) -> E:
        """Check that a call fails so, and return the error."""
        failure: E = await self.assertFailure(ensureDeferred(call), error)
        return failure

    async def put(
        self,
        key: str,
        data: bytes = b"data",
        *,
        body: BytesBody | None = None,
        bucket: Bucket | None = None,
        **members: Any,
    ) -> types.PutObjectOutput:
        """PutObject."""
        return await self.objects.put_object(
            admitted("PutObject", bucket or self.bucket),
            types.PutObjectInput(key=key, **members),
            body or BytesBody(data),
        )

    async def get(self, key: str, *, identity: Identity | None = OWNER, **members: Any) -> types.GetObjectOutput:
        """GetObject; the answer's body is read."""
        caller = admitted("GetObject", self.bucket, identity=identity)
        output = await self.objects.get_object(caller, types.GetObjectInput(key=key, **members))
        output.body = await read_body(output.body)
        return output

    async def head(self, key: str, **members: Any) -> types.HeadObjectOutput:
        """HeadObject."""
        return await self.objects.head_object(
            admitted("HeadObject", self.bucket), types.HeadObjectInput(key=key, **members)
        )

    async def delete(self, key: str, **members: Any) -> types.DeleteObjectOutput:
        """DeleteObject."""
        return await self.objects.delete_object(
            admitted("DeleteObject", self.bucket), types.DeleteObjectInput(key=key, **members)
        )

    async def copy(
        self,
        source: str,
        key: str,
        *,
        source_bucket: Bucket | None = None,
        target_bucket: Bucket | None = None,
        **members: Any,
    ) -> types.CopyObjectOutput:
        """CopyObject; `source` is `key` or `key?versionId=…`."""
        source_bucket = source_bucket or self.bucket
        return await self.copying.copy_object(
            admitted("CopyObject", target_bucket or self.bucket, source_bucket),
            types.CopyObjectInput(key=key, copy_source=f"{source_bucket.name}/{source}", **members),
        )

    async def put_parts(self, key: str, parts: dict[int, bytes], etag: str = "f" * 32 + "-2") -> Version:
        """An object as a multipart upload leaves it, whatever the size of its parts."""
        owner, offset, now = self.store.ids.object_id(), 0, self.store.ids.now()
        for number, data in parts.items():
            stored = await ingest(self.store, BytesBody(data), (CRC32,), max_size=1 << 40, inline_max=64)
            checksum = Checksum(CRC32, encode(stored.digests[CRC32]))
            part = Part(
                number, self.store.ids.object_id(), offset, len(data), stored.md5.hex(), now, stored.placement, checksum
            )

            async def keep(tx: Any, part: Part = part, bytes_: bytes | None = stored.data) -> None:
                await place(tx, part.id, part.placement, bytes_)
                await insert_part(tx, owner, part)

            await self.store.index.run(keep)
            offset += len(data)
        version = Version(
            owner,
            0,
            False,
            False,
            now,
            offset,
            etag,
            OWNER.owner,
            checksum=Checksum(CRC32, f"AAAAAA==-{len(parts)}", ChecksumType.COMPOSITE),
            part_count=len(parts),
        )
        key_bytes = key.encode()
        written: Version = await self.store.index.run(
            lambda tx: put_version(tx, self.bucket.id, key_bytes, version, None, WriteConditions(), now=now)
        )
        return written

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What is in the database."""
        found: list[tuple[Any, ...]] = await self.store.index.read(lambda tx: tx.all(sql, *parameters))
        return found
