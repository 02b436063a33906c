"""Rows of the index to values of the model, and back.

A select list and the function that reads its rows belong together: VERSION_COLUMNS with `version_from_row`, and so on.
The functions read from the front of a row, so a query may add columns of its own behind: after
`SELECT {VERSION_COLUMNS}, v.key` the key is in `row[-1]`. Columns carry the alias of their table: v(ersions), b(odies),
o (blobs), p(arts), u(ploads), k (buckets).

CRC32C values travel with what they protect: those of a blob come with every row; those of an inline body only with
its bytes, that is with the `_WITH_BODY` texts (or `transactions.blobs.load_body`), so that a HEAD touches no page that
holds bodies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.checksum import Checksum, ChecksumAlgorithm, ChecksumType
from post3tw.model.identity import Owner
from post3tw.model.object_lock import NO_LOCK, Retention
from post3tw.model.version import Description, Incumbent, Part, Placement, Upload, Version

Row = Sequence[Any]
"""A row as a transaction gets it."""

# -- small columns ----------------------------------------------------------------------------------------------------

_EMPTY: Mapping[str, str] = MappingProxyType({})
_encode = json.JSONEncoder(separators=(",", ":")).encode


def mapping_to_text(mapping: Mapping[str, str]) -> str | None:
    """A mapping as a `headers`, `metadata` or `tags` column keeps it: compact JSON, NULL when it is empty."""
    return _encode(dict(mapping)) if mapping else None


@lru_cache(maxsize=1024)
def mapping_from_text(text: str | None) -> Mapping[str, str]:
    """The mapping of such a column. Cached, as most objects share their few headers, and therefore read-only."""
    return MappingProxyType(json.loads(text)) if text else _EMPTY


def checksum_to_text(checksum: Checksum | None) -> str | None:
    """A checksum as a column keeps it: `ALGORITHM TYPE value`."""
    if checksum is None:
        return None
    return f"{checksum.algorithm.value} {checksum.type.value} {checksum.value}"


def entry_to_text(version: Version) -> str:
    """What listings show of an object, as `current` keeps it: `created|size|etag|storage class`, and behind that
    ` ALGORITHM TYPE` when it has a checksum. None of these has a bar or a space in it."""
    kind, checksum = version.description.storage_class, version.checksum
    if checksum is not None:
        kind = f"{kind} {checksum.algorithm.value} {checksum.type.value}"
    return f"{version.created}|{version.size}|{version.etag}|{kind}"


def checksum_from_text(text: str | None) -> Checksum | None:
    """The checksum of such a column."""
    if text is None:
        return None
    algorithm, kind, value = text.split(" ", 2)
    return Checksum(_ALGORITHMS[algorithm], value, _TYPES[kind])


_ALGORITHMS = {algorithm.value: algorithm for algorithm in ChecksumAlgorithm}
_TYPES = {kind.value: kind for kind in ChecksumType}

_owner = lru_cache(maxsize=1024)(Owner)


def legal_hold_to_column(held: bool | None) -> int:
    """A legal hold as a column keeps it: 0 when nobody ever said, 1 held, 2 let go."""
    return 0 if held is None else 1 if held else 2


def _legal_hold(column: int) -> bool | None:
    """The legal hold of such a column; what is none of its values is held."""
    return None if column == 0 else column != 2


def _description(
    headers: str | None,
    metadata: str | None,
    tags: str | None,
    storage_class: str,
    acl: str | None,
    retention_mode: str | None,
    retain_until: int | None,
    legal_hold: int,
) -> Description:
    return Description(
        mapping_from_text(headers),
        mapping_from_text(metadata),
        mapping_from_text(tags),
        storage_class,
        acl,
        _retention(retention_mode, retain_until, legal_hold),
    )


def _retention(mode: str | None, until: int | None, legal_hold: int) -> Retention:
    if mode is None and until is None and legal_hold == 0:
        return NO_LOCK
    return Retention(mode, until, _legal_hold(legal_hold))


# -- buckets ----------------------------------------------------------------------------------------------------------

BUCKET_COLUMNS = (
    "k.id, k.tenant, k.name, k.owner_id, k.owner_name, k.created, k.region, k.versioning, k.object_lock, k.generation,"
    " k.subscribed, k.object_acls"
)

INSERT_BUCKET = (
    "INSERT INTO buckets (id, tenant, name, owner_id, owner_name, created, region, versioning, object_lock, generation,"
    " subscribed, object_acls) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_VERSIONINGS = {state.value: state for state in Versioning}


def bucket_from_row(row: Row) -> Bucket:
    """The bucket of a row of BUCKET_COLUMNS (`FROM buckets k`)."""
    return Bucket(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        _VERSIONINGS[row[7]],
        row[8] != 0,
        row[9],
        row[10] != 0,
        row[11] != 0,
    )


def bucket_values(bucket: Bucket) -> tuple[object, ...]:
    """The parameters of INSERT_BUCKET."""
    return (
        bucket.id,
        bucket.tenant,
        bucket.name,
        bucket.owner_id,
        bucket.owner_name,
        bucket.created,
        bucket.region,
        bucket.versioning.value,
        int(bucket.object_lock),
        bucket.generation,
        int(bucket.subscribed),
        int(bucket.object_acls),
    )


# -- versions ---------------------------------------------------------------------------------------------------------

_VERSION_COLUMNS = (
    "v.id, v.seq, v.is_null, v.delete_marker, v.created, v.size, v.etag, v.owner_id, v.owner_name, v.headers,"
    " v.metadata, v.tags, v.storage_class, v.acl, v.retention_mode, v.retain_until, v.legal_hold, v.checksum,"
    " v.part_count, v.body, v.blob, v.coding"
)

VERSION_COLUMNS = f"{_VERSION_COLUMNS}, o.crcs, NULL"
"""What `version_from_row` reads; for `FROM {FROM_VERSIONS}`. Of an inline body, `placement.crcs` is empty."""

FROM_VERSIONS = "versions v LEFT JOIN blobs o ON o.id = v.blob"

VERSION_COLUMNS_WITH_BODY = f"{_VERSION_COLUMNS}, COALESCE(b.crcs, o.crcs), b.data"
"""The same, and `inline` and `placement.crcs` of an inline body; for `FROM {FROM_VERSIONS_WITH_BODY}`."""

FROM_VERSIONS_WITH_BODY = f"{FROM_VERSIONS} LEFT JOIN bodies b ON b.id = v.body"

INSERT_VERSION = (
    "INSERT INTO versions (bucket, key, id, seq, is_null, delete_marker, created, size, etag, owner_id, owner_name,"
    " headers, metadata, tags, storage_class, acl, retention_mode, retain_until, legal_hold, checksum, part_count,"
    " body, blob, coding) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

UPDATE_VERSION = (
    "UPDATE versions SET id = ?, seq = ?, is_null = ?, delete_marker = ?, created = ?, size = ?, etag = ?,"
    " owner_id = ?, owner_name = ?, headers = ?, metadata = ?, tags = ?, storage_class = ?, acl = ?,"
    " retention_mode = ?, retain_until = ?, legal_hold = ?, checksum = ?, part_count = ?, body = ?, blob = ?,"
    " coding = ? WHERE bucket = ? AND key = ? AND seq = ?"
)
"""Its parameters are those of INSERT_VERSION without bucket and key, then bucket, key and the seq of the row."""


def version_from_row(row: Row) -> Version:
    """The version of a row of VERSION_COLUMNS or VERSION_COLUMNS_WITH_BODY.

    `placement` is None for a delete marker and for a version made of parts.
    """
    size = row[5]
    placement = None
    if row[18] is None and not row[3]:
        placement = Placement(size, row[19], row[20], row[22] or b"", row[21])
    return Version(
        row[0],
        row[1],
        row[2] != 0,
        row[3] != 0,
        row[4],
        size,
        row[6],
        _owner(row[7], row[8]),
        _description(row[9], row[10], row[11], row[12], row[13], row[14], row[15], row[16]),
        checksum_from_text(row[17]),
        placement,
        row[18],
        row[23],
    )


INCUMBENT_COLUMNS = (
    "v.id, v.seq, v.is_null, v.delete_marker, v.created, v.size, v.etag, v.part_count, v.body, v.blob,"
    " v.retention_mode, v.retain_until, v.legal_hold"
)
"""What `incumbent_from_row` reads; for `FROM versions v`."""

INCUMBENT_WIDTH = 13
"""How many columns INCUMBENT_COLUMNS are."""


def incumbent_from_row(row: Row) -> Incumbent:
    """The incumbent of a row of INCUMBENT_COLUMNS."""
    return Incumbent(
        row[0],
        row[1],
        row[2] != 0,
        row[3] != 0,
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        _retention(row[10], row[11], row[12]),
    )


def version_values(bucket_id: int, key: bytes, version: Version) -> tuple[object, ...]:
    """The parameters of INSERT_VERSION."""
    placement = version.placement
    return (
        bucket_id,
        key,
        version.id,
        version.seq,
        int(version.is_null),
        int(version.delete_marker),
        version.created,
        version.size,
        version.etag,
        version.owner.id,
        version.owner.display_name,
        *_description_values(version.description),
        checksum_to_text(version.checksum),
        version.part_count,
        *(_NO_PLACEMENT if placement is None else (placement.body, placement.blob, placement.coding)),
    )


_NO_PLACEMENT = (None, None, None)


def _description_values(description: Description) -> tuple[object, ...]:
    retention = description.retention
    return (
        mapping_to_text(description.headers),
        mapping_to_text(description.metadata),
        mapping_to_text(description.tags),
        description.storage_class,
        description.acl,
        retention.mode,
        retention.until,
        legal_hold_to_column(retention.legal_hold),
    )


# -- uploads and parts ------------------------------------------------------------------------------------------------

UPLOAD_COLUMNS = (
    "u.id, u.bucket, u.key, u.created, u.owner_id, u.owner_name, u.initiator_id, u.initiator_name, u.headers,"
    " u.metadata, u.tags, u.storage_class, u.acl, u.retention_mode, u.retain_until, u.legal_hold, u.checksum_algorithm,"
    " u.checksum_type"
)

INSERT_UPLOAD = (
    "INSERT INTO uploads (id, bucket, key, created, owner_id, owner_name, initiator_id, initiator_name, headers,"
    " metadata, tags, storage_class, acl, retention_mode, retain_until, legal_hold, checksum_algorithm, checksum_type)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def upload_from_row(row: Row) -> Upload:
    """The upload of a row of UPLOAD_COLUMNS (`FROM uploads u`)."""
    return Upload(
        row[0],
        row[1],
        row[2],
        row[3],
        _owner(row[4], row[5]),
        _owner(row[6], row[7]),
        _description(row[8], row[9], row[10], row[11], row[12], row[13], row[14], row[15]),
        row[16],
        row[17],
    )


def upload_values(upload: Upload) -> tuple[object, ...]:
    """The parameters of INSERT_UPLOAD."""
    return (
        upload.id,
        upload.bucket_id,
        upload.key,
        upload.created,
        upload.owner.id,
        upload.owner.display_name,
        upload.initiator.id,
        upload.initiator.display_name,
        *_description_values(upload.description),
        upload.checksum_algorithm,
        upload.checksum_type,
    )


PART_COLUMNS = 'p.number, p.id, p."offset", p.size, p.etag, p.created, p.checksum, p.body, p.blob, p.coding, o.crcs'
"""What `part_from_row` reads; for `FROM {FROM_PARTS}`. The CRCs of an inline part come by `load_body`."""

FROM_PARTS = "parts p LEFT JOIN blobs o ON o.id = p.blob"

INSERT_PART = (
    'INSERT INTO parts (owner, number, id, "offset", size, etag, created, checksum, body, blob, coding)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def part_from_row(row: Row) -> Part:
    """The part of a row of PART_COLUMNS."""
    size = row[3]
    placement = Placement(size, row[7], row[8], row[10] or b"", row[9])
    return Part(row[0], row[1], row[2], size, row[4], row[5], placement, checksum_from_text(row[6]))


def part_values(owner: bytes, part: Part) -> tuple[object, ...]:
    """The parameters of INSERT_PART; `owner` is the id of the upload, or of the version it became."""
    return (
        owner,
        part.number,
        part.id,
        part.offset,
        part.size,
        part.etag,
        part.created,
        checksum_to_text(part.checksum),
        part.placement.body,
        part.placement.blob,
        part.placement.coding,
    )


def joined_row(row: Row | None) -> tuple[bytes, str]:
    """What a database answers for `ITransaction.joined`: one row, of nothing where there is nothing to join."""
    keys, entries = row or (None, None)
    return keys or b"", entries or ""
