"""Copies without moving bytes, and renames.

A copy is another version over the same bytes: the index takes one more reference, whatever the size. It therefore keeps
the structure of its source: an object that was uploaded in parts stays one of parts, with its ETag and its checksum
(docs/decisions/0003-copies-share-bytes.md). Bytes are read only when the request wants a checksum by another algorithm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from attrs import frozen

from post3tw.api import types
from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.conditions import ReadConditions, WriteConditions
from post3tw.model.errors import InvalidArgument, InvalidRequest, MethodNotAllowed, OperationAborted
from post3tw.model.identity import Caller
from post3tw.model.values import value_class
from post3tw.model.version import Description, Version, new_object
from post3tw.service.admitted import admitted_bucket, admitted_source
from post3tw.service.conditions import millis, write_conditions
from post3tw.service.descriptions import DESCRIPTION_MEMBERS, headers_of, metadata_of, storage_class_of
from post3tw.service.keys import check_version_id, key_bytes, read_version_id, written_version_id
from post3tw.service.object_checksums import checksum_members, parse_algorithm
from post3tw.service.object_ownership import ACL_MEMBERS, ownership_of
from post3tw.service.objects import MAX_PUT
from post3tw.service.operation import operation
from post3tw.service.rehashing import digest_of
from post3tw.service.representations import Selection, body_of
from post3tw.service.retention import retention_of
from post3tw.service.store import Store
from post3tw.service.tags import tags_of_header
from post3tw.storage.index.transactions.objects import copy_version, rename
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import Lock
from post3tw.wire.checksums import encode
from post3tw.wire.copy_source import parse_copy_source
from post3tw.wire.dates import from_millis
from post3tw.wire.uri import decode_path

T = TypeVar("T")

SOURCE_CONDITIONS = (
    "copy_source_if_match",
    "copy_source_if_none_match",
    "copy_source_if_modified_since",
    "copy_source_if_unmodified_since",
)
"""Members that are conditions on the source of a copy, for `honours`."""

RETRIES = 2
"""How often a copy is begun again because its source was overwritten."""

_COPY = (
    "copy_source",
    *SOURCE_CONDITIONS,
    "if_match",
    "if_none_match",
    "metadata_directive",
    "tagging_directive",
    "checksum_algorithm",
    *DESCRIPTION_MEMBERS,
    *ACL_MEMBERS,
)
_RENAME = (
    "rename_source",
    "destination_if_match",
    "destination_if_none_match",
    "source_if_match",
    "source_if_none_match",
    "source_if_modified_since",
    "source_if_unmodified_since",
    "client_token",
)


class Copies(Protocol):
    """Inputs that name a source: CopyObject, UploadPartCopy."""

    copy_source: str | None
    copy_source_if_match: str | None
    copy_source_if_none_match: str | None
    copy_source_if_modified_since: datetime | None
    copy_source_if_unmodified_since: datetime | None


@value_class
class Source:
    """What is copied from. `named_version` says that the request named the version."""

    bucket: Bucket
    key: bytes
    version: Version
    named_version: bool

    @property
    def shown_version_id(self) -> str | None:
        """What answers as x-amz-copy-source-version-id."""
        return read_version_id(self.bucket, self.version)


async def resolve_source(store: Store, caller: Caller, input: Copies, *, with_body: bool = False) -> Source:
    """The version that x-amz-copy-source names, once the conditions on it hold; with its inline body on demand.

    Raises:
        NoSuchKey, NoSuchVersion, PreconditionFailed.
        InvalidRequest: it is a delete marker, named by its version id.
        InvalidArgument: x-amz-copy-source cannot be read.
    """
    bucket = admitted_source(caller)
    named = parse_copy_source(input.copy_source or "")
    key, version_id = key_bytes(named.key), check_version_id(named.version_id)
    try:
        version: Version = await store.look(
            caller, partial(require_object, bucket_id=bucket.id, key=key, version_id=version_id, with_body=with_body)
        )
    except MethodNotAllowed:
        raise InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by version id."
        ) from None
    conditions = ReadConditions(
        input.copy_source_if_match,
        input.copy_source_if_none_match,
        millis(input.copy_source_if_modified_since),
        millis(input.copy_source_if_unmodified_since),
    )
    conditions.check(version, copy=True)
    return Source(bucket, key, version, version_id is not None)


async def until_source_stays(copy: Callable[[], Awaitable[T]]) -> T:
    """Copy, and begin again when the source was overwritten between being read and being copied.

    Raises:
        OperationAborted: it was, each time.
    """
    for _ in range(RETRIES):
        with suppress(OperationAborted):
            return await copy()
    return await copy()


@frozen
class Copying:
    """Copying and renaming objects."""

    store: Store

    @operation("s3:PutObject", honours=_COPY, accepts={"annotation_directive": ("COPY", "EXCLUDE")})
    async def copy_object(self, caller: Caller, input: types.CopyObjectInput) -> types.CopyObjectOutput:
        """Make an object of another one, or of the same one with other metadata. It is one transaction.

        Raises:
            NoSuchKey, NoSuchVersion, PreconditionFailed, InvalidRequest (onto itself without a change, over 5 GiB), …
            OperationAborted: the source kept changing.
        """
        return await until_source_stays(lambda: self._copy(caller, input))

    async def _copy(self, caller: Caller, input: types.CopyObjectInput) -> types.CopyObjectOutput:
        store, bucket = self.store, admitted_bucket(caller)
        key, conditions = key_bytes(input.key), write_conditions(input)
        source = await resolve_source(store, caller, input)
        original = source.version
        _refuse_oversize(original)
        _refuse_no_change(input, source, bucket, key)
        description = _description(input, original, store.ids.now())
        ownership = ownership_of(store.people, caller, input)
        store.admit_write()
        checksum, now = await self._checksum(original, input.checksum_algorithm), store.ids.now()
        version: Version = await store.change(
            caller,
            partial(
                copy_version,
                source_bucket_id=source.bucket.id,
                source_key=source.key,
                source=original,
                bucket_id=bucket.id,
                key=key,
                version=new_object(
                    id=store.ids.object_id(),
                    created=now,
                    size=original.size,
                    etag=original.etag,
                    owner=ownership.owner,
                    description=ownership.on(description),
                    checksum=checksum,
                    part_count=original.part_count,
                ),
                conditions=conditions,
                now=now,
            ),
            (Lock(bucket.id), Lock(source.bucket.id), Lock(bucket.id, key), Lock(source.bucket.id, source.key)),
        )
        result = types.CopyObjectResult(
            etag=f'"{version.etag}"', last_modified=from_millis(version.created), **checksum_members(checksum)
        )
        return types.CopyObjectOutput(
            copy_object_result=result,
            copy_source_version_id=source.shown_version_id,
            version_id=written_version_id(version),
        )

    async def _checksum(self, original: Version, wanted: str | None) -> Checksum | None:
        """The checksum of the copy: the source's, unless another algorithm is asked for."""
        kept = original.checksum
        if not wanted:
            return kept
        algorithm: ChecksumAlgorithm = parse_algorithm(wanted)
        if kept is not None and kept.algorithm is algorithm:
            return kept
        body = await body_of(self.store, Selection(original, 0, original.size))
        return Checksum(algorithm, encode(await digest_of(self.store, body, algorithm)))

    @operation("s3:PutObject", honours=_RENAME)
    async def rename_object(self, caller: Caller, input: types.RenameObjectInput) -> types.RenameObjectOutput:
        """Give an object another key, in one transaction; it stays the same object, dates included.

        AWS has this for directory buckets only; here it is for buckets that never had versioning. The source is a key,
        percent-encoded, with or without a slash before it. `client_token` is taken but not remembered: repeating a
        rename that was done finds no source.

        Raises:
            NotImplementedHere, NoSuchKey, PreconditionFailed.
        """
        bucket, ids = admitted_bucket(caller), self.store.ids
        named = (input.rename_source or "").removeprefix("/")
        source = key_bytes(decode_path(named.encode("utf-8", "surrogateescape")))
        target = key_bytes(input.key)
        await self.store.change(
            caller,
            partial(
                rename,
                bucket_id=bucket.id,
                source=source,
                target=target,
                source_conditions=ReadConditions(
                    input.source_if_match,
                    input.source_if_none_match,
                    millis(input.source_if_modified_since),
                    millis(input.source_if_unmodified_since),
                ),
                target_conditions=WriteConditions(input.destination_if_match, input.destination_if_none_match),
                change_ids=(ids.object_id(), ids.object_id()),
                now=ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, source), Lock(bucket.id, target)),
        )
        return types.RenameObjectOutput()


def _refuse_oversize(original: Version) -> None:
    if original.size > MAX_PUT:
        raise InvalidRequest(
            f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_PUT}"
        )


def _refuse_no_change(input: types.CopyObjectInput, source: Source, bucket: Bucket, key: bytes) -> None:
    """A copy onto itself has to change something. Naming an older version is how one is restored, and is a change."""
    if source.bucket.id != bucket.id or source.key != key:
        return
    if source.named_version and bucket.versioning is not Versioning.NEVER:
        return
    if input.metadata_directive != "REPLACE" and not input.storage_class and not input.checksum_algorithm:
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


def _description(input: types.CopyObjectInput, original: Version, now: int) -> Description:
    """What the copy says of itself. A lock is never copied, nor is the storage class, which is STANDARD unless the
    request names one."""
    copied = original.description
    replaces = _replaces(input.metadata_directive, "metadata")
    replaces_tags = _replaces(input.tagging_directive, "tagging")
    return Description(
        headers=headers_of(input) if replaces else copied.headers,
        metadata=metadata_of(input.metadata) if replaces else copied.metadata,
        tags=tags_of_header(input.tagging or "") if replaces_tags else copied.tags,
        storage_class=storage_class_of(input.storage_class),
        retention=retention_of(input, now),
    )


def _replaces(directive: str | None, what: str) -> bool:
    if directive not in (None, "COPY", "REPLACE"):
        raise InvalidArgument(
            f"Unknown {what} directive.", argument_name=f"x-amz-{what}-directive", argument_value=directive
        )
    return directive == "REPLACE"
