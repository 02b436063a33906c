"""ListMultipartUploads and ListParts: what is being uploaded.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import InvalidArgument, NoSuchUpload
from post3tw.model.identity import Caller, Owner
from post3tw.model.version import Part, Upload
from post3tw.service.admitted import admitted_bucket
from post3tw.service.keys import key_bytes
from post3tw.service.multipart import upload_id_bytes
from post3tw.service.object_checksums import part_checksum_members
from post3tw.service.operation import operation
from post3tw.service.owners import shown_owner
from post3tw.service.paging import collect, name_bytes, name_encoder, page_limit
from post3tw.service.part_numbers import part_number_marker
from post3tw.service.store import Store
from post3tw.storage.index.transactions.listing import UPLOADS, Names, Position
from post3tw.storage.index.transactions.multipart import require_upload
from post3tw.storage.index.transactions.parts import list_parts
from post3tw.storage.interfaces import ITransaction
from post3tw.wire.dates import from_millis


@frozen
class UploadListing:
    """The listings of uploads and of their parts."""

    store: Store

    @operation(
        "s3:ListBucketMultipartUploads",
        honours=("delimiter", "encoding_type", "key_marker", "max_uploads", "prefix", "upload_id_marker"),
    )
    async def list_multipart_uploads(
        self, caller: Caller, input: types.ListMultipartUploadsInput
    ) -> types.ListMultipartUploadsOutput:
        """Uploads in progress by key, those of one key from the oldest.

        Raises:
            InvalidArgument: max-uploads, encoding-type or upload-id-marker.
        """
        bucket = admitted_bucket(caller)
        encode, limit = name_encoder(input.encoding_type), page_limit(input.max_uploads, "max-uploads")
        names = Names(name_bytes(input.prefix), name_bytes(input.delimiter))
        page = await collect(self.store, UPLOADS, bucket.id, names, _position(names, input), limit)
        output = types.ListMultipartUploadsOutput(
            bucket=bucket.name,
            key_marker=encode(input.key_marker or ""),
            upload_id_marker=input.upload_id_marker or "",
            prefix=encode(input.prefix or ""),
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_uploads=limit,
            encoding_type=input.encoding_type or None,
            is_truncated=page.truncated,
            uploads=[_shown_upload(upload, encode) for _, upload in page.rows()],
            common_prefixes=page.common_prefixes(encode),
        )
        if page.truncated:
            last = page.entries[-1]
            if isinstance(last, bytes):
                output.next_key_marker = encode(last.decode())
            else:
                output.next_key_marker, output.next_upload_id_marker = encode(last[0].decode()), last[1].id.hex()
        return output

    @operation("s3:ListMultipartUploadParts", honours=("max_parts", "part_number_marker", "upload_id"))
    async def list_parts(self, caller: Caller, input: types.ListPartsInput) -> types.ListPartsOutput:
        """The parts of an upload, by number.

        Raises:
            NoSuchUpload, InvalidArgument (max-parts, part-number-marker).
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        upload_id = upload_id_bytes(input.upload_id)
        limit = page_limit(input.max_parts, "max-parts")
        marker = part_number_marker(input.part_number_marker)

        async def find(tx: ITransaction) -> tuple[Upload, list[Part]]:
            upload = await require_upload(tx, bucket.id, key, upload_id)
            return upload, await list_parts(tx, upload_id, marker, limit + 1)

        upload, found = await self.store.index.read(find)
        truncated = 0 < limit < len(found)
        parts = found[:limit]
        return types.ListPartsOutput(
            bucket=bucket.name,
            key=input.key,
            upload_id=input.upload_id,
            part_number_marker=marker,
            next_part_number_marker=parts[-1].number if parts else 0,
            max_parts=limit,
            is_truncated=truncated,
            parts=[_shown_part(part) for part in parts],
            initiator=_initiator(upload.initiator),
            owner=shown_owner(upload.owner),
            storage_class=upload.description.storage_class,
            checksum_algorithm=upload.checksum_algorithm,
            checksum_type=upload.checksum_type,
        )


def _position(names: Names, input: types.ListMultipartUploadsInput) -> Position:
    """Where the markers say to go on. Without a key marker AWS does not look at the upload's."""
    if not input.key_marker:
        return Position(names.prefix)
    key = name_bytes(input.key_marker)
    if not input.upload_id_marker or key < names.prefix:
        return names.behind(key)
    try:
        return Position(key, upload_id_bytes(input.upload_id_marker))
    except NoSuchUpload:
        raise InvalidArgument(
            "Invalid uploadId marker", argument_name="upload-id-marker", argument_value=input.upload_id_marker
        ) from None


def _shown_upload(upload: Upload, encode: Callable[[str], str]) -> types.MultipartUpload:
    return types.MultipartUpload(
        upload_id=upload.id.hex(),
        key=encode(upload.key.decode()),
        initiated=from_millis(upload.created),
        storage_class=upload.description.storage_class,
        owner=shown_owner(upload.owner),
        initiator=_initiator(upload.initiator),
        checksum_algorithm=upload.checksum_algorithm,
        checksum_type=upload.checksum_type,
    )


def _shown_part(part: Part) -> types.Part:
    return types.Part(
        part_number=part.number,
        last_modified=from_millis(part.created),
        etag=f'"{part.etag}"',
        size=part.size,
        **part_checksum_members(part.checksum),
    )


def _initiator(owner: Owner) -> types.Initiator:
    return types.Initiator(id=owner.id, display_name=owner.display_name)
