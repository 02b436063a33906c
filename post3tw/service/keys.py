"""Names of objects and of their versions, as clients write them and as answers show them.

A key is opaque: any text whose UTF-8 has 1 to 1024 bytes. `..`, `//`, a leading slash and control characters, NUL
included, are kept as they are, as AWS keeps them; a key never becomes a path. Listings of keys that XML cannot hold
need `encoding-type=url`.
"""

from __future__ import annotations

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import InvalidArgument, InvalidURI, KeyTooLong
from post3tw.model.version import NULL_VERSION, Version, parse_version_token

MAX_KEY = 1024
"""Bytes of UTF-8 that a key may have."""


def key_bytes(key: str | None) -> bytes:
    """A key as the index knows it.

    Raises:
        KeyTooLong: more than 1024 bytes.
        InvalidURI: not UTF-8.
        InvalidArgument: empty or missing.
    """
    if not key:
        raise InvalidArgument("A key must be specified.", argument_name="Key", argument_value="")
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise InvalidURI("The key is not UTF-8.") from None
    if len(raw) > MAX_KEY:
        raise KeyTooLong(size=len(raw), max_size_allowed=MAX_KEY)
    return raw


def check_version_id(version_id: str | None) -> str | None:
    """A version id that a client asks for, None when it asks for none.

    Raises:
        InvalidArgument: no version of ours can have it. S3 tells that from a version that is not there (NoSuchVersion).
    """
    if version_id is None or version_id == NULL_VERSION or parse_version_token(version_id) is not None:
        return version_id
    if not version_id:
        raise InvalidArgument("Version id cannot be the empty string", argument_name="versionId", argument_value="")
    raise InvalidArgument("Invalid version id specified", argument_name="versionId", argument_value=version_id)


def written_version_id(version: Version) -> str | None:
    """How the answer to a write shows the version's id: not at all, when it is the null version."""
    return None if version.is_null else version.version_id


def read_version_id(bucket: Bucket, version: Version) -> str | None:
    """How the answer to a read shows the version's id: the null version too, but in a bucket that never had others."""
    return None if version.is_null and bucket.versioning is Versioning.NEVER else version.version_id
