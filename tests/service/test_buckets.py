"""Buckets, their versioning and their tags, as a caller who was admitted sees them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.model.errors import (
    AccessDenied,
    AclsWithEnforcedOwner,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    IllegalLocationConstraint,
    InvalidArgument,
    InvalidBucketName,
    InvalidLocationConstraint,
    InvalidTag,
    MalformedXML,
    NoSuchBucket,
    NoSuchTagSet,
    NotImplementedHere,
)
from post3tw.model.identity import Caller, Identity
from post3tw.service.authorization import AuthorizedService
from post3tw.service.bucket_tagging import BucketTagging
from post3tw.service.buckets import Buckets
from post3tw.service.local import LocalService
from post3tw.service.operation import operations_of
from post3tw.service.paging import token_of_name
from post3tw.service.versioning import BucketVersioning
from tests.service.stores import make_store

ADA = Identity("ada", "Ada", "ADAKEY")
BOB = Identity("bob", "Bob", "BOBKEY")
EVE = Identity("eve", "Eve", "EVEKEY", tenant="lab")
ADMIN = Identity("root", "root", "ROOT", admin=True)


class BucketCase(TestCase):
    """A store with nothing but the operations on buckets."""

    region = "us-east-1"

    async def setUp(self) -> None:  # type: ignore[override]
        """An empty store."""
        self.store = await make_store(self, region=self.region)
        nouns = [noun(self.store) for noun in (Buckets, BucketVersioning, BucketTagging)]
        self.service = AuthorizedService(LocalService(operations_of(*nouns)), self.store)

    async def call(self, identity: Identity | None, input: Any) -> Any:
        """Admit and run the operation whose input this is."""
        operation = type(input).__name__.removesuffix("Input")
        caller = Caller(identity)
        await self.service.admit(caller, operation, input)
        return await self.service.operations()[operation](caller, input)

    async def fails(self, error: type[Exception], identity: Identity | None, input: Any) -> Any:
        """Check that the operation fails so; the error."""
        return await self.assertFailure(ensureDeferred(self.call(identity, input)), error)

    async def create(self, name: str, identity: Identity = ADA) -> None:
        """Create a bucket."""
        await self.call(identity, types.CreateBucketInput(bucket=name))

    async def names(self, identity: Identity = ADA, **members: Any) -> list[str]:
        """The buckets that a caller lists."""
        answer = await self.call(identity, types.ListBucketsInput(**members))
        return [bucket.name for bucket in answer.buckets]


class CreateTests(BucketCase):
    """CreateBucket."""

    async def test_created_bucket_is_listed(self) -> None:
        """A new bucket is in its owner's list, with the owner, and in nobody else's."""
        await self.create("photos")
        answer = await self.call(ADA, types.ListBucketsInput())
        self.assertEqual([b.name for b in answer.buckets], ["photos"])
        self.assertEqual(answer.owner, types.Owner(id="ada", display_name="Ada"))
        self.assertEqual(await self.names(BOB), [])

    async def test_again_in_the_old_region(self) -> None:
        """Creating one's own bucket again succeeds in us-east-1."""
        await self.create("photos")
        await self.create("photos")
        self.assertEqual(await self.names(), ["photos"])

    async def test_taken(self) -> None:
        """Somebody else's name is taken."""
        await self.create("photos")
        await self.fails(BucketAlreadyExists, BOB, types.CreateBucketInput(bucket="photos"))

    async def test_bad_name(self) -> None:
        """A name that breaks the rules is refused."""
        await self.fails(InvalidBucketName, ADA, types.CreateBucketInput(bucket="Photos"))

    async def test_anonymous(self) -> None:
        """Nobody creates no buckets."""
        await self.fails(AccessDenied, None, types.CreateBucketInput(bucket="photos"))

    async def test_location(self) -> None:
        """The constraint is this region or none."""
        for constraint, error in [("eu-west-1", IllegalLocationConstraint), ("mars-1", InvalidLocationConstraint)]:
            configuration = types.CreateBucketConfiguration(location_constraint=constraint)
            input = types.CreateBucketInput(bucket="photos", create_bucket_configuration=configuration)
            await self.fails(error, ADA, input)
        configuration = types.CreateBucketConfiguration(location_constraint="us-east-1")
        await self.call(ADA, types.CreateBucketInput(bucket="photos", create_bucket_configuration=configuration))
        self.assertEqual(await self.names(), ["photos"])

    async def test_again_with_another_list(self) -> None:
        """Creating one's own bucket again does not change its list: that of another list is refused."""
        await self.call(ADA, types.CreateBucketInput(bucket="photos", acl="public-read"))
        await self.call(ADA, types.CreateBucketInput(bucket="photos", acl="public-read"))
        await self.fails(BucketAlreadyExists, ADA, types.CreateBucketInput(bucket="photos"))

    async def test_owner_enforced(self) -> None:
        """A bucket whose owner owns everything in it cannot begin with grants to others, but with the private list."""
        enforced = "BucketOwnerEnforced"
        input = types.CreateBucketInput(bucket="photos", acl="public-read", object_ownership=enforced)
        await self.fails(AclsWithEnforcedOwner, ADA, input)
        await self.call(ADA, types.CreateBucketInput(bucket="photos", acl="private", object_ownership=enforced))
        await self.fails(MalformedXML, ADA, types.CreateBucketInput(bucket="pictures", object_ownership="Nobody"))

    async def test_tenants_have_namespaces(self) -> None:
        """The same name in two tenants is two buckets; another tenant's can be addressed, not created in."""
        await self.create("photos")
        await self.create("photos", EVE)
        self.assertEqual(await self.names(EVE), ["photos"])
        await self.fails(AccessDenied, ADA, types.HeadBucketInput(bucket="lab:photos"))
        await self.call(EVE, types.HeadBucketInput(bucket="lab:photos"))
        await self.fails(AccessDenied, ADA, types.CreateBucketInput(bucket="lab:music"))
        await self.call(ADMIN, types.CreateBucketInput(bucket="lab:music"))


class CreateElsewhereTests(BucketCase):
    """CreateBucket in a region other than us-east-1."""

    region = "eu-west-1"

    async def test_again(self) -> None:
        """Creating one's own bucket again is refused."""
        await self.create("photos")
        await self.fails(BucketAlreadyOwnedByYou, ADA, types.CreateBucketInput(bucket="photos"))

    async def test_location_is_told(self) -> None:
        """GetBucketLocation names the region."""
        await self.create("photos")
        answer = await self.call(ADA, types.GetBucketLocationInput(bucket="photos"))
        self.assertEqual(answer.location_constraint, "eu-west-1")


class ExistingBucketTests(BucketCase):
    """What one does with a bucket that is there, or is not."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A bucket of Ada's."""
        await super().setUp()
        await self.create("photos")

    async def test_head(self) -> None:
        """HeadBucket tells the region."""
        answer = await self.call(ADA, types.HeadBucketInput(bucket="photos"))
        self.assertEqual(answer.bucket_region, "us-east-1")

    async def test_missing(self) -> None:
        """A bucket that is not there is NoSuchBucket."""
        await self.fails(NoSuchBucket, ADA, types.HeadBucketInput(bucket="music"))

    async def test_others(self) -> None:
        """Other users and anonymous callers are denied, administrators are not."""
        await self.fails(AccessDenied, BOB, types.HeadBucketInput(bucket="photos"))
        await self.fails(AccessDenied, None, types.HeadBucketInput(bucket="photos"))
        await self.call(ADMIN, types.HeadBucketInput(bucket="photos"))

    async def test_expected_owner(self) -> None:
        """A caller who expects another owner is denied."""
        await self.call(ADA, types.HeadBucketInput(bucket="photos", expected_bucket_owner="ada"))
        await self.fails(AccessDenied, ADA, types.HeadBucketInput(bucket="photos", expected_bucket_owner="bob"))

    async def test_not_admitted(self) -> None:
        """An operation refuses a caller who was admitted to another one, or to none."""
        input = types.DeleteBucketInput(bucket="photos")
        caller = Caller(ADA)
        delete = self.service.operations()["DeleteBucket"]
        await self.assertFailure(ensureDeferred(delete(caller, input)), AccessDenied)
        await self.service.admit(caller, "HeadBucket", types.HeadBucketInput(bucket="photos"))
        await self.assertFailure(ensureDeferred(delete(caller, input)), AccessDenied)

    async def test_location_of_the_old_region(self) -> None:
        """The location constraint of us-east-1 is empty."""
        answer = await self.call(ADA, types.GetBucketLocationInput(bucket="photos"))
        self.assertIsNone(answer.location_constraint)

    async def test_delete(self) -> None:
        """A deleted bucket is gone, and its name free for others."""
        await self.call(ADA, types.DeleteBucketInput(bucket="photos"))
        self.assertEqual(await self.names(), [])
        await self.create("photos", BOB)

    async def test_versioning(self) -> None:
        """Versioning starts as nothing, and is then what was put."""
        get = types.GetBucketVersioningInput(bucket="photos")
        self.assertIsNone((await self.call(ADA, get)).status)
        for status in ("Enabled", "Suspended", "Enabled"):
            configuration = types.VersioningConfiguration(status=status)
            put = types.PutBucketVersioningInput(bucket="photos", versioning_configuration=configuration)
            await self.call(ADA, put)
            self.assertEqual((await self.call(ADA, get)).status, status)

    async def test_versioning_that_s3_does_not_know(self) -> None:
        """A status that S3 does not know is malformed; MFA delete is not implemented; neither changes anything."""
        for configuration, error in [
            (types.VersioningConfiguration(status="Off"), MalformedXML),
            (types.VersioningConfiguration(), MalformedXML),
            (types.VersioningConfiguration(status="Enabled", mfa_delete="Enabled"), NotImplementedHere),
        ]:
            put = types.PutBucketVersioningInput(bucket="photos", versioning_configuration=configuration)
            await self.fails(error, ADA, put)
        self.assertIsNone((await self.call(ADA, types.GetBucketVersioningInput(bucket="photos"))).status)

    async def test_tags(self) -> None:
        """Tags are replaced as a whole, and deleted."""
        get = types.GetBucketTaggingInput(bucket="photos")
        await self.fails(NoSuchTagSet, ADA, get)
        for tags in ([("a", "1"), ("b", "2")], [("c", "é")]):
            tagging = types.Tagging(tag_set=[types.Tag(key=key, value=value) for key, value in tags])
            await self.call(ADA, types.PutBucketTaggingInput(bucket="photos", tagging=tagging))
            answer = await self.call(ADA, get)
            self.assertEqual([(tag.key, tag.value) for tag in answer.tag_set], tags)
        await self.call(ADA, types.DeleteBucketTaggingInput(bucket="photos"))
        await self.call(ADA, types.DeleteBucketTaggingInput(bucket="photos"))
        await self.fails(NoSuchTagSet, ADA, get)

    async def test_too_many_tags(self) -> None:
        """A bucket has 50 tags at most."""
        tagging = types.Tagging(tag_set=[types.Tag(key=str(n), value="") for n in range(51)])
        await self.fails(InvalidTag, ADA, types.PutBucketTaggingInput(bucket="photos", tagging=tagging))


class ListTests(BucketCase):
    """ListBuckets."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Five buckets."""
        await super().setUp()
        for name in ["aaa", "abb", "abc", "bbb", "ccc"]:
            await self.create(name)

    async def test_pages(self) -> None:
        """Pages together are the whole list, each bucket once, with regions."""
        found, token = [], None
        while True:
            answer = await self.call(ADA, types.ListBucketsInput(max_buckets=2, continuation_token=token))
            self.assertEqual({bucket.bucket_region for bucket in answer.buckets}, {"us-east-1"})
            found += [bucket.name for bucket in answer.buckets]
            token = answer.continuation_token
            if token is None:
                break
        self.assertEqual(found, ["aaa", "abb", "abc", "bbb", "ccc"])

    async def test_last_page_is_full(self) -> None:
        """A page that ends with the last bucket has no token."""
        answer = await self.call(ADA, types.ListBucketsInput(max_buckets=5))
        self.assertIsNone(answer.continuation_token)

    async def test_token_of_no_name(self) -> None:
        """A token of bytes that no bucket is called is a place like any other."""
        self.assertEqual(await self.names(continuation_token=token_of_name(b"abb\xff")), ["abc", "bbb", "ccc"])

    async def test_filters(self) -> None:
        """Prefix and region narrow the list."""
        self.assertEqual(await self.names(prefix="ab"), ["abb", "abc"])
        self.assertEqual(await self.names(bucket_region="us-east-1", prefix="c"), ["ccc"])
        self.assertEqual(await self.names(bucket_region="eu-west-1"), [])

    async def test_bad_arguments(self) -> None:
        """Counts out of range and tokens that are not ours are refused."""
        refused: list[dict[str, Any]] = [{"max_buckets": 0}, {"max_buckets": 10001}, {"continuation_token": "é"}]
        for members in refused:
            await self.fails(InvalidArgument, ADA, types.ListBucketsInput(**members))
