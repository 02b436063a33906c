"""Who owns what is written, with which list, and how answers show owners."""

from __future__ import annotations

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.identity import Caller, Owner


def owner_of_bucket(bucket: Bucket) -> Owner:
    """Who owns a bucket."""
    return Owner(bucket.owner_id, bucket.owner_name)


def owner_for(caller: Caller, bucket: Bucket) -> Owner:
    """Who the caller is, as the writer of something in a bucket. What nobody writes is the bucket's owner's."""
    return owner_of_bucket(bucket) if caller.identity is None else caller.identity.owner


def shown_owner(owner: Owner) -> types.Owner:
    """An owner as answers show it."""
    return types.Owner(id=owner.id, display_name=owner.display_name)
