"""What tests of decisions share: buckets, objects, lists, and saying who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.acl import Acl, Grant, Grantee, Permission
from post3tw.model.identity import Identity
from post3tw.service.policy.access import (
    UNREAD,
    BucketAccess,
    Missing,
    ObjectAccess,
)
from post3tw.service.policy.decision import (
    Decision,
    Outcome,
    Reason,
    Request,
    decide,
)
from tests.service.policy.documents import (
    BUCKET,
    bucket_policy,
    statement,
)

PLAIN = BucketAccess("owner")
UNIFORM = BucketAccess("owner", uniform=True)
OWNERS, ADAS = ObjectAccess("owner"), ObjectAccess("ada")
ARN = f"arn:aws:s3:::{BUCKET}"
GET_DENIED = statement("Deny")
EVERYTHING: Mapping[str, Any] = {"Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]}


def bucket_with(*statements: dict[str, Any], **settings: Any) -> BucketAccess:
    """A bucket with a policy, all its objects its owner's."""
    return evolve(UNIFORM, policy=bucket_policy(*statements), **settings)


def granting(owner: Identity, permission: str, *grantees: str) -> Acl:
    """A list that grants a permission to user ids and groups."""
    made = [Grantee(group=g) if g.startswith("http") else Grantee(g) for g in grantees]
    return Acl(owner.owner, tuple(Grant(grantee, Permission(permission)) for grantee in made))


class DecisionCase(SynchronousTestCase):
    """Tests that say who may do what."""

    def assert_may(
        self, asked: Request, bucket: BucketAccess | None, object: ObjectAccess | Missing = UNREAD
    ) -> Decision:
        """The request is allowed; its decision."""
        decision = decide(asked, bucket, object)
        self.assertTrue(decision.allowed, decision)
        self.assertIs(decision.outcome, Outcome.ALLOW)
        return decision

    def assert_may_not(
        self, asked: Request, bucket: BucketAccess | None, object: ObjectAccess | Missing = UNREAD,
        reason: Reason = Reason.NOTHING_ALLOWS,
    ) -> Decision:  # fmt: skip
        """The request is denied for a reason; its decision."""
        decision = decide(asked, bucket, object)
        self.assertFalse(decision.allowed, decision)
        self.assertIs(decision.reason, reason)
        explicit = reason is Reason.STATEMENT
        self.assertIs(decision.outcome, Outcome.EXPLICIT_DENY if explicit else Outcome.IMPLICIT_DENY)
        return decision

    def assert_undecided(self, asked: Request, bucket: BucketAccess) -> None:
        """The request depends on what was not read, and is not allowed."""
        decision = decide(asked, bucket)
        self.assertFalse(decision.allowed)
        self.assertEqual((decision.outcome, decision.reason), (Outcome.UNDECIDED, Reason.NOT_READ))
