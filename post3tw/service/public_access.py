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
from post3tw.service.bucket_documents import delete_document, put_document, read_document
from post3tw.service.operation import operation
from post3tw.service.policy.access import PublicAccessBlock
from post3tw.service.store import Store

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
        body = await read_document(self.store, caller, PUBLIC_ACCESS_KIND)
        if body is None:
            raise NoPublicAccessBlock(bucket_name=admitted_bucket(caller).name)
        block = public_access_from_bytes(body)
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
        body = public_access_to_bytes(
            PublicAccessBlock(
                bool(wanted.block_public_acls),
                bool(wanted.ignore_public_acls),
                bool(wanted.block_public_policy),
                bool(wanted.restrict_public_buckets),
            )
        )
        await put_document(self.store, caller, PUBLIC_ACCESS_KIND, body)
        return types.PutPublicAccessBlockOutput()

    @operation("s3:PutBucketPublicAccessBlock")
    async def delete_public_access_block(
        self, caller: Caller, input: types.DeletePublicAccessBlockInput
    ) -> types.DeletePublicAccessBlockOutput:
        """Block nothing, also when nothing was blocked."""
        await delete_document(self.store, caller, PUBLIC_ACCESS_KIND)
        return types.DeletePublicAccessBlockOutput()
