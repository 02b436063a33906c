"""Buckets: create, find, list, delete, and where they are."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from post3tw.api import types
from post3tw.api.enums import BUCKET_LOCATION_CONSTRAINT
from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    IllegalLocationConstraint,
    InvalidArgument,
    InvalidLocationConstraint,
    NotImplementedHere,
)
from post3tw.model.identity import Caller
from post3tw.service.acls import ACL_KIND
from post3tw.service.admitted import admitted_bucket, admitted_identity
from post3tw.service.bucket_names import check_bucket_name, split_tenant
from post3tw.service.grants import GRANT_MEMBERS, acl_of_headers, acl_to_text
from post3tw.service.operation import operation
from post3tw.service.owners import owner_of_bucket
from post3tw.service.ownership_controls import OWNERSHIP_KIND, refuse_grants_to_others, requested_ownership
from post3tw.service.paging import name_of_token, token_of_name
from post3tw.service.policy.access import ObjectOwnership
from post3tw.service.store import Store
from post3tw.storage.index.transactions import buckets as rows
from post3tw.storage.index.transactions.documents import get_document
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.wire.dates import from_millis

MAX_BUCKETS = 10_000
"""Most buckets that one answer of ListBuckets names, as on AWS."""

OLD_REGION = "us-east-1"
"""The region in which creating one's own bucket again succeeds, and whose location constraint is empty."""


@frozen
class Buckets:
    """The bucket operations of the local store."""

    store: Store

    @operation(
        "s3:CreateBucket",
        honours=(
            "create_bucket_configuration",
            "object_lock_enabled_for_bucket",
            "object_ownership",
            "acl",
            *GRANT_MEMBERS,
        ),
    )
    async def create_bucket(self, caller: Caller, input: types.CreateBucketInput) -> types.CreateBucketOutput:
        """Create a bucket of the caller's.

        Raises:
            InvalidBucketName, InvalidLocationConstraint, IllegalLocationConstraint.
            BucketAlreadyExists: somebody else's; or the caller's, with another list: AWS would replace the list.
            AclsWithEnforcedOwner: a list with grants to others, where the bucket's owner is to own everything.
            What acl_of_headers raises.
            BucketAlreadyOwnedByYou: the caller's; in us-east-1 that is a success, unless object lock is asked for.
        """
        identity = admitted_identity(caller)
        tenant, name = split_tenant(caller, input.bucket or "")
        check_bucket_name(name)
        _check_location(input.create_bucket_configuration, self.store.region)
        ids, lock = self.store.ids, bool(input.object_lock_enabled_for_bucket)
        bucket = Bucket(
            id=ids.bucket_id(),
            tenant=tenant,
            name=name,
            owner_id=identity.user_id,
            owner_name=identity.display_name,
            created=ids.now(),
            region=self.store.region,
            versioning=Versioning.ENABLED if lock else Versioning.NEVER,
            object_lock=lock,
        )
        begun_with = self._documents(input, bucket)
        self.store.admit_write()
        try:
            await self.store.index.run(lambda tx: rows.create_bucket(tx, bucket, begun_with))
        except BucketAlreadyOwnedByYou:
            if self.store.region != OLD_REGION or lock:  # the one that is there may have no lock
                raise
            if await self._list_of(tenant, name) != begun_with.get(ACL_KIND):
                raise BucketAlreadyExists(bucket_name=name) from None
        return types.CreateBucketOutput(location=f"/{name}")

    def _documents(self, input: types.CreateBucketInput, bucket: Bucket) -> Mapping[str, bytes]:
        """The documents that a new bucket begins with: the server's defaults, and what the headers ask for."""
        found = dict(self.store.new_bucket_documents)
        if input.object_ownership is not None:
            found[OWNERSHIP_KIND] = requested_ownership(input.object_ownership).value.encode()
        acl = acl_of_headers(self.store.people, input, owner_of_bucket(bucket))
        if found.get(OWNERSHIP_KIND) == ObjectOwnership.BUCKET_OWNER_ENFORCED.value.encode():
            refuse_grants_to_others(acl)
        text = None if acl is None else acl_to_text(acl)
        if text is not None:
            found[ACL_KIND] = text.encode()
        return found

    async def _list_of(self, tenant: str, name: str) -> bytes | None:
        """The list of an existing bucket, None when it is private."""

        async def find(tx: ITransaction) -> bytes | None:
            bucket = await rows.find_bucket(tx, tenant, name)
            return None if bucket is None else await get_document(tx, bucket.id, ACL_KIND)

        return await self.store.index.read(find)

    @operation("s3:ListBucket")
    async def head_bucket(self, caller: Caller, input: types.HeadBucketInput) -> types.HeadBucketOutput:
        """Whether a bucket is there, and in which region."""
        return types.HeadBucketOutput(bucket_region=admitted_bucket(caller).region, access_point_alias=False)

    @operation("s3:GetBucketLocation")
    async def get_bucket_location(
        self, caller: Caller, input: types.GetBucketLocationInput
    ) -> types.GetBucketLocationOutput:
        """The location constraint, which is empty for us-east-1."""
        region = admitted_bucket(caller).region
        return types.GetBucketLocationOutput(location_constraint=None if region == OLD_REGION else region)

    @operation("s3:DeleteBucket")
    async def delete_bucket(self, caller: Caller, input: types.DeleteBucketInput) -> types.DeleteBucketOutput:
        """Delete an empty bucket; its uploads in progress go with it.

        Raises:
            BucketNotEmpty: objects, versions or delete markers are left.
        """
        bucket, now = admitted_bucket(caller), self.store.ids.now()
        await self.store.change(
            caller, lambda tx: rows.delete_bucket(tx, bucket.id, now), [Lock(bucket.id, exclusive=True)]
        )
        return types.DeleteBucketOutput()

    @operation("s3:ListAllMyBuckets", honours=("max_buckets", "continuation_token", "prefix", "bucket_region"))
    async def list_buckets(self, caller: Caller, input: types.ListBucketsInput) -> types.ListBucketsOutput:
        """The caller's buckets by name, in pages when max-buckets is given."""
        identity = admitted_identity(caller)
        limit = MAX_BUCKETS if input.max_buckets is None else input.max_buckets
        if not 1 <= limit <= MAX_BUCKETS:
            raise InvalidArgument(
                f"Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}.",
                argument_name="max-buckets",
                argument_value=limit,
            )
        prefix = input.prefix or ""
        after = name_of_token(input.continuation_token) if input.continuation_token else b""
        found = await self.store.index.read(
            lambda tx: rows.list_buckets(
                tx,
                identity.tenant,
                identity.user_id,
                prefix,
                after.decode("ascii", "replace"),
                limit + 1,
                input.bucket_region,
            )
        )
        more = len(found) > limit
        page = found[:limit]
        return types.ListBucketsOutput(
            buckets=[
                types.Bucket(name=b.name, creation_date=from_millis(b.created), bucket_region=_region(input, b))
                for b in page
            ],
            owner=types.Owner(id=identity.user_id, display_name=identity.display_name),
            continuation_token=token_of_name(page[-1].name.encode()) if more else None,
            prefix=input.prefix,
        )


def _region(input: types.ListBucketsInput, bucket: Bucket) -> str | None:
    """AWS names regions only in answers to paged requests, which old clients do not make."""
    paged = input.max_buckets is not None or input.continuation_token is not None or input.bucket_region is not None
    return bucket.region if paged else None


def _check_location(configuration: types.CreateBucketConfiguration | None, region: str) -> None:
    """A bucket is made here or not at all; a constraint must name this region, or be absent in us-east-1."""
    if configuration is None:
        return
    if configuration.location is not None or configuration.bucket is not None or configuration.tags is not None:
        raise NotImplementedHere(
            "CreateBucket does not support Location, Bucket and Tags yet.", operation="CreateBucket"
        )
    constraint = configuration.location_constraint
    if not constraint or constraint == region:
        return
    if constraint not in BUCKET_LOCATION_CONSTRAINT:
        raise InvalidLocationConstraint(location_constraint=constraint)
    raise IllegalLocationConstraint(
        f"The {constraint} location constraint is incompatible for the region specific endpoint this request was sent "
        "to.",
        location_constraint=constraint,
    )
