"""Access control lists as clients ask for them (canned, in headers, in a document), as they are kept, and as they are
shown.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol

from post3tw.api import types
from post3tw.model.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    GROUPS,
    LOG_DELIVERY,
    Acl,
    Grant,
    Grantee,
    Permission,
    private,
)
from post3tw.model.errors import (
    AccessDenied,
    AmbiguousGrant,
    InvalidArgument,
    InvalidRequest,
    MalformedACL,
    UnresolvableGrant,
)
from post3tw.model.identity import Owner
from post3tw.service.owners import shown_owner
from post3tw.service.people import People

MAX_GRANTS = 100
"""Grants that a list may have."""

GRANT_MEMBERS = ("grant_read", "grant_write", "grant_read_acp", "grant_write_acp", "grant_full_control")
"""Members that carry grants, in the order in which their grants are listed; objects have no grant_write."""

_PERMISSIONS = dict(
    zip(
        GRANT_MEMBERS,
        (
            Permission.READ,
            Permission.WRITE,
            Permission.READ_ACP,
            Permission.WRITE_ACP,
            Permission.FULL_CONTROL,
        ),
        strict=True,
    )
)

BUCKET_OWNER_FULL_CONTROL = "bucket-owner-full-control"
"""The canned list that means something for who owns an object, too."""

_EC2 = Grantee("6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c", display_name="za-team")
"""Whom aws-exec-read lets read, on AWS: Amazon EC2, for machine images. Nobody here has this id."""

_CANNED: dict[str, tuple[Grant, ...]] = {
    "private": (),
    "public-read": (Grant(Grantee(group=ALL_USERS), Permission.READ),),
    "public-read-write": (
        Grant(Grantee(group=ALL_USERS), Permission.READ),
        Grant(Grantee(group=ALL_USERS), Permission.WRITE),
    ),
    "authenticated-read": (Grant(Grantee(group=AUTHENTICATED_USERS), Permission.READ),),
    "aws-exec-read": (Grant(_EC2, Permission.READ),),
}
_OF_BUCKETS = {
    **_CANNED,
    "log-delivery-write": (
        Grant(Grantee(group=LOG_DELIVERY), Permission.WRITE),
        Grant(Grantee(group=LOG_DELIVERY), Permission.READ_ACP),
    ),
    "bucket-owner-read": (),  # S3 ignores these two on buckets
    BUCKET_OWNER_FULL_CONTROL: (),
}
_FOR_BUCKET_OWNER = {"bucket-owner-read": Permission.READ, BUCKET_OWNER_FULL_CONTROL: Permission.FULL_CONTROL}


class Grants(Protocol):
    """Inputs whose headers may ask for a list. Those about objects have no grant_write."""

    acl: str | None
    grant_read: str | None
    grant_read_acp: str | None
    grant_write_acp: str | None
    grant_full_control: str | None


# -- asked for --------------------------------------------------------------------------------------------------------


def acl_of_headers(people: People, input: Grants, owner: Owner, bucket_owner: Owner | None = None) -> Acl | None:
    """The list that x-amz-acl or x-amz-grant-* headers ask for, None when there are none.

    Args:
        people: who can be named.
        input: the request.
        owner: of what the list is for.
        bucket_owner: of the bucket that the object is in; None when the list is for a bucket.

    Raises:
        InvalidRequest: both kinds of headers.
        InvalidArgument: a canned list or a grantee that S3 does not have.
        UnresolvableGrant, AmbiguousGrant: an e-mail address that nobody has, or several.
    """
    headers = [(member, value) for member in GRANT_MEMBERS if (value := getattr(input, member, None)) is not None]
    if input.acl is not None:
        if headers:
            raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
        return canned_acl(input.acl, owner, bucket_owner)
    if not headers:
        return None
    known = (owner,) if bucket_owner is None else (owner, bucket_owner)
    grants = [
        Grant(grantee, _PERMISSIONS[member])
        for member, value in headers
        for grantee in _grantees(people, value, member, known)
    ]
    return Acl(owner, _limited(grants))


def canned_acl(name: str, owner: Owner, bucket_owner: Owner | None = None) -> Acl:
    """The canned list of this name; see acl_of_headers.

    Raises:
        InvalidArgument: there is none.
    """
    grants = (_OF_BUCKETS if bucket_owner is None else _CANNED).get(name)
    if grants is None and bucket_owner is not None and name in _FOR_BUCKET_OWNER:
        grants = ()
        if bucket_owner.id != owner.id:
            named = Grantee(bucket_owner.id, display_name=bucket_owner.display_name)
            grants = (Grant(named, _FOR_BUCKET_OWNER[name]),)
    if grants is None:
        raise InvalidArgument(argument_name="x-amz-acl", argument_value=name)
    return Acl(owner, private(owner).grants + grants)


_GRANTEE = re.compile(r'\s*(id|uri|emailaddress)\s*=\s*(?:"([^"]*)"|([^\s",]+))\s*(?:,|\Z)', re.IGNORECASE)


def _grantees(people: People, value: str, member: str, known: Iterable[Owner]) -> Iterator[Grantee]:
    """The grantees of one header: `id="…", uri="…", emailAddress="…"`."""
    position = 0
    while position < len(value):
        match = _GRANTEE.match(value, position)
        if match is None:
            name = f"x-amz-{member.replace('_', '-')}"
            raise InvalidArgument("Argument format not recognized", argument_name=name, argument_value=value)
        kind, who = match[1].lower(), match[2] if match[2] is not None else match[3]
        if kind == "id":
            yield _user(people, who, known)
        elif kind == "uri":
            yield _group(who)
        else:
            yield _addressee(people, who)
        position = match.end()


def acl_of_document(people: People, document: types.AccessControlPolicy, owner: Owner, known: Iterable[Owner]) -> Acl:
    """The list that a document describes.

    Args:
        people: who can be named.
        document: the parsed AccessControlPolicy.
        owner: of what the list is for.
        known: users who can be named although the directory does not know them.

    Raises:
        MalformedACL: an owner, a grantee or a permission is missing, or no such permission; more than 100 grants.
        AccessDenied: it names another owner. Nobody can give away what he owns.
        InvalidArgument, UnresolvableGrant, AmbiguousGrant: a grantee that nobody knows.
    """
    if document.owner is None or document.owner.id is None or document.grants is None:
        raise MalformedACL()
    if document.owner.id != owner.id:
        raise AccessDenied()
    return Acl(owner, _limited([_grant(people, grant, known) for grant in document.grants]))


def _grant(people: People, grant: types.Grant, known: Iterable[Owner]) -> Grant:
    grantee = grant.grantee
    if grantee is None or grant.permission is None or grant.permission not in Permission.__members__:
        raise MalformedACL()
    permission = Permission[grant.permission]
    if grantee.type == "CanonicalUser" and grantee.id:
        return Grant(_user(people, grantee.id, known), permission)
    if grantee.type == "Group" and grantee.uri:
        return Grant(_group(grantee.uri), permission)
    if grantee.type == "AmazonCustomerByEmail" and grantee.email_address:
        return Grant(_addressee(people, grantee.email_address), permission)
    raise MalformedACL()


def _user(people: People, user_id: str, known: Iterable[Owner]) -> Grantee:
    found = people.by_id(user_id) or next((owner for owner in known if owner.id == user_id), None)
    if found is None:
        if user_id == _EC2.user_id:
            return _EC2
        raise InvalidArgument("Invalid id", argument_name="CanonicalUser/ID", argument_value=user_id)
    return Grantee(found.id, display_name=found.display_name)


def _group(uri: str) -> Grantee:
    if uri not in GROUPS:
        raise InvalidArgument("Invalid group uri", argument_name="Group/URI", argument_value=uri)
    return Grantee(group=uri)


def _addressee(people: People, email: str) -> Grantee:
    found = people.by_email(email)
    if len(found) > 1:
        raise AmbiguousGrant()
    for owner in found:
        return Grantee(owner.id, display_name=owner.display_name)
    raise UnresolvableGrant()


def _limited(grants: list[Grant]) -> tuple[Grant, ...]:
    if len(grants) > MAX_GRANTS:
        raise MalformedACL(f"An ACL may have up to {MAX_GRANTS} grants.")
    return tuple(grants)


# -- kept and shown ---------------------------------------------------------------------------------------------------


def acl_to_text(acl: Acl) -> str | None:
    """The grants of a list as the index keeps them (JSON); None for the one that everything begins with: private."""
    if acl == private(acl.owner):
        return None
    grants = [
        [grant.permission.value, grant.grantee.user_id, grant.grantee.group, grant.grantee.display_name]
        for grant in acl.grants
    ]
    return json.dumps(grants, separators=(",", ":"))


@lru_cache(maxsize=1024)
def acl_from_text(owner: Owner, text: str | None) -> Acl:
    """The list that was kept; `owner` is that of the object or bucket.

    Raises:
        ValueError: it cannot be read.
    """
    if text is None:
        return private(owner)
    try:
        return Acl(
            owner,
            tuple(
                Grant(Grantee(user_id, group, name), Permission(permission))
                for permission, user_id, group, name in json.loads(text)
            ),
        )
    except TypeError as error:
        raise ValueError(f"not a list of grants: {error}") from None


def shown_acl(acl: Acl) -> tuple[types.Owner, list[types.Grant]]:
    """A list as answers show it: its owner, and its grants, those of groups first."""
    ordered = sorted(acl.grants, key=lambda grant: not grant.grantee.group)
    return shown_owner(acl.owner), [
        types.Grant(grantee=_shown_grantee(grant.grantee), permission=grant.permission.value) for grant in ordered
    ]


def _shown_grantee(grantee: Grantee) -> types.Grantee:
    if grantee.group:
        return types.Grantee(uri=grantee.group, type="Group")
    return types.Grantee(id=grantee.user_id, display_name=grantee.display_name, type="CanonicalUser")
