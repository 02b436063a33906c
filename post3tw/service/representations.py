"""What GET and HEAD answer about a version: which of its bytes, under which headers.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.errors import InvalidArgument, InvalidPart, InvalidRequest, NotModified, OperationAborted
from post3tw.model.identity import Caller
from post3tw.model.values import value_class
from post3tw.model.version import Part, Version
from post3tw.service.conditions import read_conditions
from post3tw.service.descriptions import MEMBER_OF_HEADER, STANDARD
from post3tw.service.interfaces import IByteSource
from post3tw.service.keys import read_version_id, written_version_id
from post3tw.service.object_checksums import checksum_members
from post3tw.service.part_numbers import checked_part_number
from post3tw.service.reading import Piece, inline_bytes, open_pieces, stream_pieces
from post3tw.service.store import Store
from post3tw.storage.index.transactions.parts import PartWithBody, parts_with_bodies
from post3tw.wire.dates import from_millis, http_date_of
from post3tw.wire.ranges import content_range, parse_range

ReadInput = types.GetObjectInput | types.HeadObjectInput

OVERRIDES = tuple((f"response_{member}", member) for member in MEMBER_OF_HEADER.values())
"""Members that ask for another standard header in the answer, and the members that carry it there."""

DEFAULT_CONTENT_TYPE = "binary/octet-stream"


@value_class
class Selection:
    """The bytes of a version that are asked for. `partial` says that the answer is 206; `part` is the one asked for by
    number, of a version that is made of parts; `parts` are the first that have any of the bytes."""

    version: Version
    first: int
    length: int
    partial: bool = False
    part: Part | None = None
    parts: Sequence[PartWithBody] = ()


def select(version: Version, part: Part | None, input: ReadInput) -> Selection:
    """Which bytes `Range` or `partNumber` mean, once the conditions of the request hold.

    Raises:
        NotModified, PreconditionFailed: they do not hold.
        InvalidRange, InvalidPart: there are no such bytes.
        InvalidRequest, InvalidArgument: the request makes no sense.
    """
    try:
        read_conditions(input).check(version)
    except NotModified:
        raise _not_modified(version) from None
    if input.part_number is not None:
        return _selected_part(version, part, input)
    if input.range:
        wanted = parse_range(input.range, version.size)
        if wanted is not None:
            first, last = wanted
            return Selection(version, first, last - first + 1, True)
    return Selection(version, 0, version.size)


def _selected_part(version: Version, part: Part | None, input: ReadInput) -> Selection:
    if input.range:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    number = checked_part_number(input.part_number)
    if part is not None:
        return Selection(version, part.offset, part.size, True, part)
    if version.part_count is not None or number != 1:
        raise InvalidPart(part_number=number)
    return Selection(version, 0, version.size, version.size > 0)


def _not_modified(version: Version) -> NotModified:
    headers = version.description.headers
    return NotModified(
        etag=version.etag,
        last_modified=from_millis(version.created),
        version_id=written_version_id(version),
        cache_control=headers.get("cache-control"),
        expires=headers.get("expires"),
    )


def fields_of(selection: Selection, bucket: Bucket, caller: Caller, input: ReadInput) -> dict[str, Any]:
    """The members that the outputs of GetObject and HeadObject share.

    Raises:
        InvalidRequest: an anonymous caller asks for other response headers.
        InvalidArgument: a response header that would break the response.
    """
    version = selection.version
    description = version.description
    fields: dict[str, Any] = {
        "accept_ranges": "bytes",
        "content_length": selection.length,
        "content_type": DEFAULT_CONTENT_TYPE,
        "etag": f'"{version.etag}"',
        "last_modified": from_millis(version.created),
    }
    for name, value in description.headers.items():
        fields[MEMBER_OF_HEADER[name]] = value
    if description.metadata:
        fields["metadata"] = dict(description.metadata)
    if description.tags:
        fields["tag_count"] = len(description.tags)
    if description.storage_class != STANDARD:
        fields["storage_class"] = description.storage_class
    version_id = read_version_id(bucket, version)
    if version_id is not None:
        fields["version_id"] = version_id
    if selection.partial:
        _describe_part(fields, selection)
    if input.checksum_mode == "ENABLED":
        fields.update(_checksum_fields(selection))
    for member, target in OVERRIDES:
        override = getattr(input, member)
        if override is not None:
            fields[target] = _override(caller, member, override)
    return fields


def _describe_part(fields: dict[str, Any], selection: Selection) -> None:
    if selection.length:
        first, last = selection.first, selection.first + selection.length - 1
        fields["content_range"] = content_range(first, last, selection.version.size)
    if selection.part is not None:
        fields["parts_count"] = selection.version.part_count


def _checksum_fields(selection: Selection) -> dict[str, Any]:
    """The checksum of what is sent: of the whole version, or of the part asked for; S3 has none of a range."""
    version = selection.version
    if selection.part is not None:
        members = checksum_members(selection.part.checksum)
        if members and version.checksum is not None:
            members["checksum_type"] = version.checksum.type.value
        return members
    return checksum_members(version.checksum) if selection.length == version.size else {}


def _override(caller: Caller, member: str, value: Any) -> str:
    if caller.identity is None:
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    text = value if isinstance(value, str) else http_date_of(value)
    if not text.isprintable():
        name = member.replace("_", "-")
        raise InvalidArgument("Header value cannot be represented.", argument_name=name, argument_value=text)
    return text


async def first_parts(store: Store, selection: Selection) -> Sequence[PartWithBody]:
    """The first parts that have any of the selected bytes; none, when the version was deleted meanwhile."""
    first, last = selection.first, selection.first + selection.length - 1
    find = partial(parts_with_bodies, owner=selection.version.id, first=first, last=last)
    parts: Sequence[PartWithBody] = await store.index.read(find)
    return parts


async def body_of(store: Store, selection: Selection) -> bytes | IByteSource:
    """The selected bytes."""
    version, first, length = selection.version, selection.first, selection.length
    placement = version.placement
    if placement is not None:
        if version.inline is not None and length:
            return inline_bytes(placement, version.inline, first, length)
        return await open_pieces(store, (Piece(placement, first, length),))
    return pieces_of_parts(store, version, first, length, selection.parts)


def pieces_of_parts(
    store: Store, version: Version, first: int, length: int, parts: Sequence[PartWithBody] = ()
) -> bytes | IByteSource:
    """Bytes of a version that is made of parts. The first may be known; more are looked up as the bytes flow."""
    return stream_pieces(store, _parts_as_pieces(store, version.id, first, length, parts), length) if length else b""


async def _parts_as_pieces(
    store: Store, owner: bytes, first: int, length: int, parts: Sequence[PartWithBody]
) -> AsyncIterator[Piece]:
    """The pieces that make up `length` bytes from `first`.

    Inline bodies come with their rows: they go with them when the version is deleted, while the bytes of blobs stay for
    those who are reading. Few parts have one, as all but the last of a version are too large for that.

    Raises:
        OperationAborted: the version was deleted meanwhile, before the rows of all parts were read.
        CorruptedData: an inline body is not there.
    """
    position, end, number = first, first + length, 0
    while position < end:
        parts = parts or await store.index.read(
            partial(parts_with_bodies, owner=owner, first=position, last=end - 1, after_number=number)
        )
        if not parts:
            raise OperationAborted
        for part, inline in parts:
            start = position - part.offset
            size = min(part.size - start, end - position)
            yield Piece(part.placement, start, size, inline)
            position += size
            number = part.number
        parts = ()
