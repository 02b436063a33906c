"""ListObjects and ListObjectsV2: the current objects of a bucket in the order of their keys.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen

from post3tw.api import types
from post3tw.api.table import Table
from post3tw.model.identity import Caller, Owner
from post3tw.service.admitted import admitted_bucket, owner_of_all
from post3tw.service.columns import entry_columns, few, owner_column
from post3tw.service.operation import operation
from post3tw.service.owners import shown_owner
from post3tw.service.paging import (
    JOINT,
    collect,
    name_bytes,
    name_encoder,
    name_of_token,
    page_limit,
    shown_names,
    shown_prefixes,
    token_of_name,
)
from post3tw.service.store import Store
from post3tw.storage.index.transactions.listing import (
    OBJECTS,
    OWNED_OBJECTS,
    Names,
    Position,
    joined_objects,
)


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
        found = await _find(self.store, bucket.id, names, position, limit, owned=owner is None)
        return types.ListObjectsOutput(
            name=bucket.name,
            prefix=input.prefix or "",  # as it is: clients do not decode this one
            marker=encode(input.marker or ""),
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_keys=limit,
            encoding_type=input.encoding_type or None,
            is_truncated=found.last is not None,
            next_marker=encode(found.last.decode()) if found.last and names.delimiter else None,
            contents=found.objects(encode, owner),
            common_prefixes=found.common_prefixes(encode),
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
        owner = owner_of_all(caller) if input.fetch_owner else None
        owned = bool(input.fetch_owner) and owner is None
        found = await _find(self.store, bucket.id, names, position, limit, owned=owned)
        return types.ListObjectsV2Output(
            name=bucket.name,
            prefix=encode(input.prefix or ""),
            start_after=None if input.start_after is None else encode(input.start_after),
            delimiter=encode(input.delimiter) if input.delimiter else None,
            max_keys=limit,
            key_count=found.count,
            encoding_type=input.encoding_type or None,
            is_truncated=found.last is not None,
            continuation_token=input.continuation_token,
            next_continuation_token=None if found.last is None else token_of_name(found.last),
            contents=found.objects(encode, owner),
            common_prefixes=found.common_prefixes(encode),
        )


@frozen
class _Found:
    """What a page shows.

    Attributes:
        keys: of its objects, joined by JOINT.
        entries: theirs, joined by bars.
        owners: columns of their ids and names; none where they are not asked for.
        prefixes: common prefixes.
        count: of both together.
        last: the last of both, as a name; None where there are no more.
    """

    keys: bytes
    entries: str
    owners: tuple[Sequence[str], Sequence[str]] | None
    prefixes: Sequence[bytes]
    count: int
    last: bytes | None

    def objects(self, encode: Callable[[str], str], owner: Owner | None) -> Sequence[types.Object]:
        """The objects as answers show them.

        Args:
            encode: what `name_encoder` gave.
            owner: of all of them; None where each has its own, or none is shown.
        """
        if not self.keys:
            return []
        columns = {"key": shown_names(self.keys, encode), **entry_columns(self.entries)}
        if self.owners is not None:
            columns["owner"] = owner_column(*self.owners)
        elif owner is not None:
            columns["owner"] = few([owner] * len(columns["key"]), shown_owner)
        return Table(types.Object, columns)

    def common_prefixes(self, encode: Callable[[str], str]) -> Sequence[types.CommonPrefix]:
        """The common prefixes as answers show them."""
        return shown_prefixes(self.prefixes, encode)


async def _find(store: Store, bucket_id: int, names: Names, position: Position, limit: int, *, owned: bool) -> _Found:
    """A page of at most `limit` entries from a position on, with the owner of each object if they are `owned`."""
    if owned or names.delimiter or not limit:
        return await _find_rows(store, bucket_id, names, position, limit, owned=owned)
    # One entry more, to know whether there are more.
    keys, entries = await store.index.read(
        partial(joined_objects, bucket_id=bucket_id, key=position.key, end=names.end, limit=limit + 1)
    )
    count, last = keys.count(JOINT) + bool(keys), None
    if count > limit:
        keys, entries, count = keys.rpartition(JOINT)[0], entries.rsplit("|", 4)[0], limit
        last = keys.rpartition(JOINT)[2]
    return _Found(keys, entries, None, (), count, last)


async def _find_rows(
    store: Store, bucket_id: int, names: Names, position: Position, limit: int, *, owned: bool
) -> _Found:
    page = await collect(store, OWNED_OBJECTS if owned else OBJECTS, bucket_id, names, position, limit)
    keys, entries, *owners = zip(*page.rows(), strict=True) if page.rows() else ((), ())
    last = page.entries[-1] if page.truncated else None
    return _Found(
        JOINT.join(keys),
        "|".join(entries),
        (owners[0], owners[1]) if owners else None,
        page.groups(),
        len(page.entries),
        last if last is None or isinstance(last, bytes) else last[0],
    )
