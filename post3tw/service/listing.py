"""ListObjects and ListObjectsV2: the current objects of a bucket in the order of their keys.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from post3tw.api import types
from post3tw.api.table import Dates, Table
from post3tw.model.identity import Caller, Owner
from post3tw.service.admitted import admitted_bucket, owner_of_all
from post3tw.service.columns import checksum_columns, few, owner_column
from post3tw.service.operation import operation
from post3tw.service.owners import shown_owner
from post3tw.service.paging import (
    Page,
    collect,
    name_bytes,
    name_encoder,
    name_of_token,
    page_limit,
    shown_names,
    token_of_name,
)
from post3tw.service.store import Store
from post3tw.storage.index.transactions.listing import OBJECTS, OWNED_OBJECTS, Names, Position, Relation


@frozen
class Listing:
    """The listings of current objects."""

    store: Store

    @operation("s3:ListBucket", honours=("delimiter", "encoding_type", "marker", "max_keys", "prefix"))
    async def list_objects(self, caller: Caller, input: types.ListObjectsInput) -> types.ListObjectsOutput:
        """The first form: goes on behind a marker, which is any name.

        Raises:
            InvalidArgument: max-keys or encoding-type.
        """
        bucket = admitted_bucket(caller)
        encode, limit = name_encoder(input.encoding_type), page_limit(input.max_keys, "max-keys")
        names = Names(name_bytes(input.prefix), name_bytes(input.delimiter))
        position = names.behind(name_bytes(input.marker)) if input.marker else Position(names.prefix)
        owner = owner_of_all(caller)
        relation = _relation(owner, with_owner=True)
        page = await collect(self.store, relation, bucket.id, names, position, limit)
        next_marker = encode(_last_name(page).decode()) if page.truncated and names.delimiter else None
        return types.ListObjectsOutput(
            name=bucket.name,
            prefix=input.prefix or "",  # as it is: clients do not decode this one
            marker=encode(input.marker or ""),
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_keys=limit,
            encoding_type=input.encoding_type or None,
            is_truncated=page.truncated,
            next_marker=next_marker,
            contents=_objects(page, encode, owner, with_owner=True),
            common_prefixes=page.common_prefixes(encode),
        )

    @operation(
        "s3:ListBucket",
        honours=(
            "continuation_token",
            "delimiter",
            "encoding_type",
            "fetch_owner",
            "max_keys",
            "prefix",
            "start_after",
        ),
    )
    async def list_objects_v2(self, caller: Caller, input: types.ListObjectsV2Input) -> types.ListObjectsV2Output:
        """The second form: goes on where a continuation token says, begins behind any name.

        Raises:
            InvalidArgument: max-keys, encoding-type or continuation-token.
        """
        bucket = admitted_bucket(caller)
        encode, limit = name_encoder(input.encoding_type), page_limit(input.max_keys, "max-keys")
        names = Names(name_bytes(input.prefix), name_bytes(input.delimiter))
        after = name_of_token(input.continuation_token) if input.continuation_token else name_bytes(input.start_after)
        position = names.behind(after) if after else Position(names.prefix)
        owner, with_owner = owner_of_all(caller), bool(input.fetch_owner)
        relation = _relation(owner, with_owner=with_owner)
        page = await collect(self.store, relation, bucket.id, names, position, limit)
        return types.ListObjectsV2Output(
            name=bucket.name,
            prefix=encode(input.prefix or ""),
            start_after=None if input.start_after is None else encode(input.start_after),
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_keys=limit,
            key_count=len(page.entries),
            encoding_type=input.encoding_type or None,
            is_truncated=page.truncated,
            continuation_token=input.continuation_token,
            next_continuation_token=token_of_name(_last_name(page)) if page.truncated else None,
            contents=_objects(page, encode, owner, with_owner=with_owner),
            common_prefixes=page.common_prefixes(encode),
        )


def _last_name(page: Page) -> bytes:
    """The key or common prefix that a page ends with."""
    last = page.entries[-1]
    return last if isinstance(last, bytes) else last[0]


def _relation(owner: Owner | None, *, with_owner: bool) -> Relation:
    """What to read: owners only if they are shown and differ."""
    return OWNED_OBJECTS if with_owner and owner is None else OBJECTS


def _objects(
    page: Page, encode: Callable[[str], str], owner: Owner | None, *, with_owner: bool
) -> Sequence[types.Object]:
    """The objects of a page of `_relation` as answers show them; `owner` is of all, None where each has its own."""
    rows = page.rows()
    if not rows:
        return []
    keys, created, sizes, etags, storage_classes, checksums, *owners = zip(*rows, strict=True)
    columns: dict[str, Sequence[Any]] = {
        "key": shown_names(keys, encode),
        "last_modified": Dates(created),
        "etag": [f'"{etag}"' for etag in etags],
        "size": sizes,
        **checksum_columns(checksums),
        "storage_class": few(storage_classes, str),
    }
    if with_owner:
        columns["owner"] = few([owner] * len(rows), shown_owner) if owner else owner_column(*owners)
    return Table(types.Object, columns)
