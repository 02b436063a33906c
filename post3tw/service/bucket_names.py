"""Names of buckets: what may be one, and how another tenant's bucket is named.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re

from post3tw.model.errors import InvalidBucketName
from post3tw.model.identity import Caller

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName unless `name` may be a new bucket's name."""
    if (
        not _NAME.fullmatch(name)
        or ".." in name
        or _ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_STARTS)
        or name.endswith(_RESERVED_ENDS)
    ):
        raise InvalidBucketName(bucket_name=name)


def split_tenant(caller: Caller, named: str) -> tuple[str, str]:
    """The (tenant, bucket name) that a caller means; see split_name."""
    return split_name(caller.tenant, named)


def split_name(own_tenant: str, named: str) -> tuple[str, str]:
    """The (tenant, bucket name) that is meant: `bucket` is in the own tenant, `:bucket` in the unnamed one,
    `tenant:bucket` in another."""
    tenant, colon, name = named.partition(":")
    return (tenant, name) if colon else (own_tenant, named)
