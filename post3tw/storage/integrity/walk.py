"""Everything that has stored bytes, one after the other: versions with their parts, then uploads with theirs.

Theory of operation. The walk goes through `versions` in the order of buckets and keys, and through `uploads` by id, in
reads of a bounded number of rows; between them nothing is held, so it may take days beside a server that writes. What
is written behind it is met the next time. Going by names rather than by bytes finds what is missing as well as what is
wrong, and knows whose it is.

Copies share a blob; it is enough to look at its bytes once. Of all that refer to it, the one whose reference comes
first is `first`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from post3tw.model.version import Placement, Version
from post3tw.storage.index.rows import (
    FROM_PARTS,
    FROM_VERSIONS,
    PART_COLUMNS,
    VERSION_COLUMNS,
    part_from_row,
    version_from_row,
)
from post3tw.storage.interfaces import ITransaction, Transaction

T = TypeVar("T")

Read = Callable[[Transaction[Any]], Awaitable[Any]]
"""`IIndex.read`, or what does the same."""

_ROWS = 100
"""Rows of one read."""


@frozen
class Position:
    """Where a walk is: behind a version (in the order of bucket and key, and from the newest version of a key to the
    oldest), or, when all versions are done, behind an upload."""

    bucket_id: int = 0
    key: bytes = b""
    seq: int | None = None
    upload: bytes | None = None

    def to_text(self) -> str:
        """The position as text."""
        return json.dumps(
            [self.bucket_id, self.key.hex(), self.seq, None if self.upload is None else self.upload.hex()]
        )

    @classmethod
    def from_text(cls, text: str) -> Position:
        """What `to_text` made. Raises ValueError."""
        bucket_id, key, seq, upload = json.loads(text)
        return cls(bucket_id, bytes.fromhex(key), seq, None if upload is None else bytes.fromhex(upload))


@frozen
class Held:
    """Stored bytes, and one that has them.

    Attributes:
        bucket_id: of the version or upload.
        key: of the same.
        owner: its id.
        seq: the version's number; None for an upload.
        version_id: as clients see it; "" for an upload.
        part: the number of the part that has the bytes; 0 where there are no parts.
        placement: where they are.
        recorded: how many there are by the row of the blob; None when they are inline, or the row is missing.
        first: whether it is for this one to look at the bytes.
    """

    bucket_id: int
    key: bytes
    owner: bytes
    seq: int | None
    version_id: str
    part: int
    placement: Placement
    recorded: int | None
    first: bool

    @property
    def place(self) -> bytes:
        """The id of the inline body, or of the blob; that of the owner when the row names neither."""
        return self.placement.body or self.placement.blob or self.owner


async def everything_held(read: Read, start: Position) -> AsyncGenerator[tuple[Position, Held | None], None]:
    """All that has bytes from a position on, each with the position to go on from should the walk end there; and None
    for each version or upload that has none, or is done."""
    position = start
    while position.upload is None:
        batch: Sequence[tuple[int, bytes, Version, Held | None]] = await read(
            partial(_versions_behind, position=position)
        )
        for bucket_id, key, version, held in batch:
            if held is not None:
                yield position, held
            if version.part_count is not None:
                of = Held(bucket_id, key, version.id, version.seq, version.version_id, 0, Placement(0), None, False)
                async for part in _parts(read, of):
                    yield position, part
            position = Position(bucket_id, key, version.seq)
            yield position, None
        if len(batch) < _ROWS:
            position = Position(upload=b"")
    while uploads := await read(partial(_uploads_behind, upload=position.upload)):
        for upload_id, bucket_id, key in uploads:
            of = Held(bucket_id, key, upload_id, None, "", 0, Placement(0), None, False)
            async for part in _parts(read, of):
                yield position, part
            position = Position(upload=upload_id)
            yield position, None


async def still_held(tx: ITransaction, held: Held) -> bool:
    """Whether it has these bytes now. What was found missing may have been deleted meanwhile."""
    if held.part:
        row = await tx.one("SELECT body, blob FROM parts WHERE owner = ? AND number = ?", held.owner, held.part)
        return row is not None and tuple(row) == (held.placement.body, held.placement.blob)
    row = await tx.one(
        "SELECT id, body, blob FROM versions WHERE bucket = ? AND key = ? AND seq = ?",
        held.bucket_id,
        held.key,
        held.seq,
    )
    return row is not None and tuple(row) == (held.owner, held.placement.body, held.placement.blob)


# -- reads ------------------------------------------------------------------------------------------------------------

_BLOB = "o.size, (SELECT r.holder FROM blob_references r WHERE r.blob = {0}.blob ORDER BY r.holder LIMIT 1)"
_VERSIONS = f"SELECT {VERSION_COLUMNS}, v.bucket, v.key, {_BLOB.format('v')} FROM {FROM_VERSIONS} WHERE"
_OLDER = f"{_VERSIONS} v.bucket = ? AND v.key = ? AND v.seq < ? ORDER BY v.seq DESC LIMIT ?"
_FOLLOWING = f"{_VERSIONS} (v.bucket, v.key) > (?, ?) ORDER BY v.bucket, v.key, v.seq DESC LIMIT ?"
_PARTS = (
    f"SELECT {PART_COLUMNS}, {_BLOB.format('p')} FROM {FROM_PARTS} WHERE p.owner = ? AND p.number > ?"
    " ORDER BY p.number LIMIT ?"
)
_UPLOADS = "SELECT u.id, u.bucket, u.key FROM uploads u WHERE u.id > ? ORDER BY u.id LIMIT ?"


async def _versions_behind(tx: ITransaction, position: Position) -> list[tuple[int, bytes, Version, Held | None]]:
    rows: list[Any] = []
    if position.seq is not None:
        rows += await tx.all(_OLDER, position.bucket_id, position.key, position.seq, _ROWS)
    if len(rows) < _ROWS:
        rows += await tx.all(_FOLLOWING, position.bucket_id, position.key, _ROWS - len(rows))
    found = []
    for row in rows:
        version, (bucket_id, key, recorded, first) = version_from_row(row), row[-4:]
        held = None
        if version.placement is not None and version.size:
            one = first is None or first == version.id
            held = Held(
                bucket_id, key, version.id, version.seq, version.version_id, 0, version.placement, recorded, one
            )
        found.append((bucket_id, key, version, held))
    return found


async def _parts(read: Read, of: Held) -> AsyncIterator[Held]:
    number = 0
    while rows := await read(partial(_parts_behind, owner=of.owner, number=number)):
        for row in rows:
            part = part_from_row(row)
            number = part.number
            if part.size:
                one = row[-1] is None or row[-1] == part.id
                yield Held(of.bucket_id, of.key, of.owner, of.seq, of.version_id, number, part.placement, row[-2], one)


async def _parts_behind(tx: ITransaction, owner: bytes, number: int) -> list[Any]:
    return await tx.all(_PARTS, owner, number, _ROWS)


async def _uploads_behind(tx: ITransaction, upload: bytes) -> list[Any]:
    return await tx.all(_UPLOADS, upload, _ROWS)
