"""What each request needs permission for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import InvalidURI
from post3tw.service.demands import Demand, Demands
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.wire.copy_source import parse_copy_source
from tests.service.access_case import AccessCase

UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


class DemandsTests(AccessCase):
    """Demands.on_target and on_source, of Ada's bucket."""

    def of(self, operation: str) -> Demands:
        """Those of an operation."""
        declaration = self.service.operations()[operation].declaration  # type: ignore[attr-defined]
        return Demands.of(OPERATIONS[operation], declaration)

    async def on_target(self, operation: str, **members: Any) -> list[Demand]:
        """What a request demands of the bucket that it names."""
        bucket = await self.store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
        assert bucket is not None
        known = OPERATIONS[operation]
        defaults = {"bucket": "bucket", "key": "key"}
        input = known.input(**{n: v for n, v in defaults.items() if n in known.members}, **members)
        return list(self.of(operation).on_target(input, bucket))

    async def test_own_action(self) -> None:
        """An operation's own action, on the bucket, the object, its version or the upload that is named."""
        upload = {"upload_id": "u"}
        for operation, members, demand in (
            ("ListObjectsV2", {}, Demand("s3:ListBucket")),
            ("GetBucketPolicy", {}, Demand("s3:GetBucketPolicy")),
            ("GetObject", {}, Demand("s3:GetObject", "key", existing=True)),
            ("GetObject", {"version_id": "v"}, Demand("s3:GetObjectVersion", "key", "v", existing=True)),
            ("GetObjectRetention", {"version_id": "v"}, Demand("s3:GetObjectRetention", "key", "v", existing=True)),
            ("PutObject", {}, Demand("s3:PutObject", "key")),
            ("DeleteObject", {}, Demand("s3:DeleteObject", "key")),
            ("DeleteObject", {"version_id": "v"}, Demand("s3:DeleteObjectVersion", "key", "v")),
            ("UploadPart", {**upload, "part_number": 1}, Demand("s3:PutObject", "key", upload_id="u")),
            ("ListParts", upload, Demand("s3:ListMultipartUploadParts", "key", upload_id="u")),
            ("AbortMultipartUpload", upload, Demand("s3:AbortMultipartUpload", "key", upload_id="u")),
        ):
            self.assertEqual(await self.on_target(operation, **members), [demand], operation)

    async def test_headers_that_ask_for_more(self) -> None:
        """Tags, locks and conditions need actions of their own, each once, on whatever is written or deleted."""
        retention, hold, tags = "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:PutObjectTagging"
        for members, actions in (
            ({"object_lock_mode": "GOVERNANCE"}, [retention]),
            ({"object_lock_retain_until_date": UNTIL}, [retention]),
            ({"object_lock_mode": "GOVERNANCE", "object_lock_retain_until_date": UNTIL}, [retention]),
            ({"object_lock_legal_hold_status": "ON"}, [hold]),
            ({"tagging": "a=b"}, [tags]),
            ({"if_match": "etag"}, ["s3:GetObject"]),
            ({"tagging": "", "if_match": "etag", "object_lock_legal_hold_status": "OFF"}, ["s3:GetObject", hold, tags]),
        ):
            found = await self.on_target("PutObject", **members)
            self.assertEqual(found, [Demand(action, "key") for action in ("s3:PutObject", *actions)], members)
        for operation in ("CopyObject", "CreateMultipartUpload"):
            source = {"copy_source": "bucket/s"} if operation == "CopyObject" else {}
            found = await self.on_target(operation, tagging="a=b", object_lock_mode="GOVERNANCE", **source)
            self.assertEqual([demand.action for demand in found], ["s3:PutObject", retention, tags], operation)

    async def test_conditions_of_a_delete(self) -> None:
        """What a delete is conditional on must be readable, in the version that is named."""
        for member, value in (("if_match", "e"), ("if_match_last_modified_time", UNTIL), ("if_match_size", 1)):
            self.assertEqual(
                await self.on_target("DeleteObject", version_id="v", **{member: value}),
                [Demand("s3:DeleteObjectVersion", "key", "v"), Demand("s3:GetObjectVersion", "key", "v")],
                member,
            )

    async def test_lists(self) -> None:
        """A list needs s3:PutObjectAcl; one that grants nothing to others than the bucket's owner only that nothing
        denies it."""
        for members, harmless in (
            ({"acl": "private"}, True),
            ({"acl": "bucket-owner-read"}, True),
            ({"acl": "bucket-owner-full-control"}, True),
            ({"acl": "public-read"}, False),
            ({"acl": "authenticated-read"}, False),
            ({"grant_read": "id=ada"}, True),
            ({"grant_full_control": ' id="ada" '}, True),
            ({"grant_read": "id=bob"}, False),
            ({"grant_read": "id=ada", "grant_write_acp": "id=bob"}, False),
            ({"grant_read": "id=ada,id=bob"}, False),
            ({"acl": "public-read", "grant_read": "id=ada"}, False),
        ):
            self.assertEqual(
                await self.on_target("PutObject", **members),
                [Demand("s3:PutObject", "key"), Demand("s3:PutObjectAcl", "key", unless_denied=harmless)],
                members,
            )
        self.assertEqual(len(await self.on_target("UploadPart", upload_id="u", part_number=1)), 1)

    async def test_attributes(self) -> None:
        """Who looks at the attributes of an object or a version must be allowed to read it, too."""
        for version_id, of in ((None, ""), ("v", "Version")):
            self.assertEqual(
                await self.on_target("GetObjectAttributes", version_id=version_id),
                [Demand(f"s3:GetObject{of}{what}", "key", version_id, existing=True) for what in ("Attributes", "")],
            )

    async def test_rename(self) -> None:
        """A rename writes one object, and reads and deletes another, whose name is encoded."""
        for source, key in (("/a%20b", "a b"), ("a/b", "a/b"), (None, "")):
            found = await self.on_target("RenameObject", rename_source=source, destination_if_match="e")
            self.assertEqual(
                found,
                [
                    Demand("s3:PutObject", "key"),
                    Demand("s3:GetObject", "key"),
                    Demand("s3:GetObject", key, existing=True),
                    Demand("s3:DeleteObject", key),
                ],
            )

        with self.assertRaises(InvalidURI):
            await self.on_target("RenameObject", rename_source="\udcff")

    def test_sources(self) -> None:
        """A copy reads an object, or the version that is named."""
        for source, demand in (
            ("bucket/key", Demand("s3:GetObject", "key", existing=True)),
            ("bucket/key?versionId=v", Demand("s3:GetObjectVersion", "key", "v", existing=True)),
        ):
            self.assertEqual(list(self.of("CopyObject").on_source(parse_copy_source(source))), [demand])
