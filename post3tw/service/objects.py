"""Objects: put, get, head, delete, and delete many."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve, frozen

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.checksum import Checksum
from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import AccessDenied, BucketChanged, DomainError, InvalidRequest, OperationAborted
from post3tw.model.identity import Caller, Owner
from post3tw.model.object_lock import NO_LOCK
from post3tw.model.version import Description, Part, Version, new_object
from post3tw.service.admitted import admitted_bucket, is_judged, may_also
from post3tw.service.conditions import READ_MEMBERS, millis, write_conditions
from post3tw.service.deletions import Target, check_document, deleted_entry, error_entry, target_of
from post3tw.service.demands import BYPASS, versioned
from post3tw.service.descriptions import DESCRIPTION_MEMBERS, description_of
from post3tw.service.ingest import Stored, ingest
from post3tw.service.interfaces import IRequestBody
from post3tw.service.keys import check_version_id, key_bytes, written_version_id
from post3tw.service.object_checksums import (
    CHECKSUM_MEMBERS,
    announced,
    checksum_members,
    parse_content_md5,
    verify_body,
)
from post3tw.service.object_ownership import ACL_MEMBERS, Ownership, ownership_of
from post3tw.service.operation import operation
from post3tw.service.owners import owner_for
from post3tw.service.representations import OVERRIDES, ReadInput, Selection, body_of, fields_of, first_parts, select
from post3tw.service.retention import shown_lock
from post3tw.service.store import Store
from post3tw.service.upload_checksums import full_checksum
from post3tw.storage.index.transactions.objects import Deletion, delete_version, put_version
from post3tw.storage.index.transactions.parts import part_numbered
from post3tw.storage.index.transactions.versions import find_version, require_object
from post3tw.storage.interfaces import ITransaction, Lock

MAX_PUT = 5 * 1024**3
"""Bytes that one PUT, and the source of one copy, may have."""

DELETED_AT_ONCE = 250
"""Entries of DeleteObjects in one transaction, so that other writers do not wait long."""

LOOKS = 5
"""How often a version that is made of parts is looked for, when it is deleted before its parts were read."""

_READ = (
    "version_id",
    "range",
    "part_number",
    "checksum_mode",
    *READ_MEMBERS,
    *(member for member, _ in OVERRIDES),
)
_PUT = (
    "content_length",
    "content_md5",
    "if_match",
    "if_none_match",
    *DESCRIPTION_MEMBERS,
    *ACL_MEMBERS,
    *CHECKSUM_MEMBERS,
)
_DELETE = ("version_id", "if_match", "if_match_size", "if_match_last_modified_time", "bypass_governance_retention")

_LOCKED_UNCHECKED = (
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
)


@frozen
class Objects:
    """Reading, writing and deleting objects."""

    store: Store

    @operation("s3:PutObject", honours=_PUT)
    async def put_object(
        self, caller: Caller, input: types.PutObjectInput, body: IRequestBody
    ) -> types.PutObjectOutput:
        """Store a body under a key. Nobody sees any of it before all of it is durable.

        Raises:
            PreconditionFailed, NoSuchKey (If-Match), BadDigest, InvalidDigest, EntityTooLarge, MetadataTooLarge, …
            InvalidRequest: a lock for an object without a digest of it, or in a bucket without object lock.
        """
        store, bucket, key = self.store, admitted_bucket(caller), key_bytes(input.key)
        conditions, description = write_conditions(input), description_of(input, store.ids.now())
        announcement, content_md5 = announced(input, body.trailer_names), parse_content_md5(input.content_md5)
        if description.retention is not NO_LOCK and content_md5 is None and not announcement.binding:
            raise InvalidRequest(_LOCKED_UNCHECKED)
        ownership = ownership_of(store.people, caller, input)
        if conditions.any:
            await self._check_early(bucket, key, conditions)
        verify = partial(verify_body, announcement, content_md5, body)
        stored = await ingest(store, body, (announcement.algorithm,), max_size=MAX_PUT, verify=verify)
        checksum = full_checksum(announcement.algorithm, stored.digests[announcement.algorithm])
        now = store.ids.now()
        version = await store.change(
            caller,
            partial(
                put_version,
                bucket_id=bucket.id,
                key=key,
                version=_new_object(store.ids.object_id(), now, stored, ownership, description, checksum),
                data=stored.data,
                conditions=conditions,
                now=now,
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.PutObjectOutput(
            etag=f'"{version.etag}"', version_id=written_version_id(version), **checksum_members(checksum)
        )

    async def _check_early(self, bucket: Bucket, key: bytes, conditions: WriteConditions) -> None:
        """Refuse a body that will not be wanted before it is sent. What counts is the check in the transaction."""
        latest = await self.store.index.read(partial(find_version, bucket_id=bucket.id, key=key))
        conditions.check(None if latest is None or latest.delete_marker else latest, key.decode())

    @operation("s3:GetObject", honours=_READ)
    async def get_object(self, caller: Caller, input: types.GetObjectInput) -> types.GetObjectOutput:
        """An object, or a range or a part of it.

        Raises:
            NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker), NotModified, PreconditionFailed, InvalidRange,
            InvalidPart, CorruptedData, …
        """
        bucket = admitted_bucket(caller)
        selection = await self._select(caller, bucket, input, with_body=True)
        fields = await _shown(selection, bucket, caller, input)
        return types.GetObjectOutput(body=await body_of(self.store, selection), **fields)

    @operation("s3:GetObject", honours=_READ)
    async def head_object(self, caller: Caller, input: types.HeadObjectInput) -> types.HeadObjectOutput:
        """What GetObject would answer, without the bytes."""
        bucket = admitted_bucket(caller)
        selection = await self._select(caller, bucket, input, with_body=False)
        fields = await _shown(selection, bucket, caller, input)
        return types.HeadObjectOutput(**fields)

    async def _select(self, caller: Caller, bucket: Bucket, input: ReadInput, *, with_body: bool) -> Selection:
        key, version_id, number = key_bytes(input.key), check_version_id(input.version_id), input.part_number

        async def find(tx: ITransaction) -> tuple[Version, Part | None]:
            version = await require_object(tx, bucket.id, key, version_id, with_body=with_body)
            if number is None or version.part_count is None:
                return version, None
            return version, await part_numbered(tx, version.id, number)

        for _ in range(LOOKS):
            version, part = await self.store.look(caller, find)
            selection = select(version, part, input)
            if version.part_count is None or not with_body or not selection.length:
                return selection
            if parts := await first_parts(self.store, selection):
                return evolve(selection, parts=parts)
        raise OperationAborted

    @operation("s3:DeleteObject", honours=_DELETE)
    async def delete_object(self, caller: Caller, input: types.DeleteObjectInput) -> types.DeleteObjectOutput:
        """Delete a key, or one version of it. What is not there is deleted already.

        Raises:
            PreconditionFailed, NoSuchKey (If-Match), AccessDenied (object lock).
        """
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        ids = self.store.ids
        deletion: Deletion = await self.store.change(
            caller,
            partial(
                delete_version,
                bucket_id=bucket.id,
                key=key,
                version_id=check_version_id(input.version_id),
                conditions=WriteConditions(
                    if_match=input.if_match,
                    if_match_size=input.if_match_size,
                    if_match_modified=millis(input.if_match_last_modified_time),
                ),
                new_id=ids.object_id(),
                owner=owner_for(caller, bucket),
                now=ids.now(),
                bypass_governance=bool(input.bypass_governance_retention),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return types.DeleteObjectOutput(delete_marker=deletion.delete_marker or None, version_id=deletion.version_id)

    @operation("s3:DeleteObject", honours=("delete", "bypass_governance_retention", "checksum_algorithm"))
    async def delete_objects(self, caller: Caller, input: types.DeleteObjectsInput) -> types.DeleteObjectsOutput:
        """Delete up to 1000 keys or versions; each succeeds or fails for itself.

        Raises:
            MalformedXML: no entries, or too many.
        """
        entries = check_document(input.delete)
        quiet = input.delete is not None and bool(input.delete.quiet)
        deleted: list[types.DeletedObject] = []
        errors: list[types.Error] = []
        for start in range(0, len(entries), DELETED_AT_ONCE):
            group = entries[start : start + DELETED_AT_ONCE]
            results = await self._delete_group(caller, group, bool(input.bypass_governance_retention))
            for entry, result in zip(group, results, strict=True):
                if isinstance(result, DomainError):
                    errors.append(error_entry(entry, result))
                elif not quiet:
                    deleted.append(deleted_entry(entry, result))
        return types.DeleteObjectsOutput(deleted=deleted, errors=errors)

    async def _delete_group(
        self, caller: Caller, entries: list[types.ObjectIdentifier], bypass_governance: bool
    ) -> list[Deletion | DomainError]:
        """Delete in one transaction. An entry fails before anything of it is written, so the others can go on."""
        bucket, ids = admitted_bucket(caller), self.store.ids
        owner, now = owner_for(caller, bucket), ids.now()
        asked = [_target_or_error(entry, ids.object_id()) for entry in entries]
        targets: list[Target | DomainError] = []

        async def decide() -> None:
            targets.clear()
            for target in asked:
                if is_judged(caller):
                    await self.store.pause()  # the largest policies take some 20 ms for one key
                targets.append(await _if_allowed(caller, target, bypass_governance))

        keys = {target.key for target in asked if isinstance(target, Target)}
        locks = [Lock(bucket.id), *(Lock(bucket.id, key) for key in keys)]
        delete_all = partial(_delete_each, bucket_id=bucket.id, targets=targets, owner=owner, now=now)
        return await self.store.change(caller, delete_all, locks, before=decide)


async def _shown(selection: Selection, bucket: Bucket, caller: Caller, input: ReadInput) -> dict[str, Any]:
    """The members that the outputs of GetObject and HeadObject share, as far as the caller may know them: how many tags
    there are is for those who may read them, as on AWS."""
    fields, description = fields_of(selection, bucket, caller, input), selection.version.description
    if description.tags and not await may_also(caller, "s3:GetObjectTagging", input.key or "", input.version_id):
        del fields["tag_count"]
    if description.retention is not NO_LOCK:
        fields.update(await shown_lock(caller, input, description.retention))
    return fields


def _new_object(
    id: bytes, now: int, stored: Stored, ownership: Ownership, description: Description, checksum: Checksum
) -> Version:
    """The version that a body was put for."""
    return new_object(
        id=id,
        created=now,
        size=stored.size,
        etag=stored.md5.hex(),
        owner=ownership.owner,
        description=ownership.on(description),
        checksum=checksum,
        placement=stored.placement,
    )


async def _delete_each(
    tx: ITransaction, bucket_id: int, targets: list[Target | DomainError], owner: Owner, now: int
) -> list[Deletion | DomainError]:
    results: list[Deletion | DomainError] = []
    for target in targets:
        if isinstance(target, DomainError):
            results.append(target)
            continue
        try:
            deletion = await delete_version(
                tx,
                bucket_id,
                target.key,
                target.version_id,
                target.conditions,
                new_id=target.new_id,
                owner=owner,
                now=now,
                bypass_governance=target.bypass_governance,
            )
        except BucketChanged:
            raise  # which is no answer, but why all of it is decided again
        except DomainError as error:
            results.append(error)
        else:
            results.append(deletion)
    return results


def _target_or_error(entry: types.ObjectIdentifier, new_id: bytes) -> Target | DomainError:
    try:
        return target_of(entry, new_id)
    except DomainError as error:
        return error


async def _if_allowed(caller: Caller, target: Target | DomainError, bypass: bool) -> Target | DomainError:
    """What is left of a target once it is decided whether the caller may delete it, and may bypass its retention."""
    if isinstance(target, DomainError):
        return target
    key, version_id = target.key.decode(), target.version_id
    if not await may_also(caller, versioned("s3:DeleteObject", version_id), key, version_id):
        return AccessDenied()
    if target.conditions.any and not await may_also(caller, versioned("s3:GetObject", version_id), key, version_id):
        return AccessDenied()  # as for If-Match of DeleteObject
    if bypass and await may_also(caller, BYPASS, key, version_id):
        return evolve(target, bypass_governance=True)
    return target
