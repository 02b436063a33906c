"""Decisions by the tags of objects, by policies that are attached to users, by lists, and by what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from post3tw.model.acl import ALL_USERS, AUTHENTICATED_USERS
from post3tw.service.policy.access import (
    ABSENT,
    BucketAccess,
    ObjectAccess,
    ObjectOwnership,
    PublicAccessBlock,
)
from post3tw.service.policy.actions import ACTIONS
from post3tw.service.policy.decision import (
    POLICY_ACTIONS,
    Reason,
    decide,
)
from post3tw.service.policy.statement import Policy
from tests.service.policy.decision_case import (
    ADAS,
    ARN,
    EVERYTHING,
    GET_DENIED,
    OWNERS,
    PLAIN,
    UNIFORM,
    DecisionCase,
    bucket_with,
    granting,
)
from tests.service.policy.documents import (
    ADA,
    ANYBODY,
    BOB,
    OWNER,
    ROOT,
    attached_policy,
    request,
    statement,
)


class TagTests(DecisionCase):
    """Conditions on the tags that the object has."""

    CONDITION: Mapping[str, Any] = {"StringEquals": {"s3:ExistingObjectTag/Team": "a"}}

    def test_allowing(self) -> None:
        """What allows by a tag is decided when the object was read, and without the tag it allows nothing."""
        bucket = bucket_with(statement(Condition=self.CONDITION))
        self.assert_undecided(request(ADA), bucket)
        self.assert_may(request(ADA), bucket, ObjectAccess("owner", tags={"Team": "a"}))
        for tags in ({}, {"Team": "b"}, {"team": "a"}):
            self.assert_may_not(request(ADA), bucket, ObjectAccess("owner", tags=tags))
        self.assert_may_not(request(ADA), bucket, ABSENT)

    def test_denying(self) -> None:
        """What is denied by a tag is undecided even for the owner, until the object was read."""
        bucket = bucket_with(statement("Deny", Condition=self.CONDITION))
        tagged = ObjectAccess("owner", tags={"Team": "a"})
        for identity in (OWNER, ROOT):
            self.assert_undecided(request(identity), bucket)
            self.assert_may_not(request(identity), bucket, tagged, Reason.STATEMENT)
            self.assert_may(request(identity), bucket, OWNERS)

    def test_no_need_to_read(self) -> None:
        """When the answer is the same whatever the tags are, it is given at once."""
        by_tag = statement(Condition=self.CONDITION)
        self.assert_may(request(ADA), bucket_with(by_tag, statement()))
        self.assert_may_not(request(ADA), bucket_with(by_tag, GET_DENIED), reason=Reason.STATEMENT)
        self.assert_may_not(request(ADA), bucket_with(statement("Deny", Condition=self.CONDITION)))
        self.assert_may(request(OWNER), bucket_with(by_tag))


class AttachedPolicyTests(DecisionCase):
    """Policies that are attached to who asks."""

    READING = attached_policy(statement(), statement(Action="s3:ListBucket", Resource=ARN))

    def test_allow(self) -> None:
        """They allow in buckets of the own tenant, and nothing in those of others."""
        self.assert_may(request(ADA, attached=(self.READING,)), UNIFORM)
        self.assert_may(request(ADA, "s3:ListBucket", None, attached=(self.READING,)), UNIFORM)
        self.assert_may_not(request(ADA, "s3:PutObject", attached=(self.READING,)), UNIFORM)
        self.assert_may_not(request(BOB, attached=(self.READING,)), UNIFORM)
        self.assert_may(request(BOB, attached=(self.READING,)), evolve(UNIFORM, tenant="research"))

    def test_deny(self) -> None:
        """They deny in every bucket, also the own one and also to administrators, and what is its policy too."""
        denying = attached_policy(statement("Deny", **EVERYTHING))
        for identity in (OWNER, ROOT, ADA):
            for action in ("s3:GetObject", *POLICY_ACTIONS):
                self.assert_may_not(
                    request(identity, action, attached=(self.READING, denying)), UNIFORM, OWNERS, Reason.STATEMENT
                )

    def test_deny_beside_the_buckets_policy(self) -> None:
        """A bucket's policy takes nothing of that away, whatever it allows."""
        denying = attached_policy(GET_DENIED)
        for bucket in (bucket_with(statement()), bucket_with(GET_DENIED), UNIFORM):
            self.assert_may_not(request(ADA, attached=(self.READING, denying)), bucket, reason=Reason.STATEMENT)
        self.assert_may_not(request(ADA, attached=(self.READING,)), bucket_with(GET_DENIED), reason=Reason.STATEMENT)


class ListTests(DecisionCase):
    """Access control lists."""

    def test_bucket_permissions(self) -> None:
        """Each permission on a bucket allows its actions and no others."""
        table = {
            "READ": {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
            "WRITE": {"s3:PutObject"},
            "READ_ACP": {"s3:GetBucketAcl"},
            "WRITE_ACP": {"s3:PutBucketAcl"},
        }
        table["FULL_CONTROL"] = set().union(*table.values())
        for permission, allowed in table.items():
            bucket = evolve(UNIFORM, acl=granting(OWNER, permission, "ada"))
            for action in ACTIONS:
                self.assertEqual(decide(request(ADA, action), bucket, OWNERS).allowed, action in allowed, action)
                self.assertFalse(decide(request(BOB, action), bucket, OWNERS).allowed)

    def test_object_permissions(self) -> None:
        """Each permission on an object allows its actions and no others."""
        reading = {"GetObject", "GetObjectVersion", "GetObjectTorrent", "GetObjectVersionTorrent"}
        table = {
            "READ": reading | {"GetObjectAttributes", "GetObjectVersionAttributes"},
            "WRITE": set(),
            "READ_ACP": {"GetObjectAcl", "GetObjectVersionAcl"},
            "WRITE_ACP": {"PutObjectAcl", "PutObjectVersionAcl"},
        }
        table["FULL_CONTROL"] = set().union(*table.values())
        for permission, names in table.items():
            object = ObjectAccess("owner", granting(OWNER, permission, "ada"))
            for action in ACTIONS:
                may = decide(request(ADA, action), PLAIN, object).allowed
                self.assertEqual(may, action.removeprefix("s3:") in names, (permission, action))

    def test_groups(self) -> None:
        """Everybody is everybody; authenticated users are those who sign."""
        for group, meant in ((ALL_USERS, (ADA, BOB, ANYBODY)), (AUTHENTICATED_USERS, (ADA, BOB))):
            acl = granting(OWNER, "READ", group)
            for identity in (ADA, BOB, ANYBODY):
                listing = decide(request(identity, "s3:ListBucket", None), evolve(UNIFORM, acl=acl))
                getting = decide(request(identity), PLAIN, ObjectAccess("owner", acl))
                self.assertEqual((listing.allowed, getting.allowed), (identity in meant,) * 2)

    def test_public_grants_ignored(self) -> None:
        """IgnorePublicAcls takes away what groups were granted, and leaves what users were."""
        ignoring = PublicAccessBlock(ignore_public_acls=True)
        acl = granting(OWNER, "READ", ALL_USERS, "ada")
        bucket = evolve(PLAIN, acl=acl, public_access=ignoring)
        for identity, may in ((ADA, True), (BOB, False), (ANYBODY, False)):
            self.assertEqual(decide(request(identity, "s3:ListBucket", None), bucket).allowed, may)
            self.assertEqual(decide(request(identity), bucket, ObjectAccess("owner", acl)).allowed, may)

    def test_disabled(self) -> None:
        """Where ownership is enforced, lists count for nothing."""
        acl = granting(OWNER, "FULL_CONTROL", ALL_USERS, "ada")
        bucket = BucketAccess("owner", acl=acl, ownership=ObjectOwnership.BUCKET_OWNER_ENFORCED)
        for action in ("s3:ListBucket", "s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
            self.assert_may_not(request(ADA, action), bucket, ObjectAccess("ada", acl))

    def test_writing_allows_to_delete_what_is_ones_own(self) -> None:
        """WRITE on a bucket allows to delete the objects that one wrote, and their versions, and no others."""
        writable = evolve(PLAIN, acl=granting(OWNER, "WRITE", "ada", "bob"))
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
            self.assert_undecided(request(ADA, action), writable)
            self.assert_may(request(ADA, action), writable, ADAS)
            self.assert_may_not(request(BOB, action), writable, ADAS)
            self.assert_may_not(request(ADA, action), evolve(writable, uniform=True))
            self.assert_may_not(request(ADA, action), PLAIN, ADAS)

    def test_lists_and_policies(self) -> None:
        """What a list grants, a policy need not allow, and can deny."""
        object = ObjectAccess("owner", granting(OWNER, "READ", "ada"))
        to_bob = statement(Principal={"AWS": "research"})
        self.assert_may(request(ADA), bucket_with(to_bob, uniform=False), object)
        self.assert_may_not(request(ADA), bucket_with(GET_DENIED, uniform=False), object, Reason.STATEMENT)


class UnreadableTests(DecisionCase):
    """Configuration that is there and cannot be understood."""

    def test_denies(self) -> None:
        """Everything is denied to everybody, but repairing it to the owner and administrators."""
        public = granting(OWNER, "FULL_CONTROL", ALL_USERS)
        bucket = evolve(UNIFORM, acl=public, unreadable=frozenset({"policy"}))
        policy = {f"s3:{does}BucketPolicy" for does in ("Get", "Put", "Delete")}
        repairs = policy | {f"s3:PutBucket{of}" for of in ("Acl", "OwnershipControls", "PublicAccessBlock")}
        for action in ACTIONS:
            for identity in (OWNER, ROOT, ADA, ANYBODY):
                if identity in (OWNER, ROOT) and action in repairs:
                    self.assert_may(request(identity, action), bucket)
                else:
                    self.assert_may_not(request(identity, action), bucket, reason=Reason.UNREADABLE)

    def test_attached_policy_denies_repair(self) -> None:
        """What a policy of one's own denies stays denied."""
        denying: Policy = attached_policy(statement("Deny", **EVERYTHING))
        bucket = evolve(UNIFORM, unreadable=frozenset({"policy"}))
        self.assert_may_not(
            request(OWNER, "s3:DeleteBucketPolicy", None, attached=(denying,)), bucket, reason=Reason.STATEMENT
        )
