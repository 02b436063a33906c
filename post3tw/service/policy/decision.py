"""The one decision: may this be done?

    decide(request, bucket, object) -> Decision

Theory of operation
===================

Pure and synchronous. The steps, the first that says something decides:

1. While a configuration of the bucket cannot be understood, only those who own it may do something: repair it.
2. A statement that denies, in the bucket's policy or in one attached to who asks, denies; but owners and administrators
   may always read, replace and delete the bucket's policy, so that nobody locks himself out.
3. Somebody who may by who he is: an administrator; the bucket's owner, but for what belongs to the owner of an object.
4. A statement that allows: of a policy attached to who asks, in his own tenant; of the bucket's policy, unless the
   bucket is closed to the public by RestrictPublicBuckets, or the object is not the bucket owner's to give.
5. Access control lists, unless object ownership turns them off.
6. Nothing allowed it: it is denied.

The caller gives what it has. When the answer depends on an object that was not read, it comes back UNDECIDED, and the
caller reads the object and asks again:

    decision = decide(request, bucket, UNREAD)
    if decision.outcome is Outcome.UNDECIDED:
        decision = decide(request, bucket, await read_the_object())     # an ObjectAccess, or ABSENT
    if not decision.allowed:
        raise AccessDenied()

An UNDECIDED decision is not `allowed`: forgetting to ask again denies. A step that cannot be decided does not stop the
ones after it: what is denied or allowed whatever the object is needs no object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, Protocol

from attrs import evolve, field

from post3tw.model.acl import Acl, Permission
from post3tw.model.identity import Identity
from post3tw.model.values import value_class
from post3tw.service.policy.access import ABSENT, UNREAD, BucketAccess, Missing, ObjectAccess
from post3tw.service.policy.actions import BUCKET_PERMISSIONS, OBJECT_PERMISSIONS
from post3tw.service.policy.conditions import Unread
from post3tw.service.policy.keys import EXISTING_TAG
from post3tw.service.policy.public import is_public
from post3tw.service.policy.statement import Effect, Policy, Statement
from post3tw.service.policy.variables import Values


class Outcome(Enum):
    """What a decision says."""

    ALLOW = "allowed"
    EXPLICIT_DENY = "explicitly denied"
    IMPLICIT_DENY = "not allowed"
    UNDECIDED = "not decided"


class Reason(Enum):
    """Why a decision is what it is, in words for people."""

    ADMINISTRATOR = "administrators may do everything that no policy denies"
    OWN_CONFIGURATION = "the bucket's owner and administrators may always repair its configuration"
    BUCKET_OWNER = "the bucket's owner may do everything that no policy denies"
    OBJECT_OWNER = "the object's owner may do this with it"
    SIGNED = "everybody who is somebody may do this"
    STATEMENT = "a statement of a policy says so"
    BUCKET_ACL = "the bucket's access control list grants it"
    OBJECT_ACL = "the object's access control list grants it"
    NOTHING_ALLOWS = "nothing allows it"
    PUBLIC_BUCKET_RESTRICTED = "a statement allows it, but RestrictPublicBuckets confines a public policy to the owner"
    NOT_BUCKET_OWNERS = "a statement allows it, but the object belongs to somebody else than the bucket"
    NO_OBJECT = "nothing allows it, and there is no object whose access control list could"
    UNREADABLE = "a configuration of the bucket cannot be understood"
    NOT_READ = "it depends on the object, which was not read"


class Context(Protocol):
    """The values of condition keys for one request, worked out when asked for."""

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key, None when the request has none.

        Args:
            key: canonical (`keys.canonical_key`), such as "aws:sourceip" or "s3:prefix".
        """


@value_class
class Request:
    """Who wants to do what to which resource.

    Attributes:
        identity: who asks, None for an anonymous caller.
        action: one of `actions.ACTIONS`, such as "s3:GetObject".
        resource: what `statement.resource_arn` makes of bucket and key; "*" for what is about no bucket.
        context: the values of condition keys, but those of s3:ExistingObjectTag, which come from the object.
        identity_policies: policies that are attached to who asks: the user's, its groups', its role's.
    """

    identity: Identity | None
    action: str
    resource: str
    context: Context = field(repr=False)
    identity_policies: tuple[Policy, ...] = ()


# Names of their own for what every decision with a policy looks at: a member of an enumeration takes ten times as long.
_ALLOW: Final = Effect.ALLOW
_DENY: Final = Effect.DENY
_ALLOWED: Final = Outcome.ALLOW
_DENIED: Final = Outcome.EXPLICIT_DENY
_STATEMENT: Final = Reason.STATEMENT


@value_class
class Decision:
    """The answer, and why. `statement` and its `policy` are those that decided, when a statement did."""

    outcome: Outcome
    reason: Reason
    statement: Statement | None = None
    policy: Policy | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.outcome is _ALLOWED


POLICY_ACTIONS: Final = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""What no bucket policy can deny to the bucket's owner and to administrators."""

REPAIRS: Final = POLICY_ACTIONS | {
    "s3:PutBucketAcl",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPublicAccessBlock",
}
"""What the bucket's owner and administrators may do while a configuration of the bucket cannot be understood."""

_UPLOAD_ACTIONS: Final = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
"""What whoever began an upload may do with it."""
_OWN_OBJECT_ACTIONS: Final = frozenset({"s3:DeleteObject", "s3:DeleteObjectVersion"})
"""What WRITE on the bucket allows with one's own objects."""
_SIGNED_ACTIONS: Final = frozenset({"s3:ListAllMyBuckets", "s3:CreateBucket"})
"""What everybody who is somebody may do, being about no bucket that exists."""

_ADMINISTRATOR: Final = Decision(Outcome.ALLOW, Reason.ADMINISTRATOR)
_BUCKET_OWNER: Final = Decision(Outcome.ALLOW, Reason.BUCKET_OWNER)
_UNDECIDED: Final = Decision(Outcome.UNDECIDED, Reason.NOT_READ)
_OBJECT_OWNER: Final = Decision(Outcome.ALLOW, Reason.OBJECT_OWNER)
_OWN_POLICY: Final = Decision(Outcome.ALLOW, Reason.OWN_CONFIGURATION)
_SIGNED: Final = Decision(Outcome.ALLOW, Reason.SIGNED)
_BUCKET_ACL: Final = Decision(Outcome.ALLOW, Reason.BUCKET_ACL)
_OBJECT_ACL: Final = Decision(Outcome.ALLOW, Reason.OBJECT_ACL)
_UNREADABLE: Final = Decision(Outcome.IMPLICIT_DENY, Reason.UNREADABLE)
_NOTHING: Final = Decision(Outcome.IMPLICIT_DENY, Reason.NOTHING_ALLOWS)
_NO_OBJECT: Final = Decision(Outcome.IMPLICIT_DENY, Reason.NO_OBJECT)

Object = ObjectAccess | Missing


def decide(request: Request, bucket: BucketAccess | None, object: Object = UNREAD) -> Decision:
    """Whether a request is allowed, and why.

    Args:
        request: who wants to do what.
        bucket: what the bucket says about it; None for an action that is about no bucket that exists.
        object: the object or upload that the action is about, when it was read; UNREAD when it was not, ABSENT when
            there is none. Means nothing for an action on a bucket.
    """
    if bucket is None:
        return _without_bucket(request)
    if bucket.unreadable:
        return _unreadable(request, bucket)
    if bucket.policy is None and not request.identity_policies:
        return _granted(request, bucket, object)
    denied = _denied(request, bucket, object)
    if denied is None:
        return _granted(request, bucket, object)
    if denied.outcome is Outcome.UNDECIDED:
        granted = _granted(request, bucket, object)
        return granted if granted.outcome is Outcome.IMPLICIT_DENY else denied
    return denied


def _without_bucket(request: Request) -> Decision:
    if request.identity is None:
        return _NOTHING
    tenant = request.identity.tenant
    denied = _first_concerning(_DENY, request.identity_policies, request, tenant, ABSENT)
    if denied is not None:
        return denied
    if request.action in _SIGNED_ACTIONS:
        return _SIGNED
    return _first_concerning(_ALLOW, request.identity_policies, request, tenant, ABSENT) or _NOTHING


def _unreadable(request: Request, bucket: BucketAccess) -> Decision:
    if not _is_own(request, bucket) or request.action not in REPAIRS:
        return _UNREADABLE
    denied = _first_concerning(_DENY, request.identity_policies, request, bucket.tenant, ABSENT)
    return denied or _OWN_POLICY


def _is_own(request: Request, bucket: BucketAccess) -> bool:
    """Whether who asks stands for the account that the bucket belongs to."""
    identity = request.identity
    return identity is not None and (identity.admin or identity.user_id == bucket.owner_id)


def _denied(request: Request, bucket: BucketAccess, object: Object) -> Decision | None:
    """Step 2: EXPLICIT_DENY, UNDECIDED, or None when no statement denies."""
    policies, policy = request.identity_policies, bucket.policy
    if policy is not None and not (request.action in POLICY_ACTIONS and _is_own(request, bucket)):
        policies = (policy, *policies) if policies else (policy,)
    return _first_concerning(_DENY, policies, request, bucket.tenant, object)


def _granted(request: Request, bucket: BucketAccess, object: Object) -> Decision:
    """Steps 3 to 6: ALLOW, UNDECIDED or IMPLICIT_DENY."""
    undecided: Decision | None = None
    refused = _NOTHING
    for step in _STEPS if request.identity_policies else _STEPS_OF_BUCKET:
        decision = step(request, bucket, object)
        if decision is None:
            continue
        if decision.outcome is _ALLOWED:
            return decision
        if decision.outcome is Outcome.UNDECIDED:
            undecided = undecided or decision
        elif refused is _NOTHING:
            refused = decision
    return undecided or refused


def _by_nature(request: Request, bucket: BucketAccess, object: Object) -> Decision | None:
    """Step 3: who asks may by who he is."""
    identity = request.identity
    if identity is None:
        return None
    if identity.admin:
        return _ADMINISTRATOR
    if identity.user_id != bucket.owner_id:
        return None
    if request.action in OBJECT_PERMISSIONS and not _bucket_owns_all(bucket):
        if object is UNREAD:
            return _UNDECIDED
        if object is not ABSENT and object.owner_id != bucket.owner_id:
            return None
    return _BUCKET_OWNER


def _bucket_owns_all(bucket: BucketAccess) -> bool:
    """Whether every object counts as the bucket owner's, so that no object need be read to know whose it is."""
    return bucket.uniform or bucket.acls_disabled


def _by_attached_policies(request: Request, bucket: BucketAccess, object: Object) -> Decision | None:
    """Step 4, first half: policies that are attached to who asks count in his own tenant."""
    if not request.identity_policies or request.identity is None or request.identity.tenant != bucket.tenant:
        return None
    return _first_concerning(_ALLOW, request.identity_policies, request, bucket.tenant, object)


def _by_bucket_policy(request: Request, bucket: BucketAccess, object: Object) -> Decision | None:
    """Step 4, second half."""
    if bucket.policy is None:
        return None
    decision = _first_concerning(_ALLOW, (bucket.policy,), request, bucket.tenant, object)
    if decision is None or not decision.allowed:
        return decision
    if bucket.public_access.restrict_public_buckets and is_public(bucket.policy):  # its owner needs no statement
        return evolve(decision, outcome=Outcome.IMPLICIT_DENY, reason=Reason.PUBLIC_BUCKET_RESTRICTED)
    if request.action in OBJECT_PERMISSIONS and not _bucket_owns_all(bucket):
        if object is UNREAD:
            return _UNDECIDED
        if object is not ABSENT and object.owner_id != bucket.owner_id:
            return evolve(decision, outcome=Outcome.IMPLICIT_DENY, reason=Reason.NOT_BUCKET_OWNERS)
    return decision


def _by_lists(request: Request, bucket: BucketAccess, object: Object) -> Decision | None:
    """Step 5."""
    if bucket.acls_disabled:
        return None
    user_id = None if request.identity is None else request.identity.user_id
    wanted = BUCKET_PERMISSIONS.get(request.action)
    if wanted is not None:
        return _BUCKET_ACL if _grants(bucket.acl, bucket, user_id, wanted) else None
    wanted = OBJECT_PERMISSIONS.get(request.action)
    if wanted is None:
        return _by_own_object(request.action, bucket, object, user_id)
    if bucket.uniform:
        return None
    if object is UNREAD:
        return _UNDECIDED
    if object is ABSENT:
        return _NO_OBJECT
    if user_id == object.owner_id:
        return _OBJECT_OWNER
    return _OBJECT_ACL if _grants(object.acl, bucket, user_id, wanted) else None


def _by_own_object(action: str, bucket: BucketAccess, object: Object, user_id: str | None) -> Decision | None:
    """What the owner of an object or an upload may do with it in a bucket of somebody else's."""
    if user_id is None:
        return None
    if action in _UPLOAD_ACTIONS:
        may = True
    elif action in _OWN_OBJECT_ACTIONS and not bucket.uniform:
        may = _grants(bucket.acl, bucket, user_id, Permission.WRITE)
    else:
        may = False
    if not may:
        return None
    if object is UNREAD:
        return _UNDECIDED
    return _OBJECT_OWNER if object is not ABSENT and object.owner_id == user_id else None


def _grants(acl: Acl | None, bucket: BucketAccess, user_id: str | None, wanted: Permission) -> bool:
    """Whether a list grants somebody but its owner a permission; what is granted to everybody can be turned off."""
    if acl is not None and bucket.public_access.ignore_public_acls:
        acl = acl.without_public_grants()
    return acl is not None and acl.allows(user_id, wanted)


_STEPS: Final = (_by_nature, _by_attached_policies, _by_bucket_policy, _by_lists)
_STEPS_OF_BUCKET: Final = (_by_nature, _by_bucket_policy, _by_lists)
"""Those for whom no policy is attached."""


def _first_concerning(
    effect: Effect, policies: Iterable[Policy], request: Request, tenant: str, object: Object
) -> Decision | None:
    """What the first statement of an effect says that is about the request; UNDECIDED when only some that could be
    are."""
    unread: Decision | None = None
    values: Values | None = None
    resource = request.resource
    for policy in policies:
        denying, allowing = policy.about(request.action, request.identity)
        for statement in (denying if effect is _DENY else allowing).begun(resource):
            if not statement.unconditional:
                values = values or _values(request, object)
                try:
                    if not statement.covers(resource, tenant, values):
                        continue
                except Unread:
                    unread = unread or Decision(Outcome.UNDECIDED, Reason.NOT_READ, statement, policy)
                    continue
            return Decision(_DENIED if effect is _DENY else _ALLOWED, _STATEMENT, statement, policy)
    return unread


def _values(request: Request, object: Object) -> Values:
    """The request's condition keys, and those of the object; each worked out once for all statements."""
    known: dict[str, Sequence[str] | None] = {}

    def values(key: str) -> Sequence[str] | None:
        if key in known:
            return known[key]
        found = known[key] = _of_object(key, object) if key.startswith(EXISTING_TAG) else context.values(key)
        return found

    context = request.context
    return values


def _of_object(key: str, object: Object) -> Sequence[str] | None:
    if object is UNREAD:
        raise Unread(key)
    tag = None if object is ABSENT else object.tags.get(key[len(EXISTING_TAG) :])
    return None if tag is None else (tag,)
