"""Multipart uploads: create, upload parts, complete, abort.

A part is a body like any other, owned by the upload. Complete makes the parts an object without touching their bytes.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.checksum import Checksum
from post3tw.model.errors import NoSuchUpload
from post3tw.model.identity import Caller
from post3tw.model.version import Part, Upload
from post3tw.service.admitted import admitted_bucket
from post3tw.service.completion import EXPECTATIONS, assemble, requested_completion
from post3tw.service.conditions import write_conditions
from post3tw.service.descriptions import DESCRIPTION_MEMBERS, description_of
from post3tw.service.ingest import Stored, ingest
from post3tw.service.interfaces import IRequestBody
from post3tw.service.keys import key_bytes, written_version_id
from post3tw.service.object_checksums import (
    CHECKSUM_MEMBERS,
    announced,
    checksum_members,
    parse_content_md5,
    part_checksum_members,
    verify_body,
)
from post3tw.service.object_ownership import ACL_MEMBERS, ownership_of
from post3tw.service.objects import MAX_PUT
from post3tw.service.operation import operation
from post3tw.service.owners import owner_for
from post3tw.service.part_numbers import checked_part_number
from post3tw.service.store import Store
from post3tw.service.upload_checksums import algorithm_of, chosen_checksum, full_checksum, require_same_algorithm
from post3tw.storage.index.transactions import multipart as rows
from post3tw.storage.interfaces import Lock


def upload_id_bytes(upload_id: str | None) -> bytes:
    """The id of an upload, as the index knows it, from the one clients have.

    Raises:
        NoSuchUpload: no upload of ours can have it.
    """
    try:
        raw = bytes.fromhex(upload_id or "")
    except ValueError:
        raw = b""
    if len(raw) != 16 or raw.hex() != upload_id:
        raise NoSuchUpload(upload_id=upload_id)
    return raw


async def require_upload(store: Store, bucket: Bucket, key: bytes, upload_id: bytes) -> Upload:
    """The upload of a key, or NoSuchUpload."""
    return await store.index.read(partial(rows.require_upload, bucket_id=bucket.id, key=key, upload_id=upload_id))


async def keep_part(
    store: Store, caller: Caller, upload: Upload, number: int, stored: Stored, checksum: Checksum
) -> Part:
    """Make a body that was taken in a part of an upload.

    Raises:
        NoSuchUpload: it was completed or aborted while the body came.
        AccessDenied: by then the caller may not.
    """
    now = store.ids.now()
    part = Part(number, store.ids.object_id(), 0, stored.size, stored.md5.hex(), now, stored.placement, checksum)
    await store.change(
        caller,
        partial(
            rows.put_part,
            bucket_id=upload.bucket_id,
            key=upload.key,
            upload_id=upload.id,
            part=part,
            data=stored.data,
            now=now,
        ),
        (Lock(upload.bucket_id), Lock(upload.bucket_id, upload.key)),
    )
    return part


@frozen
class Multipart:
    """Uploads in parts."""

    store: Store

    @operation(
        "s3:PutObject",
        honours=("checksum_algorithm", "checksum_type", *DESCRIPTION_MEMBERS, *ACL_MEMBERS),
    )
    async def create_multipart_upload(
        self, caller: Caller, input: types.CreateMultipartUploadInput
    ) -> types.CreateMultipartUploadOutput:
        """Begin an upload. What it says about the object is kept for the object.

        Raises:
            InvalidRequest: an algorithm or a type of checksum that S3 does not take, or not together.
            MetadataTooLarge, InvalidStorageClass, InvalidTag, …
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        algorithm, checksum_type = chosen_checksum(input.checksum_algorithm, input.checksum_type)
        ownership, now = ownership_of(self.store.people, caller, input), self.store.ids.now()
        upload = Upload(
            id=self.store.ids.object_id(),
            bucket_id=bucket.id,
            key=key,
            created=now,
            owner=ownership.owner,
            initiator=owner_for(caller, bucket),
            description=ownership.on(description_of(input, now)),
            checksum_algorithm=algorithm,
            checksum_type=checksum_type,
        )
        self.store.admit_write()
        await self.store.change(caller, partial(rows.create_upload, upload=upload), (Lock(bucket.id),))
        return types.CreateMultipartUploadOutput(
            bucket=bucket.name,
            key=input.key,
            upload_id=upload.id.hex(),
            checksum_algorithm=algorithm,
            checksum_type=checksum_type,
        )

    @operation(
        "s3:PutObject",
        honours=("content_length", "content_md5", "part_number", "upload_id", *CHECKSUM_MEMBERS),
    )
    async def upload_part(
        self, caller: Caller, input: types.UploadPartInput, body: IRequestBody
    ) -> types.UploadPartOutput:
        """Store a body as a part, in place of an earlier one of its number.

        The checksum of the upload's algorithm is computed even when the client sends none, so that Complete has it.

        Raises:
            NoSuchUpload, InvalidArgument (part number), InvalidRequest (another algorithm than the upload's),
            BadDigest, InvalidDigest, EntityTooLarge, …
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        number = checked_part_number(input.part_number)
        upload = await require_upload(self.store, bucket, key, upload_id_bytes(input.upload_id))
        needed = algorithm_of(upload)
        announcement = announced(input, body.trailer_names, default=needed)
        require_same_algorithm(upload, announcement.algorithm)
        content_md5 = parse_content_md5(input.content_md5)
        verify = partial(verify_body, announcement, content_md5, body)
        stored = await ingest(self.store, body, {announcement.algorithm, needed}, max_size=MAX_PUT, verify=verify)
        shown = full_checksum(announcement.algorithm, stored.digests[announcement.algorithm])
        part = await keep_part(
            self.store, caller, upload, number, stored, full_checksum(needed, stored.digests[needed])
        )
        return types.UploadPartOutput(etag=f'"{part.etag}"', **part_checksum_members(shown))

    @operation("s3:PutObject", honours=("if_match", "if_none_match", "multipart_upload", "upload_id", *EXPECTATIONS))
    async def complete_multipart_upload(
        self, caller: Caller, input: types.CompleteMultipartUploadInput
    ) -> types.CompleteMultipartUploadOutput:
        """Make an object of the listed parts. To repeat it is no error as long as the object it made is there.

        Raises:
            MalformedXML, NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, InvalidRequest, BadDigest,
            PreconditionFailed, NoSuchKey (If-Match).
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        upload_id, conditions = upload_id_bytes(input.upload_id), write_conditions(input)
        completion = requested_completion(input)
        self.store.admit_write()
        version = await self.store.change(
            caller,
            partial(
                rows.complete_upload,
                bucket_id=bucket.id,
                key=key,
                upload_id=upload_id,
                assemble=partial(assemble, completion),
                conditions=conditions,
                now=self.store.ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        if version.etag != completion.etag:  # a repetition, but of another list of parts
            raise NoSuchUpload(upload_id=input.upload_id)
        return types.CompleteMultipartUploadOutput(
            location=f"/{bucket.name}/{input.key}",
            bucket=bucket.name,
            key=input.key,
            etag=f'"{version.etag}"',
            version_id=written_version_id(version),
            **checksum_members(version.checksum),
        )

    @operation("s3:AbortMultipartUpload", honours=("upload_id",))
    async def abort_multipart_upload(
        self, caller: Caller, input: types.AbortMultipartUploadInput
    ) -> types.AbortMultipartUploadOutput:
        """Forget an upload and its parts.

        Raises:
            NoSuchUpload: not in progress; also after Complete, whose object this does not touch.
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        await self.store.change(
            caller,
            partial(
                rows.abort_upload,
                bucket_id=bucket.id,
                key=key,
                upload_id=upload_id_bytes(input.upload_id),
                now=self.store.ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.AbortMultipartUploadOutput()
