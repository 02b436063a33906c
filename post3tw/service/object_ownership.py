"""Who owns an object that is written, and what its list says: the headers of the request under the bucket's ownership
controls and its Public Access Block.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from __future__ import annotations

from typing import Protocol

from attrs import evolve

from post3tw.model.acl import Acl
from post3tw.model.errors import AccessDenied, AclsNotSupported
from post3tw.model.identity import Caller, Owner
from post3tw.model.values import value_class
from post3tw.model.version import Description
from post3tw.service.admitted import admitted_access, admitted_bucket
from post3tw.service.grants import BUCKET_OWNER_FULL_CONTROL, acl_of_headers, acl_to_text
from post3tw.service.owners import owner_for, owner_of_bucket
from post3tw.service.people import People
from post3tw.service.policy.access import BucketAccess, ObjectOwnership

ACL_MEMBERS = ("acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control")
"""Members of inputs that write an object with a list, for `honours`."""


class WritesObject(Protocol):
    """Inputs that write an object: PutObject, CopyObject, CreateMultipartUpload."""

    acl: str | None
    grant_read: str | None
    grant_read_acp: str | None
    grant_write_acp: str | None
    grant_full_control: str | None


@value_class
class Ownership:
    """Who owns what is written. `acl` is as the index keeps it, None for private."""

    owner: Owner
    acl: str | None = None

    def on(self, description: Description) -> Description:
        """The description with the list."""
        return description if self.acl is None else evolve(description, acl=self.acl)


def ownership_of(people: People, caller: Caller, input: WritesObject) -> Ownership:
    """Who owns what the admitted caller writes with this input, and its list.

    Raises:
        AclsNotSupported: a list other than bucket-owner-full-control, where the bucket's owner owns everything.
        AccessDenied: a public list, where BlockPublicAcls is set.
        What acl_of_headers raises.
    """
    bucket, access = admitted_bucket(caller), admitted_access(caller)
    bucket_owner, writer = owner_of_bucket(bucket), owner_for(caller, bucket)
    if access.acls_disabled:
        acl = acl_of_headers(people, input, bucket_owner, bucket_owner)
        if input.acl not in (None, BUCKET_OWNER_FULL_CONTROL) or (acl is not None and acl_to_text(acl) is not None):
            raise AclsNotSupported()
        return Ownership(bucket_owner)
    acl = acl_of_headers(people, input, writer, bucket_owner)
    if acl is None:
        return Ownership(writer)
    if access.ownership is ObjectOwnership.BUCKET_OWNER_PREFERRED and input.acl == BUCKET_OWNER_FULL_CONTROL:
        return Ownership(bucket_owner)
    refuse_public(acl, access)
    return Ownership(writer, acl_to_text(acl))


def refuse_public(acl: Acl, access: BucketAccess) -> None:
    """Refuse a public list where BlockPublicAcls is set, as AWS does: AccessDenied."""
    if access.public_access.block_public_acls and acl.public:
        raise AccessDenied()
