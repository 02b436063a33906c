"""What holds for every policy: denying more never grants, allowing less never grants, reading less never decides."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.acl import ALL_USERS, Acl, Grant, Grantee, Permission
from post3tw.service.policy.access import (
    ABSENT,
    UNREAD,
    BucketAccess,
    ObjectAccess,
    ObjectOwnership,
    PublicAccessBlock,
)
from post3tw.service.policy.decision import Outcome, Request, decide
from post3tw.service.policy.public import is_public
from tests.service.policy.documents import (
    ADA,
    BOB,
    BUCKET,
    OWNER,
    ROOT,
    attached_policy,
    bucket_policy,
    request,
    statement,
)

ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketPolicy", "s3:PutBucketAcl"]
CONDITIONS = [
    {},
    {"StringEquals": {"s3:prefix": "a"}},
    {"StringNotLikeIfExists": {"s3:prefix": "a*"}},
    {"ForAllValues:StringEquals": {"s3:ExistingObjectTag/team": "a"}},
    {"Null": {"s3:ExistingObjectTag/team": "true"}},
    {"StringNotEquals": {"s3:ExistingObjectTag/team": "a"}, "StringLike": {"s3:prefix": "*"}},
]


def _statements(effects: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda effect, principal, action, resource, condition: statement(
            effect, Principal=principal, Action=action, Resource=resource, Condition=condition
        ),
        st.sampled_from(effects),
        st.sampled_from(["*", {"AWS": "research"}, {"AWS": "arn:aws:iam:::user/ada"}, {"CanonicalUser": "owner"}]),
        st.lists(st.sampled_from([*ACTIONS, "s3:Get*", "*"]), min_size=1, max_size=2),
        st.lists(
            st.sampled_from([f"arn:aws:s3:::{BUCKET}{end}" for end in ("", "/*", "/a?", "/b*/c")]),
            min_size=1,
            max_size=2,
        ),
        st.sampled_from(CONDITIONS),
    )


_LISTS = st.none() | st.builds(
    lambda grants: Acl(OWNER.owner, tuple(Grant(g, p) for g, p in grants)),
    st.lists(
        st.tuples(
            st.sampled_from([Grantee("ada"), Grantee("bob"), Grantee(group=ALL_USERS)]), st.sampled_from(Permission)
        ),
        max_size=3,
    ),
)
_OBJECTS = st.just(ABSENT) | st.builds(
    ObjectAccess, st.sampled_from(["owner", "ada"]), _LISTS, st.sampled_from([{}, {"team": "a"}, {"team": "b"}])
)
_BUCKETS = st.builds(
    BucketAccess,
    owner_id=st.just("owner"),
    acl=_LISTS,
    public_access=st.builds(PublicAccessBlock, ignore_public_acls=st.booleans(), restrict_public_buckets=st.booleans()),
    ownership=st.sampled_from(ObjectOwnership),
)
_REQUESTS = st.builds(
    lambda identity, action, key, context: request(identity, action, key, context=context),
    st.sampled_from([None, ADA, BOB, OWNER, ROOT]),
    st.sampled_from(ACTIONS),
    st.sampled_from([None, "a", "ab", "b/c"]),
    st.sampled_from([{}, {"s3:prefix": "a"}, {"s3:prefix": "b"}]),
)
_POLICIES = st.lists(_statements(["Allow", "Deny"]), min_size=1, max_size=4)


class PropertyTests(SynchronousTestCase):
    """Decisions about random policies, lists, buckets and requests."""

    @given(_REQUESTS, _BUCKETS, _OBJECTS, _POLICIES, _statements(["Deny"]), st.data())
    def test_adding_a_deny_never_grants(
        self, asked: Request, bucket: BucketAccess, object: Any, policy: list[Any], deny: Any, data: st.DataObject
    ) -> None:
        """With one more statement that denies, wherever it stands and whosever policy it is in, no more is allowed."""
        if data.draw(st.booleans()):
            before = evolve(bucket, policy=bucket_policy(*policy))
            place = data.draw(st.integers(0, len(policy)))
            after = evolve(bucket, policy=bucket_policy(*policy[:place], deny, *policy[place:]))
            more = asked
        else:
            before = after = bucket
            asked = evolve(asked, identity_policies=(attached_policy(*policy),))
            more = evolve(asked, identity_policies=(*asked.identity_policies, attached_policy(deny)))
        if decide(more, after, object).allowed:
            self.assertTrue(decide(asked, before, object).allowed)

    @given(_REQUESTS, _BUCKETS, _OBJECTS, _POLICIES, _statements(["Allow"]))
    def test_removing_an_allow_never_grants(
        self, asked: Request, bucket: BucketAccess, object: Any, policy: list[Any], allow: Any
    ) -> None:
        """Without a statement that allows, no more is allowed, also where that makes the policy less public."""
        before = evolve(bucket, policy=bucket_policy(*policy, allow))
        after = evolve(bucket, policy=bucket_policy(*policy))
        if bucket.public_access.restrict_public_buckets and is_public(bucket_policy(allow)):
            return  # this statement is what closes the bucket to others: taking it away opens it again, as on AWS
        if decide(asked, after, object).allowed:
            self.assertTrue(decide(asked, before, object).allowed)

    @given(_REQUESTS, _BUCKETS, _OBJECTS, _POLICIES)
    def test_unread(self, asked: Request, bucket: BucketAccess, object: Any, policy: list[Any]) -> None:
        """What is decided without reading the object is what would be decided with it."""
        bucket = evolve(bucket, policy=bucket_policy(*policy))
        early, late = decide(asked, bucket, UNREAD), decide(asked, bucket, object)
        self.assertIsNot(late.outcome, Outcome.UNDECIDED)
        if early.outcome is not Outcome.UNDECIDED:
            self.assertEqual(early.allowed, late.allowed)

    @given(_REQUESTS, _BUCKETS, _OBJECTS)
    def test_uniform(self, asked: Request, bucket: BucketAccess, object: Any) -> None:
        """That a bucket is uniform only saves reading: when it is true, the object says the same."""
        of_owner = ObjectAccess("owner", None, {} if object is ABSENT else object.tags)
        self.assertEqual(
            decide(asked, evolve(bucket, uniform=True), UNREAD).allowed, decide(asked, bucket, of_owner).allowed
        )
