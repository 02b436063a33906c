"""What GET, DELETE and PUT answer about configurations that no bucket can have yet."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import (
    DomainError,
    MalformedXML,
    NoEncryptionConfiguration,
    NoMetadataConfiguration,
    NoReplicationConfiguration,
    NoSuchBucket,
    NoSuchConfiguration,
    NoSuchKey,
    NoSuchLifecycleConfiguration,
    NoSuchWebsiteConfiguration,
    NotImplementedHere,
)
from post3tw.model.identity import Caller
from post3tw.service.local import local_service
from tests.service.stores import OWNER, make_bucket, make_store

NONE_AT_ALL: dict[str, type[DomainError]] = {
    "GetBucketLifecycleConfiguration": NoSuchLifecycleConfiguration,
    "GetBucketEncryption": NoEncryptionConfiguration,
    "GetBucketReplication": NoReplicationConfiguration,
    "GetBucketWebsite": NoSuchWebsiteConfiguration,
    "GetBucketMetadataConfiguration": NoMetadataConfiguration,
    "GetBucketMetadataTableConfiguration": NoMetadataConfiguration,
    "GetObjectTorrent": NoSuchKey,
}
DELETES = (
    "DeleteBucketLifecycle",
    "DeleteBucketEncryption",
    "DeleteBucketReplication",
    "DeleteBucketWebsite",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
)
BY_ID = ("Analytics", "Inventory", "Metrics", "IntelligentTiering")


class UnconfiguredTests(TestCase):
    """One bucket of a whole service."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it."""
        self.store = await make_store(self)
        self.bucket = await make_bucket(self.store)
        self.service = local_service(self.store)

    async def call(self, operation: str, **members: Any) -> Any:
        """Admit the bucket's owner and run an operation."""
        input, caller = OPERATIONS[operation].input(**{"bucket": "bucket"} | members), Caller(OWNER)
        await self.service.admit(caller, operation, input)
        return await self.service.operations()[operation](caller, input)

    async def fails(self, error: type[DomainError], operation: str, **members: Any) -> None:
        """Check that an operation fails so."""
        await self.assertFailure(ensureDeferred(self.call(operation, **members)), error)

    async def test_reading_what_is_not_there(self) -> None:
        """Each kind has its own error."""
        for operation, error in NONE_AT_ALL.items():
            members = {"key": "key"} if operation == "GetObjectTorrent" else {}
            await self.fails(error, operation, **members)

    async def test_reading_defaults(self) -> None:
        """What has a default on AWS answers that."""
        self.assertEqual(await self.call("GetBucketLogging"), types.GetBucketLoggingOutput())
        self.assertEqual(
            await self.call("GetBucketNotificationConfiguration"), types.GetBucketNotificationConfigurationOutput()
        )
        self.assertIsNone((await self.call("GetBucketAccelerateConfiguration")).status)
        self.assertEqual((await self.call("GetBucketAbac")).abac_status.status, "Disabled")

    async def test_deleting_what_is_not_there(self) -> None:
        """It is deleted already."""
        for operation in DELETES:
            await self.call(operation)

    async def test_kinds_with_ids(self) -> None:
        """There is none of any id, and a list of none has no further page."""
        for kind in BY_ID:
            for verb in ("Get", "Delete"):
                await self.fails(NoSuchConfiguration, f"{verb}Bucket{kind}Configuration", id="mine")
            listed = await self.call(f"ListBucket{kind}Configurations", continuation_token="there")
            self.assertEqual((listed.is_truncated, listed.next_continuation_token), (False, None))

    async def test_no_bucket(self) -> None:
        """A bucket that is not there is what the answer is about."""
        for operation in (*NONE_AT_ALL, *DELETES):
            members = {"key": "key"} if operation == "GetObjectTorrent" else {}
            await self.fails(NoSuchBucket, operation, bucket="nowhere", **members)

    async def test_logging_is_switched_off_but_not_on(self) -> None:
        """An empty document is taken, one that asks for logs is 501, none at all is malformed."""
        await self.call("PutBucketLogging", bucket_logging_status=types.BucketLoggingStatus())
        wanted = types.BucketLoggingStatus(logging_enabled=types.LoggingEnabled(target_bucket="logs"))
        await self.fails(NotImplementedHere, "PutBucketLogging", bucket_logging_status=wanted)
        await self.fails(MalformedXML, "PutBucketLogging")
        self.assertIsNone((await self.call("GetBucketLogging")).logging_enabled)

    async def test_notifications_are_switched_off_but_not_on(self) -> None:
        """An empty document is taken, also one of empty lists; every kind of target is 501."""
        put = "PutBucketNotificationConfiguration"
        for empty in (types.NotificationConfiguration(), types.NotificationConfiguration(topic_configurations=[])):
            await self.call(put, notification_configuration=empty)
        for wanted in (
            types.NotificationConfiguration(queue_configurations=[types.QueueConfiguration(queue_arn="arn")]),
            types.NotificationConfiguration(event_bridge_configuration=types.EventBridgeConfiguration()),
        ):
            await self.fails(NotImplementedHere, put, notification_configuration=wanted)

    def test_what_would_have_to_act_is_not_declared(self) -> None:
        """So a PUT of it is 501 before anything is read."""
        kinds = ("Lifecycle", "Accelerate", "Analytics", "Inventory", "Metrics", "IntelligentTiering")
        puts = [f"PutBucket{kind}Configuration" for kind in kinds]
        for operation in (*puts, "PutBucketReplication", "PutBucketWebsite", "PutBucketEncryption"):
            self.assertIn(operation, OPERATIONS)
            self.assertNotIn(operation, self.service.operations())
