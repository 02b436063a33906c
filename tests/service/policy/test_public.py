"""Which policies are public."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.public import is_public
from tests.service.policy.documents import attached_policy, bucket_policy, statement


class PublicTests(SynchronousTestCase):
    """Public is what lets in somebody who was not named."""

    def _is_public(self, *conditions: dict[str, Any]) -> list[bool]:
        return [is_public(bucket_policy(statement(Condition=condition))) for condition in conditions]

    def test_principals(self) -> None:
        """A policy that allows something to everybody is public; one for named principals, or that denies, is not."""
        self.assertTrue(is_public(bucket_policy(statement())))
        self.assertTrue(is_public(bucket_policy(statement("Deny"), statement(Principal={"AWS": ["t", "*"]}))))
        self.assertFalse(is_public(bucket_policy(statement(Principal={"AWS": ["t", "arn:aws:iam::t:user/ada"]}))))
        self.assertFalse(is_public(bucket_policy(statement("Deny"))))

    def test_pinned(self) -> None:
        """A condition that pins who may come to fixed values makes it private."""
        found = self._is_public(
            {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32"]}},
            {"StringEquals": {"aws:SourceVpce": "vpce-1X"}},
            {"StringLike": {"aws:userid": "ada"}},
            {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b"}},
            {"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": "o/r/ou"}},
            {"StringEquals": {"s3:prefix": "a", "aws:PrincipalAccount": "t"}},
        )
        self.assertEqual(found, [False] * 6)

    def test_pinning_keys_and_operators(self) -> None:
        """Each of the keys pins, by each operator that compares texts; addresses of 8 and 32 fixed bits do."""
        globals_ = (
            "PrincipalAccount PrincipalArn PrincipalOrgID PrincipalOrgPaths SourceAccount SourceArn SourceOrgID "
            "SourceOrgPaths SourceOwner SourceVpc SourceVpcArn SourceVpce userid username VpceAccount VpceOrgID "
            "VpceOrgPaths"
        )
        own = "DataAccessPointAccount DataAccessPointArn x-amz-server-side-encryption-aws-kms-key-id"
        keys = [f"aws:{name}" for name in globals_.split()] + [f"s3:{name}" for name in own.split()]
        operators = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
        conditions = [{operator: {key: "arn:aws:s3:::b"}} for key in keys for operator in operators]
        self.assertEqual(self._is_public(*conditions), [False] * len(conditions))
        for source, public in (("64.0.0.0/8", False), ("64.0.0.0/7", True), ("2001::/32", False), ("2001::/31", True)):
            self.assertEqual(self._is_public({"IpAddress": {"aws:SourceIp": source}}), [public], source)

    def test_not_pinned(self) -> None:
        """Other conditions leave it public: wild, negated or very broad ones, and those about something else."""
        found = self._is_public(
            {"StringEquals": {"s3:prefix": "a"}},
            {"Bool": {"aws:SecureTransport": True}},
            {"StringLike": {"aws:Referer": "http://example.com/*"}},
            {"StringLike": {"aws:SourceVpc": "vpc-*"}},
            {"StringEquals": {"aws:SourceVpc": "${aws:username}"}},
            {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
            {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
            {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}},
            {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
            {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "64.0.0.0/7"]}},
            {"IpAddress": {"aws:SourceIp": "2001::/16"}},
            {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
            {"Null": {"aws:SourceVpc": "false"}},
            {"StringEquals": {"aws:userid": ["ada", "anonymous"]}},
            {"StringEqualsIgnoreCase": {"aws:userid": "Anonymous"}},
            {"StringLike": {"aws:SourceVpc": "vpc-?"}},
            {"IpAddress": {"aws:VpcSourceIp": "192.0.2.0/24"}},
            {"StringEquals": {"aws:SourceIp": "192.0.2.1"}},
        )
        self.assertEqual(found, [True] * 18)

    def test_everybody_but(self) -> None:
        """A policy of somebody is about him alone; to allow everybody but some is no policy at all."""
        self.assertFalse(is_public(attached_policy(statement())))
