"""Public Access Block of a bucket: four switches that outweigh what lists and policies grant to everybody.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from __future__ import annotations

import json

from attrs import asdict, frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML, NoPublicAccessBlock
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.operation import operation
from post3tw.service.policy.access import PublicAccessBlock
from post3tw.service.store import Store
from post3tw.storage.index.transactions import documents
from post3tw.storage.interfaces import Lock

PUBLIC_ACCESS_KIND = "public_access_block"
"""The kind of document that holds the switches; a bucket without one blocks nothing."""

ALL_BLOCKED = PublicAccessBlock(True, True, True, True)
"""What new buckets begin with on AWS."""


def public_access_to_bytes(block: PublicAccessBlock) -> bytes:
    """The switches as the index keeps them."""
    return json.dumps(asdict(block)).encode()


def public_access_from_bytes(body: bytes) -> PublicAccessBlock:
    """The switches that were kept.

    Raises:
        ValueError: they cannot be read.
    """
    try:
        return PublicAccessBlock(**{name: _switch(value) for name, value in json.loads(body).items()})
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a Public Access Block: {error}") from None


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not a switch of Public Access Block")
    return value


@frozen
class PublicAccess:
    """Reading and changing the switches of a bucket."""

    store: Store

    @operation("s3:GetBucketPublicAccessBlock")
    async def get_public_access_block(
        self, caller: Caller, input: types.GetPublicAccessBlockInput
    ) -> types.GetPublicAccessBlockOutput:
        """The switches; NoPublicAccessBlock when they were never set."""
        bucket = admitted_bucket(caller)
        document = await self.store.index.read(lambda tx: documents.get_document(tx, bucket.id, PUBLIC_ACCESS_KIND))
        if document is None:
            raise NoPublicAccessBlock(bucket_name=bucket.name)
        block = public_access_from_bytes(document.body)
        return types.GetPublicAccessBlockOutput(
            public_access_block_configuration=types.PublicAccessBlockConfiguration(**asdict(block))
        )

    @operation(
        "s3:PutBucketPublicAccessBlock",
        honours=("public_access_block_configuration", "content_md5", "checksum_algorithm"),
    )
    async def put_public_access_block(
        self, caller: Caller, input: types.PutPublicAccessBlockInput
    ) -> types.PutPublicAccessBlockOutput:
        """Set all four; those that are not mentioned are off."""
        wanted = input.public_access_block_configuration
        if wanted is None:
            raise MalformedXML()
        bucket = admitted_bucket(caller)
        body = public_access_to_bytes(
            PublicAccessBlock(
                bool(wanted.block_public_acls),
                bool(wanted.ignore_public_acls),
                bool(wanted.block_public_policy),
                bool(wanted.restrict_public_buckets),
            )
        )
        self.store.admit_write()
        await self.store.change(
            caller,
            lambda tx: documents.put_document(tx, bucket.id, PUBLIC_ACCESS_KIND, body),
            [Lock(bucket.id, exclusive=True)],
        )
        return types.PutPublicAccessBlockOutput()

    @operation("s3:PutBucketPublicAccessBlock")
    async def delete_public_access_block(
        self, caller: Caller, input: types.DeletePublicAccessBlockInput
    ) -> types.DeletePublicAccessBlockOutput:
        """Block nothing, also when nothing was blocked."""
        bucket = admitted_bucket(caller)
        await self.store.change(
            caller,
            lambda tx: documents.delete_document(tx, bucket.id, PUBLIC_ACCESS_KIND),
            [Lock(bucket.id, exclusive=True)],
        )
        return types.DeletePublicAccessBlockOutput()
