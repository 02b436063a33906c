"""The x-amz-copy-source header: which object, and which version of it, a copy is made from."""

from __future__ import annotations

from typing import NamedTuple

from post3tw.model.errors import InvalidArgument, InvalidURI
from post3tw.wire.uri import decode_path


class CopySource(NamedTuple):
    """The source of a copy. `bucket` may have a tenant in front (`tenant:bucket`); `version_id` None is the latest."""

    bucket: str
    key: str
    version_id: str | None = None


def parse_copy_source(header: str) -> CopySource:
    """Read `/bucket/key?versionId=id`, percent-encoded in whole or in part, with or without the slash in front.

    As at AWS, `+` is a space, and a slash between bucket and key may be encoded too. A `?` without `versionId=` behind
    it belongs to the key.

    Raises:
        InvalidArgument: bucket, key or version id is missing or unreadable.
    """
    path, found, version = header.rpartition("?versionId=")
    bucket, _, key = _decode(path if found else header, header).removeprefix("/").partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise _invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", header)
    if not found:
        return CopySource(bucket, key)
    version_id = _decode(version, header)
    if not version_id:
        raise _invalid("Version id cannot be the empty string", header)
    return CopySource(bucket, key, version_id)


def _decode(text: str, header: str) -> str:
    try:
        return decode_path(text.replace("+", " ").encode("utf-8"))
    except (InvalidURI, UnicodeEncodeError):
        raise _invalid("Invalid copy source encoding.", header) from None


def _invalid(message: str, header: str) -> InvalidArgument:
    return InvalidArgument(message, argument_name="x-amz-copy-source", argument_value=header)
