"""Versioning of a bucket: never, enabled, suspended. What it does to objects is in the objects' transactions."""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.model.bucket import Versioning
from post3tw.model.errors import MalformedXML, NotImplementedHere
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.operation import operation
from post3tw.service.store import Store
from post3tw.storage.index.transactions import buckets as rows
from post3tw.storage.interfaces import Lock


@frozen
class BucketVersioning:
    """Reading and changing the versioning state of a bucket."""

    store: Store

    @operation("s3:GetBucketVersioning")
    async def get_bucket_versioning(
        self, caller: Caller, input: types.GetBucketVersioningInput
    ) -> types.GetBucketVersioningOutput:
        """The state; a bucket that never was versioned answers none."""
        return types.GetBucketVersioningOutput(status=admitted_bucket(caller).versioning.value or None)

    @operation("s3:PutBucketVersioning", honours=("versioning_configuration", "content_md5", "checksum_algorithm"))
    async def put_bucket_versioning(
        self, caller: Caller, input: types.PutBucketVersioningInput
    ) -> types.PutBucketVersioningOutput:
        """Enable or suspend.

        Raises:
            MalformedXML: no status, or one that S3 does not know.
            NotImplementedHere: MFA delete.
            InvalidBucketState: the bucket has object lock, and versioning was to be suspended.
        """
        configuration = input.versioning_configuration
        if configuration is None or configuration.status not in ("Enabled", "Suspended"):
            raise MalformedXML()
        if configuration.mfa_delete == "Enabled":
            raise NotImplementedHere("MFA delete is not supported.", operation="PutBucketVersioning")
        bucket, status = admitted_bucket(caller), Versioning(configuration.status)
        await self.store.change(
            caller, lambda tx: rows.set_versioning(tx, bucket.id, status), [Lock(bucket.id, exclusive=True)]
        )
        return types.PutBucketVersioningOutput()
