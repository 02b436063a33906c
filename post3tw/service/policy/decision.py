"""The one decision: may this be done?

    decide(request, bucket, object) -> Decision

Pure and synchronous. The caller gives what it has; when the answer depends on an object that was not read, it comes
back UNDECIDED, and the caller reads the object and asks again:

    decision = decide(request, bucket, UNREAD)
    if decision.outcome is Outcome.UNDECIDED:
        decision = decide(request, bucket, await read_the_object())     # an ObjectAccess, or ABSENT
    if not decision.allowed:
        raise AccessDenied()

An UNDECIDED decision is not `allowed`: forgetting to ask again denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from attrs import field, frozen

from post3tw.model.identity import Identity
from post3tw.service.policy.statement import Policy, Statement


class Outcome(Enum):
    """What a decision says."""

    ALLOW = "allowed"
    EXPLICIT_DENY = "explicitly denied"
    IMPLICIT_DENY = "not allowed"
    UNDECIDED = "not decided"


class Reason(Enum):
    """Why a decision is what it is, in words for people."""

    ADMINISTRATOR = "administrators may do everything that no policy denies"
    POLICY_OF_OWN_BUCKET = "the bucket's owner and administrators may always read, replace and delete its policy"
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
            key: in lower case, such as "aws:sourceip" or "s3:prefix".
        """


@frozen
class Request:
    """Who wants to do what to which resource.

    Attributes:
        identity: who asks, None for an anonymous caller.
        action: one of `actions.ACTIONS`, such as "s3:GetObject".
        resource: the ARN: arn:aws:s3:::bucket or arn:aws:s3:::bucket/key, "*" for what is about no bucket.
        context: the values of condition keys, but those of s3:ExistingObjectTag, which come from the object.
        identity_policies: policies that are attached to who asks: the user's, its groups', its role's.
    """

    identity: Identity | None
    action: str
    resource: str
    context: Context = field(repr=False)
    identity_policies: tuple[Policy, ...] = ()


@frozen
class Decision:
    """The answer, and why. `statement` and its `policy` are those that decided, when a statement did."""

    outcome: Outcome
    reason: Reason
    statement: Statement | None = None
    policy: Policy | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.outcome is Outcome.ALLOW
