"""ListObjectVersions: all versions and delete markers of a bucket.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import frozen

from post3tw.api import types
from post3tw.api.table import Dates, Table
from post3tw.model.bucket import Bucket
from post3tw.model.errors import InvalidArgument
from post3tw.model.identity import Caller, Owner
from post3tw.model.version import NULL_VERSION, version_token
from post3tw.service.admitted import admitted_bucket, owner_of_all
from post3tw.service.columns import checksum_columns, few, owner_column
from post3tw.service.operation import operation
from post3tw.service.owners import shown_owner
from post3tw.service.paging import JOINT, collect, name_bytes, name_encoder, page_limit, shown_names
from post3tw.service.store import Store
from post3tw.storage.index.transactions.listing import (
    VERSIONS,
    Names,
    Position,
    Row,
    latest_seq,
    position_of_version,
)


@frozen
class VersionListing:
    """The listing of versions."""

    store: Store

    @operation(
        "s3:ListBucketVersions",
        honours=("delimiter", "encoding_type", "key_marker", "max_keys", "prefix", "version_id_marker"),
    )
    async def list_object_versions(
        self, caller: Caller, input: types.ListObjectVersionsInput
    ) -> types.ListObjectVersionsOutput:
        """Versions and delete markers by key, those of one key from the newest.

        Goes on behind a key, or behind a version of it.

        Raises:
            InvalidArgument: max-keys, encoding-type or version-id-marker.
        """
        bucket = admitted_bucket(caller)
        encode, limit = name_encoder(input.encoding_type), page_limit(input.max_keys, "max-keys")
        names = Names(name_bytes(input.prefix), name_bytes(input.delimiter))
        position = await self._position(bucket, names, input)
        page = await collect(self.store, VERSIONS, bucket.id, names, position, limit)
        owner = owner_of_all(caller)
        versions, markers = _versions_and_markers(page.rows(), await self._newest_seen(bucket, position))
        output = types.ListObjectVersionsOutput(
            name=bucket.name,
            prefix=encode(input.prefix or ""),
            key_marker=encode(input.key_marker or ""),
            version_id_marker=input.version_id_marker or "",
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_keys=limit,
            encoding_type=input.encoding_type or None,
            is_truncated=page.truncated,
            versions=_versions(versions, encode, owner),
            delete_markers=_delete_markers(markers, encode, owner),
            common_prefixes=page.common_prefixes(encode),
        )
        if page.truncated:
            last = page.entries[-1]
            if isinstance(last, bytes):
                output.next_key_marker = encode(last.decode())
            else:
                output.next_key_marker, output.next_version_id_marker = encode(last[0].decode()), _version_id(last)
        return output

    async def _position(self, bucket: Bucket, names: Names, input: types.ListObjectVersionsInput) -> Position:
        """Where the markers say to go on."""
        if input.version_id_marker is None:
            return names.behind(name_bytes(input.key_marker)) if input.key_marker else Position(names.prefix)
        if not input.key_marker:
            raise _bad_marker("A version-id marker cannot be specified without a key marker.", input)
        if not input.version_id_marker:
            raise _bad_marker("A version-id marker cannot be empty.", input)
        key = name_bytes(input.key_marker)
        position = await self.store.index.read(
            partial(position_of_version, bucket_id=bucket.id, key=key, version_id=input.version_id_marker)
        )
        if position is None:
            raise _bad_marker("Invalid version id specified", input)
        return Position(names.prefix) if key < names.prefix else position

    async def _newest_seen(self, bucket: Bucket, position: Position) -> tuple[bytes, int] | None:
        """The key that a page goes on within, and the number of its newest version."""
        if position.beyond is None:
            return None
        seq = await self.store.index.read(partial(latest_seq, bucket_id=bucket.id, key=position.key))
        return None if seq is None else (position.key, seq)


def _bad_marker(message: str, input: types.ListObjectVersionsInput) -> InvalidArgument:
    return InvalidArgument(message, argument_name="version-id-marker", argument_value=input.version_id_marker)


def _version_id(row: Row) -> str:
    _, seq, object_id, is_null, *_ = row
    return NULL_VERSION if is_null else version_token(seq, object_id)


_Entry = tuple[str, bool, Row]
"""Version id, whether it is the latest, row."""


def _versions_and_markers(rows: list[Row], newest: tuple[bytes, int] | None) -> tuple[list[_Entry], list[_Entry]]:
    """The versions among rows, and the delete markers. The first row of a key is its latest version, unless the page
    begins within the key: then `newest` says which number the latest has."""
    versions: list[_Entry] = []
    markers: list[_Entry] = []
    for row in rows:
        key, seq, _, _, delete_marker, *_ = row
        if newest is None or newest[0] != key:
            newest = key, seq
        (markers if delete_marker else versions).append((_version_id(row), newest[1] == seq, row))
    return versions, markers


def _columns(
    entries: list[_Entry], encode: Callable[[str], str], owner: Owner | None
) -> tuple[dict[str, Sequence[Any]], list[tuple[Any, ...]]]:
    """The columns that versions and delete markers have in common, and those of the rows."""
    ids, latest, rows = zip(*entries, strict=True)
    raw = list(zip(*rows, strict=True))
    keys, _, _, _, _, created, _, _, owner_ids, owner_names, _, _ = raw
    columns: dict[str, Sequence[Any]] = {
        "key": shown_names(JOINT.join(keys), encode),
        "version_id": ids,
        "is_latest": latest,
        "last_modified": Dates(created),
        "owner": few([owner] * len(rows), shown_owner) if owner else owner_column(owner_ids, owner_names),
    }
    return columns, raw


def _versions(
    entries: list[_Entry], encode: Callable[[str], str], owner: Owner | None
) -> Sequence[types.ObjectVersion]:
    if not entries:
        return []
    columns, (*_, sizes, etags, _, _, storage_classes, checksums) = _columns(entries, encode, owner)
    columns.update(
        etag=[f'"{etag}"' for etag in etags],
        size=sizes,
        storage_class=few(storage_classes, str),
        **checksum_columns([text and text.rpartition(" ")[0] for text in checksums]),
    )
    return Table(types.ObjectVersion, columns)


def _delete_markers(
    entries: list[_Entry], encode: Callable[[str], str], owner: Owner | None
) -> Sequence[types.DeleteMarkerEntry]:
    return Table(types.DeleteMarkerEntry, _columns(entries, encode, owner)[0]) if entries else []
