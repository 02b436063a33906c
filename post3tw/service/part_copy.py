"""UploadPartCopy: a part whose bytes are those of an object, or of a range of one.

A whole object in one piece is shared: the part refers to the same bytes. Everything else is read and stored again.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.model.checksum import Checksum, ChecksumType
from post3tw.model.errors import InvalidRequest
from post3tw.model.identity import Caller
from post3tw.model.version import Part, Placement, Upload, Version
from post3tw.service.admitted import admitted_bucket
from post3tw.service.copying import SOURCE_CONDITIONS, Source, resolve_source, until_source_stays
from post3tw.service.ingest import ingest
from post3tw.service.interfaces import IByteSource
from post3tw.service.keys import key_bytes
from post3tw.service.multipart import (
    keep_part,
    require_upload,
    upload_id_bytes,
)
from post3tw.service.object_checksums import part_checksum_members
from post3tw.service.objects import MAX_PUT
from post3tw.service.operation import operation
from post3tw.service.part_numbers import checked_part_number
from post3tw.service.reading import Piece, stream_pieces
from post3tw.service.representations import pieces_of_parts
from post3tw.service.store import Store
from post3tw.service.upload_checksums import algorithm_of, full_checksum
from post3tw.storage.index.transactions.multipart import put_shared_part
from post3tw.storage.interfaces import Lock
from post3tw.wire.dates import from_millis
from post3tw.wire.ranges import parse_copy_range


@frozen
class PartCopying:
    """Parts made of objects."""

    store: Store

    @operation(
        "s3:PutObject", honours=("copy_source", "copy_source_range", "part_number", "upload_id", *SOURCE_CONDITIONS)
    )
    async def upload_part_copy(self, caller: Caller, input: types.UploadPartCopyInput) -> types.UploadPartCopyOutput:
        """Make a part of an object, or of a range of it.

        Raises:
            NoSuchUpload, NoSuchKey, NoSuchVersion, PreconditionFailed, InvalidRange, InvalidRequest (over 5 GiB).
            InvalidArgument: a part number or range that S3 does not take.
            OperationAborted: the source kept changing.
        """
        return await until_source_stays(lambda: self._copy(caller, input))

    async def _copy(self, caller: Caller, input: types.UploadPartCopyInput) -> types.UploadPartCopyOutput:
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        number = checked_part_number(input.part_number)
        upload = await require_upload(self.store, bucket, key, upload_id_bytes(input.upload_id))
        source = await resolve_source(self.store, caller, input, with_body=True)
        original = source.version
        first, last = 0, original.size - 1
        if input.copy_source_range is not None:
            first, last = parse_copy_range(input.copy_source_range, original.size)
        if last - first + 1 > MAX_PUT:
            raise InvalidRequest(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_PUT}"
            )
        placement, checksum = original.placement, _checksum_for(upload, original)
        if input.copy_source_range is None and placement is not None and checksum is not None:
            part = await self._share(caller, upload, number, source, placement, checksum)
        else:
            part = await self._store_again(caller, upload, number, original, first, last - first + 1)
        return types.UploadPartCopyOutput(
            copy_source_version_id=source.shown_version_id,
            copy_part_result=types.CopyPartResult(
                etag=f'"{part.etag}"', last_modified=from_millis(part.created), **part_checksum_members(part.checksum)
            ),
        )

    async def _share(
        self, caller: Caller, upload: Upload, number: int, source: Source, placement: Placement, checksum: Checksum
    ) -> Part:
        """A part over the bytes of the source; its ETag is their MD5, as the source is in one piece."""
        version, now = source.version, self.store.ids.now()
        part = Part(number, self.store.ids.object_id(), 0, version.size, version.etag, now, placement, checksum)
        self.store.admit_write()
        await self.store.change(
            caller,
            partial(
                put_shared_part,
                bucket_id=upload.bucket_id,
                key=upload.key,
                upload_id=upload.id,
                part=part,
                source_bucket_id=source.bucket.id,
                source_key=source.key,
                source=version,
                now=now,
            ),
            (
                Lock(upload.bucket_id),
                Lock(source.bucket.id),
                Lock(upload.bucket_id, upload.key),
                Lock(source.bucket.id, source.key),
            ),
        )
        return part

    async def _store_again(
        self, caller: Caller, upload: Upload, number: int, original: Version, first: int, length: int
    ) -> Part:
        """A part with a copy of the bytes."""
        needed = algorithm_of(upload)
        stored = await ingest(self.store, _open(self.store, original, first, length), (needed,), max_size=MAX_PUT)
        return await keep_part(
            self.store, caller, upload, number, stored, full_checksum(needed, stored.digests[needed])
        )


def _checksum_for(upload: Upload, original: Version) -> Checksum | None:
    """The checksum that the upload needs of a part, when the source has it already."""
    checksum = original.checksum
    if checksum is None or checksum.algorithm is not algorithm_of(upload):
        return None
    return checksum if checksum.type is ChecksumType.FULL_OBJECT else None


def _open(store: Store, version: Version, first: int, length: int) -> IByteSource:
    if version.placement is None:
        body = pieces_of_parts(store, version, first, length)
        if not isinstance(body, bytes):
            return body
    return stream_pieces(store, _pieces(version, first, length), length)


async def _pieces(version: Version, first: int, length: int) -> AsyncIterator[Piece]:
    """The bytes of a version in one piece; nothing, when it has none."""
    if version.placement is not None and length:
        yield Piece(version.placement, first, length, version.inline)
