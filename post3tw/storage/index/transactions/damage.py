"""What the scrub keeps: stored bytes that it found damaged, and how far it is.

A row of `damage` names one of those who have the bytes, as they may be many. It stays until nobody has them any more,
or a whole round of the scrub did not meet them again.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from post3tw.storage.interfaces import ITransaction

UNREADABLE = "?"
"""In place of a version id, where the row of the version itself cannot be read."""


@frozen
class Damage:
    """Stored bytes that do not match their checksums, are too few, or are not there.

    Attributes:
        place: the id of the inline body, or of the blob.
        bucket_id: the bucket of one that has these bytes, as are the following.
        key: its key.
        owner: the id of the version, or of the upload.
        version_id: as clients see it; "" for a part of an upload, or UNREADABLE.
        part: the number of the part that has the bytes; 0 where there are no parts.
        found: when, in milliseconds since the epoch.
        reason: what is wrong, for people.
    """

    place: bytes
    bucket_id: int
    key: bytes
    owner: bytes
    version_id: str
    part: int
    found: int
    reason: str


_NOTE = (
    "INSERT INTO damage (place, bucket, key, owner, version, part, found, seen, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SEEN = "UPDATE damage SET bucket = ?, key = ?, owner = ?, version = ?, part = ?, seen = ?, reason = ? WHERE place = ?"
_LIST = (
    "SELECT place, bucket, key, owner, version, part, found, reason FROM damage WHERE place > ? ORDER BY place LIMIT ?"
)
_GONE = (
    f"SELECT d.place FROM damage d WHERE d.version <> '{UNREADABLE}'"
    " AND NOT EXISTS (SELECT 1 FROM blob_references r WHERE r.blob = d.place)"
    " AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.bucket = d.bucket AND v.key = d.key AND v.id = d.owner"
    " AND (v.body = d.place OR v.blob = d.place OR v.id = d.place))"
    " AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.owner = d.owner AND p.number = d.part"
    " AND (p.body = d.place OR p.blob = d.place OR p.owner = d.place)) LIMIT 1000"
)


async def note_damage(tx: ITransaction, damage: Damage) -> bool:
    """Remember it; whether it was not known yet."""
    names = (damage.bucket_id, damage.key, damage.owner, damage.version_id, damage.part)
    if await tx.run(_SEEN, *names, damage.found, damage.reason, damage.place):
        return False
    await tx.write(_NOTE, damage.place, *names, damage.found, damage.found, damage.reason)
    return True


async def known_damage(tx: ITransaction, after: bytes = b"", limit: int = 1000) -> list[Damage]:
    """What is known, in the order of places, from behind one on."""
    return [Damage(*row) for row in await tx.all(_LIST, after, limit)]


async def count_damage(tx: ITransaction) -> int:
    """How much is known."""
    row = await tx.one("SELECT count(*) FROM damage")
    return 0 if row is None else int(row[0])


async def damage_nobody_has(tx: ITransaction) -> list[bytes]:
    """Places of damage that went with those who had the bytes: deleted, or written anew."""
    return [place for (place,) in await tx.all(_GONE)]


async def forget_damage(tx: ITransaction, places: Sequence[bytes]) -> None:
    """It is damage no more."""
    await tx.many("DELETE FROM damage WHERE place = ?", [(place,) for place in places])


async def forget_unseen(tx: ITransaction, since: int) -> None:
    """Forget what a round that began at this time did not meet again."""
    await tx.write("DELETE FROM damage WHERE seen < ?", since)


# -- how far the scrub is ---------------------------------------------------------------------------------------------


async def load_progress(tx: ITransaction) -> tuple[int, str | None] | None:
    """When the round began, in milliseconds since the epoch, and how far it is: None when it is over. None altogether
    when there never was one."""
    row = await tx.one("SELECT began, progress FROM scrub WHERE id = 1")
    return None if row is None else (row[0], row[1])


async def save_progress(tx: ITransaction, began: int, progress: str | None) -> None:
    """Keep when the round began, and how far it is, in the scrub's own words."""
    await tx.write(
        "INSERT INTO scrub (id, began, progress) VALUES (1, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET began = excluded.began, progress = excluded.progress",
        began,
        progress,
    )
