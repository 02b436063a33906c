"""Names of actions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.actions import (
    ACTIONS,
    BUCKET_ACTIONS,
    BUCKET_PERMISSIONS,
    OBJECT_ACTIONS,
    OBJECT_PERMISSIONS,
    OTHER_ACTIONS,
    actions_named,
)


class ActionsTests(SynchronousTestCase):
    """What an element of Action names."""

    def test_case(self) -> None:
        """Names do not depend on case."""
        self.assertEqual(actions_named("S3:getobject"), {"s3:GetObject"})

    def test_patterns(self) -> None:
        """A pattern names the actions that it matches, and a lone star all of them."""
        self.assertEqual(
            actions_named("s3:GetObject?cl") | actions_named("s3:PutObject*Acl"),
            {"s3:GetObjectAcl", "s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
        )
        self.assertEqual(actions_named("*"), ACTIONS)
        self.assertEqual(actions_named("s3:*"), ACTIONS)

    def test_unknown(self) -> None:
        """What is no action of S3 names nothing."""
        for name in ("s3:GetObjct", "ec2:RunInstances", "ec2:*", "s3", "", "GetObject", "s3:Fly*", " s3:GetObject"):
            self.assertEqual(actions_named(name), frozenset(), name)

    def test_kinds(self) -> None:
        """Every action is of one kind, and lists of buckets grant none of those that lists of objects grant."""
        self.assertEqual(len(ACTIONS), len(OBJECT_ACTIONS) + len(BUCKET_ACTIONS) + len(OTHER_ACTIONS))
        self.assertLessEqual(set(OBJECT_PERMISSIONS), OBJECT_ACTIONS)
        self.assertFalse(set(OBJECT_PERMISSIONS) & set(BUCKET_PERMISSIONS))
