"""What a client says about an object when it writes it: standard headers, user metadata, tags, storage class, lock.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from post3tw.api.enums import STORAGE_CLASS
from post3tw.model.errors import InvalidStorageClass, MetadataTooLarge
from post3tw.model.version import Description
from post3tw.service.retention import LOCK_MEMBERS, Locks, retention_of
from post3tw.service.tags import tags_of_header

MEMBER_OF_HEADER = {
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "content-type": "content_type",
    "expires": "expires",
}
"""Standard headers of a Description, and the members of inputs and outputs that carry them."""

DESCRIPTION_MEMBERS = (*MEMBER_OF_HEADER.values(), "metadata", "storage_class", "tagging", *LOCK_MEMBERS)
"""The members of an input that make a Description, for `honours`."""

STANDARD = "STANDARD"
MAX_METADATA = 2048
"""Bytes of UTF-8 that names and values of user metadata may have together."""


class Describes(Locks, Protocol):
    """Inputs that describe an object: PutObject, CopyObject, CreateMultipartUpload."""

    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    content_type: str | None
    expires: str | None
    metadata: dict[str, str] | None
    storage_class: str | None
    tagging: str | None


def description_of(input: Describes, now: int) -> Description:
    """The description that an input carries. `now` is milliseconds since the epoch.

    Raises:
        MetadataTooLarge, InvalidStorageClass, InvalidTag, InvalidArgument.
    """
    return Description(
        headers=headers_of(input),
        metadata=metadata_of(input.metadata),
        tags=tags_of_header(input.tagging) if input.tagging else {},
        storage_class=storage_class_of(input.storage_class),
        retention=retention_of(input, now),
    )


def headers_of(input: Describes) -> dict[str, str]:
    """The standard headers that were sent, by lower-case name."""
    return {header: value for header, member in MEMBER_OF_HEADER.items() if (value := getattr(input, member))}


def metadata_of(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """User metadata with its names in lower case.

    Raises:
        MetadataTooLarge: names and values have more than 2 KiB.
    """
    if not metadata:
        return {}
    size = sum(len(name.encode()) + len(value.encode("utf-8", "surrogateescape")) for name, value in metadata.items())
    if size > MAX_METADATA:
        raise MetadataTooLarge(size=size, max_size_allowed=MAX_METADATA)
    return {name.lower(): value for name, value in metadata.items()}


def storage_class_of(storage_class: str | None) -> str:
    """The storage class to keep: any that S3 has, STANDARD when none was sent.

    Raises:
        InvalidStorageClass: S3 does not know it.
    """
    if not storage_class:
        return STANDARD
    if storage_class not in STORAGE_CLASS:
        raise InvalidStorageClass(storage_class_requested=storage_class)
    return storage_class
