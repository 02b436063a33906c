"""Writes that are decided again when the bucket changed meanwhile."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime
from typing import Any

from attrs import evolve
from twisted.internet.defer import ensureDeferred, gatherResults

from post3tw.api import types
from post3tw.model.errors import AccessDenied, BucketChanged, NoSuchBucket, ServiceUnavailable
from post3tw.model.identity import Caller
from post3tw.service.bucket_policies import POLICY_KIND
from post3tw.storage.index.transactions.buckets import delete_bucket, find_bucket, require_bucket
from post3tw.storage.index.transactions.documents import delete_document, put_document
from post3tw.storage.interfaces import ITransaction
from tests.service.access_case import ADA, BOB, AccessCase
from tests.service.stores import BytesBody


class ChangeTests(AccessCase):
    """Store.change, between an admission and its transaction."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Bob may put, delete and tag."""
        await super().setUp()
        await self.allow({"Action": ["s3:PutObject", "s3:DeleteObject", "s3:PutObjectTagging"]})
        found = await self.store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
        assert found is not None
        self.bucket_id = found.id

    async def admitted(self, operation: str, input: Any) -> Caller:
        """A caller who was just admitted."""
        caller = Caller(BOB)
        await self.service.admit(caller, operation, input)
        return caller

    async def forbid(self) -> None:
        """The policy goes, as if another node had deleted it."""
        await self.store.index.run(lambda tx: delete_document(tx, self.bucket_id, POLICY_KIND))

    async def stored(self) -> int:
        """How many versions there are."""
        rows = await self.store.index.read(lambda tx: tx.all("SELECT id FROM versions"))
        return len(rows)

    async def test_what_is_not_allowed_any_more(self) -> None:
        """A write that was allowed when it was admitted, and is not when it would be done, is not done."""
        method = self.service.operations()["PutObject"]
        input = types.PutObjectInput(bucket="bucket", key="key")
        caller = await self.admitted("PutObject", input)
        await self.forbid()
        await self.assertFailure(ensureDeferred(method(caller, input, BytesBody(b"data"))), AccessDenied)
        self.assertEqual(await self.stored(), 0)

    async def test_parts(self) -> None:
        """Nor is a part kept, of a body or of another object, that may not be put any more."""
        await self.call(ADA, "PutObject", key="public", acl="public-read")
        upload_id = (await self.call(BOB, "CreateMultipartUpload")).upload_id
        part: Any = {"bucket": "bucket", "key": "key", "upload_id": upload_id, "part_number": 1}
        of_body, copy = types.UploadPartInput(**part), types.UploadPartCopyInput(**part, copy_source="bucket/public")
        body_caller, copy_caller = (
            await self.admitted("UploadPart", of_body),
            await self.admitted("UploadPartCopy", copy),
        )
        await self.forbid()
        operations = self.service.operations()
        upload_part, upload_part_copy = operations["UploadPart"], operations["UploadPartCopy"]
        await self.assertFailure(ensureDeferred(upload_part(body_caller, of_body, BytesBody(b"data"))), AccessDenied)
        await self.assertFailure(ensureDeferred(upload_part_copy(copy_caller, copy)), AccessDenied)
        self.assertEqual((await self.call(ADA, "ListParts", upload_id=upload_id)).parts, [])

    async def test_an_upload_stays(self) -> None:
        """Nor is an upload aborted."""
        await self.allow({"Action": "s3:AbortMultipartUpload"})
        upload = await self.call(ADA, "CreateMultipartUpload")
        method = self.service.operations()["AbortMultipartUpload"]
        input = types.AbortMultipartUploadInput(bucket="bucket", key="key", upload_id=upload.upload_id)
        caller = await self.admitted("AbortMultipartUpload", input)
        await self.forbid()
        await self.assertFailure(ensureDeferred(method(caller, input)), AccessDenied)
        self.assertEqual(len((await self.call(ADA, "ListMultipartUploads")).uploads), 1)

    async def test_what_is_still_allowed(self) -> None:
        """A write that is still allowed is done, as the bucket is now."""
        method = self.service.operations()["PutObject"]
        input = types.PutObjectInput(bucket="bucket", key="key")
        caller = await self.admitted("PutObject", input)
        status = types.VersioningConfiguration(status="Enabled")
        await self.call(ADA, "PutBucketVersioning", versioning_configuration=status)
        output = await method(caller, input, BytesBody(b"data"))
        self.assertIsNotNone(output.version_id)

    async def test_each_key_again(self) -> None:
        """Of many keys each is decided again."""
        await self.call(ADA, "PutObject", key="a")
        await self.call(ADA, "PutObject", key="b")
        method = self.service.operations()["DeleteObjects"]
        keys = [types.ObjectIdentifier(key=key) for key in ("a", "b")]
        input = types.DeleteObjectsInput(bucket="bucket", delete=types.Delete(objects=keys))
        caller = await self.admitted("DeleteObjects", input)
        only_b = {"Effect": "Allow", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::bucket/b"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [only_b]}).encode()
        await self.store.index.run(lambda tx: put_document(tx, self.bucket_id, POLICY_KIND, policy))
        output = await method(caller, input)
        self.assertEqual([entry.key for entry in output.deleted], ["b"])
        self.assertEqual([error.code for error in output.errors], ["AccessDenied"])

    async def test_by_document(self) -> None:
        """What is decided by its document is decided by it again, whether the policy went or became another."""
        await self.call(ADA, "PutObject")
        method = self.service.operations()["PutObjectTagging"]
        store_change = type(self.store).change
        for forbid in (self.let_read_only, self.forbid):
            input = types.PutObjectTaggingInput(bucket="bucket", key="key")
            caller = await self.admitted("PutObjectTagging", input)
            input.tagging = types.Tagging(tag_set=[])

            async def change(store: Any, *arguments: Any, forbid: Any = forbid, **options: Any) -> Any:
                await forbid()
                return await store_change(store, *arguments, **options)

            patched = self.patch(type(self.store), "change", change)
            await self.assertFailure(ensureDeferred(method(caller, input)), AccessDenied)
            patched.restore()
            await self.allow({"Action": "s3:PutObjectTagging"})

    async def let_read_only(self) -> None:
        """The policy becomes one that allows to read, as if another node had put it."""
        reading = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [reading]}).encode()
        await self.store.index.run(lambda tx: put_document(tx, self.bucket_id, POLICY_KIND, policy))

    async def test_another_bucket_of_the_name(self) -> None:
        """A bucket that was deleted, and made again by another, is not the one that was admitted."""
        method = self.service.operations()["PutObject"]
        input = types.PutObjectInput(bucket="bucket", key="key")
        caller = await self.admitted("PutObject", input)
        await self.store.index.run(lambda tx: delete_bucket(tx, self.bucket_id, 0))
        await self.assertFailure(ensureDeferred(method(caller, input, BytesBody(b"data"))), NoSuchBucket)
        await self.call(ADA, "CreateBucket")
        await self.assertFailure(ensureDeferred(method(caller, input, BytesBody(b"data"))), AccessDenied)

    async def test_another_bucket_of_the_same_owner(self) -> None:
        """A write that was admitted to a bucket which was deleted and made again since is to be tried again."""
        method = self.service.operations()["PutObject"]
        input, caller = types.PutObjectInput(bucket="bucket", key="key"), Caller(ADA)
        await self.service.admit(caller, "PutObject", input)
        await self.store.index.run(lambda tx: delete_bucket(tx, self.bucket_id, 0))
        await self.call(ADA, "CreateBucket")
        await self.assertFailure(ensureDeferred(method(caller, input, BytesBody(b"data"))), ServiceUnavailable)
        self.assertEqual(await self.stored(), 0)
        await self.call(ADA, "PutObject")

    async def test_a_list_that_is_not_taken_any_more(self) -> None:
        """A public list that was taken before BlockPublicAcls was set is not written after it."""
        method = self.service.operations()["PutObject"]
        input = types.PutObjectInput(bucket="bucket", key="key", acl="public-read")
        caller = Caller(ADA)
        await self.service.admit(caller, "PutObject", input)
        body = BytesBody(b"data")
        delivered = body.deliver_to

        def deliver_to(consumer: Any) -> Any:
            return ensureDeferred(self.block()).addCallback(lambda _: delivered(consumer))

        self.patch(BytesBody, "deliver_to", lambda _, consumer: deliver_to(consumer))
        await self.assertFailure(ensureDeferred(method(caller, input, body)), BucketChanged)
        self.assertEqual(await self.stored(), 0)

    async def block(self) -> None:
        """Set BlockPublicAcls."""
        block = types.PublicAccessBlockConfiguration(block_public_acls=True)
        await self.call(ADA, "PutPublicAccessBlock", public_access_block_configuration=block)

    async def test_what_an_operation_depends_on(self) -> None:
        """What looks at the limits of lists, or at the bucket's list, is begun anew when those have changed; nothing
        else is."""

        async def grant() -> None:
            await self.call(ADA, "PutBucketAcl", acl="public-read")

        limited = (
            "CopyObject",
            "CreateMultipartUpload",
            "PutBucketAcl",
            "PutBucketPolicy",
            "PutObject",
            "PutObjectAcl",
        )
        for name in ("GetObject", "PutBucketOwnershipControls", "PutObjectTagging", *limited):
            for change, depends in ((self.block, name in limited), (grant, name == "PutBucketOwnershipControls")):
                await self.call(ADA, "DeletePublicAccessBlock")
                await self.call(ADA, "PutBucketAcl", acl="private")
                caller = Caller(ADA)
                await self.call(ADA, name, admit_only=True, caller=caller)
                assert caller.admission is not None and caller.admission.renew is not None
                await change()
                holds = True
                try:
                    await caller.admission.renew(caller)
                except BucketChanged:
                    holds = False
                self.assertIs(holds, not depends, name)

    async def test_a_bypass_that_is_not_allowed_any_more(self) -> None:
        """Retention that could be bypassed when the call was admitted is not, when it could not when it is done."""
        await self.call(ADA, "CreateBucket", bucket="locked", object_lock_enabled_for_bucket=True)
        until = datetime(2100, 1, 1, tzinfo=UTC)
        lock: dict[str, Any] = {"object_lock_mode": "GOVERNANCE", "object_lock_retain_until_date": until}
        put = await self.call(ADA, "PutObject", bucket="locked", checksum_crc32="rfPzYw==", **lock)
        method = self.service.operations()["DeleteObject"]
        input = types.DeleteObjectInput(
            bucket="locked", key="key", version_id=put.version_id, bypass_governance_retention=True
        )
        caller = Caller(ADA)
        await self.service.admit(caller, "DeleteObject", input)
        await self.allow({"Effect": "Deny", "Action": "s3:BypassGovernanceRetention"}, bucket="locked")
        await self.assertFailure(ensureDeferred(method(caller, input)), AccessDenied)
        self.assertEqual(await self.stored(), 1)

    async def test_many_changes_at_once(self) -> None:
        """Many changes of one bucket's configuration at once all pass, one after the other."""
        await gatherResults(
            [ensureDeferred(self.call(ADA, "PutBucketAcl", acl="public-read")) for _ in range(50)], consumeErrors=True
        )

    async def test_a_bucket_that_keeps_changing(self) -> None:
        """A bucket that changes whenever it is looked at is given up in the end."""
        caller = await self.admitted("PutObject", types.PutObjectInput(bucket="bucket", key="key"))
        assert caller.admission is not None and caller.admission.bucket is not None
        stale = evolve(caller.admission, bucket=evolve(caller.admission.bucket, generation=-1))

        async def renew(caller: Caller) -> None:
            caller.admission = stale

        caller.admission = stale = evolve(stale, renew=renew)

        async def transaction(tx: ITransaction) -> None:
            await require_bucket(tx, self.bucket_id)

        await self.assertFailure(ensureDeferred(self.store.change(caller, transaction)), BucketChanged)

    async def test_a_call_leaves_no_circle(self) -> None:
        """Without a policy, reads and writes leave nothing for the garbage collector, which a server runs seldom."""
        await self.call(ADA, "DeleteBucketPolicy")
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for _ in range(3):
            await self.call(ADA, "PutObject")
            await self.call(ADA, "HeadObject")
        gc.set_debug(gc.DEBUG_SAVEALL)
        self.addCleanup(gc.garbage.clear)
        self.addCleanup(gc.set_debug, 0)
        gc.collect()
        self.assertEqual([found for found in gc.garbage if isinstance(found, Caller)], [])
