"""Versions, delete markers, uploads, parts and where their bytes are."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from post3tw.model.checksum import Checksum
from post3tw.model.identity import Owner
from post3tw.model.object_lock import NO_LOCK, Retention
from post3tw.model.values import value_class

NULL_VERSION = "null"
"""The version id of what was written while versioning was never enabled, or suspended."""


def version_token(seq: int, object_id: bytes) -> str:
    """The version id that clients see: the key's sequence number and 8 random bytes of the object's id, in hex.

    The number finds the row without an index of ids, the random bytes keep ids from being guessed; the row must agree
    with both.
    """
    return f"{seq:016x}{object_id[-8:].hex()}"


def parse_version_token(token: str) -> tuple[int, bytes] | None:
    """The (seq, last 8 bytes of the object id) of a token; None when it cannot be one of ours."""
    if len(token) != 32:
        return None
    try:
        raw = bytes.fromhex(token)
    except ValueError:
        return None
    if raw.hex() != token:
        return None
    return int.from_bytes(raw[:8], "big"), raw[8:]


@value_class
class Placement:
    """Where the stored bytes of an object or a part are: in exactly one of a side row of the index (`body`, its id) or
    the blob store (`blob`, its id); in neither when there are no bytes. `crcs` are the CRC32C of its 1 MiB frames, 4
    bytes each, big-endian. `coding` names what was done to the bytes before they were placed (JSON; None for
    nothing)."""

    size: int
    body: bytes | None = None
    blob: bytes | None = None
    crcs: bytes = b""
    coding: str | None = None


@value_class
class Description:
    """What a client says about an object when it writes it, kept as it is: PUT, copy and multipart all carry one.

    `headers` holds the standard headers by lower-case name (content-type, cache-control, content-disposition,
    content-encoding, content-language, expires); `metadata` the user's, names in lower case without `x-amz-meta-`.
    """

    headers: Mapping[str, str] = field(factory=dict)
    metadata: Mapping[str, str] = field(factory=dict)
    tags: Mapping[str, str] = field(factory=dict)
    storage_class: str = "STANDARD"
    acl: str | None = None
    retention: Retention = NO_LOCK


@value_class
class Version:
    """A version of a key, or a delete marker (no bytes, empty etag).

    `id` (16 bytes, time-ordered) owns the rows of `parts` when `part_count` is not None. `etag` has no quotes.
    `created` is milliseconds since the epoch. `inline` holds the bytes of an inline body when the read asked for them.
    """

    id: bytes
    seq: int
    is_null: bool
    delete_marker: bool
    created: int
    size: int
    etag: str
    owner: Owner
    description: Description = Description()
    checksum: Checksum | None = None
    placement: Placement | None = None
    part_count: int | None = None
    inline: bytes | None = field(default=None, repr=False)

    @property
    def version_id(self) -> str:
        """The version id that clients see."""
        return NULL_VERSION if self.is_null else version_token(self.seq, self.id)

    @property
    def retention(self) -> Retention:
        """What keeps it from being removed."""
        return self.description.retention

    @property
    def body(self) -> bytes | None:
        """The id of its inline body."""
        return None if self.placement is None else self.placement.body


@value_class
class Incumbent:
    """What a write has to know of the version that it comes after, or takes the place of: a few columns of its row. The
    attributes are those of Version."""

    id: bytes
    seq: int
    is_null: bool
    delete_marker: bool
    created: int
    size: int
    etag: str
    part_count: int | None
    body: bytes | None
    blob: bytes | None
    retention: Retention

    @property
    def placement(self) -> Placement | None:
        """Where its bytes are; without their CRCs."""
        if self.part_count is not None or self.delete_marker:
            return None
        return Placement(self.size, self.body, self.blob)


def new_object(
    *,
    id: bytes,
    created: int,
    size: int,
    etag: str,
    owner: Owner,
    description: Description,
    checksum: Checksum | None,
    placement: Placement | None = None,
    part_count: int | None = None,
) -> Version:
    """A version that is going to be written. Its place among those of its key (`seq`, `is_null`) is the index's to
    give."""
    return Version(id, 0, False, False, created, size, etag, owner, description, checksum, placement, part_count)


@value_class
class Upload:
    """A multipart upload in progress. Its id (16 bytes) becomes the id of the version that Complete makes."""

    id: bytes
    bucket_id: int
    key: bytes
    created: int
    owner: Owner
    initiator: Owner
    description: Description
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


@value_class
class Part:
    """A part of an upload, or, after Complete, of a version. `id` (16 bytes) is what holds its blob's reference;
    `offset` is where the part begins in the object, 0 until Complete."""

    number: int
    id: bytes
    offset: int
    size: int
    etag: str
    created: int
    placement: Placement
    checksum: Checksum | None = None
