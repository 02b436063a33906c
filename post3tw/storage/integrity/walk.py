"""Everything that has stored bytes, one after the other: versions with their parts, then uploads with theirs.

Theory of operation. The walk goes through `versions` in the order of buckets and keys, and through `uploads` by id, in
reads of a bounded number of rows; between them nothing is held, so it may take days beside a server that writes. What
is written behind it is met the next time. Going by names rather than by bytes finds what is missing as well as what is
wrong, and knows whose it is.

Where a page of the index cannot be read, the names of what it held usually can: they are in an index of their own. So
what cannot be read is met as well, one by one, and the walk goes on behind it. Parts have no names but their numbers:
each number is tried then.

Copies share a blob; it is enough to look at its bytes once. Of all that refer to it, the one whose reference comes
first is `first`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen

from post3tw.model.version import Placement, Version
from post3tw.storage.index.rows import (
    FROM_PARTS,
    FROM_VERSIONS,
    PART_COLUMNS,
    VERSION_COLUMNS,
    part_from_row,
    version_from_row,
)
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.transactions.damage import UNREADABLE
from post3tw.storage.interfaces import ITransaction, Transaction

T = TypeVar("T")

Read = Callable[[Transaction[Any]], Awaitable[Any]]
"""`IIndex.read`, or what does the same."""

_ROWS = 100
"""Rows of one read."""

MOST_PARTS = 10_000
"""Numbers of parts end there."""


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
        unreadable: why its row cannot be read; "" when it can. Then nothing is known but key and number.
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
    unreadable: str = ""

    @property
    def place(self) -> bytes:
        """The id of the inline body, or of the blob; that of the owner when the row names neither."""
        return self.placement.body or self.placement.blob or self.owner


async def everything_held(read: Read, start: Position) -> AsyncGenerator[tuple[Position, Held | None], None]:
    """All that has bytes from a position on, each with the position to go on from should the walk end there; and None
    for each version or upload that has none, or is done."""
    position = start
    while position.upload is None:
        batch = await _some_versions(read, position)
        for bucket_id, key, seq, version, held in batch:
            if held is not None:
                yield position, held
            if version is not None and version.part_count is not None:
                of = Held(bucket_id, key, version.id, version.seq, version.version_id, 0, Placement(0), None, False)
                async for part in _parts(read, of, version.part_count):
                    yield position, part
            position = Position(bucket_id, key, seq)
            yield position, None
        if not batch:
            position = Position(upload=b"")
    while uploads := await _some_uploads(read, position.upload):
        for upload_id, bucket_id, key, unreadable in uploads:
            of = Held(bucket_id, key, upload_id, None, "", 0, Placement(0), None, False)
            if unreadable:
                yield position, _lost(of, upload_id, f"the row of the upload cannot be read: {unreadable}")
            async for part in _parts(read, of, MOST_PARTS):
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
_NAMES = "SELECT v.bucket, v.key, v.seq FROM versions v WHERE"
_OLDER = " v.bucket = ? AND v.key = ? AND v.seq < ? ORDER BY v.seq DESC LIMIT ?"
_FOLLOWING = " (v.bucket, v.key) > (?, ?) ORDER BY v.bucket, v.key, v.seq DESC LIMIT ?"
_PARTS = (
    f"SELECT {PART_COLUMNS}, {_BLOB.format('p')} FROM {FROM_PARTS} WHERE p.owner = ? AND p.number > ?"
    " ORDER BY p.number LIMIT ?"
)
_PART = f"SELECT {PART_COLUMNS}, {_BLOB.format('p')} FROM {FROM_PARTS} WHERE p.owner = ? AND p.number = ?"
_UPLOADS = "SELECT u.id, u.bucket, u.key, '' FROM uploads u WHERE u.id > ? ORDER BY u.id LIMIT ?"
_NAMES_OF_UPLOADS = "SELECT u.id, u.bucket, u.key FROM uploads u WHERE +u.id > ? ORDER BY +u.id LIMIT ?"
"""The same without a look at the rows: SQLite takes it all from the index over bucket, key and id."""


_Met = tuple[int, bytes, int, Version | None, Held | None]
"""Bucket, key and number, the version if it can be read, and what it has."""


async def _some_versions(read: Read, position: Position) -> list[_Met]:
    """Versions behind a position; none only at the end."""
    met: list[_Met] = []
    try:
        met = await read(partial(_versions_behind, position=position))
    except IndexFailed:
        for bucket_id, key, seq in await read(partial(_rows_behind, position=position, columns=_NAMES)):
            try:
                met += await read(partial(_versions_behind, position=Position(bucket_id, key, seq + 1), limit=1))
            except IndexFailed as error:
                place = hashlib.blake2b(key, key=b"%d %d" % (bucket_id, seq), digest_size=16).digest()
                lost = Held(
                    bucket_id,
                    key,
                    place,
                    seq,
                    UNREADABLE,
                    0,
                    Placement(0),
                    None,
                    True,
                    f"its row cannot be read: {error}",
                )
                met.append((bucket_id, key, seq, None, lost))
    return met


async def _rows_behind(tx: ITransaction, position: Position, columns: str, limit: int = _ROWS) -> list[Any]:
    rows: list[Any] = []
    if position.seq is not None:
        rows += await tx.all(columns + _OLDER, position.bucket_id, position.key, position.seq, limit)
    if len(rows) < limit:
        rows += await tx.all(columns + _FOLLOWING, position.bucket_id, position.key, limit - len(rows))
    return rows


async def _versions_behind(tx: ITransaction, position: Position, limit: int = _ROWS) -> list[_Met]:
    found: list[_Met] = []
    for row in await _rows_behind(tx, position, _VERSIONS, limit):
        version, (bucket_id, key, recorded, first) = version_from_row(row), row[-4:]
        held = None
        if version.placement is not None and version.size:
            one = first is None or first == version.id
            held = Held(
                bucket_id, key, version.id, version.seq, version.version_id, 0, version.placement, recorded, one
            )
        found.append((bucket_id, key, version.seq, version, held))
    return found


def _lost(of: Held, place: bytes, reason: str) -> Held:
    """What stands for rows of a version or an upload that cannot be read."""
    return evolve(of, owner=place, version_id=UNREADABLE, first=True, unreadable=reason)


async def _parts(read: Read, of: Held, most: int) -> AsyncIterator[Held]:
    """The parts of a version or an upload, which have numbers up to `most`; those that can be read."""
    number, lost, reason = 0, list[int](), ""
    while number < most:
        try:
            rows = await read(partial(_all, sql=_PARTS, arguments=(of.owner, number, _ROWS)))
        except IndexFailed as error:
            reason, tried = str(error), range(number + 1, min(number + _ROWS, most) + 1)
            rows = await _parts_one_by_one(read, of.owner, tried, lost)
            number = tried[-1]
        else:
            if not rows:
                break
            number = part_from_row(rows[-1]).number
        for part in (_held_part(of, row) for row in rows):
            if part.placement.size:
                yield part
    if lost:
        where = f"between numbers {lost[0]} and {lost[-1]}" if len(lost) > 1 else f"of number {lost[0]}"
        place = hashlib.blake2b(of.owner, key=b"parts", digest_size=16).digest()
        yield _lost(of, place, f"rows of its parts {where} cannot be read: {reason}")


async def _parts_one_by_one(read: Read, owner: bytes, numbers: Sequence[int], lost: list[int]) -> list[Any]:
    """Rows of parts of these numbers; those that cannot be read are added to `lost`."""
    rows = []
    for number in numbers:
        try:
            rows += await read(partial(_all, sql=_PART, arguments=(owner, number)))
        except IndexFailed:
            lost.append(number)
    return rows


def _held_part(of: Held, row: Sequence[Any]) -> Held:
    part = part_from_row(row)
    one = row[-1] is None or row[-1] == part.id
    return Held(of.bucket_id, of.key, of.owner, of.seq, of.version_id, part.number, part.placement, row[-2], one)


async def _some_uploads(read: Read, upload: bytes) -> list[tuple[bytes, int, bytes, str]]:
    """Uploads behind one, each with why its row cannot be read, or ""; none only at the end."""
    behind = (upload, _ROWS)
    try:
        rows: list[tuple[bytes, int, bytes, str]] = await read(partial(_all, sql=_UPLOADS, arguments=behind))
    except IndexFailed:
        rows = []
        for upload_id, bucket_id, key in await read(partial(_all, sql=_NAMES_OF_UPLOADS, arguments=behind)):
            reason = ""
            try:
                await read(partial(_all, sql="SELECT created FROM uploads WHERE id = ?", arguments=(upload_id,)))
            except IndexFailed as error:
                reason = str(error)
            rows.append((upload_id, bucket_id, key, reason))
    return rows


async def _all(tx: ITransaction, sql: str, arguments: Sequence[Any]) -> list[Any]:
    return await tx.all(sql, *arguments)
