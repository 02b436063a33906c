"""What a decision is made from: conditions on the request and on the object, what is missing, and what is read for it.

The ids in brackets (AUZ-8 …) name known holes of other servers that these tests keep closed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.internet.defer import ensureDeferred

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import AccessDenied, MethodNotAllowed, NoSuchKey, NoSuchVersion
from post3tw.model.identity import Caller, Identity
from tests.service.access_case import ADA, ADMIN, BOB, EVE, NOBODY, AccessCase, tagging
from tests.service.stores import read_body

PUBLIC_READ: dict[str, Any] = {"acl": "public-read"}


class WhatIsMissingTests(AccessCase):
    """AUZ-8: absence is not shown to those who may not list."""

    async def test_strangers_learn_nothing(self) -> None:
        """A private object and one that is not there are the same to a stranger, whatever the conditions."""
        await self.call(ADA, "PutObject")
        conditions: tuple[dict[str, Any], ...] = (
            {},
            {"if_none_match": "*"},
            {"if_unmodified_since": datetime(2000, 1, 1, tzinfo=UTC)},
        )
        for identity in (NOBODY, BOB):
            for operation in ("GetObject", "HeadObject", "GetObjectTagging", "GetObjectAcl"):
                for members in conditions if operation in ("GetObject", "HeadObject") else ({},):
                    there = await self.refused(AccessDenied, identity, operation, **members)
                    missing = await self.refused(AccessDenied, identity, operation, key="missing", **members)
                    self.assertEqual((there.message, there.details), (missing.message, missing.details))

    async def test_who_may_get_but_not_list(self) -> None:
        """Who may get objects but not list them gets AccessDenied for one that is missing, or is no more."""
        await self.call(
            ADA, "PutBucketVersioning", versioning_configuration=types.VersioningConfiguration(status="Enabled")
        )
        written = await self.call(ADA, "PutObject")
        marker = await self.call(ADA, "DeleteObject")
        await self.allow({"Action": ["s3:GetObject", "s3:GetObjectVersion"]})
        await self.refused(AccessDenied, BOB, "GetObject", key="missing")
        await self.refused(AccessDenied, BOB, "GetObject")
        await self.refused(AccessDenied, BOB, "GetObject", version_id=marker.version_id)
        await self.refused(AccessDenied, BOB, "HeadObject", version_id="0" * 31 + "1")
        self.assertEqual((await self.call(BOB, "GetObject", version_id=written.version_id)).body, b"data")

    async def test_who_may_list(self) -> None:
        """Who may list learns that an object is missing, whether he might get it or not."""
        await self.call(ADA, "PutBucketAcl", **PUBLIC_READ)
        for identity in (NOBODY, BOB, ADA):
            await self.refused(NoSuchKey, identity, "GetObject", key="missing")
        await self.refused(NoSuchVersion, BOB, "GetObject", key="missing", version_id="0" * 31 + "1")
        await self.call(ADA, "PutObject")
        await self.refused(AccessDenied, BOB, "GetObject")

    async def test_delete_markers(self) -> None:
        """A delete marker is named to those who may list."""
        await self.call(
            ADA, "PutBucketVersioning", versioning_configuration=types.VersioningConfiguration(status="Enabled")
        )
        marker = await self.call(ADA, "DeleteObject")
        await self.allow(
            {"Action": ["s3:GetObject", "s3:GetObjectVersion"]},
            {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"},
        )
        await self.refused(NoSuchKey, BOB, "GetObject")
        await self.refused(MethodNotAllowed, BOB, "GetObject", version_id=marker.version_id)

    async def test_listing_by_prefix(self) -> None:
        """Who may list a prefix learns of keys that begin with it, and of no others."""
        listing = {"StringLike": {"s3:prefix": "public/*"}}
        await self.allow({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket", "Condition": listing})
        await self.refused(NoSuchKey, BOB, "HeadObject", key="public/missing")
        await self.refused(AccessDenied, BOB, "HeadObject", key="private/missing")

    async def test_a_missing_source(self) -> None:
        """The source of a copy is as little shown."""
        await self.call(BOB, "CreateBucket", bucket="bobs")
        await self.allow({"Action": "s3:GetObject"})
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs", copy_source="bucket/missing")
        await self.call(ADA, "PutObject", key="there")
        await self.call(BOB, "CopyObject", bucket="bobs", copy_source="bucket/there")


class ConditionsTests(AccessCase):
    """Conditions see the request as the operation does, and nothing a client makes up (AUZ-11)."""

    async def test_invented_facts(self) -> None:
        """Headers named like condition keys, and addresses that no trusted proxy vouches for, change nothing."""
        await self.call(ADA, "PutObject")
        only_ada = {"StringEquals": {"aws:userid": "ada"}}
        await self.allow({"Action": "s3:GetObject", "Condition": only_ada})
        spoofed = Caller(BOB, facts=lambda: {"aws:userid": "ada", "aws:sourceip": "10.0.0.1"}, source_ip="192.0.2.1")
        await self.refused(AccessDenied, BOB, "GetObject", caller=spoofed)
        await self.allow({"Action": "s3:GetObject", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})
        spoofed.admission = None
        await self.refused(AccessDenied, BOB, "GetObject", caller=spoofed)
        await self.call(BOB, "GetObject", caller=Caller(BOB, source_ip="10.1.2.3"))

    async def test_tags_of_the_object(self) -> None:
        """Tags are those of the version that is asked for."""
        await self.call(ADA, "PutObject", key="open", tagging="access=public")
        await self.call(ADA, "PutObject", key="closed", tagging="access=private")
        public = {"StringEquals": {"s3:ExistingObjectTag/access": "public"}}
        await self.allow({"Action": ["s3:GetObject", "s3:GetObjectTagging"], "Condition": public})
        await self.call(BOB, "GetObject", key="open")
        await self.call(BOB, "GetObjectTagging", key="open")
        await self.refused(AccessDenied, BOB, "GetObject", key="closed")

    async def test_tags_of_the_request(self) -> None:
        """Tags that a request brings count from headers, and from the document once it was read."""
        await self.call(ADA, "PutObject")
        red = {"StringEquals": {"s3:RequestObjectTag/colour": "red"}}
        await self.allow({"Action": ["s3:PutObject", "s3:PutObjectTagging"], "Condition": red})
        await self.call(BOB, "PutObject", tagging="colour=red")
        await self.refused(AccessDenied, BOB, "PutObject", tagging="colour=blue")
        await self.call(BOB, "PutObjectTagging", tagging=tagging(colour="red"))
        await self.refused(AccessDenied, BOB, "PutObjectTagging", tagging=tagging(colour="blue"))

    async def test_locks_of_the_request(self) -> None:
        """What a document locks an object with counts, when it was read."""
        await self.call(ADA, "CreateBucket", bucket="locked", object_lock_enabled_for_bucket=True)
        await self.call(ADA, "PutObject", bucket="locked", checksum_crc32="rfPzYw==")
        held = {"StringEquals": {"s3:object-lock-legal-hold": "ON"}}
        governed = {"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}
        await self.allow(
            {"Action": "s3:PutObjectLegalHold", "Condition": held},
            {"Action": "s3:PutObjectRetention", "Condition": governed},
            bucket="locked",
        )
        until = datetime(2100, 1, 1, tzinfo=UTC)
        on, off = (types.ObjectLockLegalHold(status=status) for status in ("ON", "OFF"))
        await self.refused(AccessDenied, BOB, "PutObjectLegalHold", bucket="locked", legal_hold=off)
        await self.call(BOB, "PutObjectLegalHold", bucket="locked", legal_hold=on)
        right, wrong = (
            types.ObjectLockRetention(mode=mode, retain_until_date=until) for mode in ("GOVERNANCE", "COMPLIANCE")
        )
        await self.refused(AccessDenied, BOB, "PutObjectRetention", bucket="locked", retention=wrong)
        await self.call(BOB, "PutObjectRetention", bucket="locked", retention=right)

    async def test_own_uploads(self) -> None:
        """Whoever began an upload may look at it and abort it, whoever wrote the object of its key; others may not."""
        await self.call(ADA, "PutObject")
        await self.allow({"Action": "s3:PutObject"})
        upload_id = (await self.call(BOB, "CreateMultipartUpload")).upload_id
        for operation in ("ListParts", "AbortMultipartUpload"):
            for identity in (EVE, NOBODY):
                bucket = ":bucket" if identity is EVE else "bucket"
                await self.refused(AccessDenied, identity, operation, bucket=bucket, upload_id=upload_id)
            for unknown in ("nonsense", upload_id[::-1], ""):
                await self.refused(AccessDenied, BOB, operation, upload_id=unknown)
            await self.call(BOB, operation, upload_id=upload_id)

    async def test_versions(self) -> None:
        """A condition on the version is about the one that is read, of the source of a copy as well."""
        status = types.VersioningConfiguration(status="Enabled")
        await self.call(ADA, "PutBucketVersioning", versioning_configuration=status)
        first, second = [(await self.call(ADA, "PutObject")).version_id for _ in range(2)]
        only_first = {"StringEquals": {"s3:VersionId": first}}
        await self.allow({"Action": ["s3:GetObjectVersion", "s3:GetObjectVersionTagging"], "Condition": only_first})
        await self.call(BOB, "CreateBucket", bucket="bobs")
        await self.call(BOB, "GetObject", version_id=first)
        await self.call(BOB, "CopyObject", bucket="bobs", copy_source=f"bucket/key?versionId={first}")
        await self.refused(AccessDenied, BOB, "GetObject", version_id=second)
        await self.refused(AccessDenied, BOB, "CopyObject", bucket="bobs", copy_source=f"bucket/key?versionId={second}")
        await self.allow({"Action": "s3:DeleteObjectVersion", "Condition": only_first})
        entries = [types.ObjectIdentifier(key="key", version_id=version) for version in (first, second)]
        answer = await self.call(BOB, "DeleteObjects", delete=types.Delete(objects=entries))
        self.assertEqual([entry.version_id for entry in answer.deleted], [first])
        self.assertEqual([error.version_id for error in answer.errors], [second])

    async def test_whose_bucket_it_is(self) -> None:
        """A condition on the bucket's tenant is about the bucket that is read, be it the source of a copy."""
        await self.call(EVE, "CreateBucket", bucket="bucket")
        await self.call(EVE, "PutObject")
        own = {"StringEquals": {"s3:ResourceAccount": "lab"}}
        await self.allow({"Action": "s3:GetObject", "Condition": own}, owner=EVE)
        await self.call(BOB, "CreateBucket", bucket="bobs")
        await self.call(BOB, "GetObject", bucket="lab:bucket")
        await self.call(BOB, "CopyObject", bucket="bobs", copy_source="lab:bucket/key")

    async def test_keys_are_literal(self) -> None:
        """PAR-2: a key is what it is spelt as, to a policy as to the store; dots and slashes lead nowhere."""
        await self.call(ADA, "PutObject", key="private/key")
        await self.allow({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/public/*"})
        await self.refused(AccessDenied, BOB, "GetObject", key="private/key")
        for key in ("public/../private/key", "public/%2e%2e/private/key"):
            await self.refused(AccessDenied, BOB, "GetObject", key=key)  # there is no such key, and he may not list
            await self.call(ADA, "PutObject", key=key, data=b"literal")
            self.assertEqual((await self.call(BOB, "GetObject", key=key)).body, b"literal")

    async def test_unreadable_policies_deny(self) -> None:
        """What is kept and cannot be read lets nobody in; its owner can replace it."""
        await self.allow({"Action": "s3:GetObject"})
        await self.call(ADA, "PutObject")
        await self.store.index.run(
            lambda tx: tx.write("UPDATE bucket_documents SET body = ? WHERE kind = 'policy'", json.dumps([]).encode())
        )
        await self.store.index.run(lambda tx: tx.write("UPDATE buckets SET generation = generation + 1"))
        for identity in (ADA, ADMIN, BOB, NOBODY):
            await self.refused(AccessDenied, identity, "GetObject")
        await self.call(ADA, "DeleteBucketPolicy")
        await self.call(ADA, "GetObject")


class ReadsTests(AccessCase):
    """How much a decision reads beside the bucket's row."""

    async def reads(self, identity: Identity | None, operation: str, *, expect: bool = True, **members: Any) -> int:
        """How many reads an admission takes; it must come out as expected."""
        found = 0
        index_type = type(self.store.index)
        read = index_type.read

        async def counted(index: Any, transaction: Any) -> Any:
            nonlocal found
            found += 1
            return await read(index, transaction)

        patch = self.patch(index_type, "read", counted)
        try:
            await self.call(identity, operation, admit_only=True, **members)
            self.assertTrue(expect)
        except AccessDenied:
            self.assertFalse(expect)
        finally:
            patch.restore()
        return found

    async def test_the_owner(self) -> None:
        """As long as every object is simply the owner's, nothing but the bucket's row is read for him; nor for
        administrators, whatever there is."""
        await self.reads(ADA, "GetObject")  # which reads the bucket's documents, once
        for operation in ("GetObject", "PutObject", "DeleteObject", "PutObjectAcl", "ListObjectsV2"):
            self.assertEqual(await self.reads(ADA, operation), 1, operation)
        await self.call(ADA, "PutObject", acl="public-read")
        await self.reads(ADA, "GetObject")
        self.assertEqual([await self.reads(ADMIN, "GetObject"), await self.reads(ADA, "GetObject")], [1, 2])
        self.assertEqual(await self.reads(ADA, "PutObject"), 1)

    async def test_the_object_once(self) -> None:
        """What depends on an object's list, owner and tags reads it once, and only when it is asked about."""
        await self.call(ADA, "PutObject", acl="public-read", tagging="a=b")
        condition = {"StringEquals": {"s3:ExistingObjectTag/a": ["b", "c"]}}
        statement = {"Effect": "Deny", "Action": "s3:GetObject*", "Condition": condition, "Principal": {"AWS": "lab"}}
        await self.allow(statement, {**statement, "Effect": "Allow", "Action": "s3:DeleteObject"})
        await self.reads(BOB, "GetObject")
        self.assertEqual(await self.reads(BOB, "GetObject"), 2)
        self.assertEqual(await self.reads(BOB, "GetObjectAttributes", object_attributes=["ETag"]), 2)
        self.assertEqual(await self.reads(BOB, "ListObjects", expect=False), 1)
        self.assertEqual(await self.reads(BOB, "PutObject", expect=False), 1)

    async def test_strangers(self) -> None:
        """A stranger to a private bucket makes the index read nothing but its row."""
        await self.reads(BOB, "GetObject", expect=False)
        for operation in ("GetObject", "PutObject", "DeleteObject", "GetObjectAcl"):
            for identity in (BOB, NOBODY):
                self.assertEqual(await self.reads(identity, operation, expect=False), 1, operation)


class ReplacedTests(AccessCase):
    """Between the decision and what it allows, somebody puts another object in the place of the one that was decided
    on."""

    async def admitted(self, operation: str, **members: Any) -> tuple[Caller, Any]:
        """Bob, just admitted to an operation on `key`, and its input."""
        input = OPERATIONS[operation].input(**{"bucket": "bucket", "key": "key", **members})
        caller = Caller(BOB)
        await self.service.admit(caller, operation, input)
        return caller, input

    async def refused_now(self, operation: str, caller: Caller, input: Any) -> None:
        """Check that an operation that Bob was admitted to is refused when it runs."""
        method = self.service.operations()[operation]
        await self.assertFailure(ensureDeferred(method(caller, input)), AccessDenied)

    async def test_reads(self) -> None:
        """Who may read an object reads nothing of the private one that replaced it."""
        for operation, members in (
            ("GetObject", {}),
            ("HeadObject", {}),
            ("GetObjectAcl", {}),
            ("GetObjectAttributes", {"object_attributes": ["ETag"]}),
        ):
            with self.subTest(operation):
                await self.call(ADA, "PutObject", grant_full_control="id=bob")
                caller, input = await self.admitted(operation, **members)
                await self.call(ADA, "PutObject", b"secret")
                await self.refused_now(operation, caller, input)

    async def test_reads_that_are_allowed_all_the_same(self) -> None:
        """Who may read both gets what is there now."""
        await self.call(ADA, "PutObject", acl="public-read")
        caller, input = await self.admitted("GetObject")
        await self.call(ADA, "PutObject", b"newer", acl="public-read")
        output = await self.service.operations()["GetObject"](caller, input)
        self.assertEqual(await read_body(output.body), b"newer")

    async def test_a_list_that_was_replaced(self) -> None:
        """What is granted no more is not read, though the object is the same."""
        await self.call(ADA, "PutObject", acl="public-read")
        caller, input = await self.admitted("GetObject")
        await self.call(ADA, "PutObjectAcl", acl="private")
        await self.refused_now("GetObject", caller, input)

    async def test_tags_that_were_replaced(self) -> None:
        """What tags allowed, other tags do not."""
        public = {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}
        await self.allow({"Action": ["s3:GetObject*", "s3:DeleteObjectTagging"], "Condition": public})
        for operation in ("GetObject", "GetObjectTagging", "DeleteObjectTagging"):
            with self.subTest(operation):
                await self.call(ADA, "PutObject", tagging="public=yes")
                caller, input = await self.admitted(operation)
                await self.call(ADA, "PutObjectTagging", tagging=tagging(public="no"))
                await self.refused_now(operation, caller, input)

    def replaced_at_the_last_moment(self) -> None:
        """Have Ada put a private object in the place of the one there is, when the next write is about to be tried."""
        change, put = type(self.store).change, partial(self.call, ADA, "PutObject", b"secret")

        async def late(store: Any, *arguments: Any, **options: Any) -> Any:
            self.patch(type(self.store), "change", change)
            await put()
            return await store.change(*arguments, **options)

        self.patch(type(self.store), "change", late)

    async def test_copies(self) -> None:
        """Who may read an object gets no copy of the private one that replaced it."""
        await self.call(ADA, "CreateBucket", bucket="target")
        await self.call(ADA, "PutBucketAcl", bucket="target", acl="public-read-write")
        await self.call(ADA, "PutObject", acl="public-read")
        caller, input = await self.admitted("CopyObject", bucket="target", copy_source="bucket/key")
        await self.call(ADA, "PutObject", b"secret")
        await self.refused_now("CopyObject", caller, input)

    async def test_replaced_while_it_is_copied(self) -> None:
        """A copy that begins again, as its source was replaced, is decided again."""
        await self.call(ADA, "CreateBucket", bucket="target")
        await self.call(ADA, "PutBucketAcl", bucket="target", acl="public-read-write")
        await self.call(ADA, "PutObject", acl="public-read")
        caller, input = await self.admitted("CopyObject", bucket="target", copy_source="bucket/key")
        self.replaced_at_the_last_moment()
        await self.refused_now("CopyObject", caller, input)

    async def test_the_list_of_somebody_elses_object(self) -> None:
        """Who owned an object does not publish the one that replaced it."""
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(BOB, "PutObject")
        caller, input = await self.admitted("PutObjectAcl", acl="public-read")
        await self.call(ADA, "PutObject", b"secret")
        await self.refused_now("PutObjectAcl", caller, input)

    async def test_replaced_as_its_list_is_put(self) -> None:
        """Nor when it was replaced at the last moment."""
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(BOB, "PutObject")
        caller, input = await self.admitted("PutObjectAcl", acl="public-read")
        self.replaced_at_the_last_moment()
        await self.refused_now("PutObjectAcl", caller, input)
        self.assertEqual(len((await self.call(ADA, "GetObjectAcl")).grants), 1)

    async def test_deletes(self) -> None:
        """Who owned an object does not delete the one that replaced it, alone or as one of many."""
        await self.call(ADA, "PutBucketAcl", acl="public-read-write")
        await self.call(BOB, "PutObject")
        caller, input = await self.admitted("DeleteObject")
        await self.call(ADA, "PutObject", b"kept")
        await self.refused_now("DeleteObject", caller, input)
        self.assertEqual((await self.call(ADA, "GetObject")).body, b"kept")
