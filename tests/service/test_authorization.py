"""Who may run which operation: enumerated over all that the local store has, and what requests need besides.

The ids in brackets (AUZ-6 …) name known holes of other servers that these tests keep closed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from attrs import evolve
from twisted.internet.defer import ensureDeferred

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import AccessDenied, NoSuchBucket, PreconditionFailed
from post3tw.model.identity import Caller, Identity
from post3tw.service.authorization import BY_KEY, WITHOUT_BUCKET
from post3tw.service.demands import OF_VERSIONS, Demands
from post3tw.service.local import local_service
from post3tw.service.policy.access import UNREAD, BucketAccess
from post3tw.service.policy.actions import BUCKET_ACTIONS, OBJECT_ACTIONS
from post3tw.service.policy.decision import Request, decide
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.statement import resource_arn
from post3tw.service.request_context import RequestContext
from post3tw.storage.index.transactions.buckets import find_bucket
from tests.service.access_case import ADA, ADMIN, BOB, EVE, NOBODY, AccessCase

PUBLIC_READ: dict[str, Any] = {"acl": "public-read"}
ALLOWING = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/p/*"},
}


class EveryOperationTests(AccessCase):
    """AuthorizedService.admit, for everything that there is."""

    def input_of(self, operation: str, **members: Any) -> Any:
        """An input about Ada's bucket, which copies read from as well."""
        defaults = {"bucket": "bucket", "key": "key", "copy_source": "bucket/key", "rename_source": "other"}
        known = {name: value for name, value in defaults.items() if name in OPERATIONS[operation].members}
        return OPERATIONS[operation].input(**{**known, **members})

    async def admitted(self, identity: Identity | None, operation: str, **members: Any) -> bool:
        """Whether a caller may."""
        caller = Caller(identity)
        try:
            await self.service.admit(caller, operation, self.input_of(operation, **members))
        except AccessDenied:
            self.assertIsNone(caller.admission)
            return False
        self.assertIsNotNone(caller.admission)
        return True

    async def test_nobody(self) -> None:
        """An anonymous caller may do nothing while nobody has said otherwise."""
        for operation in self.service.operations():
            self.assertFalse(await self.admitted(NOBODY, operation), operation)

    async def test_strangers(self) -> None:
        """Another user may do nothing with a bucket, but has the operations that need none. That he has no tenant, as
        root has none, makes him nothing more (AUZ-12)."""
        found = {name for name in self.service.operations() if await self.admitted(BOB, name)}
        self.assertEqual(found, WITHOUT_BUCKET)

    async def test_owner_and_administrators(self) -> None:
        """The owner of a bucket and administrators may do everything with it."""
        for identity in (ADA, ADMIN):
            for operation in self.service.operations():
                self.assertTrue(await self.admitted(identity, operation), operation)

    async def test_what_is_let_in_at_once_would_be_allowed(self) -> None:
        """Whoever is let in without a decision would be allowed by one, whatever the operation."""
        bucket = await self.store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
        assert bucket is not None
        allowing = parse_policy(json.dumps(ALLOWING), bucket="bucket")
        for name, method in self.service.operations().items():
            input, operation = self.input_of(name), OPERATIONS[name]
            for demand in Demands.of(operation, method.declaration).on_target(input, bucket):  # type: ignore[attr-defined]
                for identity in (ADA, ADMIN):
                    context = RequestContext(Caller(identity), name, input, bucket, "us-east-1", self.store.ids.now)
                    arn = resource_arn("bucket", demand.key)
                    request = Request(identity, demand.action, arn, context)
                    for policy in (None, allowing):
                        access = BucketAccess("ada", uniform=True, policy=policy)
                        self.assertTrue(decide(request, access, UNREAD).allowed, demand)

    def test_actions_are_about_what_the_path_names(self) -> None:
        """The action of an operation on an object is an object's, of one on a bucket a bucket's; those on versions have
        actions of their own."""
        for name, method in self.service.operations().items():
            action = method.declaration.action  # type: ignore[attr-defined]
            if OPERATIONS[name].level == 2 or name == BY_KEY:
                self.assertIn(action, OBJECT_ACTIONS, name)
            elif name not in WITHOUT_BUCKET:
                self.assertIn(action, BUCKET_ACTIONS, name)
        self.assertLessEqual(OF_VERSIONS.keys() | set(OF_VERSIONS.values()), OBJECT_ACTIONS)

    async def test_unadmitted_calls(self) -> None:
        """No operation runs for a caller who was not admitted, or was to another one."""
        for operation, method in self.service.operations().items():
            other = "HeadBucket" if operation != "HeadBucket" else "ListObjects"
            admitted = Caller(ADA)
            await self.service.admit(admitted, other, self.input_of(other))
            for caller in (Caller(ADA), Caller(ADMIN), admitted):
                calling = ensureDeferred(method(caller, self.input_of(operation), None))
                await self.assertFailure(calling, AccessDenied)

    async def test_expected_owner(self) -> None:
        """A bucket of another owner than the one that is expected is refused, to its owner as well."""
        self.assertTrue(await self.admitted(ADA, "HeadBucket", expected_bucket_owner="ada"))
        self.assertFalse(await self.admitted(ADA, "HeadBucket", expected_bucket_owner="bob"))

    async def test_a_bucket_that_is_not_there(self) -> None:
        """A bucket that is not there is said to be missing, to anonymous callers too."""
        for identity in (NOBODY, BOB, ADA):
            await self.refused(NoSuchBucket, identity, "GetObject", bucket="nowhere")

    async def test_tenants(self) -> None:
        """A bucket of another tenant is addressed as `tenant:bucket`, and is as closed as any other."""
        await self.call(EVE, "CreateBucket", bucket="bucket")
        await self.call(EVE, "PutObject")
        await self.refused(AccessDenied, ADA, "GetObject", bucket="lab:bucket")
        await self.allow({"Action": "s3:GetObject"}, owner=EVE)
        self.assertEqual((await self.call(ADA, "GetObject", bucket="lab:bucket")).body, b"data")
        await self.refused(AccessDenied, EVE, "GetObject", bucket=":bucket")


class SourceTests(AccessCase):
    """AUZ-9: what a copy reads must be allowed too, and versions have actions of their own."""

    async def setUp(self) -> None:  # type: ignore[override]
        """An object of Ada's and a bucket of Bob's."""
        await super().setUp()
        await self.call(ADA, "PutObject", tagging="colour=red")
        await self.call(BOB, "CreateBucket", bucket="bobs")
        upload = await self.call(BOB, "CreateMultipartUpload", bucket="bobs")
        self.part = {"bucket": "bobs", "part_number": 1, "upload_id": upload.upload_id}

    async def test_a_foreign_private_object(self) -> None:
        """A private object of somebody else is copied neither whole nor as a part, into whatever bucket."""
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs")
        await self.refused(AccessDenied, BOB, "UploadPartCopy", **self.part)
        await self.refused(AccessDenied, ADA, "CopyObject", bucket="bobs")

    async def test_expected_owner_of_the_source(self) -> None:
        """The owner of the source may be expected as well."""
        await self.call(ADA, "CopyObject", key="copy", expected_source_bucket_owner="ada")
        await self.refused(AccessDenied, ADA, "CopyObject", key="copy", expected_source_bucket_owner="bob")

    async def test_tags_of_the_source(self) -> None:
        """A copy with tags needs the right to read them; without them it does not."""
        await self.allow({"Action": "s3:GetObject"})
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs")
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs", tagging_directive="COPY")
        await self.call(BOB, "CopyObject", bucket="bobs", tagging_directive="REPLACE")
        await self.call(BOB, "UploadPartCopy", **self.part)
        await self.allow({"Action": ["s3:GetObject", "s3:GetObjectTagging"]})
        await self.call(BOB, "CopyObject", bucket="bobs")

    async def test_tags_of_a_copy_into_a_listed_bucket(self) -> None:
        """Who may write by the bucket's list owns the copy, and so may tag it, unless a statement denies that."""
        await self.call(BOB, "PutObject", bucket="bobs", tagging="colour=blue")
        await self.call(ADA, "PutBucketAcl", grant_write="id=bob")
        await self.call(BOB, "CopyObject", key="copy", copy_source="bobs/key")
        await self.allow({"Effect": "Deny", "Action": "s3:PutObjectTagging"})
        await self.refused(AccessDenied, BOB, "CopyObject", key="copy", copy_source="bobs/key")

    async def test_versions(self) -> None:
        """A policy that allows the object allows no version by its id, the null version included."""
        await self.allow({"Action": "s3:GetObject"})
        await self.call(BOB, "GetObject")
        await self.refused(AccessDenied, BOB, "GetObject", version_id="null")
        await self.refused(AccessDenied, BOB, "UploadPartCopy", **self.part, copy_source="bucket/key?versionId=null")
        await self.allow({"Action": "s3:GetObjectVersion"})
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.call(BOB, "GetObject", version_id="null")
        await self.call(BOB, "UploadPartCopy", **self.part, copy_source="bucket/key?versionId=null")

    async def test_versions_are_listed_by_their_own_right(self) -> None:
        """Listing versions is another right than listing objects, and anonymous callers have neither."""
        await self.allow({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"})
        await self.call(NOBODY, "ListObjectsV2")
        await self.refused(AccessDenied, NOBODY, "ListObjectVersions")


class HeadersTests(AccessCase):
    """AUZ-10: headers that do more need more."""

    async def test_put_object(self) -> None:
        """Who may only put objects cannot tag, lock or publish them as they are written, nor look with If-Match."""
        await self.allow({"Action": "s3:PutObject"})
        await self.call(BOB, "PutObject", key="bobs")
        await self.call(ADA, "PutObject")
        until = datetime(2100, 1, 1, tzinfo=UTC)
        for members in (
            {"tagging": "a=b"},
            {"acl": "public-read"},
            {"grant_read": "id=bob"},
            {"object_lock_legal_hold_status": "ON"},
            {"object_lock_mode": "GOVERNANCE", "object_lock_retain_until_date": until},
            {"if_match": "*"},
        ):
            await self.refused(AccessDenied, BOB, "PutObject", **members)
            if "if_match" not in members:
                await self.refused(AccessDenied, BOB, "CreateMultipartUpload", **members)

    async def test_conditions_of_deletes(self) -> None:
        """What a condition tells of an object only those learn who may read it, of a version, or of keys in a list,
        too."""
        await self.call(ADA, "PutObject")
        await self.allow({"Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"]})
        time = datetime(2020, 1, 1, tzinfo=UTC)
        for members in ({"if_match": '"x"'}, {"if_match_size": 1}, {"if_match_last_modified_time": time}):
            await self.refused(AccessDenied, BOB, "DeleteObject", **members)
            await self.refused(AccessDenied, BOB, "DeleteObject", version_id="null", **members)
            await self.refused(AccessDenied, BOB, "DeleteObject", key="none", **members)
        for members in ({"etag": "x"}, {"size": 1}, {"last_modified_time": time}):
            entries = [types.ObjectIdentifier(key=key, **members) for key in ("key", "none")]
            output = await self.call(BOB, "DeleteObjects", delete=types.Delete(objects=entries))
            self.assertEqual([error.code for error in output.errors], ["AccessDenied"] * 2)
        await self.allow({"Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject"]})
        await self.refused(PreconditionFailed, BOB, "DeleteObject", if_match_size=1)
        await self.refused(AccessDenied, BOB, "DeleteObject", version_id="null", if_match_size=1)

    async def test_lists_that_grant_nothing_to_others(self) -> None:
        """A list that is about nobody but the bucket's owner needs no more than putting, unless it is denied."""
        await self.allow({"Action": "s3:PutObject"})
        harmless: list[dict[str, Any]] = [
            {"acl": "private"},
            {"acl": "bucket-owner-full-control"},
            {"grant_full_control": 'id="ada"'},
        ]
        for members in harmless:
            await self.call(BOB, "PutObject", **members)
        await self.allow({"Action": "s3:PutObject"}, {"Effect": "Deny", "Action": "s3:PutObjectAcl"})
        await self.refused(AccessDenied, BOB, "PutObject", acl="bucket-owner-full-control")

    async def test_rename(self) -> None:
        """Renaming needs the right to read and delete the source, and to write the target."""
        await self.call(ADA, "PutObject", key="from")
        members: dict[str, Any] = {"key": "to", "rename_source": "from"}
        for actions in (["s3:PutObject"], ["s3:PutObject", "s3:GetObject"], ["s3:GetObject", "s3:DeleteObject"]):
            await self.allow({"Action": actions})
            await self.refused(AccessDenied, BOB, "RenameObject", **members)
        await self.allow({"Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]})
        await self.call(BOB, "RenameObject", **members)
        await self.call(ADA, "PutObject", key="from")
        read_from = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/from"}
        await self.allow({"Action": ["s3:PutObject", "s3:DeleteObject"]}, read_from)
        await self.refused(AccessDenied, BOB, "RenameObject", destination_if_match='"x"', **members)

    async def test_attributes(self) -> None:
        """GetObjectAttributes needs the right to get the object as well."""
        await self.call(ADA, "PutObject")
        await self.allow({"Action": "s3:GetObjectAttributes"})
        await self.refused(AccessDenied, BOB, "GetObjectAttributes", object_attributes=["ETag"])
        await self.allow({"Action": ["s3:GetObjectAttributes", "s3:GetObject"]})
        await self.call(BOB, "GetObjectAttributes", object_attributes=["ETag"])


class ManyKeysTests(AccessCase):
    """DeleteObjects is decided key by key."""

    async def delete(self, identity: Identity | None, *keys: str, **members: Any) -> tuple[list[str], list[str]]:
        """What was deleted and what not."""
        objects = [types.ObjectIdentifier(key=key) for key in keys]
        output = await self.call(identity, "DeleteObjects", delete=types.Delete(objects=objects), **members)
        for error in output.errors:
            self.assertEqual(error.code, "AccessDenied")
        return [entry.key for entry in output.deleted], [entry.key for entry in output.errors]

    async def test_each_key(self) -> None:
        """Each key is allowed or denied for itself; what is denied stays."""
        for key in ("open/a", "closed/a", "open/b"):
            await self.call(ADA, "PutObject", key=key)
        await self.allow({"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::bucket/open/*"})
        self.assertEqual(await self.delete(BOB, "open/a", "closed/a", "open/b"), (["open/a", "open/b"], ["closed/a"]))
        self.assertEqual([entry.key for entry in (await self.call(ADA, "ListObjectsV2")).contents], ["closed/a"])

    async def test_versions(self) -> None:
        """A version by its id needs another right than the key."""
        await self.call(ADA, "PutObject")
        await self.allow({"Action": "s3:DeleteObject"})
        entry = types.ObjectIdentifier(key="key", version_id="null")
        output = await self.call(BOB, "DeleteObjects", delete=types.Delete(objects=[entry]))
        self.assertEqual([error.code for error in output.errors], ["AccessDenied"])
        await self.call(BOB, "DeleteObject")

    async def test_a_key_twice(self) -> None:
        """A key that comes twice is deleted once, also where the object itself says who may."""
        condition = {"StringEquals": {"s3:ExistingObjectTag/colour": "red"}}
        await self.allow({"Action": "s3:DeleteObject", "Condition": condition})
        await self.call(ADA, "PutObject", tagging="colour=red")
        self.assertEqual(await self.delete(BOB, "key", "key"), (["key", "key"], []))
        self.assertEqual((await self.call(ADA, "ListObjectsV2")).contents, [])

    async def test_others_get_their_turn(self) -> None:
        """However long a policy takes for each of many keys, other requests are served meanwhile."""
        turns: list[None] = []

        async def pause() -> None:
            turns.append(None)

        self.service = local_service(evolve(self.store, pause=pause))
        await self.allow({"Action": "s3:DeleteObject"})
        await self.delete(BOB, *map(str, range(100)))
        self.assertEqual(len(turns), 100)

    async def test_the_owner_too(self) -> None:
        """A statement that denies keeps the bucket's owner from a key."""
        await self.allow({"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::bucket/kept"})
        self.assertEqual(await self.delete(ADA, "kept", "other"), (["other"], ["kept"]))

    async def test_a_bucket_that_grants_nothing(self) -> None:
        """Where nobody was granted anything, the list of keys is not even read."""
        await self.refused(AccessDenied, NOBODY, "DeleteObjects", delete=types.Delete(objects=[]))


class LockedTests(AccessCase):
    """AUZ-6: the header that bypasses governance has no effect without the right to."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A locked version."""
        await super().setUp()
        await self.call(ADA, "CreateBucket", bucket="locked", object_lock_enabled_for_bucket=True)
        output = await self.call(
            ADA,
            "PutObject",
            bucket="locked",
            object_lock_mode="GOVERNANCE",
            object_lock_retain_until_date=datetime(2100, 1, 1, tzinfo=UTC),
            checksum_crc32="rfPzYw==",
        )
        self.version = {"bucket": "locked", "version_id": output.version_id, "bypass_governance_retention": True}

    async def test_denied(self) -> None:
        """Neither the owner nor anybody else bypasses what a statement keeps from being bypassed."""
        await self.allow({"Effect": "Deny", "Action": "s3:BypassGovernanceRetention"}, bucket="locked")
        await self.refused(AccessDenied, ADA, "DeleteObject", **self.version)
        entry = types.ObjectIdentifier(key="key", version_id=self.version["version_id"])
        output = await self.call(
            ADA,
            "DeleteObjects",
            bucket="locked",
            delete=types.Delete(objects=[entry]),
            bypass_governance_retention=True,
        )
        self.assertEqual([error.code for error in output.errors], ["AccessDenied"])
        await self.call(ADA, "DeleteObject", bucket="locked", bypass_governance_retention=True)

    async def test_not_allowed(self) -> None:
        """Who may delete versions but not bypass does not; who may, does."""
        await self.allow({"Action": "s3:DeleteObjectVersion"}, bucket="locked")
        await self.refused(AccessDenied, BOB, "DeleteObject", **self.version)
        await self.allow({"Action": ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]}, bucket="locked")
        await self.call(BOB, "DeleteObject", **self.version)
