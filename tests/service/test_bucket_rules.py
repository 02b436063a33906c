"""Rules of buckets: made of documents, kept as long as they hold and as there is room."""

from __future__ import annotations

import json
from functools import partial

from attrs import evolve

from post3tw.model.acl import private
from post3tw.model.bucket import Bucket
from post3tw.model.identity import Owner
from post3tw.service.bucket_rules import RulesOfBuckets, rules_of
from post3tw.service.policy.access import ObjectOwnership, PublicAccessBlock
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.index.transactions.documents import put_document
from tests.service.object_case import ObjectCase

BUCKET = Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1")
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
        ],
    }
).encode()


class RulesTests(ObjectCase):
    """rules_of and RulesOfBuckets."""

    def test_without_documents(self) -> None:
        """A bucket without documents is private, blocks nothing, and nothing keeps its owner from anything."""
        rules = rules_of(BUCKET, {})
        access = rules.access
        self.assertEqual((access.owner_id, access.policy, access.acl), ("ada", None, None))
        self.assertEqual((access.public_access, access.ownership), (PublicAccessBlock(), ObjectOwnership.OBJECT_WRITER))
        self.assertTrue(rules.plain and access.uniform)
        self.assertFalse(rules.requester_pays)
        self.assertFalse(rules_of(evolve(BUCKET, object_acls=True), {}).plain)

    def test_documents(self) -> None:
        """Each document is what it says."""
        rules = rules_of(
            BUCKET,
            {
                "policy": POLICY,
                "acl": b"[]",
                "public_access_block": b'{"ignore_public_acls": true}',
                "ownership": b"BucketOwnerEnforced",
                "request_payment": b"Requester",
                "tagging": b"not read at all",
            },
        )
        access = rules.access
        self.assertEqual(len(access.policy.statements if access.policy else ()), 1)
        self.assertEqual(access.acl, evolve(private(Owner("ada", "Ada")), grants=()))
        self.assertEqual(access.public_access, PublicAccessBlock(ignore_public_acls=True))
        self.assertTrue(access.acls_disabled and rules.requester_pays)
        self.assertEqual(access.unreadable, frozenset())

    def test_policies_that_deny(self) -> None:
        """A policy keeps the bucket's owner from something only with a statement that denies."""
        self.assertTrue(rules_of(BUCKET, {"policy": POLICY}).plain)
        self.assertFalse(rules_of(BUCKET, {"policy": POLICY.replace(b"Allow", b"Deny")}).plain)

    def test_unreadable(self) -> None:
        """Documents that cannot be read are named, each kind for itself, and the bucket is not plain."""
        for kind, bodies in {
            "policy": [b"", b"{}", b"\xff", POLICY.replace(b"Allow", b"Permit")],
            "acl": [b"", b"\xff", b"7"],
            "public_access_block": [b"", b"[]", b'{"block_everything": true}', b'{"ignore_public_acls": "no"}'],
            "ownership": [b"", b"Nobody"],
        }.items():
            for body in bodies:
                rules = rules_of(BUCKET, {kind: body})
                self.assertEqual((rules.access.unreadable, rules.plain), (frozenset({kind}), False), body)

    async def test_kept_by_generation(self) -> None:
        """Rules are kept for the generation that they were read for."""
        rules = RulesOfBuckets(self.store.index)
        self.assertIsNone(rules.kept(self.bucket))
        first = await rules.read(self.bucket)
        self.assertIs(rules.kept(self.bucket), first)
        generation = await self.store.index.run(lambda tx: put_document(tx, self.bucket.id, "policy", POLICY))
        changed = evolve(self.bucket, generation=generation)
        self.assertIsNone(rules.kept(changed))
        self.assertIsNotNone((await rules.read(changed)).access.policy)
        self.assertIsNotNone(rules.kept(changed))

    async def test_as_many_as_fit(self) -> None:
        """The oldest are forgotten when there are too many, or their documents too large."""
        buckets = [evolve(self.bucket, id=number, name=f"bucket-{number}") for number in range(10, 15)]
        for bucket in buckets:
            make = partial(create_bucket, bucket=bucket, documents={"ownership": b"x" * 100})
            await self.store.index.run(make)
        for rules in (RulesOfBuckets(self.store.index, max_kept=2), RulesOfBuckets(self.store.index, max_size=299)):
            for _ in range(2):
                for bucket in buckets:
                    await rules.read(bucket)
            kept = [bucket.name for bucket in buckets if rules.kept(bucket) is not None]
            self.assertEqual(kept, ["bucket-13", "bucket-14"])
