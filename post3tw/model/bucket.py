"""A bucket as the index keeps it."""

from __future__ import annotations

from enum import Enum

from post3tw.model.values import value_class


class Versioning(str, Enum):
    """The three states of a bucket; once it left NEVER it does not go back."""

    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@value_class
class Bucket:
    """One row of `buckets`. `created` is milliseconds since the epoch; `generation` rises with every change of the row
    or of one of its documents; `object_acls` is set once a version has an ACL, or an owner that is not the bucket's."""

    id: int
    tenant: str
    name: str
    owner_id: str
    owner_name: str
    created: int
    region: str
    versioning: Versioning = Versioning.NEVER
    object_lock: bool = False
    generation: int = 1
    subscribed: bool = False
    object_acls: bool = False
