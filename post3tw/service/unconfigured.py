"""Answers about configurations that no bucket here can have yet: those that AWS gives of a bucket without them.

GET answers AWS's "there is none", which clients expect and handle, and never 501; DELETE of what is not there succeeds;
PUT of something that would have to be acted on is 501 and stores nothing. PUT operations that are not declared at all
are 501 by routing; the two below are here because their empty document is how a client switches them off.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
"""

from __future__ import annotations

from attrs import asdict, frozen

from post3tw.api import types
from post3tw.model.errors import (
    MalformedXML,
    NoEncryptionConfiguration,
    NoMetadataConfiguration,
    NoReplicationConfiguration,
    NoSuchConfiguration,
    NoSuchKey,
    NoSuchLifecycleConfiguration,
    NoSuchWebsiteConfiguration,
    NotImplementedHere,
)
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.operation import operation
from post3tw.service.store import Store

_PAGED = ("continuation_token",)


@frozen
class Unconfigured:
    """What a bucket has one of, or none."""

    store: Store

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    @operation("s3:GetLifecycleConfiguration")
    async def get_bucket_lifecycle_configuration(
        self, caller: Caller, input: types.GetBucketLifecycleConfigurationInput
    ) -> types.GetBucketLifecycleConfigurationOutput:
        """Nothing expires by itself."""
        raise NoSuchLifecycleConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:PutLifecycleConfiguration")
    async def delete_bucket_lifecycle(
        self, caller: Caller, input: types.DeleteBucketLifecycleInput
    ) -> types.DeleteBucketLifecycleOutput:
        """There is nothing to delete."""
        return types.DeleteBucketLifecycleOutput()

    # -- encryption ----------------------------------------------------------------------------------------------------

    @operation("s3:GetEncryptionConfiguration")
    async def get_bucket_encryption(
        self, caller: Caller, input: types.GetBucketEncryptionInput
    ) -> types.GetBucketEncryptionOutput:
        """Nothing is encrypted by default."""
        raise NoEncryptionConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:PutEncryptionConfiguration")
    async def delete_bucket_encryption(
        self, caller: Caller, input: types.DeleteBucketEncryptionInput
    ) -> types.DeleteBucketEncryptionOutput:
        """There is nothing to delete."""
        return types.DeleteBucketEncryptionOutput()

    # -- replication ---------------------------------------------------------------------------------------------------

    @operation("s3:GetReplicationConfiguration")
    async def get_bucket_replication(
        self, caller: Caller, input: types.GetBucketReplicationInput
    ) -> types.GetBucketReplicationOutput:
        """Nothing is replicated."""
        raise NoReplicationConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:PutReplicationConfiguration")
    async def delete_bucket_replication(
        self, caller: Caller, input: types.DeleteBucketReplicationInput
    ) -> types.DeleteBucketReplicationOutput:
        """There is nothing to delete."""
        return types.DeleteBucketReplicationOutput()

    # -- website -------------------------------------------------------------------------------------------------------

    @operation("s3:GetBucketWebsite")
    async def get_bucket_website(
        self, caller: Caller, input: types.GetBucketWebsiteInput
    ) -> types.GetBucketWebsiteOutput:
        """No bucket is a website."""
        raise NoSuchWebsiteConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:DeleteBucketWebsite")
    async def delete_bucket_website(
        self, caller: Caller, input: types.DeleteBucketWebsiteInput
    ) -> types.DeleteBucketWebsiteOutput:
        """There is nothing to delete."""
        return types.DeleteBucketWebsiteOutput()

    # -- metadata tables -----------------------------------------------------------------------------------------------

    @operation("s3:GetBucketMetadataTableConfiguration")
    async def get_bucket_metadata_configuration(
        self, caller: Caller, input: types.GetBucketMetadataConfigurationInput
    ) -> types.GetBucketMetadataConfigurationOutput:
        """No bucket has tables."""
        raise NoMetadataConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:DeleteBucketMetadataTableConfiguration")
    async def delete_bucket_metadata_configuration(
        self, caller: Caller, input: types.DeleteBucketMetadataConfigurationInput
    ) -> types.DeleteBucketMetadataConfigurationOutput:
        """There is nothing to delete."""
        return types.DeleteBucketMetadataConfigurationOutput()

    @operation("s3:GetBucketMetadataTableConfiguration")
    async def get_bucket_metadata_table_configuration(
        self, caller: Caller, input: types.GetBucketMetadataTableConfigurationInput
    ) -> types.GetBucketMetadataTableConfigurationOutput:
        """No bucket has tables."""
        raise NoMetadataConfiguration(bucket_name=admitted_bucket(caller).name)

    @operation("s3:DeleteBucketMetadataTableConfiguration")
    async def delete_bucket_metadata_table_configuration(
        self, caller: Caller, input: types.DeleteBucketMetadataTableConfigurationInput
    ) -> types.DeleteBucketMetadataTableConfigurationOutput:
        """There is nothing to delete."""
        return types.DeleteBucketMetadataTableConfigurationOutput()

    # -- states with a default -----------------------------------------------------------------------------------------

    @operation("s3:GetAccelerateConfiguration")
    async def get_bucket_accelerate_configuration(
        self, caller: Caller, input: types.GetBucketAccelerateConfigurationInput
    ) -> types.GetBucketAccelerateConfigurationOutput:
        """Never set."""
        return types.GetBucketAccelerateConfigurationOutput()

    @operation("s3:GetBucketAbac")
    async def get_bucket_abac(self, caller: Caller, input: types.GetBucketAbacInput) -> types.GetBucketAbacOutput:
        """Off, as it is on AWS until it is enabled."""
        return types.GetBucketAbacOutput(abac_status=types.AbacStatus(status="Disabled"))

    @operation("s3:GetBucketLogging")
    async def get_bucket_logging(
        self, caller: Caller, input: types.GetBucketLoggingInput
    ) -> types.GetBucketLoggingOutput:
        """Off."""
        return types.GetBucketLoggingOutput()

    @operation("s3:PutBucketLogging", honours=("bucket_logging_status", "content_md5", "checksum_algorithm"))
    async def put_bucket_logging(
        self, caller: Caller, input: types.PutBucketLoggingInput
    ) -> types.PutBucketLoggingOutput:
        """Switch logging off, which it is.

        Raises:
            NotImplementedHere: it is to be switched on.
        """
        _refuse_content(input.bucket_logging_status, "PutBucketLogging")
        return types.PutBucketLoggingOutput()

    @operation("s3:GetBucketNotification")
    async def get_bucket_notification_configuration(
        self, caller: Caller, input: types.GetBucketNotificationConfigurationInput
    ) -> types.GetBucketNotificationConfigurationOutput:
        """Nobody is notified."""
        return types.GetBucketNotificationConfigurationOutput()

    @operation("s3:PutBucketNotification", honours=("notification_configuration", "skip_destination_validation"))
    async def put_bucket_notification_configuration(
        self, caller: Caller, input: types.PutBucketNotificationConfigurationInput
    ) -> types.PutBucketNotificationConfigurationOutput:
        """Notify nobody, which holds anyway.

        Raises:
            NotImplementedHere: somebody is to be notified.
        """
        _refuse_content(input.notification_configuration, "PutBucketNotificationConfiguration")
        return types.PutBucketNotificationConfigurationOutput()

    # -- objects ------------------------------------------------------------------------------------------------------

    @operation("s3:GetObjectTorrent")
    async def get_object_torrent(
        self, caller: Caller, input: types.GetObjectTorrentInput
    ) -> types.GetObjectTorrentOutput:
        """AWS withdrew torrents in 2022; no object has one."""
        raise NoSuchKey(key=input.key)


@frozen
class UnconfiguredById:
    """What a bucket may have several of, each under an id."""

    store: Store

    # -- analytics -----------------------------------------------------------------------------------------------------

    @operation("s3:GetAnalyticsConfiguration", honours=("id",))
    async def get_bucket_analytics_configuration(
        self, caller: Caller, input: types.GetBucketAnalyticsConfigurationInput
    ) -> types.GetBucketAnalyticsConfigurationOutput:
        """There is none of this id."""
        raise _no_such(caller, input.id)

    @operation("s3:GetAnalyticsConfiguration", honours=_PAGED)
    async def list_bucket_analytics_configurations(
        self, caller: Caller, input: types.ListBucketAnalyticsConfigurationsInput
    ) -> types.ListBucketAnalyticsConfigurationsOutput:
        """None at all."""
        return types.ListBucketAnalyticsConfigurationsOutput(is_truncated=False)

    @operation("s3:PutAnalyticsConfiguration", honours=("id",))
    async def delete_bucket_analytics_configuration(
        self, caller: Caller, input: types.DeleteBucketAnalyticsConfigurationInput
    ) -> types.DeleteBucketAnalyticsConfigurationOutput:
        """There is none of this id, which AWS says here too."""
        raise _no_such(caller, input.id)

    # -- inventory -----------------------------------------------------------------------------------------------------

    @operation("s3:GetInventoryConfiguration", honours=("id",))
    async def get_bucket_inventory_configuration(
        self, caller: Caller, input: types.GetBucketInventoryConfigurationInput
    ) -> types.GetBucketInventoryConfigurationOutput:
        """There is none of this id."""
        raise _no_such(caller, input.id)

    @operation("s3:GetInventoryConfiguration", honours=_PAGED)
    async def list_bucket_inventory_configurations(
        self, caller: Caller, input: types.ListBucketInventoryConfigurationsInput
    ) -> types.ListBucketInventoryConfigurationsOutput:
        """None at all."""
        return types.ListBucketInventoryConfigurationsOutput(is_truncated=False)

    @operation("s3:PutInventoryConfiguration", honours=("id",))
    async def delete_bucket_inventory_configuration(
        self, caller: Caller, input: types.DeleteBucketInventoryConfigurationInput
    ) -> types.DeleteBucketInventoryConfigurationOutput:
        """There is none of this id, which AWS says here too."""
        raise _no_such(caller, input.id)

    # -- metrics -------------------------------------------------------------------------------------------------------

    @operation("s3:GetMetricsConfiguration", honours=("id",))
    async def get_bucket_metrics_configuration(
        self, caller: Caller, input: types.GetBucketMetricsConfigurationInput
    ) -> types.GetBucketMetricsConfigurationOutput:
        """There is none of this id."""
        raise _no_such(caller, input.id)

    @operation("s3:GetMetricsConfiguration", honours=_PAGED)
    async def list_bucket_metrics_configurations(
        self, caller: Caller, input: types.ListBucketMetricsConfigurationsInput
    ) -> types.ListBucketMetricsConfigurationsOutput:
        """None at all."""
        return types.ListBucketMetricsConfigurationsOutput(is_truncated=False)

    @operation("s3:PutMetricsConfiguration", honours=("id",))
    async def delete_bucket_metrics_configuration(
        self, caller: Caller, input: types.DeleteBucketMetricsConfigurationInput
    ) -> types.DeleteBucketMetricsConfigurationOutput:
        """There is none of this id, which AWS says here too."""
        raise _no_such(caller, input.id)

    # -- tiering -------------------------------------------------------------------------------------------------------

    @operation("s3:GetIntelligentTieringConfiguration", honours=("id",))
    async def get_bucket_intelligent_tiering_configuration(
        self, caller: Caller, input: types.GetBucketIntelligentTieringConfigurationInput
    ) -> types.GetBucketIntelligentTieringConfigurationOutput:
        """There is none of this id."""
        raise _no_such(caller, input.id)

    @operation("s3:GetIntelligentTieringConfiguration", honours=_PAGED)
    async def list_bucket_intelligent_tiering_configurations(
        self, caller: Caller, input: types.ListBucketIntelligentTieringConfigurationsInput
    ) -> types.ListBucketIntelligentTieringConfigurationsOutput:
        """None at all."""
        return types.ListBucketIntelligentTieringConfigurationsOutput(is_truncated=False)

    @operation("s3:PutIntelligentTieringConfiguration", honours=("id",))
    async def delete_bucket_intelligent_tiering_configuration(
        self, caller: Caller, input: types.DeleteBucketIntelligentTieringConfigurationInput
    ) -> types.DeleteBucketIntelligentTieringConfigurationOutput:
        """There is none of this id, which AWS says here too."""
        raise _no_such(caller, input.id)


def _no_such(caller: Caller, id: str | None) -> NoSuchConfiguration:
    return NoSuchConfiguration(bucket_name=admitted_bucket(caller).name, id=id)


def _refuse_content(
    document: types.BucketLoggingStatus | types.NotificationConfiguration | None, operation: str
) -> None:
    """Take a document that configures nothing."""
    if document is None:
        raise MalformedXML()
    for member, value in asdict(document, recurse=False).items():
        if value is not None and value != []:
            raise NotImplementedHere(f"{operation} does not support {member} yet.", operation=operation, member=member)
