"""The values of policy condition keys for one request, each worked out when a policy asks for it.

What the request itself says comes from its typed input, so it is what the operation will go by and no other header of
the same name; what only the protocol knows (`Caller.facts`) comes under fixed names. Nothing a client sends can become
a key that it does not belong to.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from attrs import define, field

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.errors import DomainError
from post3tw.model.identity import Caller
from post3tw.service.bucket_names import split_tenant
from post3tw.service.policy.keys import ANONYMOUS, REQUEST_TAG
from post3tw.service.policy.statement import arn_of
from post3tw.service.tags import tags_of_header
from post3tw.wire.copy_source import parse_copy_source
from post3tw.wire.dates import from_millis

DAY = 24 * 60 * 60
"""Seconds."""

_CREATIONS = {
    "PutObject": "true",
    "CopyObject": "true",
    "CompleteMultipartUpload": "true",
    "CreateMultipartUpload": "false",
    "UploadPart": "false",
    "UploadPartCopy": "false",
}
"""s3:ObjectCreationOperation: which operations with the action s3:PutObject make an object appear."""

_MEMBERS = {
    "s3:delimiter": "delimiter",
    "s3:if-match": "if_match",
    "s3:if-none-match": "if_none_match",
    "s3:max-keys": "max_keys",
    "s3:prefix": "prefix",
    "s3:versionid": "version_id",
    "s3:x-amz-acl": "acl",
    "s3:x-amz-grant-full-control": "grant_full_control",
    "s3:x-amz-grant-read": "grant_read",
    "s3:x-amz-grant-read-acp": "grant_read_acp",
    "s3:x-amz-grant-write": "grant_write",
    "s3:x-amz-grant-write-acp": "grant_write_acp",
    "s3:x-amz-metadata-directive": "metadata_directive",
    "s3:x-amz-object-ownership": "object_ownership",
    "s3:x-amz-server-side-encryption": "server_side_encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "sse_kms_key_id",
    "s3:x-amz-server-side-encryption-customer-algorithm": "sse_customer_algorithm",
    "s3:x-amz-storage-class": "storage_class",
    "s3:x-amz-website-redirect-location": "website_redirect_location",
}
"""Keys whose value is a member of the input, if it has the member."""


@define(eq=False, slots=False)
class RequestContext:
    """The `Context` of a request; see policy.decision.

    Attributes:
        caller: who asks.
        operation: the name of the operation.
        input: its input, with its document once that was read.
        bucket: the bucket that the decision is about.
        region: where this server says it is.
        now: milliseconds since the epoch.
        fixed: values that are not the request's: of what the server asks on its own account.
    """

    caller: Caller
    operation: str
    input: Any
    bucket: Bucket | None
    region: str
    now: Callable[[], int]
    fixed: Mapping[str, Sequence[str]] | None = None
    _tags_read: tuple[object, Mapping[str, str]] | None = field(default=None, init=False)

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key, None when the request has none."""
        if self.fixed is not None and key in self.fixed:
            return self.fixed[key]
        member = _MEMBERS.get(key)
        if member is not None:
            return _texts(getattr(self.input, member, None))
        found = _KEYS.get(key)
        if found is not None:
            return found(self)
        if key.startswith(REQUEST_TAG):
            value = self._tags.get(key.removeprefix(REQUEST_TAG))
            return None if value is None else (value,)
        fact = self._facts.get(key)
        return None if fact is None else (fact,)

    @cached_property
    def _facts(self) -> Mapping[str, str]:
        return self.caller.facts()

    @property
    def _tags(self) -> Mapping[str, str]:
        """The tags that the request brings. Those do not count that it brings in vain, to a copy with its source's
        tags."""
        if getattr(self.input, "tagging_directive", "REPLACE") != "REPLACE":
            return {}
        tagging = getattr(self.input, "tagging", None)
        if self._tags_read is None or self._tags_read[0] is not tagging:
            self._tags_read = tagging, _tags_of(tagging)
        return self._tags_read[1]

    @property
    def _retention(self) -> tuple[str | None, datetime | None, str | None]:
        """Mode, date and legal hold that the request asks for, in headers or in its document."""
        retention, hold = getattr(self.input, "retention", None), getattr(self.input, "legal_hold", None)
        mode = getattr(self.input, "object_lock_mode", None) or (retention.mode if retention else None)
        until = getattr(self.input, "object_lock_retain_until_date", None) or (
            retention.retain_until_date if retention else None
        )
        status = getattr(self.input, "object_lock_legal_hold_status", None) or (hold.status if hold else None)
        return mode, until, status

    # -- single keys --------------------------------------------------------------------------------------------------

    def _source_ip(self) -> Sequence[str] | None:
        return (self.caller.source_ip,) if self.caller.source_ip else None

    def _secure(self) -> Sequence[str]:
        return ("true" if self.caller.secure else "false",)

    def _current_time(self) -> Sequence[str]:
        return (from_millis(self.now()).strftime("%Y-%m-%dT%H:%M:%SZ"),)

    def _epoch_time(self) -> Sequence[str]:
        return (str(self.now() // 1000),)

    def _user_id(self) -> Sequence[str]:
        identity = self.caller.identity
        return (ANONYMOUS if identity is None else identity.user_id,)

    def _user_name(self) -> Sequence[str] | None:
        identity = self.caller.identity
        return None if identity is None else (identity.user_id,)  # display names need not be unique

    def _principal_arn(self) -> Sequence[str] | None:
        identity = self.caller.identity
        return None if identity is None else (arn_of(identity),)

    def _principal_account(self) -> Sequence[str] | None:
        identity = self.caller.identity
        return None if identity is None else (identity.tenant,)

    def _principal_type(self) -> Sequence[str]:
        return ("Anonymous" if self.caller.identity is None else "User",)

    def _requested_region(self) -> Sequence[str]:
        return (self.region,)

    def _resource_account(self) -> Sequence[str] | None:
        return None if self.bucket is None else (self.bucket.tenant,)

    def _copy_source(self) -> Sequence[str] | None:
        """The source as `bucket/key`, decoded, and `tenant:bucket/key` when the bucket is in another tenant than the
        one that the policy belongs to: in the one way it can be compared, however the request names it."""
        header = getattr(self.input, "copy_source", None)
        if header is None:
            return None
        source = parse_copy_source(header)
        tenant, bucket = split_tenant(self.caller, source.bucket)
        here = self.bucket is None or tenant == self.bucket.tenant
        return (f"{bucket}/{source.key}" if here else f"{tenant}:{bucket}/{source.key}",)

    def _creation(self) -> Sequence[str] | None:
        creates = _CREATIONS.get(self.operation)
        return None if creates is None else (creates,)

    def _location(self) -> Sequence[str] | None:
        configuration = getattr(self.input, "create_bucket_configuration", None)
        return None if configuration is None else _texts(configuration.location_constraint)

    def _tag_keys(self) -> Sequence[str] | None:
        return tuple(self._tags) or None

    def _lock_mode(self) -> Sequence[str] | None:
        return _texts(self._retention[0])

    def _lock_until(self) -> Sequence[str] | None:
        until = self._retention[1]
        return None if until is None else (until.strftime("%Y-%m-%dT%H:%M:%SZ"),)

    def _lock_days(self) -> Sequence[str] | None:
        """Days that the retention would last from now, begun ones counted."""
        until = self._retention[1]
        if until is None:
            return None
        return (str(max(0, -(-int(until.timestamp() - self.now() / 1000) // DAY))),)

    def _legal_hold(self) -> Sequence[str] | None:
        return _texts(self._retention[2])


_KEYS: Mapping[str, Callable[[RequestContext], Sequence[str] | None]] = {
    "aws:currenttime": RequestContext._current_time,
    "aws:epochtime": RequestContext._epoch_time,
    "aws:principalaccount": RequestContext._principal_account,
    "aws:principalarn": RequestContext._principal_arn,
    "aws:principaltype": RequestContext._principal_type,
    "aws:requestedregion": RequestContext._requested_region,
    "aws:resourceaccount": RequestContext._resource_account,
    "aws:securetransport": RequestContext._secure,
    "aws:sourceip": RequestContext._source_ip,
    "aws:userid": RequestContext._user_id,
    "aws:username": RequestContext._user_name,
    "s3:locationconstraint": RequestContext._location,
    "s3:object-lock-legal-hold": RequestContext._legal_hold,
    "s3:object-lock-mode": RequestContext._lock_mode,
    "s3:object-lock-remaining-retention-days": RequestContext._lock_days,
    "s3:object-lock-retain-until-date": RequestContext._lock_until,
    "s3:objectcreationoperation": RequestContext._creation,
    "s3:requestobjecttagkeys": RequestContext._tag_keys,
    "s3:resourceaccount": RequestContext._resource_account,
    "s3:x-amz-copy-source": RequestContext._copy_source,
}
"""Keys whose value is worked out."""


def _tags_of(tagging: types.Tagging | str | None) -> Mapping[str, str]:
    """Tags in a document or a header. Those that cannot be read are none: the operation refuses them."""
    if isinstance(tagging, types.Tagging):
        return {tag.key or "": tag.value or "" for tag in tagging.tag_set or ()}
    try:
        return tags_of_header(tagging) if tagging else {}
    except DomainError:
        return {}


def _texts(value: Any) -> Sequence[str] | None:
    """A member's value as policies compare it."""
    if value is None:
        return None
    return (str(getattr(value, "value", value)),)
