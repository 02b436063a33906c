"""Access control lists: who was granted what on a bucket or an object.

A list is an owner and its grants. The owner needs no grant to read and to change the list itself
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html); everything else, even for the owner, is what
the grants say. What a permission allows depends on what it is granted on: READ of a bucket lists its objects, READ of
an object gets it.
"""

from __future__ import annotations

from enum import Enum

from attrs import field

from post3tw.model.identity import Owner
from post3tw.model.values import value_class

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
"""The group of everybody, anonymous callers included."""

AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
"""The group of everybody who signs."""

LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
"""The group that writes access logs."""

GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
"""The groups that S3 has."""

PUBLIC_GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS})
"""Those that make a list public, as Public Access Block means it."""


class Permission(Enum):
    """What can be granted."""

    READ = "READ"
    WRITE = "WRITE"
    READ_ACP = "READ_ACP"
    WRITE_ACP = "WRITE_ACP"
    FULL_CONTROL = "FULL_CONTROL"

    def covers(self, wanted: Permission) -> bool:
        """Whether having this permission is having the wanted one."""
        return self is wanted or self is Permission.FULL_CONTROL


@value_class
class Grantee:
    """Who a grant is for: a canonical user (`user_id`) or a group (`group`, its URI); the other one is empty. Two
    grantees with the same id are the same, whatever name they are shown by."""

    user_id: str = ""
    group: str = ""
    display_name: str = field(default="", eq=False)

    def matches(self, user_id: str | None) -> bool:
        """Whether a caller is meant; None is the anonymous one."""
        if self.group:
            return self.group == ALL_USERS or (self.group == AUTHENTICATED_USERS and user_id is not None)
        return user_id is not None and self.user_id == user_id


@value_class
class Grant:
    """One permission of one grantee."""

    grantee: Grantee
    permission: Permission


@value_class
class Acl:
    """The list of a bucket or an object."""

    owner: Owner
    grants: tuple[Grant, ...] = ()

    def allows(self, user_id: str | None, wanted: Permission) -> bool:
        """Whether a grant, or owning the list, gives `wanted` to a caller (None: anonymous).

        The owner may always read and change the list itself, whatever it says.
        """
        if user_id is not None and user_id == self.owner.id and wanted in _OWNERS:
            return True
        return any(grant.permission.covers(wanted) and grant.grantee.matches(user_id) for grant in self.grants)

    @property
    def public(self) -> bool:
        """Whether a group that anybody can be in is granted anything."""
        return any(grant.grantee.group in PUBLIC_GROUPS for grant in self.grants)

    def without_public_grants(self) -> Acl:
        """This list as IgnorePublicAcls has it."""
        kept = tuple(grant for grant in self.grants if grant.grantee.group not in PUBLIC_GROUPS)
        return self if len(kept) == len(self.grants) else Acl(self.owner, kept)


_OWNERS = frozenset({Permission.READ_ACP, Permission.WRITE_ACP})


def private(owner: Owner) -> Acl:
    """The list that S3 gives to whatever is made without one: the owner may do everything."""
    return Acl(owner, (Grant(Grantee(owner.id, display_name=owner.display_name), Permission.FULL_CONTROL),))
