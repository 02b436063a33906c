"""Ownership controls of a bucket: who owns what others write into it, and whether access control lists count.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.model.acl import Acl
from post3tw.model.errors import AclsWithEnforcedOwner, MalformedXML, NoOwnershipControls
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_access, admitted_bucket
from post3tw.service.bucket_documents import delete_document, put_document, read_document
from post3tw.service.operation import operation
from post3tw.service.policy.access import ObjectOwnership
from post3tw.service.store import Store

OWNERSHIP_KIND = "ownership"
"""The kind of document that holds the setting; a bucket without one behaves as ObjectWriter."""


def requested_ownership(value: str | None) -> ObjectOwnership:
    """The setting that a client names.

    Raises:
        MalformedXML: there is no such setting.
    """
    try:
        return ObjectOwnership(value)
    except ValueError:
        raise MalformedXML() from None


def refuse_grants_to_others(acl: Acl | None) -> None:
    """Refuse to enforce the owner on a bucket whose list grants something to others.

    Raises:
        AclsWithEnforcedOwner: it does.
    """
    if acl is not None and any(grant.grantee.user_id != acl.owner.id for grant in acl.grants):
        raise AclsWithEnforcedOwner()


@frozen
class OwnershipControls:
    """Reading and changing the ownership controls of a bucket."""

    store: Store

    @operation("s3:GetBucketOwnershipControls")
    async def get_bucket_ownership_controls(
        self, caller: Caller, input: types.GetBucketOwnershipControlsInput
    ) -> types.GetBucketOwnershipControlsOutput:
        """The setting; NoOwnershipControls when it was never made."""
        body = await read_document(self.store, caller, OWNERSHIP_KIND)
        if body is None:
            raise NoOwnershipControls(bucket_name=admitted_bucket(caller).name)
        rule = types.OwnershipControlsRule(object_ownership=body.decode())
        return types.GetBucketOwnershipControlsOutput(ownership_controls=types.OwnershipControls(rules=[rule]))

    @operation("s3:PutBucketOwnershipControls", honours=("ownership_controls", "content_md5", "checksum_algorithm"))
    async def put_bucket_ownership_controls(
        self, caller: Caller, input: types.PutBucketOwnershipControlsInput
    ) -> types.PutBucketOwnershipControlsOutput:
        """Make the setting; it counts for what is written from now on, BucketOwnerEnforced for what is there as well.

        Raises:
            MalformedXML: not exactly one rule, or no such setting.
            AclsWithEnforcedOwner: the owner is to be enforced, and the bucket's list grants something to others.
        """
        rules = input.ownership_controls.rules if input.ownership_controls is not None else None
        if rules is None or len(rules) != 1:
            raise MalformedXML()
        wanted = requested_ownership(rules[0].object_ownership)
        if wanted is ObjectOwnership.BUCKET_OWNER_ENFORCED:
            refuse_grants_to_others(admitted_access(caller).acl)
        await put_document(self.store, caller, OWNERSHIP_KIND, wanted.value.encode())
        return types.PutBucketOwnershipControlsOutput()

    @operation("s3:PutBucketOwnershipControls")
    async def delete_bucket_ownership_controls(
        self, caller: Caller, input: types.DeleteBucketOwnershipControlsInput
    ) -> types.DeleteBucketOwnershipControlsOutput:
        """Remove the setting, also when there is none."""
        await delete_document(self.store, caller, OWNERSHIP_KIND)
        return types.DeleteBucketOwnershipControlsOutput()
