"""What a bucket's owner configures about access: policy, Public Access Block, ownership controls, who pays."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import ensureDeferred

from post3tw.api import types
from post3tw.model.errors import (
    AccessDenied,
    AclsWithEnforcedOwner,
    InvalidRequest,
    MalformedPolicy,
    MalformedXML,
    NoOwnershipControls,
    NoPublicAccessBlock,
    NoSuchBucketPolicy,
)
from post3tw.service.new_buckets import NEW_BUCKET_DEFAULTS
from tests.service.access_case import ADA, ADMIN, BOB, EVE, NOBODY, AccessCase


def policy(**statement: Any) -> str:
    """A policy of one statement: everybody may get the bucket's objects, unless it says otherwise."""
    defaults = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**defaults, **statement}]})


class PolicyTests(AccessCase):
    """The four operations on policies."""

    async def test_kept_as_it_was_put(self) -> None:
        """A policy comes back letter by letter; deleting it twice is no error."""
        text = policy().replace(",", " ,\n")
        await self.call(ADA, "PutBucketPolicy", policy=text)
        self.assertEqual((await self.call(ADA, "GetBucketPolicy")).policy, text)
        for _ in range(2):
            await self.call(ADA, "DeleteBucketPolicy")
        await self.refused(NoSuchBucketPolicy, ADA, "GetBucketPolicy")

    async def test_who_sees_how_many_tags(self) -> None:
        """GET and HEAD say how many tags an object has to those who may read them."""
        await self.call(ADA, "PutObject", tagging="a=1&b=2")
        for actions, count in (["s3:GetObject"], None), (["s3:GetObject", "s3:GetObjectTagging"], 2):
            await self.call(ADA, "PutBucketPolicy", policy=policy(Action=actions))
            for operation in ("GetObject", "HeadObject"):
                self.assertEqual((await self.call(NOBODY, operation)).tag_count, count, operation)
                self.assertEqual((await self.call(ADA, operation)).tag_count, 2, operation)

    async def test_bad_policies(self) -> None:
        """What is no policy, or about another bucket, is refused and changes nothing."""
        await self.call(ADA, "PutBucketPolicy", policy=policy())
        for bad in ("", "{", "[]", policy(Resource="arn:aws:s3:::another/*"), policy(Action="s3:Fetch")):
            await self.refused(MalformedPolicy, ADA, "PutBucketPolicy", policy=bad)
        self.assertEqual((await self.call(ADA, "GetBucketPolicy")).policy, policy())

    async def test_takes_effect_at_once(self) -> None:
        """The next request sees a policy, a change of it, and that it is gone."""
        await self.call(ADA, "PutObject")
        await self.refused(AccessDenied, NOBODY, "GetObject")
        await self.call(ADA, "PutBucketPolicy", policy=policy())
        await self.call(NOBODY, "GetObject")
        await self.call(ADA, "PutBucketPolicy", policy=policy(Effect="Deny"))
        await self.refused(AccessDenied, NOBODY, "GetObject")
        await self.refused(AccessDenied, ADA, "GetObject")
        await self.refused(AccessDenied, ADMIN, "GetObject")
        await self.call(ADA, "DeleteBucketPolicy")
        await self.call(ADA, "GetObject")

    async def test_nobody_locks_himself_out(self) -> None:
        """Whatever a policy denies, the bucket's owner reads, replaces and deletes it; others are denied."""
        closed = policy(Effect="Deny", Action="s3:*", Resource=["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"])
        await self.call(ADA, "PutBucketPolicy", policy=closed, confirm_remove_self_bucket_access=True)
        await self.refused(AccessDenied, ADA, "ListObjects")
        await self.refused(AccessDenied, BOB, "GetBucketPolicy")
        for identity in (ADA, ADMIN):
            await self.call(identity, "GetBucketPolicy")
            await self.call(identity, "PutBucketPolicy", policy=closed)
            await self.call(identity, "DeleteBucketPolicy")
            await self.call(identity, "PutBucketPolicy", policy=closed)

    async def test_may_be_handed_to_others(self) -> None:
        """A policy may let another user change it."""
        both = ["s3:GetBucketPolicy", "s3:PutBucketPolicy"]
        mine = {"Principal": {"AWS": "arn:aws:iam:::user/bob"}, "Resource": "arn:aws:s3:::bucket"}
        await self.call(ADA, "PutBucketPolicy", policy=policy(Action=both, **mine))
        await self.call(BOB, "GetBucketPolicy")
        await self.refused(AccessDenied, EVE, "GetBucketPolicy", bucket=":bucket")
        await self.call(BOB, "PutBucketPolicy", policy=policy())
        await self.refused(AccessDenied, BOB, "GetBucketPolicy")

    async def test_status(self) -> None:
        """A bucket is public by its policy or by its list, unless that counts for nothing."""

        async def public() -> bool:
            status = (await self.call(ADA, "GetBucketPolicyStatus")).policy_status
            return bool(status.is_public)

        self.assertFalse(await public())
        await self.call(ADA, "PutBucketPolicy", policy=policy())
        self.assertTrue(await public())
        await self.call(ADA, "PutBucketPolicy", policy=policy(Principal={"AWS": "arn:aws:iam:::user/bob"}))
        self.assertFalse(await public())
        await self.call(ADA, "PutBucketAcl", acl="authenticated-read")
        self.assertTrue(await public())
        ignored = types.PublicAccessBlockConfiguration(ignore_public_acls=True)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=ignored)
        self.assertFalse(await public())


class PublicAccessTests(AccessCase):
    """Public Access Block; what it does to lists is among the tests of lists."""

    async def test_put_get_delete(self) -> None:
        """The switches are shown as they were set, those not mentioned as off; there are none before and after."""
        await self.refused(NoPublicAccessBlock, ADA, "GetPublicAccessBlock")
        await self.refused(MalformedXML, ADA, "PutPublicAccessBlock")
        wanted = types.PublicAccessBlockConfiguration(block_public_acls=True, restrict_public_buckets=True)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=wanted)
        shown = (await self.call(ADA, "GetPublicAccessBlock")).public_access_block_configuration
        self.assertEqual(
            shown,
            types.PublicAccessBlockConfiguration(
                block_public_acls=True,
                ignore_public_acls=False,
                block_public_policy=False,
                restrict_public_buckets=True,
            ),
        )
        for _ in range(2):
            await self.call(ADA, "DeletePublicAccessBlock")
        await self.refused(NoPublicAccessBlock, ADA, "GetPublicAccessBlock")

    async def test_block_public_policy(self) -> None:
        """A public policy is refused where that is blocked, one for a user is not."""
        blocked = types.PublicAccessBlockConfiguration(block_public_policy=True)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=blocked)
        await self.refused(AccessDenied, ADA, "PutBucketPolicy", policy=policy())
        await self.call(ADA, "PutBucketPolicy", policy=policy(Principal={"AWS": "arn:aws:iam:::user/bob"}))

    async def test_restrict_public_buckets(self) -> None:
        """A public policy lets in the owner alone where that is restricted."""
        await self.call(ADA, "PutObject")
        await self.call(ADA, "PutBucketPolicy", policy=policy())
        restricted = types.PublicAccessBlockConfiguration(restrict_public_buckets=True)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=restricted)
        for identity in (NOBODY, BOB):
            await self.refused(AccessDenied, identity, "GetObject")
        await self.call(ADA, "GetObject")


class OwnershipTests(AccessCase):
    """Ownership controls."""

    async def own(self, setting: str) -> None:
        """Make the setting."""
        controls = types.OwnershipControls(rules=[types.OwnershipControlsRule(object_ownership=setting)])
        await self.call(ADA, "PutBucketOwnershipControls", ownership_controls=controls)

    async def owners(self, **members: Any) -> str:
        """Who owns what Bob writes, and what he begins to upload."""
        await self.call(BOB, "PutObject", **members)
        upload = await self.call(BOB, "CreateMultipartUpload", **members)
        parts = await self.call(BOB, "ListParts", upload_id=upload.upload_id)
        self.assertEqual(parts.initiator.id, "bob")
        version = (await self.call(ADA, "ListObjects")).contents[0]
        self.assertEqual(version.owner.id, parts.owner.id)
        return str(version.owner.id)

    async def test_put_get_delete(self) -> None:
        """The setting is shown once it was made; there is none before and after."""
        await self.refused(NoOwnershipControls, ADA, "GetBucketOwnershipControls")
        for setting in ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"):
            await self.own(setting)
            shown = (await self.call(ADA, "GetBucketOwnershipControls")).ownership_controls
            self.assertEqual(shown.rules, [types.OwnershipControlsRule(object_ownership=setting)])
        for _ in range(2):
            await self.call(ADA, "DeleteBucketOwnershipControls")
        await self.refused(NoOwnershipControls, ADA, "GetBucketOwnershipControls")

    async def test_bad_settings(self) -> None:
        """Exactly one rule with a setting that S3 has."""
        rule = types.OwnershipControlsRule(object_ownership="ObjectWriter")
        for rules in (None, [], [rule, rule], [types.OwnershipControlsRule(object_ownership="Nobody")]):
            controls = types.OwnershipControls(rules=rules)
            await self.refused(MalformedXML, ADA, "PutBucketOwnershipControls", ownership_controls=controls)

    async def test_who_owns(self) -> None:
        """The writer, unless the bucket's owner is enforced, or preferred and offered it."""
        await self.allow({"Action": "s3:*", "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]})
        offered = {"acl": "bucket-owner-full-control"}
        self.assertEqual((await self.owners(), await self.owners(**offered)), ("bob", "bob"))
        await self.own("ObjectWriter")
        self.assertEqual((await self.owners(), await self.owners(**offered)), ("bob", "bob"))
        await self.own("BucketOwnerPreferred")
        self.assertEqual((await self.owners(), await self.owners(**offered)), ("bob", "ada"))
        await self.refused(InvalidRequest, BOB, "PutObject", **offered, grant_read="id=bob")
        await self.own("BucketOwnerEnforced")
        self.assertEqual((await self.owners(), await self.owners(**offered)), ("ada", "ada"))

    async def test_grants_to_others(self) -> None:
        """The owner cannot be enforced on a bucket whose list grants something to others."""
        await self.call(ADA, "PutBucketAcl", acl="public-read")
        await self.assertFailure(ensureDeferred(self.own("BucketOwnerEnforced")), AclsWithEnforcedOwner)
        await self.call(ADA, "PutBucketAcl", acl="private")
        await self.own("BucketOwnerEnforced")


class PaymentTests(AccessCase):
    """Request payment."""

    async def test_put_and_get(self) -> None:
        """The owner pays unless it is said otherwise."""
        self.assertEqual((await self.call(ADA, "GetBucketRequestPayment")).payer, "BucketOwner")
        for payer in ("Requester", "BucketOwner"):
            configuration = types.RequestPaymentConfiguration(payer=payer)
            await self.call(ADA, "PutBucketRequestPayment", request_payment_configuration=configuration)
            self.assertEqual((await self.call(ADA, "GetBucketRequestPayment")).payer, payer)
        for bad in (None, types.RequestPaymentConfiguration(payer="Nobody")):
            await self.refused(MalformedXML, ADA, "PutBucketRequestPayment", request_payment_configuration=bad)

    async def test_requester_pays(self) -> None:
        """Where the requester pays, others than the owner must say that they know; nobody else is let in."""
        await self.call(ADA, "PutObject")
        await self.call(ADA, "PutBucketPolicy", policy=policy())
        self.assertIsNone((await self.call(BOB, "GetObject", request_payer="requester")).request_charged)
        configuration = types.RequestPaymentConfiguration(payer="Requester")
        await self.call(ADA, "PutBucketRequestPayment", request_payment_configuration=configuration)
        self.assertIsNone((await self.call(ADA, "GetObject")).request_charged)
        charged = await self.call(BOB, "GetObject", request_payer="requester")
        self.assertEqual(charged.request_charged, "requester")
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.refused(AccessDenied, NOBODY, "GetObject", request_payer="requester")
        await self.call(BOB, "CreateBucket", bucket="bobs")
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs")
        await self.call(BOB, "CopyObject", bucket="bobs", request_payer="requester")
        await self.allow({"Action": "s3:GetObject"}, {"Effect": "Deny", "Action": "s3:PutObjectAcl"})
        for identity in (ADA, ADMIN):  # who are not let in unasked where a statement denies
            await self.call(identity, "GetObject")


class NewBucketsTests(AccessCase):
    """--new-bucket-defaults aws."""

    new_bucket_documents = NEW_BUCKET_DEFAULTS["aws"]

    async def test_closed_at_first(self) -> None:
        """A new bucket blocks all public access and enforces its owner, and no list can be put on it."""
        block = (await self.call(ADA, "GetPublicAccessBlock")).public_access_block_configuration
        self.assertEqual(block, types.PublicAccessBlockConfiguration(
            block_public_acls=True, ignore_public_acls=True, block_public_policy=True, restrict_public_buckets=True
        ))  # fmt: skip
        controls = (await self.call(ADA, "GetBucketOwnershipControls")).ownership_controls
        self.assertEqual(controls.rules[0].object_ownership, "BucketOwnerEnforced")
        await self.refused(AclsWithEnforcedOwner, ADA, "CreateBucket", bucket="another", acl="public-read")
        await self.call(ADA, "CreateBucket", bucket="another", acl="public-read", object_ownership="ObjectWriter")
