"""GetObjectAttributes: what HEAD says and what it does not, as a document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.api.enums import OBJECT_ATTRIBUTES
from post3tw.model.errors import InvalidArgument
from post3tw.model.identity import Caller
from post3tw.model.version import Part, Version
from post3tw.service.admitted import admitted_bucket
from post3tw.service.keys import check_version_id, key_bytes, read_version_id
from post3tw.service.object_checksums import checksum_members, part_checksum_members
from post3tw.service.operation import operation
from post3tw.service.paging import page_limit
from post3tw.service.part_numbers import part_number_marker
from post3tw.service.store import Store
from post3tw.storage.index.transactions.parts import list_parts
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import ITransaction
from post3tw.wire.dates import from_millis


@frozen
class ObjectAttributes:
    """Reading selected properties of an object."""

    store: Store

    @operation("s3:GetObjectAttributes", honours=("version_id", "max_parts", "part_number_marker", "object_attributes"))
    async def get_object_attributes(
        self, caller: Caller, input: types.GetObjectAttributesInput
    ) -> types.GetObjectAttributesOutput:
        """The properties asked for, of the current object or of a version.

        Raises:
            NoSuchKey, NoSuchVersion, MethodNotAllowed.
            InvalidArgument: an attribute that S3 does not have, or none at all; max-parts, part-number-marker.
        """
        wanted = _wanted(input.object_attributes)
        bucket, key, version_id = admitted_bucket(caller), key_bytes(input.key), check_version_id(input.version_id)
        limit, marker = page_limit(input.max_parts, "max-parts"), part_number_marker(input.part_number_marker)

        async def find(tx: ITransaction) -> tuple[Version, list[Part]]:
            version = await require_object(tx, bucket.id, key, version_id)
            if version.part_count is None or "ObjectParts" not in wanted:
                return version, []
            return version, await list_parts(tx, version.id, marker, limit + 1)

        version, parts = await self.store.look(caller, find)
        output = types.GetObjectAttributesOutput(
            last_modified=from_millis(version.created), version_id=read_version_id(bucket, version)
        )
        if "ETag" in wanted:
            output.etag = version.etag
        if "Checksum" in wanted and version.checksum is not None:
            output.checksum = types.Checksum(**checksum_members(version.checksum))
        if "ObjectParts" in wanted and version.part_count is not None:
            output.object_parts = _page(version.part_count, parts, marker, limit)
        if "StorageClass" in wanted:
            output.storage_class = version.description.storage_class
        if "ObjectSize" in wanted:
            output.object_size = version.size
        return output


def _wanted(attributes: list[str] | None) -> frozenset[str]:
    wanted = frozenset(attributes or ())
    if not wanted or not wanted <= OBJECT_ATTRIBUTES:
        raise InvalidArgument(
            "Invalid attribute name specified.",
            argument_name="x-amz-object-attributes",
            argument_value=",".join(attributes or ()),
        )
    return wanted


def _page(total: int, parts: list[Part], marker: int, limit: int) -> types.GetObjectAttributesParts:
    """A page of at most `limit` parts; `parts` has one more when there is another page.

    One of no parts is not truncated: a client that goes on for as long as one is would never end.
    """
    shown = parts[:limit]
    return types.GetObjectAttributesParts(
        total_parts_count=total,
        part_number_marker=marker,
        next_part_number_marker=shown[-1].number if shown else marker,
        max_parts=limit,
        is_truncated=0 < limit < len(parts),
        parts=[_shown(part) for part in shown],
    )


def _shown(part: Part) -> types.ObjectPart:
    return types.ObjectPart(part_number=part.number, size=part.size, **part_checksum_members(part.checksum))
