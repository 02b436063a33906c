"""Object lock as clients meet it: configurations, retention, legal hold, and locks in headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import ensureDeferred

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import (
    AccessDenied,
    BucketAlreadyOwnedByYou,
    DomainError,
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    InvalidRetentionPeriod,
    MalformedXML,
    MethodNotAllowed,
    NoObjectLockConfiguration,
    NoSuchKey,
    NoSuchObjectLock,
    NotImplementedHere,
)
from post3tw.model.identity import Caller, Identity
from post3tw.service.local import local_service
from tests.service.object_case import START, ObjectCase
from tests.service.stores import OWNER, BytesBody

NOW = datetime.fromtimestamp(START, UTC)
DAY = timedelta(days=1)
STRANGER = Identity("stranger", "Stranger", "STRANGER")
CRC = {"checksum_crc32": "rfPzYw=="}
"""Of `data`: a locked object needs a checksum."""


class LockCase(ObjectCase):
    """A bucket with object lock, called `locked`, beside the one without."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it as clients do."""
        await super().setUp()
        self.service = local_service(self.store)
        await self.call("CreateBucket", object_lock_enabled_for_bucket=True)

    async def call(self, operation: str, *body: Any, **members: Any) -> Any:
        """Admit the owner, or another, and run an operation; on `locked` and `key` unless others are named."""
        identity: Identity = members.pop("identity", OWNER)
        defaults = {"bucket": "locked", "key": "key"}
        known = {name: value for name, value in defaults.items() if name in OPERATIONS[operation].members}
        input, caller = OPERATIONS[operation].input(**{**known, **members}), Caller(identity)
        await self.service.admit(caller, operation, input)
        return await self.service.operations()[operation](caller, input, *body)

    async def refused(self, error: type[DomainError], operation: str, *body: Any, **members: Any) -> DomainError:
        """Check that an operation fails so, and return the error."""
        call = ensureDeferred(self.call(operation, *body, **members))
        failure: DomainError = await self.assertFailure(call, error)
        return failure

    async def write(self, **members: Any) -> Any:
        """PutObject of `data`."""
        return await self.call("PutObject", BytesBody(b"data"), **{**CRC, **members})

    async def put_retention(self, mode: str | None, until: datetime | None, **members: Any) -> None:
        """PutObjectRetention."""
        retention = types.ObjectLockRetention(mode=mode, retain_until_date=until)
        await self.call("PutObjectRetention", retention=retention, **members)

    async def lock(self, **members: Any) -> tuple[Any, Any, Any]:
        """What HEAD says."""
        head = await self.call("HeadObject", **members)
        return head.object_lock_mode, head.object_lock_retain_until_date, head.object_lock_legal_hold_status


class BucketTests(LockCase):
    """CreateBucket, GetObjectLockConfiguration, PutObjectLockConfiguration, PutBucketVersioning."""

    def configuration(self, mode: str | None = "GOVERNANCE", **period: Any) -> types.ObjectLockConfiguration:
        """A document with a rule."""
        default = types.DefaultRetention(mode=mode, **period)
        return types.ObjectLockConfiguration(
            object_lock_enabled="Enabled", rule=types.ObjectLockRule(default_retention=default)
        )

    async def shown(self) -> Any:
        """What GetObjectLockConfiguration answers."""
        return (await self.call("GetObjectLockConfiguration")).object_lock_configuration

    async def configure(self, configuration: Any, **members: Any) -> None:
        """PutObjectLockConfiguration."""
        await self.call("PutObjectLockConfiguration", object_lock_configuration=configuration, **members)

    async def test_made_with_object_lock(self) -> None:
        """It has versioning, which cannot be suspended, and no default retention."""
        self.assertEqual((await self.call("GetBucketVersioning")).status, "Enabled")
        suspended = types.VersioningConfiguration(status="Suspended")
        await self.refused(InvalidBucketState, "PutBucketVersioning", versioning_configuration=suspended)
        self.assertEqual(await self.shown(), types.ObjectLockConfiguration(object_lock_enabled="Enabled"))

    async def test_made_again(self) -> None:
        """A bucket that is there already does not get object lock by being made again, so that is no success."""
        await self.refused(
            BucketAlreadyOwnedByYou, "CreateBucket", bucket="bucket", object_lock_enabled_for_bucket=True
        )
        await self.call("CreateBucket", bucket="bucket")

    async def test_without_object_lock(self) -> None:
        """There is no configuration, and none can be put before versioning is enabled."""
        await self.refused(NoObjectLockConfiguration, "GetObjectLockConfiguration", bucket="bucket")
        put = {"bucket": "bucket", "object_lock_configuration": self.configuration(days=1)}
        await self.refused(InvalidBucketState, "PutObjectLockConfiguration", **put)
        enabled = types.VersioningConfiguration(status="Enabled")
        await self.call("PutBucketVersioning", bucket="bucket", versioning_configuration=enabled)
        await self.call("PutObjectLockConfiguration", **put)
        await self.write(bucket="bucket")
        self.assertEqual(await self.lock(bucket="bucket"), ("GOVERNANCE", NOW + DAY, None))

    async def test_default_retention(self) -> None:
        """It is shown as it was put, replaced, and removed by a document without a rule."""
        for configuration in (
            self.configuration(days=3),
            self.configuration("COMPLIANCE", years=1),
            types.ObjectLockConfiguration(object_lock_enabled="Enabled"),
        ):
            await self.configure(configuration)
            self.assertEqual(await self.shown(), configuration)

    async def test_bad_documents(self) -> None:
        """What S3 does not take is refused and changes nothing."""
        await self.configure(self.configuration(days=3))
        rule = types.ObjectLockRule()
        hold = types.DefaultRetention(mode="GOVERNANCE", days=1, default_event_hold=types.EventHoldDuration())
        bad: list[tuple[type[DomainError], types.ObjectLockConfiguration | None]] = [
            (MalformedXML, None),
            (MalformedXML, types.ObjectLockConfiguration()),
            (MalformedXML, types.ObjectLockConfiguration(object_lock_enabled="Disabled")),
            (MalformedXML, types.ObjectLockConfiguration(object_lock_enabled="Enabled", rule=rule)),
            (MalformedXML, self.configuration("governance", days=1)),
            (MalformedXML, self.configuration(None, days=1)),
            (MalformedXML, self.configuration()),
            (MalformedXML, self.configuration(days=1, years=1)),
            (InvalidRetentionPeriod, self.configuration(days=0)),
            (InvalidRetentionPeriod, self.configuration(years=-1)),
            (InvalidRetentionPeriod, self.configuration(days=36501)),
            (InvalidRetentionPeriod, self.configuration(years=101)),
            (
                NotImplementedHere,
                types.ObjectLockConfiguration(
                    object_lock_enabled="Enabled", rule=types.ObjectLockRule(default_retention=hold)
                ),
            ),
        ]
        for error, document in bad:
            await self.refused(error, "PutObjectLockConfiguration", object_lock_configuration=document)
        self.assertEqual(await self.shown(), self.configuration(days=3))

    async def test_longest_periods(self) -> None:
        """100 years are kept, however they are counted."""
        for period in ({"days": 36500}, {"years": 100}):
            await self.configure(self.configuration("COMPLIANCE", **period))
            await self.write()


class ObjectTests(LockCase):
    """Retention and legal hold by their own operations."""

    async def test_retention(self) -> None:
        """It is shown by GET, HEAD and GetObjectRetention, and keeps the version from being deleted until its end."""
        version = (await self.write()).version_id
        await self.refused(NoSuchObjectLock, "GetObjectRetention")
        await self.put_retention("COMPLIANCE", NOW + DAY)
        shown = types.ObjectLockRetention(mode="COMPLIANCE", retain_until_date=NOW + DAY)
        self.assertEqual((await self.call("GetObjectRetention")).retention, shown)
        self.assertEqual(await self.lock(), ("COMPLIANCE", NOW + DAY, None))
        self.assertEqual((await self.call("GetObject")).object_lock_mode, "COMPLIANCE")
        delete = {"version_id": version, "bypass_governance_retention": True}
        await self.refused(AccessDenied, "DeleteObject", **delete)
        self.clock.advance(DAY.total_seconds() - 0.001)
        await self.refused(AccessDenied, "DeleteObject", **delete)
        self.clock.advance(0.001)
        await self.call("DeleteObject", **delete)
        await self.refused(NoSuchKey, "HeadObject")

    async def test_AUZ_13_batch_deletes(self) -> None:
        """In DeleteObjects a locked version fails for itself, and a bypass is for governance mode only."""
        versions = {}
        for key, mode in (("governed", "GOVERNANCE"), ("kept", "COMPLIANCE"), ("free", None)):
            versions[key] = (await self.write(key=key)).version_id
            if mode is not None:
                await self.put_retention(mode, NOW + DAY, key=key)
        entries = [types.ObjectIdentifier(key=key, version_id=version) for key, version in versions.items()]
        answer = await self.call("DeleteObjects", delete=types.Delete(objects=entries))
        self.assertEqual([deleted.key for deleted in answer.deleted], ["free"])
        self.assertEqual([(e.key, e.code) for e in answer.errors], [(k, "AccessDenied") for k in ("governed", "kept")])
        answer = await self.call(
            "DeleteObjects", delete=types.Delete(objects=entries[:2]), bypass_governance_retention=True
        )
        self.assertEqual([deleted.key for deleted in answer.deleted], ["governed"])
        self.assertEqual([(error.key, error.code) for error in answer.errors], [("kept", "AccessDenied")])

    async def test_delete_marker(self) -> None:
        """The key of a locked version can be deleted; the marker hides it and is itself not locked."""
        version = (await self.write()).version_id
        await self.put_retention("COMPLIANCE", NOW + DAY)
        marker = (await self.call("DeleteObject")).version_id
        await self.refused(NoSuchKey, "GetObjectRetention")
        await self.refused(MethodNotAllowed, "GetObjectRetention", version_id=marker)
        await self.call("DeleteObject", version_id=marker)
        await self.refused(AccessDenied, "DeleteObject", version_id=version)

    async def test_an_empty_document(self) -> None:
        """It removes retention in governance mode, with a bypass."""
        await self.write()
        await self.put_retention("GOVERNANCE", NOW + DAY)
        with self.assertRaises(AccessDenied):
            await self.put_retention(None, None)
        await self.put_retention(None, None, bypass_governance_retention=True)
        await self.refused(NoSuchObjectLock, "GetObjectRetention")

    async def test_bad_retention(self) -> None:
        """Half a document, a mode that is none, an end that is not in the future, an event hold, no document."""
        await self.write()
        bad: list[tuple[type[DomainError], types.ObjectLockRetention | None]] = [
            (MalformedXML, None),
            (MalformedXML, types.ObjectLockRetention(mode="GOVERNANCE")),
            (MalformedXML, types.ObjectLockRetention(retain_until_date=NOW + DAY)),
            (MalformedXML, types.ObjectLockRetention(mode="governance", retain_until_date=NOW + DAY)),
            (InvalidArgument, types.ObjectLockRetention(mode="GOVERNANCE", retain_until_date=NOW)),
            (NotImplementedHere, types.ObjectLockRetention(event_hold="ON")),
        ]
        for error, document in bad:
            await self.refused(error, "PutObjectRetention", retention=document)
        self.assertEqual(await self.lock(), (None, None, None))

    async def test_legal_hold(self) -> None:
        """It holds without an end, whoever bypasses, until it is taken back."""
        version = (await self.write()).version_id
        await self.refused(NoSuchObjectLock, "GetObjectLegalHold")
        for status in ("ON", "OFF"):
            await self.call("PutObjectLegalHold", legal_hold=types.ObjectLockLegalHold(status=status))
            self.assertEqual((await self.call("GetObjectLegalHold")).legal_hold.status, status)
            self.assertEqual(await self.lock(), (None, None, status))
            if status == "ON":
                await self.refused(AccessDenied, "DeleteObject", version_id=version, bypass_governance_retention=True)
        await self.call("DeleteObject", version_id=version)
        for document in (None, types.ObjectLockLegalHold(), types.ObjectLockLegalHold(status="on")):
            await self.refused(MalformedXML, "PutObjectLegalHold", legal_hold=document)

    async def test_a_bucket_without_object_lock(self) -> None:
        """Its objects are neither locked nor asked for locks."""
        await self.write(bucket="bucket")
        retention = types.ObjectLockRetention(mode="GOVERNANCE", retain_until_date=NOW + DAY)
        for operation, members in (
            ("GetObjectRetention", {}),
            ("GetObjectLegalHold", {}),
            ("PutObjectRetention", {"retention": retention}),
            ("PutObjectLegalHold", {"legal_hold": types.ObjectLockLegalHold(status="ON")}),
        ):
            error = await self.refused(InvalidRequest, operation, bucket="bucket", **members)
            self.assertEqual(error.message, "Bucket is missing Object Lock Configuration")


class PolicyTests(LockCase):
    """Locks and who may do what with them."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A version under governance and a legal hold that was taken back."""
        await super().setUp()
        self.version = (await self.write()).version_id
        await self.put_retention("GOVERNANCE", NOW + DAY)
        await self.call("PutObjectLegalHold", legal_hold=types.ObjectLockLegalHold(status="OFF"))

    async def policy(self, *statements: tuple[str, list[str]]) -> None:
        """PutBucketPolicy: pairs of effect and actions, for everybody and everything in the bucket."""
        shape = {"Principal": "*", "Resource": "arn:aws:s3:::locked/*"}
        document = [{"Effect": effect, "Action": actions, **shape} for effect, actions in statements]
        await self.call("PutBucketPolicy", policy=json.dumps({"Version": "2012-10-17", "Statement": document}))

    async def test_AUZ_6_a_bypass_that_is_denied(self) -> None:
        """It is none, not even the owner's: deletes, batch deletes and changes are refused as without it."""
        await self.policy(("Deny", ["s3:BypassGovernanceRetention"]))
        bypass = {"bypass_governance_retention": True}
        await self.refused(AccessDenied, "DeleteObject", version_id=self.version, **bypass)
        entries = [types.ObjectIdentifier(key="key", version_id=self.version)]
        answer = await self.call("DeleteObjects", delete=types.Delete(objects=entries), **bypass)
        self.assertEqual([error.code for error in answer.errors], ["AccessDenied"])
        with self.assertRaises(AccessDenied):
            await self.put_retention(None, None, **bypass)
        self.assertEqual((await self.lock())[0], "GOVERNANCE")

    async def test_a_bypass_that_is_not_allowed(self) -> None:
        """Who may delete versions may not therefore bypass; who may do both, may."""
        delete: dict[str, Any] = {"version_id": self.version, "bypass_governance_retention": True}
        await self.policy(("Allow", ["s3:DeleteObjectVersion"]))
        await self.refused(AccessDenied, "DeleteObject", identity=STRANGER, **delete)
        await self.policy(("Allow", ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]))
        await self.call("DeleteObject", identity=STRANGER, **delete)

    async def test_AUZ_10_lock_headers_need_more(self) -> None:
        """Who may put objects may not therefore lock them."""
        retention: dict[str, Any] = {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": NOW + DAY}
        hold: dict[str, Any] = {"object_lock_legal_hold_status": "ON"}
        await self.policy(("Allow", ["s3:PutObject"]))
        for members in (retention, hold):
            await self.refused(AccessDenied, "PutObject", BytesBody(b"data"), identity=STRANGER, **CRC, **members)
        await self.policy(("Allow", ["s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"]))
        await self.write(identity=STRANGER, **retention, **hold)

    async def test_who_sees_a_lock(self) -> None:
        """GET and HEAD show retention and legal hold to those who may read them by their own operations."""
        seen: list[tuple[list[str], tuple[Any, Any, Any]]] = [
            ([], (None, None, None)),
            (["s3:GetObjectRetention"], ("GOVERNANCE", NOW + DAY, None)),
            (["s3:GetObjectLegalHold"], (None, None, "OFF")),
            (["s3:GetObjectRetention", "s3:GetObjectLegalHold"], ("GOVERNANCE", NOW + DAY, "OFF")),
        ]
        for actions, lock in seen:
            await self.policy(("Allow", ["s3:GetObject", *actions]))
            self.assertEqual(await self.lock(identity=STRANGER), lock, actions)
        await self.policy(("Deny", ["s3:GetObjectRetention"]))
        self.assertEqual(await self.lock(), (None, None, "OFF"))


class HeaderTests(LockCase):
    """Locks that objects are written with."""

    LOCK = {  # noqa: RUF012
        "object_lock_mode": "GOVERNANCE",
        "object_lock_retain_until_date": NOW + DAY,
        "object_lock_legal_hold_status": "ON",
    }
    SHOWN = ("GOVERNANCE", NOW + DAY, "ON")

    async def upload(self, **members: Any) -> None:
        """An upload of one part."""
        created = await self.call("CreateMultipartUpload", **members)
        named = {"upload_id": created.upload_id, "key": created.key}
        part = await self.call("UploadPart", BytesBody(b"data"), part_number=1, **named)
        parts = [types.CompletedPart(part_number=1, etag=part.etag)]
        await self.call(
            "CompleteMultipartUpload", multipart_upload=types.CompletedMultipartUpload(parts=parts), **named
        )

    async def test_every_way_of_writing(self) -> None:
        """PutObject, CopyObject and CreateMultipartUpload take them; a copy does not have its source's."""
        await self.write(**self.LOCK)
        self.assertEqual(await self.lock(), self.SHOWN)
        await self.call("CopyObject", copy_source="locked/key", key="plain")
        self.assertEqual(await self.lock(key="plain"), (None, None, None))
        await self.call("CopyObject", copy_source="locked/key", key="copy", **self.LOCK)
        self.assertEqual(await self.lock(key="copy"), self.SHOWN)
        await self.upload(key="upload", **self.LOCK)
        self.assertEqual(await self.lock(key="upload"), self.SHOWN)

    async def test_a_bucket_without_object_lock(self) -> None:
        """Nothing is written that was to be locked and cannot be, not even with a hold that is off."""
        elsewhere: dict[str, Any] = {"bucket": "bucket", "object_lock_legal_hold_status": "OFF"}
        await self.refused(InvalidRequest, "PutObject", BytesBody(b"data"), **CRC, **elsewhere)
        await self.refused(InvalidRequest, "CreateMultipartUpload", **elsewhere)
        await self.write()
        await self.refused(InvalidRequest, "CopyObject", copy_source="locked/key", **elsewhere)
        await self.refused(NoSuchKey, "HeadObject", bucket="bucket")
        self.assertEqual(await self.rows("SELECT 1 FROM uploads"), [])

    async def test_bad_headers(self) -> None:
        """Half a retention, words that S3 does not know, an end that is not in the future."""
        for members in (
            {"object_lock_mode": "GOVERNANCE"},
            {"object_lock_retain_until_date": NOW + DAY},
            {"object_lock_mode": "governance", "object_lock_retain_until_date": NOW + DAY},
            {"object_lock_mode": "", "object_lock_retain_until_date": NOW + DAY},
            {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": NOW},
            {"object_lock_legal_hold_status": "on"},
            {"object_lock_legal_hold_status": ""},
        ):
            for operation, more in (("CreateMultipartUpload", {}), ("PutObject", CRC)):
                body = [BytesBody(b"data")] if operation == "PutObject" else []
                await self.refused(InvalidArgument, operation, *body, **more, **members)

    async def test_a_digest_is_required(self) -> None:
        """What cannot be replaced has to be checked: without a digest a locked object is not taken, as on AWS."""
        await self.refused(InvalidRequest, "PutObject", BytesBody(b"data"), **self.LOCK)
        await self.write(**self.LOCK)
        await self.call("PutObject", BytesBody(b"data"), content_md5="jXd/OF09/siBXSD3SWAm3A==", **self.LOCK)
        body = BytesBody(b"data", trailers={"x-amz-checksum-crc32": CRC["checksum_crc32"]})
        await self.call("PutObject", body, **self.LOCK)
