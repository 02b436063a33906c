"""Walking names in order: objects, versions and uploads, grouped by a delimiter.

Theory of operation
===================
A listing shows, in the byte order of keys, the keys that begin with a prefix. With a delimiter, all keys that agree up
to its first occurrence behind the prefix show as one *group* (a common prefix of S3). A group may hold a million keys,
so its keys are never read: the walk jumps to the successor of the group, the smallest byte string behind every key in
it. The cost of a page follows from the names on it, not from the size of the bucket.

Three tables are walked the same way, as a `Relation` each: `current` (objects: it holds no key whose latest version is
a delete marker, so that deleted keys cost nothing), `versions` and `uploads`. The latter two have several rows a key,
in an order of their own (versions from the newest, uploads from the oldest), so that a `Position` is a key and,
perhaps, a row of that key.

Objects are walked most, and jump inside one statement: the recursive `_HEADS` finds the first key of each group, each
by one search of the primary key. (PostgreSQL runs it as it is, given a domain `blob` over bytea and a function `instr`
of two of them.) The other two read a few rows behind each group.

`walk` reads a bounded number of rows, so that it keeps the thread it runs on for a few milliseconds at most. Who lists
calls it again from where it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen

from post3tw.model.version import NULL_VERSION, parse_version_token
from post3tw.storage.index.rows import UPLOAD_COLUMNS, upload_from_row
from post3tw.storage.interfaces import ITransaction

Row = tuple[Any, ...]
"""A row of a relation: the key, then what the relation says."""

_CHUNK = 512
"""Rows read by one walk: less than a millisecond of SQLite."""

_FEW = 16
"""Rows read behind a group that went on past the rows at hand: probably the next one does too."""

_STATEMENT = 8
"""What a statement costs, in rows."""


def successor(prefix: bytes) -> bytes | None:
    """The smallest byte string behind everything that begins with `prefix`; None when there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


@frozen
class Position:
    """Where a walk goes on: at `key`; when `beyond` is given, behind that row of it."""

    key: bytes = b""
    beyond: Any = None


@frozen
class Names:
    """Which names are shown, and how they are grouped (an empty delimiter: not at all)."""

    prefix: bytes = b""
    delimiter: bytes = b""

    @property
    def end(self) -> bytes:
        """The smallest byte string behind all these names. No key reaches 0xff, which UTF-8 does not use."""
        return successor(self.prefix) or b"\xff"

    def group(self, key: bytes) -> bytes | None:
        """The group that a key which begins with the prefix belongs to."""
        cut = key.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return None if cut < 0 else key[: cut + len(self.delimiter)]

    def behind(self, name: bytes) -> Position:
        """Where the names behind `name` begin; behind a whole group, when `name` is exactly that of a group."""
        if name < self.prefix:
            return Position(self.prefix)
        if name.startswith(self.prefix) and self.group(name) == name:
            return Position(successor(name) or b"\xff")
        return Position(name + b"\0")


@frozen
class Relation:
    """Something that can be walked.

    Attributes:
        fetch: at most `limit` rows from a position on, before `end`, in order.
        heads: the same, but with groups it may leave out all keys but the first of each.
        after: the position behind a row.
    """

    fetch: Callable[[ITransaction, int, Position, bytes, int], Awaitable[Sequence[Row]]]
    heads: Callable[[ITransaction, int, Names, Position, int], Awaitable[Sequence[Row]]] | None
    after: Callable[[Row], Position]


@frozen
class Stretch:
    """What a walk met, in order: rows, and the names of groups (bytes). `next` is where to go on, None at the end."""

    entries: Sequence[Row | bytes]
    next: Position | None


async def walk(
    tx: ITransaction, relation: Relation, bucket_id: int, names: Names, position: Position, room: int
) -> Stretch:
    """Walk on from a position until `room` entries were met, or enough rows were read, or the names end."""
    if names.delimiter:
        return await _walk_groups(tx, relation, bucket_id, names, position, room)
    limit = min(room, _CHUNK)
    rows = await relation.fetch(tx, bucket_id, position, names.end, limit)
    return Stretch(rows, relation.after(rows[-1]) if len(rows) == limit else None)


async def _walk_groups(
    tx: ITransaction, relation: Relation, bucket_id: int, names: Names, position: Position, room: int
) -> Stretch:
    entries: list[Row | bytes] = []
    budget, want = _CHUNK, min(room, _CHUNK)
    while budget > 0:
        if relation.heads is not None:
            rows = await relation.heads(tx, bucket_id, names, position, want)
        else:
            rows = await relation.fetch(tx, bucket_id, position, names.end, want)
        behind_group = b""
        for row in rows:
            if row[0] < behind_group:
                continue
            group = names.group(row[0])
            entries.append(row if group is None else group)
            if group is None:
                position = relation.after(row)
            else:
                position = names.behind(group)
                behind_group = position.key
            if len(entries) == room:
                return Stretch(entries, position)
        if len(rows) < want:
            return Stretch(entries, None)
        budget -= len(rows) + _STATEMENT
        within_group = relation.heads is None and rows[-1][0] < behind_group
        want = _FEW if within_group else min(room - len(entries), _CHUNK)
    return Stretch(entries, position)


# -- objects ----------------------------------------------------------------------------------------------------------

_OBJECT = "c.key, c.created, c.size, c.etag, c.owner_id, c.owner_name, c.storage_class, c.checksum"

_OBJECTS = f"SELECT {_OBJECT} FROM current c WHERE c.bucket = ? AND c.key >= ? AND c.key < ? ORDER BY c.key LIMIT ?"

_HEADS = f"""
WITH RECURSIVE head (key, number) AS (
    SELECT (SELECT c.key FROM current c WHERE c.bucket = ? AND c.key >= ? AND c.key < ? ORDER BY c.key LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT c.key FROM current c
        WHERE c.bucket = ? AND c.key < ? AND c.key >= CASE
            WHEN instr(substr(head.key, ?), ?) > 0
            THEN CAST(substr(head.key, 1, instr(substr(head.key, ?), ?) + ?) || ? AS BLOB)
            ELSE CAST(head.key || ? AS BLOB)
        END
        ORDER BY c.key LIMIT 1
    ), head.number + 1
    FROM head WHERE head.key IS NOT NULL AND head.number < ?
)
SELECT {_OBJECT} FROM head JOIN current c ON c.bucket = ? AND c.key = head.key
"""


async def _fetch_objects(tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int) -> Sequence[Row]:
    return await tx.all(_OBJECTS, bucket_id, position.key, end, limit)


async def _fetch_heads(tx: ITransaction, bucket_id: int, names: Names, position: Position, limit: int) -> Sequence[Row]:
    """The first key of each group, and keys without one. A delimiter is UTF-8, so its last byte can be counted up."""
    start, delimiter, end = len(names.prefix), names.delimiter, names.end
    rows = await tx.all(
        _HEADS,
        *(bucket_id, position.key, end, bucket_id, end),
        *(start + 1, delimiter, start + 1, delimiter, start - 1, successor(delimiter), b"\0"),
        *(limit, bucket_id),
    )
    return sorted(rows)


OBJECTS = Relation(_fetch_objects, _fetch_heads, lambda row: Position(row[0] + b"\0"))
"""Rows: key, created, size, etag, owner id, owner name, storage class, "ALGORITHM TYPE" of the checksum or None."""

# -- versions ---------------------------------------------------------------------------------------------------------

_VERSION = (
    "SELECT v.key, v.seq, v.id, v.is_null, v.delete_marker, v.created, v.size, v.etag, v.owner_id, v.owner_name,"
    " v.storage_class, v.checksum FROM versions v WHERE v.bucket = ? AND "
)
_OLDER_VERSIONS = f"{_VERSION} v.key = ? AND v.seq < ? ORDER BY v.seq DESC LIMIT ?"
_VERSIONS = f"{_VERSION} v.key >= ? AND v.key < ? ORDER BY v.key, v.seq DESC LIMIT ?"


async def _fetch_versions(
    tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int
) -> Sequence[Row]:
    return await _rest_and_following(tx, _OLDER_VERSIONS, _VERSIONS, bucket_id, position, end, limit)


VERSIONS = Relation(_fetch_versions, None, lambda row: Position(row[0], row[1]))
"""Rows: key, seq, id, is_null, delete_marker, created, size, etag, owner id, owner name, storage class, checksum; of a
key from the newest to the oldest."""


async def position_of_version(tx: ITransaction, bucket_id: int, key: bytes, version_id: str) -> Position | None:
    """The position behind a version that may be gone: clients delete what they were shown before they ask for more.

    Returns None for an id that cannot be one. The null version has no number in its id; when it is gone, all versions
    of the key are walked again rather than one be missed.
    """
    if version_id == NULL_VERSION:
        row = await tx.one("SELECT seq FROM versions WHERE bucket = ? AND key = ? AND is_null = 1", bucket_id, key)
        return Position(key) if row is None else Position(key, row[0])
    token = parse_version_token(version_id)
    return None if token is None else Position(key, min(token[0], _MAX_SEQ))


_MAX_SEQ = (1 << 63) - 1


async def latest_seq(tx: ITransaction, bucket_id: int, key: bytes) -> int | None:
    """The number of a key's newest version or delete marker."""
    row = await tx.one(
        "SELECT seq FROM versions WHERE bucket = ? AND key = ? ORDER BY seq DESC LIMIT 1", bucket_id, key
    )
    return None if row is None else int(row[0])


# -- uploads ----------------------------------------------------------------------------------------------------------

_UPLOAD = f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE u.bucket = ? AND "
_YOUNGER_UPLOADS = f"{_UPLOAD} u.key = ? AND u.id > ? ORDER BY u.id LIMIT ?"
_UPLOADS = f"{_UPLOAD} u.key >= ? AND u.key < ? ORDER BY u.key, u.id LIMIT ?"


async def _fetch_uploads(tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int) -> Sequence[Row]:
    rows = await _rest_and_following(tx, _YOUNGER_UPLOADS, _UPLOADS, bucket_id, position, end, limit)
    uploads = [upload_from_row(row) for row in rows]
    return [(upload.key, upload) for upload in uploads]


UPLOADS = Relation(_fetch_uploads, None, lambda row: Position(row[0], row[1].id))
"""Rows: key, Upload; of a key from the oldest to the youngest, as ids are in the order of time."""


async def _rest_and_following(
    tx: ITransaction, rest: str, following: str, bucket_id: int, position: Position, end: bytes, limit: int
) -> list[Row]:
    """Rows of the position's key behind its row, then of the keys behind it: two statements, each of them a search."""
    rows: list[Row] = []
    key = position.key
    if position.beyond is not None:
        rows += await tx.all(rest, bucket_id, key, position.beyond, limit)
        key += b"\0"
    if len(rows) < limit:
        rows += await tx.all(following, bucket_id, key, end, limit - len(rows))
    return rows
