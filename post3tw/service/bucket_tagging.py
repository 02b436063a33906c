"""The tags of a bucket, kept as one of its documents."""

from __future__ import annotations

import json

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML, NoSuchTagSet
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.operation import operation
from post3tw.service.store import Store
from post3tw.service.tags import MAX_BUCKET_TAGS, tag_list, tags_of_document
from post3tw.storage.index.transactions import documents
from post3tw.storage.interfaces import Lock

KIND = "tagging"


@frozen
class BucketTagging:
    """Reading and changing the tags of a bucket."""

    store: Store

    @operation("s3:GetBucketTagging")
    async def get_bucket_tagging(
        self, caller: Caller, input: types.GetBucketTaggingInput
    ) -> types.GetBucketTaggingOutput:
        """The tags; NoSuchTagSet when there are none."""
        bucket = admitted_bucket(caller)
        document = await self.store.index.read(lambda tx: documents.get_document(tx, bucket.id, KIND))
        if document is None:
            raise NoSuchTagSet(bucket_name=bucket.name)
        return types.GetBucketTaggingOutput(tag_set=tag_list(json.loads(document.body)))

    @operation("s3:PutBucketTagging", honours=("tagging", "content_md5", "checksum_algorithm"))
    async def put_bucket_tagging(
        self, caller: Caller, input: types.PutBucketTaggingInput
    ) -> types.PutBucketTaggingOutput:
        """Replace the tags, 50 at most."""
        if input.tagging is None:
            raise MalformedXML()
        body = json.dumps(tags_of_document(input.tagging, limit=MAX_BUCKET_TAGS)).encode()
        bucket = admitted_bucket(caller)
        self.store.admit_write()
        await self.store.change(
            caller, lambda tx: documents.put_document(tx, bucket.id, KIND, body), [Lock(bucket.id, exclusive=True)]
        )
        return types.PutBucketTaggingOutput()

    @operation("s3:PutBucketTagging")
    async def delete_bucket_tagging(
        self, caller: Caller, input: types.DeleteBucketTaggingInput
    ) -> types.DeleteBucketTaggingOutput:
        """Remove the tags, also when there are none."""
        bucket = admitted_bucket(caller)
        await self.store.change(
            caller, lambda tx: documents.delete_document(tx, bucket.id, KIND), [Lock(bucket.id, exclusive=True)]
        )
        return types.DeleteBucketTaggingOutput()
