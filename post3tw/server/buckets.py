"""What the server asks of its own store, as the root user and through the same door as everybody else."""

from __future__ import annotations

from collections.abc import Iterable

from post3tw.api.types import CreateBucketInput, ListBucketsInput
from post3tw.model.errors import BucketAlreadyExists, BucketAlreadyOwnedByYou, InsufficientStorage
from post3tw.model.identity import Caller, Identity
from post3tw.service.interfaces import IAuthorizedS3Service


async def make_buckets(service: IAuthorizedS3Service, root: Identity, names: Iterable[str]) -> None:
    """Make buckets in the unnamed tenant, unless they exist, whoever owns them, or the disk is full: then a server that
    starts can still read and delete."""
    for name in names:
        caller, wanted = Caller(root), CreateBucketInput(bucket=name)
        await service.admit(caller, "CreateBucket", wanted)
        try:
            await service.operations()["CreateBucket"](caller, wanted)
        except (BucketAlreadyExists, BucketAlreadyOwnedByYou, InsufficientStorage):
            continue


async def has_buckets(service: IAuthorizedS3Service, root: Identity) -> bool:
    """Whether root owns any bucket."""
    caller, wanted = Caller(root), ListBucketsInput(max_buckets=1)
    await service.admit(caller, "ListBuckets", wanted)
    found = await service.operations()["ListBuckets"](caller, wanted)
    return bool(found.buckets)
