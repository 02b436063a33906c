"""Who may do what. Wraps any provider of IS3Service, so that no protocol can step around it.

Theory of operation
===================

`admit` finds the bucket, what its owner has configured about access (`bucket_rules`, kept by the bucket's generation),
works out what the request demands (`demands`), and has each demand decided (`policy.decision`, through `judge`). Most
requests need none of that: where nothing is configured that could keep the bucket's owner or an administrator from
anything, they are let in at once, for the price of a look into a dictionary.

A few things can only be decided later, and are: conditions on what a document says, when it was read (`guarded`); the
keys of DeleteObjects, one by one (`admitted.may_also`); and a write once more when its transaction finds that the
bucket has changed (`Store.change`).

What cannot be decided is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, frozen
from zope.interface import implementer

from post3tw.api.operations import OPERATIONS
from post3tw.model.bucket import Bucket
from post3tw.model.errors import AccessDenied, BucketChanged, MethodNotAllowed, NoSuchBucket, NoSuchKey, NoSuchVersion
from post3tw.model.identity import Admission, Caller, Identity
from post3tw.service.admitted import Ruling, admitted_access
from post3tw.service.bucket_names import split_tenant
from post3tw.service.bucket_rules import BucketRules, RulesOfBuckets
from post3tw.service.demands import BYPASS, OF_WRITERS, Demand, Demands
from post3tw.service.interfaces import IAuthorizedS3Service, IS3Service, Method
from post3tw.service.judge import Place, RequestJudge
from post3tw.service.operation import Declaration
from post3tw.service.policy.access import BucketAccess
from post3tw.service.policy.decision import Reason, Request, decide
from post3tw.service.policy.statement import resource_arn
from post3tw.service.request_context import RequestContext
from post3tw.service.store import Store
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.wire.copy_source import CopySource, parse_copy_source

WITHOUT_BUCKET = frozenset({"ListBuckets", "CreateBucket"})
"""Operations that are decided without an existing bucket."""

BY_KEY = "DeleteObjects"
"""The operation that is decided key by key, while it runs."""

BY_DOCUMENT = frozenset({"PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging"})
"""Operations whose document says something that conditions of a policy are about."""


def _limits_of_lists(access: BucketAccess) -> object:
    return access.public_access, access.ownership


def _grants_of_bucket(access: BucketAccess) -> object:
    return access.acl


DEPENDING: Mapping[str, Callable[[BucketAccess], object]] = {
    "CopyObject": _limits_of_lists,
    "CreateMultipartUpload": _limits_of_lists,
    "PutBucketAcl": _limits_of_lists,
    "PutBucketOwnershipControls": _grants_of_bucket,
    "PutBucketPolicy": _limits_of_lists,
    "PutObject": _limits_of_lists,
    "PutObjectAcl": _limits_of_lists,
}
"""Operations that look at the configuration of access themselves, and at what of it."""


@frozen
class _Rule:
    """What is looked at before and when one operation runs, worked out once."""

    declaration: Declaration
    demands: Demands
    method: Method
    head: tuple[str, ...]
    """Members from the request's head that the operation does not simply take."""
    payload: tuple[str, ...]
    """The member from its document, if the operation does not take it."""
    copies: bool
    bypasses: bool
    simple: bool
    """Whether it demands one action, known from the request's head, on the bucket or object that the request names."""


def _rule(method: Method) -> _Rule:
    declaration: Declaration = method.declaration  # type: ignore[attr-defined]
    operation = OPERATIONS[declaration.name]
    unhonoured = declaration.unhonoured(operation.members)
    in_payload = tuple(m for m in unhonoured if operation.bindings[m][0] == "payload")
    in_head = tuple(m for m in unhonoured if m not in in_payload)
    demands = Demands.of(operation, declaration)
    bypasses = "bypass_governance_retention" in operation.members
    return _Rule(
        declaration,
        demands,
        method,
        in_head,
        in_payload,
        copies="copy_source" in operation.members,
        bypasses=bypasses,
        simple=not (demands.has_more or bypasses or declaration.name == BY_KEY or declaration.name in BY_DOCUMENT),
    )


@implementer(IAuthorizedS3Service)
class AuthorizedService:
    """A provider that admits before it runs.

    Args:
        provider: what runs the operations.
        store: where buckets and objects are looked up.
    """

    def __init__(self, provider: IS3Service, store: Store) -> None:
        self._store = store
        self._index = store.index
        self._rules_of_buckets = RulesOfBuckets(store.index)
        self._rules = {name: _rule(method) for name, method in provider.operations().items()}
        self._operations = {name: self._guarded(name, rule) for name, rule in self._rules.items()}

    def operations(self) -> Mapping[str, Method]:
        """See IS3Service; the methods refuse callers that were not admitted to them."""
        return self._operations

    async def admit(self, caller: Caller, operation: str, input: Any) -> None:
        """See IAuthorizedS3Service."""
        rule = self._rules[operation]
        if operation in WITHOUT_BUCKET:
            self._require_without_bucket(caller, rule, input)
            rule.declaration.refuse_unhonoured(input, rule.head)
            caller.admission = Admission(operation)
            return
        await self._admit(caller, rule, input, await self._bucket(caller, input.bucket))

    def _require_without_bucket(self, caller: Caller, rule: _Rule, input: Any) -> None:
        """What is about no bucket that exists; and only administrators may create buckets in another tenant."""
        identity, declaration = caller.identity, rule.declaration
        creates = declaration.name == "CreateBucket"
        tenant, name = split_tenant(caller, input.bucket) if creates else ("", "")
        context = RequestContext(caller, declaration.name, input, None, self._store.region, self._store.ids.now)
        resource = resource_arn(name) if creates else "*"
        decision = decide(Request(identity, declaration.action, resource, context), None)
        if identity is None or not decision.allowed:
            raise AccessDenied()
        if creates and tenant != identity.tenant and not identity.admin:
            raise AccessDenied()

    # -- one request --------------------------------------------------------------------------------------------------

    async def _admit(
        self, caller: Caller, rule: _Rule, input: Any, bucket: Bucket, *, document_read: bool = False
    ) -> None:
        rules = self._rules_of_buckets.kept(bucket) or await self._rules_of_buckets.read(bucket)
        judge = (
            None if _may_everything(caller.identity, rules, bucket) else self._judge(caller, rule, input, bucket, rules)
        )
        if judge is not None and not _allowed_at_first_sight(judge, rule, input, rules):
            await self._require(judge, rule, input, rules, document_read)
        _require_expected_owner(bucket, getattr(input, "expected_bucket_owner", None))  # RenameObject has none
        rule.declaration.refuse_unhonoured(input, rule.head)
        source = None
        if rule.copies:
            source, judge = await self._admit_source(caller, rule, input, bucket, judge)
        name = rule.declaration.name
        renew = partial(self._renew, rule, input)
        charged = rules.requester_pays and judge is not None and getattr(input, "request_payer", None) is not None
        caller.admission = Ruling(name, bucket, source, renew, rules.access, judge, charged)

    async def _renew(self, rule: _Rule, input: Any, caller: Caller) -> None:
        """Decide again, on the bucket as it is now and not as a kept state of the index has it.

        What was worked out from the former state for the transaction that is going to be run again must still hold.
        """
        before, bypassed = admitted_access(caller), rule.bypasses and input.bypass_governance_retention
        caller.admission = None
        tenant, name = split_tenant(caller, input.bucket)
        bucket = await self._index.run(lambda tx: find_bucket(tx, tenant, name))
        if bucket is None:
            raise NoSuchBucket(bucket_name=name)
        await self._admit(caller, rule, input, bucket, document_read=True)
        if bypassed and not input.bypass_governance_retention:
            raise AccessDenied()
        depends = DEPENDING.get(rule.declaration.name)
        if depends is not None and depends(before) != depends(admitted_access(caller)):
            raise BucketChanged

    def _judge(self, caller: Caller, rule: _Rule, input: Any, bucket: Bucket, rules: BucketRules) -> RequestJudge:
        # Not the caller itself, who is going to hold the judge: cycles wait for the garbage collector.
        asking = Caller(caller.identity, caller.request_id, caller.source_ip, caller.secure, None, caller.facts)
        context = RequestContext(asking, rule.declaration.name, input, bucket, self._store.region, self._store.ids.now)
        return RequestJudge(self._index, context, Place(bucket, rules.access))

    async def _require(
        self, judge: RequestJudge, rule: _Rule, input: Any, rules: BucketRules, document_read: bool
    ) -> None:
        """Refuse a request unless everything that it demands of the bucket it names is allowed."""
        name = rule.declaration.name
        _require_payer(judge.asked.caller, input, judge.target.bucket, rules)
        if name == BY_KEY:
            _require_something_granted(rules)
            return
        if document_read or not _waits_for_document(name, rules.access):
            await _require_all(judge, rule, input)
        if rule.bypasses and input.bypass_governance_retention:
            bypass = Demand(BYPASS, input.key, getattr(input, "version_id", None))
            if not await judge.allows(bypass):
                input.bypass_governance_retention = None

    async def _admit_source(
        self, caller: Caller, rule: _Rule, input: Any, target: Bucket, judge: RequestJudge | None
    ) -> tuple[Bucket, RequestJudge | None]:
        """Refuse a copy unless what it reads may be read; the bucket that it reads from, and the judge if one was
        needed."""
        named: CopySource = parse_copy_source(input.copy_source)
        source = await self._bucket(caller, named.bucket)
        rules = self._rules_of_buckets.kept(source) or await self._rules_of_buckets.read(source)
        free = _may_everything(caller.identity, rules, source)
        if not free or judge is not None:
            place = Place(source, rules.access)
            if judge is None:
                target_rules = self._rules_of_buckets.kept(target) or await self._rules_of_buckets.read(target)
                judge = self._judge(caller, rule, input, target, target_rules)
            judge.source = place
            _require_payer(caller, input, source, rules)
            for demand in rule.demands.on_source(named):
                await judge.require(demand, place)
            if getattr(input, "tagging_directive", "REPLACE") in (None, "COPY"):
                await judge.require_tags(named)
        _require_expected_owner(source, input.expected_source_bucket_owner)
        return source, judge

    async def _bucket(self, caller: Caller, named: str) -> Bucket:
        tenant, name = split_tenant(caller, named)
        bucket = await self._index.read(lambda tx: find_bucket(tx, tenant, name))
        if bucket is None:
            raise NoSuchBucket(bucket_name=name)
        return bucket

    def _guarded(self, name: str, rule: _Rule) -> Method:
        """The operation's method behind a check that this very call was admitted."""
        refuse, method, documented = rule.declaration.refuse_unhonoured, rule.method, name in BY_DOCUMENT

        async def guarded(caller: Caller, input: Any, *body: Any) -> Any:
            admission = caller.admission
            if admission is None or admission.operation != name:
                raise AccessDenied()
            if rule.payload:
                refuse(input, rule.payload)
            judge: Any = admission.judge if isinstance(admission, Ruling) else None
            if judge is None:
                return await method(caller, input, *body)
            if documented and _waits_for_document(name, judge.target.access):
                await _require_all(judge, rule, input)
            try:
                output = await method(caller, input, *body)
            except (NoSuchKey, NoSuchVersion, MethodNotAllowed) as error:
                await judge.conceal(error)
                raise
            if isinstance(admission, Ruling) and admission.charged and hasattr(output, "request_charged"):
                output.request_charged = "requester"
            return output

        guarded.declaration = rule.declaration  # type: ignore[attr-defined]
        return guarded


def _allowed_at_first_sight(judge: RequestJudge, rule: _Rule, input: Any, rules: BucketRules) -> bool:
    """Whether all that a request demands is one action, which is allowed whatever the object is: most requests are
    settled by that, at a fraction of what it takes to look at everything."""
    if not rule.simple or rules.requester_pays:
        return False
    return judge.unseen(*rule.demands.main(input), judge.target).allowed


async def _require_all(judge: RequestJudge, rule: _Rule, input: Any) -> None:
    granted_by_list = False
    for demand in rule.demands.on_target(input, judge.target.bucket):
        if granted_by_list and demand.action in OF_WRITERS:
            demand = evolve(demand, unless_denied=True)
        decision = judge.at_first_sight(demand, judge.target)
        if not decision.allowed:
            decision = await judge.require(demand, None, decision)
        granted_by_list = granted_by_list or decision.reason is Reason.BUCKET_ACL


def _waits_for_document(operation: str, access: BucketAccess) -> bool:
    """Whether a policy may have conditions about the request's document, so that it is decided when that was read."""
    return operation in BY_DOCUMENT and access.policy is not None


# -- single checks ----------------------------------------------------------------------------------------------------


def _may_everything(identity: Identity | None, rules: BucketRules, bucket: Bucket) -> bool:
    """Whether a caller may do everything in a bucket, as `decide` would find for whatever is demanded."""
    if identity is None or rules.access.denies:
        return False
    return identity.admin or (rules.plain and identity.user_id == bucket.owner_id)


def _require_expected_owner(bucket: Bucket, expected: str | None) -> None:
    """x-amz-expected-bucket-owner: the caller wants to be sure whose bucket it is."""
    if expected is not None and expected != bucket.owner_id:
        raise AccessDenied()


def _require_payer(caller: Caller, input: Any, bucket: Bucket, rules: BucketRules) -> None:
    """Where the requester pays, others than the owner say that they know; nobody can send an anonymous one a bill."""
    if not rules.requester_pays:
        return
    identity = caller.identity
    if identity is not None and (identity.admin or identity.user_id == bucket.owner_id):
        return
    if identity is None or getattr(input, "request_payer", None) != "requester":
        raise AccessDenied()


def _require_something_granted(rules: BucketRules) -> None:
    """Keep documents of strangers away from a bucket that grants nobody anything."""
    access = rules.access
    if access.policy is None and access.acl is None and access.uniform:
        raise AccessDenied()
