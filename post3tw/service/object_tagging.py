"""The tags of an object's versions.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML
from post3tw.model.identity import Caller
from post3tw.model.version import Version
from post3tw.service.admitted import admitted_bucket
from post3tw.service.keys import check_version_id, key_bytes, written_version_id
from post3tw.service.operation import operation
from post3tw.service.store import Store
from post3tw.service.tags import MAX_OBJECT_TAGS, tag_list, tags_of_document
from post3tw.storage.index.transactions.objects import set_tags
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import Lock


@frozen
class ObjectTagging:
    """Reading and changing the tags of objects."""

    store: Store

    @operation("s3:GetObjectTagging", honours=("version_id",))
    async def get_object_tagging(
        self, caller: Caller, input: types.GetObjectTaggingInput
    ) -> types.GetObjectTaggingOutput:
        """The tags of the current object, or of a version, in the order of their keys."""
        bucket, key = admitted_bucket(caller), key_bytes(input.key)
        version: Version = await self.store.look(
            caller,
            partial(require_object, bucket_id=bucket.id, key=key, version_id=check_version_id(input.version_id)),
        )
        return types.GetObjectTaggingOutput(
            version_id=written_version_id(version), tag_set=tag_list(version.description.tags)
        )

    @operation("s3:PutObjectTagging", honours=("version_id", "tagging", "content_md5", "checksum_algorithm"))
    async def put_object_tagging(
        self, caller: Caller, input: types.PutObjectTaggingInput
    ) -> types.PutObjectTaggingOutput:
        """Replace the tags, 10 at most.

        Raises:
            MalformedXML, InvalidTag, NoSuchKey, NoSuchVersion, MethodNotAllowed.
        """
        if input.tagging is None:
            raise MalformedXML()
        tags = tags_of_document(input.tagging, limit=MAX_OBJECT_TAGS)
        self.store.admit_write()
        version = await self._set(caller, input.key, input.version_id, tags)
        return types.PutObjectTaggingOutput(version_id=written_version_id(version))

    @operation("s3:DeleteObjectTagging", honours=("version_id",))
    async def delete_object_tagging(
        self, caller: Caller, input: types.DeleteObjectTaggingInput
    ) -> types.DeleteObjectTaggingOutput:
        """Remove all tags, also when there are none."""
        version = await self._set(caller, input.key, input.version_id, {})
        return types.DeleteObjectTaggingOutput(version_id=written_version_id(version))

    async def _set(self, caller: Caller, name: str | None, version_id: str | None, tags: Mapping[str, str]) -> Version:
        bucket, key, ids = admitted_bucket(caller), key_bytes(name), self.store.ids
        version: Version = await self.store.change(
            caller,
            partial(
                set_tags,
                bucket_id=bucket.id,
                key=key,
                version_id=check_version_id(version_id),
                tags=tags,
                change_id=ids.object_id(),
                now=ids.now(),
            ),
            (Lock(bucket.id), Lock(bucket.id, key)),
        )
        return version
