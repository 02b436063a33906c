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

Jumping happens inside one statement: the recursive `_HEADS` finds the first key of each group, and every key that is
in none, each by one search of an index. (PostgreSQL runs it as it is, given a domain `blob` over bytea and a function
`instr` of two of them.) The rows of the keys between two groups are then read by range.

`walk` reads a bounded number of rows, so that it keeps the thread it runs on for a few milliseconds at most. Who lists
calls it again from where it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any

from attrs import frozen

from post3tw.model.values import value_class
from post3tw.model.version import NULL_VERSION, parse_version_token
from post3tw.storage.index.rows import UPLOAD_COLUMNS, upload_from_row
from post3tw.storage.index.transactions.versions import MAX_SEQ
from post3tw.storage.interfaces import ITransaction

Row = tuple[Any, ...]
"""A row of a relation: the key, then what the relation says."""

_CHUNK = 512
"""Keys, or rows without a delimiter, that one walk reads: about a millisecond of SQLite."""


def successor(prefix: bytes) -> bytes | None:
    """The smallest byte string behind everything that begins with `prefix`; None when there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


@value_class
class Position:
    """Where a walk goes on: at `key`; when `beyond` is given, behind that row of it."""

    key: bytes = b""
    beyond: Any = None


@value_class
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
        heads: the statement that finds the first key of each group.
        after: the position behind a row.
    """

    fetch: Callable[[ITransaction, int, Position, bytes, int], Awaitable[Sequence[Row]]]
    heads: str
    after: Callable[[Row], Position]


@value_class
class Stretch:
    """What a walk met, in order: rows, and the names of groups (bytes). `next` is where to go on, None at the end."""

    entries: Sequence[Row | bytes]
    next: Position | None


async def walk(
    tx: ITransaction, relation: Relation, bucket_id: int, names: Names, position: Position, room: int
) -> Stretch:
    """Walk on from a position until `room` entries were met, or enough was read, or the names end."""
    if names.delimiter:
        return await _walk_groups(tx, relation, bucket_id, names, position, room)
    limit = min(room, _CHUNK)
    rows = await relation.fetch(tx, bucket_id, position, names.end, limit)
    return Stretch(rows, relation.after(rows[-1]) if len(rows) == limit else None)


async def _walk_groups(
    tx: ITransaction, relation: Relation, bucket_id: int, names: Names, position: Position, room: int
) -> Stretch:
    entries: list[Row | bytes] = []
    limit = min(room, _CHUNK)
    keys = await _heads(tx, relation, bucket_id, names, position.key, limit)
    for group, run in groupby(keys, names.group):
        if group is not None:
            entries.append(group)
            if len(entries) == room:
                return Stretch(entries, names.behind(group))
        else:
            first, *rest = run
            start = position if first == position.key else Position(first)
            end = (rest[-1] if rest else first) + b"\0"
            rows = await relation.fetch(tx, bucket_id, start, end, room - len(entries))
            entries += rows
            if len(entries) == room:
                return Stretch(entries, relation.after(rows[-1]))
    if len(keys) < limit:
        return Stretch(entries, None)
    return Stretch(entries, names.behind(names.group(keys[-1]) or keys[-1]))


_HEADS = """
WITH RECURSIVE head (key, number) AS (
    SELECT (SELECT t.key FROM {table} t WHERE t.bucket = ? AND t.key >= ? AND t.key < ? ORDER BY t.key LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT t.key FROM {table} t
        WHERE t.bucket = ? AND t.key < ? AND t.key >= CASE
            WHEN instr(substr(head.key, ?), ?) > 0
            THEN CAST(substr(head.key, 1, instr(substr(head.key, ?), ?) + ?) || ? AS BLOB)
            ELSE CAST(head.key || ? AS BLOB)
        END
        ORDER BY t.key LIMIT 1
    ), head.number + 1
    FROM head WHERE head.key IS NOT NULL AND head.number < ?
)
SELECT key FROM head WHERE key IS NOT NULL
"""


async def _heads(
    tx: ITransaction, relation: Relation, bucket_id: int, names: Names, key: bytes, limit: int
) -> list[bytes]:
    """The first key of each group and every key in none, from `key` on, in order."""
    start, delimiter, end = len(names.prefix), names.delimiter, names.end
    rows = await tx.all(
        relation.heads,
        *(bucket_id, key, end, bucket_id, end),
        *(start + 1, delimiter, start + 1, delimiter, start - 1, successor(delimiter), b"\0"),
        limit,
    )
    return sorted(head for (head,) in rows)


# -- objects ----------------------------------------------------------------------------------------------------------

_OBJECTS, _OWNED_OBJECTS = (
    f"SELECT {columns} FROM current c WHERE c.bucket = ? AND c.key >= ? AND c.key < ? ORDER BY c.key LIMIT ?"
    for columns in ("c.key, c.entry", "c.key, c.entry, c.owner_id, c.owner_name")
)
_HEADS_OF_OBJECTS = _HEADS.format(table="current")


async def _fetch_objects(tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int) -> Sequence[Row]:
    return await tx.all(_OBJECTS, bucket_id, position.key, end, limit)


async def _fetch_owned(tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int) -> Sequence[Row]:
    return await tx.all(_OWNED_OBJECTS, bucket_id, position.key, end, limit)


def _behind_key(row: Row) -> Position:
    return Position(row[0] + b"\0")


OBJECTS = Relation(_fetch_objects, _HEADS_OF_OBJECTS, _behind_key)
"""Rows: key, entry (see `rows.entry_to_text`)."""

OWNED_OBJECTS = Relation(_fetch_owned, _HEADS_OF_OBJECTS, _behind_key)
"""The same, then owner id and owner name, which are left out when they are unwanted: each column costs time."""


async def joined_objects(tx: ITransaction, bucket_id: int, key: bytes, end: bytes, limit: int) -> tuple[bytes, str]:
    """Keys and entries from a key on, in order, each joined (see `ITransaction.joined`). Without groups and owners
    this is all that a page needs, at less than half of what rows cost."""
    return await tx.joined(_OBJECTS, bucket_id, key, end, limit)


# -- versions ---------------------------------------------------------------------------------------------------------

_VERSION = (
    "SELECT v.key, v.seq, v.id, v.is_null, v.delete_marker, v.created, v.size, v.etag, v.owner_id, v.owner_name,"
    " v.storage_class, v.checksum FROM versions v WHERE v.bucket = ? AND "
)
_OLDER_VERSIONS = f"{_VERSION} v.key = ? AND v.seq < ? ORDER BY v.seq DESC LIMIT ?"
_VERSIONS = f"{_VERSION} v.key >= ? AND v.key < ? ORDER BY v.key, v.seq DESC LIMIT ?"
_HEADS_OF_VERSIONS = _HEADS.format(table="versions")


async def _fetch_versions(
    tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int
) -> Sequence[Row]:
    return await _rest_and_following(tx, _OLDER_VERSIONS, _VERSIONS, bucket_id, position, end, limit)


VERSIONS = Relation(_fetch_versions, _HEADS_OF_VERSIONS, lambda row: Position(row[0], row[1]))
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
    return None if token is None else Position(key, min(token[0], MAX_SEQ))


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
_HEADS_OF_UPLOADS = _HEADS.format(table="uploads")


async def _fetch_uploads(tx: ITransaction, bucket_id: int, position: Position, end: bytes, limit: int) -> Sequence[Row]:
    rows = await _rest_and_following(tx, _YOUNGER_UPLOADS, _UPLOADS, bucket_id, position, end, limit)
    uploads = [upload_from_row(row) for row in rows]
    return [(upload.key, upload) for upload in uploads]


UPLOADS = Relation(_fetch_uploads, _HEADS_OF_UPLOADS, lambda row: Position(row[0], row[1].id))
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
