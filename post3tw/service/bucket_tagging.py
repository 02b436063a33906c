"""The tags of a bucket, kept as one of its documents."""

from __future__ import annotations

import json

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML, NoSuchTagSet
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.bucket_documents import delete_document, put_document, read_document
from post3tw.service.operation import operation
from post3tw.service.store import Store
from post3tw.service.tags import MAX_BUCKET_TAGS, tag_list, tags_of_document

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
        body = await read_document(self.store, caller, KIND)
        if body is None:
            raise NoSuchTagSet(bucket_name=admitted_bucket(caller).name)
        return types.GetBucketTaggingOutput(tag_set=tag_list(json.loads(body)))

    @operation("s3:PutBucketTagging", honours=("tagging", "content_md5", "checksum_algorithm"))
    async def put_bucket_tagging(
        self, caller: Caller, input: types.PutBucketTaggingInput
    ) -> types.PutBucketTaggingOutput:
        """Replace the tags, 50 at most."""
        if input.tagging is None:
            raise MalformedXML()
        body = json.dumps(tags_of_document(input.tagging, limit=MAX_BUCKET_TAGS)).encode()
        await put_document(self.store, caller, KIND, body)
        return types.PutBucketTaggingOutput()

    @operation("s3:PutBucketTagging")
    async def delete_bucket_tagging(
        self, caller: Caller, input: types.DeleteBucketTaggingInput
    ) -> types.DeleteBucketTaggingOutput:
        """Remove the tags, also when there are none."""
        await delete_document(self.store, caller, KIND)
        return types.DeleteBucketTaggingOutput()
