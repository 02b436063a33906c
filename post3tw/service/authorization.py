"""Who may do what. Wraps any provider of IS3Service, so that no protocol can step around it.

Until policies exist the rule is short: the owner of a bucket and administrators may do everything in it; any user may
create buckets and list the own ones; everything else, anonymous callers included, is AccessDenied. What cannot be
decided is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from zope.interface import implementer

from post3tw.api.operations import OPERATIONS
from post3tw.model.bucket import Bucket
from post3tw.model.errors import AccessDenied, NoSuchBucket
from post3tw.model.identity import Admission, Caller, Identity
from post3tw.service.bucket_names import split_tenant
from post3tw.service.interfaces import IAuthorizedS3Service, IS3Service, Method
from post3tw.service.operation import Declaration
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.interfaces import IIndex
from post3tw.wire.copy_source import parse_copy_source

WITHOUT_BUCKET = frozenset({"ListBuckets", "CreateBucket"})
"""Operations that are decided without an existing bucket."""


@frozen
class _Rule:
    """What is looked at before and when one operation runs, worked out once."""

    declaration: Declaration
    method: Method
    head: tuple[str, ...]
    """Members from the request's head that the operation does not simply take."""
    payload: tuple[str, ...]
    """The member from its document, if the operation does not take it."""
    copies: bool


def _rule(method: Method) -> _Rule:
    declaration: Declaration = method.declaration  # type: ignore[attr-defined]
    operation = OPERATIONS[declaration.name]
    unhonoured = declaration.unhonoured(operation.members)
    in_payload = tuple(m for m in unhonoured if operation.bindings[m][0] == "payload")
    in_head = tuple(m for m in unhonoured if m not in in_payload)
    return _Rule(declaration, method, in_head, in_payload, "copy_source" in operation.members)


@implementer(IAuthorizedS3Service)
class AuthorizedService:
    """A provider that admits before it runs.

    Args:
        provider: what runs the operations.
        index: where bucket rows are read.
    """

    def __init__(self, provider: IS3Service, index: IIndex) -> None:
        self._index = index
        self._rules = {name: _rule(method) for name, method in provider.operations().items()}
        self._operations = {name: self._guarded(name, rule) for name, rule in self._rules.items()}

    def operations(self) -> Mapping[str, Method]:
        """See IS3Service; the methods refuse callers that were not admitted to them."""
        return self._operations

    async def admit(self, caller: Caller, operation: str, input: Any) -> None:
        """See IAuthorizedS3Service."""
        rule = self._rules[operation]
        if operation in WITHOUT_BUCKET:
            bucket = None
            _require_own_namespace(caller, input, operation)
        else:
            bucket = await self._bucket(caller, input.bucket)
            _require_right(caller, bucket)
            _require_expected_owner(bucket, getattr(input, "expected_bucket_owner", None))  # RenameObject has none
        rule.declaration.refuse_unhonoured(input, rule.head)
        source = None
        if rule.copies:
            source = await self._bucket(caller, parse_copy_source(input.copy_source).bucket)
            _require_right(caller, source)
            _require_expected_owner(source, input.expected_source_bucket_owner)
        caller.admission = Admission(operation, bucket, source)

    async def _bucket(self, caller: Caller, named: str) -> Bucket:
        tenant, name = split_tenant(caller, named)
        bucket = await self._index.read(lambda tx: find_bucket(tx, tenant, name))
        if bucket is None:
            raise NoSuchBucket(bucket_name=name)
        return bucket

    def _guarded(self, name: str, rule: _Rule) -> Method:
        """The operation's method behind a check that this very call was admitted."""
        refuse, method = rule.declaration.refuse_unhonoured, rule.method

        async def guarded(caller: Caller, input: Any, *body: Any) -> Any:
            if caller.admission is None or caller.admission.operation != name:
                raise AccessDenied()
            if rule.payload:
                refuse(input, rule.payload)
            return await method(caller, input, *body)

        guarded.declaration = rule.declaration  # type: ignore[attr-defined]
        return guarded


def _require_identity(caller: Caller) -> Identity:
    if caller.identity is None:
        raise AccessDenied()
    return caller.identity


def _require_own_namespace(caller: Caller, input: Any, operation: str) -> None:
    """Anyone who is somebody may list buckets and create them in the own tenant; administrators in any."""
    identity = _require_identity(caller)
    if operation == "CreateBucket" and not identity.admin:
        tenant, _ = split_tenant(caller, input.bucket)
        if tenant != identity.tenant:
            raise AccessDenied()


def _require_right(caller: Caller, bucket: Bucket) -> None:
    identity = _require_identity(caller)
    if not identity.admin and identity.user_id != bucket.owner_id:
        raise AccessDenied()


def _require_expected_owner(bucket: Bucket, expected: str | None) -> None:
    """x-amz-expected-bucket-owner: the caller wants to be sure whose bucket it is."""
    if expected is not None and expected != bucket.owner_id:
        raise AccessDenied()
