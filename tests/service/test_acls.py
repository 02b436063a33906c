"""Access control lists of buckets and objects: put, shown, and what they let others do."""

from __future__ import annotations

from typing import Any

from post3tw.api import types
from post3tw.model.acl import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY
from post3tw.model.errors import (
    AccessDenied,
    AclsNotSupported,
    InvalidArgument,
    InvalidRequest,
    MalformedACL,
    MalformedXML,
    MethodNotAllowed,
    NoSuchKey,
    NoSuchUpload,
    UnexpectedContent,
    UnresolvableGrant,
)
from post3tw.service.policy.access import PublicAccessBlock
from post3tw.storage.index.transactions.buckets import find_bucket
from tests.service.access_case import ADA, BOB, EVE, NOBODY, AccessCase

FULL = "FULL_CONTROL"


def document(*grants: tuple[str, str], owner: str = "ada") -> types.AccessControlPolicy:
    """A document that grants permissions to users, by id."""
    return types.AccessControlPolicy(
        owner=types.Owner(id=owner),
        grants=[
            types.Grant(grantee=types.Grantee(id=user, type="CanonicalUser"), permission=permission)
            for user, permission in grants
        ],
    )


class ListsCase(AccessCase):
    """Lists in short."""

    async def bucket_list(self) -> list[tuple[str, str]]:
        """Who has which permission on the bucket."""
        return self.shown(await self.call(ADA, "GetBucketAcl"))

    async def object_list(self, **members: Any) -> list[tuple[str, str]]:
        """Who has which permission on an object; asked by the object's owner."""
        identity = members.pop("identity", ADA)
        return self.shown(await self.call(identity, "GetObjectAcl", **members))

    def shown(self, answer: types.GetBucketAclOutput | types.GetObjectAclOutput) -> list[tuple[str, str]]:
        """Grantee (an id, or the end of a group's URI) and permission."""
        found = []
        for grant in answer.grants or ():
            assert grant.grantee is not None
            name = grant.grantee.id or (grant.grantee.uri or "").rpartition("/")[2]
            found.append((name, str(grant.permission)))
        return found

    async def noted(self) -> bool:
        """Whether the bucket's row says that objects have lists or owners of their own."""
        bucket = await self.store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
        assert bucket is not None
        return bucket.object_acls


class BucketListTests(ListsCase):
    """Lists of buckets."""

    async def test_private_at_first(self) -> None:
        """A new bucket's list names its owner alone, and can be asked for explicitly."""
        self.assertEqual(await self.bucket_list(), [("ada", FULL)])
        await self.call(ADA, "PutBucketAcl", acl="private")
        self.assertEqual(await self.bucket_list(), [("ada", FULL)])

    async def test_canned(self) -> None:
        """The canned lists; groups are shown first."""
        for canned, grants in {
            "public-read": [("AllUsers", "READ")],
            "public-read-write": [("AllUsers", "READ"), ("AllUsers", "WRITE")],
            "authenticated-read": [("AuthenticatedUsers", "READ")],
            "log-delivery-write": [("LogDelivery", "WRITE"), ("LogDelivery", "READ_ACP")],
            "bucket-owner-full-control": [],
        }.items():
            await self.call(ADA, "PutBucketAcl", acl=canned)
            self.assertEqual(await self.bucket_list(), [*grants, ("ada", FULL)], canned)
        await self.refused(InvalidArgument, ADA, "PutBucketAcl", acl="public")

    async def test_what_canned_lists_allow(self) -> None:
        """Reading lists everything, writing puts objects, and neither lets anybody change the list."""
        await self.call(ADA, "PutBucketAcl", acl="authenticated-read")
        await self.call(BOB, "ListObjectsV2")
        await self.call(EVE, "ListObjectsV2", bucket=":bucket")
        await self.refused(AccessDenied, NOBODY, "ListObjectsV2")
        await self.refused(AccessDenied, BOB, "PutObject")
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(NOBODY, "PutObject", acl="public-read", tagging="a=b")
        self.assertEqual((await self.call(BOB, "GetObject")).body, b"data")
        for operation in ("GetBucketAcl", "DeleteBucket", "GetBucketPolicy"):
            await self.refused(AccessDenied, BOB, operation)
        await self.refused(AccessDenied, BOB, "PutBucketAcl", acl="private")

    async def test_each_permission(self) -> None:
        """Each permission that is granted to a user allows what it is for, and no more."""
        tries: dict[str, tuple[str, dict[str, Any]]] = {
            "READ": ("ListObjects", {}),
            "WRITE": ("PutObject", {}),
            "READ_ACP": ("GetBucketAcl", {}),
            "WRITE_ACP": ("PutBucketAcl", {"access_control_policy": document(("bob", "WRITE_ACP"))}),
        }
        for granted in (*tries, FULL):
            await self.call(ADA, "PutBucketAcl", access_control_policy=document(("bob", granted)))
            for permission, (operation, members) in tries.items():
                if granted in (permission, FULL):
                    await self.call(BOB, operation, **members)
                    await self.call(ADA, "PutBucketAcl", access_control_policy=document(("bob", granted)))
                else:
                    await self.refused(AccessDenied, BOB, operation, **members)

    async def test_grants_in_headers(self) -> None:
        """Headers grant to users, groups and e-mail addresses; the owner gets nothing unless he is named."""
        await self.call(
            ADA,
            "PutBucketAcl",
            grant_read=f'uri="{ALL_USERS}", id="bob"',
            grant_write_acp="emailAddress=bob@example.com",
            grant_full_control='id="ada"',
        )
        self.assertEqual(
            await self.bucket_list(), [("AllUsers", "READ"), ("bob", "READ"), ("bob", "WRITE_ACP"), ("ada", FULL)]
        )

    async def test_on_creation(self) -> None:
        """A bucket can begin with a list."""
        await self.call(ADA, "CreateBucket", bucket="another", grant_read="id=bob")
        await self.call(BOB, "ListObjects", bucket="another")
        await self.refused(AccessDenied, BOB, "PutObject", bucket="another")

    async def test_nobody_loses_his_own(self) -> None:
        """Without any grant the owner still reads and changes the list, and everything else."""
        await self.call(ADA, "PutBucketAcl", access_control_policy=document())
        self.assertEqual(await self.bucket_list(), [])
        await self.call(ADA, "PutObject")
        await self.call(ADA, "PutBucketAcl", access_control_policy=document(("ada", FULL)))

    async def test_bad_requests(self) -> None:
        """Lists that cannot be: nothing asked for, two ways at once, grantees that nobody knows."""
        await self.refused(MalformedXML, ADA, "PutBucketAcl")
        both = {"acl": "private", "grant_read": "id=bob"}
        await self.refused(InvalidRequest, ADA, "PutBucketAcl", **both)
        await self.refused(UnexpectedContent, ADA, "PutBucketAcl", acl="private", access_control_policy=document())
        for value in ("id=nobody", "uri=http://example.com/", "bob", 'id="bob', "name=bob"):
            await self.refused(InvalidArgument, ADA, "PutBucketAcl", grant_read=value)
        await self.refused(UnresolvableGrant, ADA, "PutBucketAcl", grant_read="emailAddress=nobody@example.com")
        many = document(*[("bob", "READ")] * 101)
        ownerless = types.AccessControlPolicy(grants=[])
        listless = types.AccessControlPolicy(owner=types.Owner(id="ada"))
        for bad in (many, ownerless, listless, document(("bob", "EVERYTHING"))):
            await self.refused(MalformedACL, ADA, "PutBucketAcl", access_control_policy=bad)
        await self.refused(AccessDenied, ADA, "PutBucketAcl", access_control_policy=document(owner="bob"))


class ObjectListTests(ListsCase):
    """Lists of objects."""

    async def test_private_at_first(self) -> None:
        """An object's list names its owner alone, and the bucket's row says that there is nothing to be looked up."""
        await self.call(ADA, "PutObject")
        self.assertEqual(await self.object_list(), [("ada", FULL)])
        await self.call(ADA, "PutObject", acl="private")
        self.assertFalse(await self.noted())

    async def test_canned(self) -> None:
        """The canned lists, as an object is written."""
        for canned, grants in {
            "public-read": [("AllUsers", "READ")],
            "authenticated-read": [("AuthenticatedUsers", "READ")],
            "bucket-owner-read": [],
        }.items():
            await self.call(ADA, "PutObject", acl=canned)
            self.assertEqual(await self.object_list(), [*grants, ("ada", FULL)], canned)
        await self.call(ADA, "PutObject", acl="aws-exec-read")
        self.assertEqual(len(await self.object_list()), 2)
        await self.refused(InvalidArgument, ADA, "PutObject", acl="log-delivery-write")
        self.assertTrue(await self.noted())

    async def test_a_list_is_the_objects_own(self) -> None:
        """A public object in a private bucket is read by everybody, a private one in a public bucket by its owner."""
        await self.call(ADA, "PutObject", acl="public-read")
        await self.call(NOBODY, "GetObject")
        await self.refused(AccessDenied, NOBODY, "ListObjects")
        await self.call(ADA, "PutBucketAcl", acl="public-read")
        await self.call(ADA, "PutObject")
        await self.refused(AccessDenied, NOBODY, "GetObject")

    async def test_each_permission(self) -> None:
        """Each permission on an object allows what it is for; WRITE means nothing."""
        await self.call(ADA, "PutObject")
        tries: dict[str, tuple[str, dict[str, Any]]] = {
            "READ": ("GetObject", {}),
            "READ_ACP": ("GetObjectAcl", {}),
            "WRITE_ACP": ("PutObjectAcl", {"access_control_policy": document(("bob", "WRITE_ACP"))}),
        }
        for granted in (*tries, "WRITE", FULL):
            await self.call(ADA, "PutObjectAcl", access_control_policy=document(("bob", granted)))
            for permission, (operation, members) in tries.items():
                if granted in (permission, FULL):
                    await self.call(BOB, operation, **members)
                    await self.call(ADA, "PutObjectAcl", access_control_policy=document(("bob", granted)))
                else:
                    await self.refused(AccessDenied, BOB, operation, **members)
            await self.refused(AccessDenied, BOB, "PutObject")

    async def test_copies_and_uploads(self) -> None:
        """A copy has the list that its request asks for, never its source's; an upload keeps its list for it."""
        await self.call(ADA, "PutObject", acl="public-read")
        await self.call(ADA, "CopyObject", key="copy")
        await self.refused(AccessDenied, NOBODY, "GetObject", key="copy")
        await self.call(ADA, "CopyObject", key="copy", acl="public-read")
        await self.call(NOBODY, "GetObject", key="copy")
        upload = await self.call(ADA, "CreateMultipartUpload", key="parts", acl="public-read")
        part = await self.call(ADA, "UploadPart", key="parts", upload_id=upload.upload_id, part_number=1)
        parts = types.CompletedMultipartUpload(parts=[types.CompletedPart(part_number=1, etag=part.etag)])
        await self.call(ADA, "CompleteMultipartUpload", key="parts", upload_id=upload.upload_id, multipart_upload=parts)
        self.assertEqual((await self.call(NOBODY, "GetObject", key="parts")).body, b"data")

    async def test_versions(self) -> None:
        """A list is that of one version."""
        status = types.VersioningConfiguration(status="Enabled")
        await self.call(ADA, "PutBucketVersioning", versioning_configuration=status)
        first = (await self.call(ADA, "PutObject", data=b"1")).version_id
        await self.call(ADA, "PutObject", data=b"2")
        await self.call(ADA, "PutObjectAcl", version_id=first, acl="public-read")
        await self.call(NOBODY, "GetObject", version_id=first)
        await self.refused(AccessDenied, NOBODY, "GetObject")
        self.assertEqual(await self.object_list(), [("ada", FULL)])
        marker = (await self.call(ADA, "DeleteObject")).version_id
        await self.refused(MethodNotAllowed, ADA, "GetObjectAcl", version_id=marker)

    async def test_missing_objects(self) -> None:
        """An object that is not there has no list to be read or put."""
        await self.refused(NoSuchKey, ADA, "GetObjectAcl")
        await self.refused(NoSuchKey, ADA, "PutObjectAcl", acl="private")
        await self.call(ADA, "PutObject")
        await self.refused(MalformedXML, ADA, "PutObjectAcl")

    async def test_a_list_that_cannot_be_read(self) -> None:
        """A list that cannot be read grants nothing; the object's owner can replace it."""
        await self.call(ADA, "PutObject", acl="public-read")
        await self.store.index.run(lambda tx: tx.write("UPDATE versions SET acl = '7'"))
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.call(ADA, "GetObject")
        await self.call(ADA, "PutObjectAcl", acl="public-read")
        await self.call(BOB, "GetObject")


class OthersObjectsTests(ListsCase):
    """Objects that others write into Ada's bucket are theirs."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Everybody may write."""
        await super().setUp()
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(BOB, "PutObject")

    async def test_the_writer_owns(self) -> None:
        """The writer reads it and sets its list; the bucket's owner cannot read it, but can delete it."""
        self.assertTrue(await self.noted())
        self.assertEqual(await self.object_list(identity=BOB), [("bob", FULL)])
        await self.call(BOB, "GetObject")
        for operation in ("GetObject", "GetObjectAcl"):
            await self.refused(AccessDenied, ADA, operation)
        await self.refused(AccessDenied, ADA, "PutObjectAcl", acl="public-read")
        await self.call(ADA, "DeleteObject")

    async def test_lists_for_the_buckets_owner(self) -> None:
        """The writer can let the bucket's owner in."""
        await self.call(BOB, "PutObject", acl="bucket-owner-read")
        self.assertEqual(await self.object_list(identity=BOB), [("bob", FULL), ("ada", "READ")])
        await self.call(ADA, "GetObject")
        await self.refused(AccessDenied, ADA, "GetObjectAcl")
        await self.call(BOB, "PutObject", acl="bucket-owner-full-control")
        await self.call(ADA, "GetObjectAcl")

    async def test_what_nobody_writes(self) -> None:
        """What an anonymous caller writes belongs to the bucket's owner."""
        await self.call(NOBODY, "PutObject")
        await self.call(ADA, "GetObject")
        await self.refused(AccessDenied, NOBODY, "GetObject")

    async def test_uploads(self) -> None:
        """Whoever began an upload sees and aborts it; others but the bucket's owner do not."""
        begun = await self.call(BOB, "CreateMultipartUpload")
        upload = {"upload_id": begun.upload_id}
        await self.refused(AccessDenied, EVE, "ListParts", bucket=":bucket", **upload)
        await self.refused(AccessDenied, NOBODY, "AbortMultipartUpload", **upload)
        self.assertEqual((await self.call(BOB, "ListParts", **upload)).owner.id, "bob")
        await self.call(ADA, "ListParts", **upload)
        await self.call(BOB, "AbortMultipartUpload", **upload)
        await self.refused(NoSuchUpload, ADA, "AbortMultipartUpload", **upload)


class IgnoredListsTests(ListsCase):
    """Lists under Public Access Block and ownership controls."""

    async def block(self, **switches: bool) -> None:
        """Set Public Access Block."""
        block = dict.fromkeys(PublicAccessBlock.__annotations__, False) | switches
        configuration = types.PublicAccessBlockConfiguration(**block)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=configuration)

    async def test_block_public_acls(self) -> None:
        """BlockPublicAcls refuses public lists wherever they are put, and changes none that are there."""
        await self.call(ADA, "PutObject", acl="public-read")
        await self.block(block_public_acls=True)
        public: list[dict[str, Any]] = [
            {"acl": "public-read"},
            {"acl": "authenticated-read"},
            {"grant_read": f"uri={AUTHENTICATED_USERS}"},
        ]
        for operation in ("PutBucketAcl", "PutObjectAcl", "PutObject", "CopyObject", "CreateMultipartUpload"):
            for members in public:
                key = {} if operation == "PutBucketAcl" else {"key": "copy" if operation == "CopyObject" else "key"}
                await self.refused(AccessDenied, ADA, operation, **key, **members)
        await self.call(ADA, "PutObject", key="other", grant_read=f"id=bob, uri={LOG_DELIVERY}")
        await self.call(NOBODY, "GetObject")

    async def test_ignore_public_acls(self) -> None:
        """IgnorePublicAcls lets public lists count for nothing, and those of single users as before."""
        await self.call(ADA, "PutBucketAcl", acl="public-read")
        await self.call(ADA, "PutObject", acl="public-read")
        await self.call(ADA, "PutObject", key="bobs", grant_read="id=bob")
        await self.block(ignore_public_acls=True)
        await self.refused(AccessDenied, BOB, "ListObjects")
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.call(BOB, "GetObject", key="bobs")

    async def test_owner_enforced(self) -> None:
        """Where the owner is enforced, lists are neither taken nor looked at, and all objects are the owner's."""
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(BOB, "PutObject", acl="public-read")
        await self.call(ADA, "PutBucketAcl", acl="private")
        rule = types.OwnershipControlsRule(object_ownership="BucketOwnerEnforced")
        controls = types.OwnershipControls(rules=[rule])
        await self.call(ADA, "PutBucketOwnershipControls", ownership_controls=controls)
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.call(ADA, "GetObject")
        self.assertEqual(await self.object_list(), [("ada", FULL)])
        listings: dict[str, dict[str, Any]] = {
            "ListObjects": {},
            "ListObjectsV2": {"fetch_owner": True},
            "ListObjectVersions": {},
        }
        for operation, asked in listings.items():
            listed = await self.call(ADA, operation, **asked)
            entries = listed.versions if operation == "ListObjectVersions" else listed.contents
            self.assertEqual([entry.owner.id for entry in entries], ["ada"], operation)
        await self.refused(AclsNotSupported, ADA, "PutBucketAcl", acl="private")
        await self.refused(AclsNotSupported, ADA, "PutObjectAcl", acl="private")
        for members in (
            {"acl": "private"},
            {"acl": "bucket-owner-read"},
            {"acl": "public-read"},
            {"grant_read": "id=bob"},
        ):
            await self.refused(AclsNotSupported, ADA, "PutObject", **members)
        await self.call(ADA, "PutObject", acl="bucket-owner-full-control")
        await self.call(ADA, "PutObject", grant_full_control="id=ada")
