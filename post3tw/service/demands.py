"""What a request needs permission for: its operation's action, and what its headers ask for besides.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import field, frozen

from post3tw.api.operation import Operation
from post3tw.model.bucket import Bucket
from post3tw.model.values import value_class
from post3tw.service.grants import GRANT_MEMBERS
from post3tw.service.operation import Declaration
from post3tw.wire.copy_source import CopySource
from post3tw.wire.uri import decode_path

OF_VERSIONS = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
"""The action that is needed instead when the request names a version."""

BYPASS = "s3:BypassGovernanceRetention"
"""What x-amz-bypass-governance-retention needs. Without it the header has no effect: it is no reason to refuse what
needs no bypass, and consoles always send it."""

_READ = "s3:GetObject"
"""What a condition on an object needs that is written or deleted: its outcome tells something of what is there."""

_ASKING = {
    "object_lock_legal_hold_status": "s3:PutObjectLegalHold",
    "object_lock_mode": "s3:PutObjectRetention",
    "object_lock_retain_until_date": "s3:PutObjectRetention",
    "tagging": "s3:PutObjectTagging",
    "destination_if_match": _READ,
    "if_match": _READ,
    "if_match_last_modified_time": _READ,
    "if_match_size": _READ,
}
"""Header members of operations that write or delete an object, and the action each needs besides."""

_MAKING = frozenset({"s3:PutObject", "s3:DeleteObject"})
"""Actions on an object that need none to be there."""

_PUT_ACL = "s3:PutObjectAcl"

OF_WRITERS = frozenset({_PUT_ACL, "s3:PutObjectTagging"})
"""What whoever may write an object by the bucket's list, and so owns it, may say about it as it is written."""
_HARMLESS_LISTS = frozenset({"private", "bucket-owner-read", "bucket-owner-full-control"})
"""Canned lists that grant nothing to others than the bucket's owner: who may write an object may write it with them."""

_BESIDES = {"GetObjectAttributes": "s3:GetObject"}
"""Operations that need another action in any case."""

_RENAME = "RenameObject"
"""The operation that needs permission for the object that it takes away, too."""


@value_class
class Demand:
    """Something that must be allowed.

    Attributes:
        action: such as "s3:GetObject".
        key: of which object; None for the bucket.
        version_id: of which version, when one is named.
        upload_id: of which upload, when the action is about an upload in progress.
        unless_denied: whether it is enough that no statement denies it.
        existing: whether the operation is about an object that is there, so that its absence is an answer.
    """

    action: str
    key: str | None = None
    version_id: str | None = None
    upload_id: str | None = None
    unless_denied: bool = False
    existing: bool = False


@frozen
class Demands:
    """What the requests of one operation need, worked out as far as it does not depend on the request."""

    operation: Operation
    declaration: Declaration
    asking: tuple[tuple[str, str], ...]
    takes_list: bool
    has_more: bool = field(init=False)
    """Whether there can be a demand besides the operation's own action."""
    of_versions: bool = field(init=False)
    of_uploads: bool = field(init=False)
    """Whether its requests can name a version, or an upload."""

    def __attrs_post_init__(self) -> None:
        another = self.operation.name in _BESIDES or self.operation.name == _RENAME
        object.__setattr__(self, "of_versions", "version_id" in self.operation.members)
        object.__setattr__(self, "of_uploads", "upload_id" in self.operation.members)
        object.__setattr__(self, "has_more", bool(self.asking) or self.takes_list or another)

    @classmethod
    def of(cls, operation: Operation, declaration: Declaration) -> Demands:
        """Those of an operation."""
        asking = tuple(
            (member, action)
            for member, action in _ASKING.items()
            if declaration.action in _MAKING
            and operation.level == 2
            and operation.bindings.get(member, ("",))[0] == "header"
        )
        return cls(
            operation,
            declaration,
            asking,
            takes_list=declaration.action == "s3:PutObject" and "acl" in operation.members,
        )

    def main(self, input: Any) -> tuple[str, str | None, str | None]:
        """The action that the operation is decided on, and the key and version id that the request names."""
        action = self.declaration.action
        if self.operation.level != 2:
            return action, None, None
        version_id = input.version_id if self.of_versions else None
        return action if version_id is None else versioned(action, version_id), input.key, version_id

    def on_target(self, input: Any, bucket: Bucket) -> Sequence[Demand]:
        """What must be allowed on the bucket, or on the object that the request's path names."""
        action, key, version_id = self.main(input)
        if self.operation.level != 2:
            return (Demand(action),)
        upload_id = input.upload_id if self.of_uploads else None
        existing = upload_id is None and self.declaration.action not in _MAKING
        first = Demand(action, key, version_id, upload_id, existing=existing)
        return (first, *self._besides(input, bucket, version_id)) if self.has_more else (first,)

    def _besides(self, input: Any, bucket: Bucket, version_id: str | None) -> Iterator[Demand]:
        """What must be allowed because of what the request asks for besides."""
        key = input.key
        another = _BESIDES.get(self.operation.name)
        if another is not None:
            yield Demand(versioned(another, version_id), key, version_id, existing=True)
        asked = {action for member, action in self.asking if getattr(input, member) is not None}
        for action in sorted(asked):
            if action == _READ:
                yield Demand(versioned(action, version_id), key, version_id)
            else:
                yield Demand(action, key)
        if self.takes_list and (input.acl is not None or any(_header_grants(input))):
            yield Demand(_PUT_ACL, key, unless_denied=_grants_nothing_to_others(input, bucket))
        if self.operation.name == _RENAME:
            source = decode_path((input.rename_source or "").removeprefix("/").encode("utf-8", "surrogateescape"))
            yield Demand("s3:GetObject", source, existing=True)
            yield Demand("s3:DeleteObject", source)

    def on_source(self, source: CopySource) -> Iterator[Demand]:
        """What must be allowed on the object that a copy reads."""
        action = versioned("s3:GetObject", source.version_id)
        yield Demand(action, source.key, source.version_id, existing=True)


def versioned(action: str, version_id: str | None) -> str:
    """The action on an object, or on one version of it."""
    return action if version_id is None else OF_VERSIONS.get(action, action)


def _header_grants(input: Any) -> list[str]:
    return [value for member in GRANT_MEMBERS if (value := getattr(input, member, None)) is not None]


def _grants_nothing_to_others(input: Any, bucket: Bucket) -> bool:
    """Whether the list that the headers ask for is about nobody but the bucket's owner."""
    if input.acl is not None and input.acl not in _HARMLESS_LISTS:
        return False
    owner = bucket.owner_id
    return all(value.strip() in (f"id={owner}", f'id="{owner}"') for value in _header_grants(input))
