"""What a decision is made from, on the side of the bucket and the object: everything their owners have said.

`BucketAccess` is parsed once for each generation of a bucket and kept; `ObjectAccess` is read when, and only when, the
decision turns out to depend on it (see `decision.decide`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import field, frozen

from post3tw.model.acl import Acl
from post3tw.model.values import value_class
from post3tw.service.policy.statement import Policy


class ObjectOwnership(Enum):
    """Who owns what others put into a bucket, and whether ACLs count at all.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    """

    OBJECT_WRITER = "ObjectWriter"
    BUCKET_OWNER_PREFERRED = "BucketOwnerPreferred"
    BUCKET_OWNER_ENFORCED = "BucketOwnerEnforced"


@frozen
class PublicAccessBlock:
    """The four switches of Public Access Block.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


@frozen
class BucketAccess:
    """A bucket's owner and what is configured about who may use it.

    Attributes:
        owner_id: the canonical user id of the owner.
        tenant: the namespace that the bucket is in, the account of its ARNs.
        policy: the bucket policy, None without one.
        acl: the bucket's list; None is the one every bucket is made with: private.
        public_access: its Public Access Block.
        ownership: its ownership controls; without a configuration OBJECT_WRITER.
        uniform: whether every object is known to belong to the bucket's owner and to have no list of its own, so that
            no object need be read to know who owns it.
        unreadable: the kinds of configuration that are there and cannot be understood, such as "policy". While there
            are any, everything is denied but repairing them (see `decision.REPAIRS`).
    """

    owner_id: str
    tenant: str = ""
    policy: Policy | None = None
    acl: Acl | None = None
    public_access: PublicAccessBlock = PublicAccessBlock()
    ownership: ObjectOwnership = ObjectOwnership.OBJECT_WRITER
    uniform: bool = False
    unreadable: frozenset[str] = frozenset()

    @property
    def denies(self) -> bool:
        """Whether something may keep out those who may do everything else: a statement, or what cannot be read."""
        return bool(self.unreadable) or (self.policy is not None and self.policy.denies)

    @property
    def acls_disabled(self) -> bool:
        """Whether ownership is enforced: lists are kept and count for nothing."""
        return self.ownership is ObjectOwnership.BUCKET_OWNER_ENFORCED


@value_class
class ObjectAccess:
    """A version of an object, or a multipart upload, as far as decisions depend on it.

    Attributes:
        owner_id: the canonical user id of whoever wrote the object or began the upload.
        acl: its list; None is the one every object is written with: private.
        tags: its tags, what s3:ExistingObjectTag conditions look at.
    """

    owner_id: str
    acl: Acl | None = None
    tags: Mapping[str, str] = field(factory=dict)


class Missing(Enum):
    """Why there is no ObjectAccess to decide with."""

    UNREAD = "not read yet"
    ABSENT = "there is no such object"


UNREAD: Final = Missing.UNREAD
"""The object was not looked up: a decision that depends on it comes back undecided."""

ABSENT: Final = Missing.ABSENT
"""The object was looked up and is not there: it has no owner, no list and no tags."""
