"""What is changed in a recorded server, from outside, by name.

The first three make rare things frequent. All others are mistakes, each of a kind that a store has made somewhere,
which the replay must find: the figure of a replay that finds nothing is worth what the list of its finds is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from post3tw.model.errors import CorruptedData, NoSuchKey
from post3tw.service import reading, timers
from post3tw.storage import sweep
from post3tw.storage.blobs.files import FileBlobs, FileReader, FileWriter
from post3tw.storage.blobs.places import Places
from post3tw.storage.files import Files, OpenFile
from post3tw.storage.index.job import Job
from post3tw.storage.index.sqlite import checkpoints, index, migrations
from post3tw.storage.index.sqlite.group_commit import GroupCommit
from post3tw.storage.index.transactions import blobs as rows
from post3tw.storage.index.transactions import objects, parts, versions

PREPARED = 3
"""Commits until the buckets are there."""

LATE = 0.02
"""Seconds after which a mistake does what should have been done before."""


def make(names: Sequence[str]) -> None:
    """Make the patches of these names in this process."""
    for name in names:
        PATCHES[name]()


def put(owner: Any, name: str, value: object) -> None:
    """Put something in the place of what a module or a class has under a name."""
    assert hasattr(owner, name), f"{owner} has no {name} any more: this patch does nothing"
    setattr(owner, name, value)


def small_log() -> None:
    """The log of the index is copied into it after a few commits."""
    for module in (checkpoints, index):
        put(module, "SOFT_LIMIT", 96 * 1024)
    due = checkpoints.Checkpoints.due

    def at_once(self: checkpoints.Checkpoints) -> bool:
        self._enough = checkpoints.SOFT_LIMIT
        return due(self)

    put(checkpoints.Checkpoints, "due", at_once)


def frequent_sweep() -> None:
    """The sweeper comes all the time."""
    put(timers, "SWEEP_INTERVAL", 0.1)


def frequent_look() -> None:
    """A server that found its disk full looks all the time whether there is space again."""
    put(timers, "SPACE_INTERVAL", 0.05)


# -- mistakes ---------------------------------------------------------------------------------------------------------


def _nothing(*_: object) -> None:
    pass


def no_file_sync() -> None:
    """Files are renamed without having been synced."""
    put(OpenFile, "sync", _nothing)


def no_directory_sync() -> None:
    """Names are not synced."""
    put(Files, "sync_directory", _nothing)


def no_parent_sync() -> None:
    """The directory of a blob is synced, but not the name that it has itself."""

    put(Places, "keep_directory", _nothing)


def synchronous_normal() -> None:
    """A commit does not sync the log."""
    index._SYNCHRONOUS["full"] = "NORMAL"


def checkpoint_not_synced() -> None:
    """The log begins anew before what was copied out of it is on the disk."""

    def careless(self: Any, connection: sqlite3.Connection, mode: str = "PASSIVE") -> bool:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        return True

    put(checkpoints.Checkpoints, "_checkpoint", careless)


def row_before_data() -> None:
    """The row of an object is committed while its bytes are still being made durable."""

    async def careless(self: FileWriter) -> None:
        Timer(LATE, self.complete).start()

    put(FileWriter, "finish", careless)


def rename_before_sync() -> None:
    """A blob gets its name, and its row, before its bytes are on the disk."""

    def late(self: OpenFile) -> None:
        descriptor = os.dup(self._open())

        def sync() -> None:
            os.fdatasync(descriptor)
            os.close(descriptor)

        Timer(LATE, sync).start()

    put(OpenFile, "sync", late)


def early_unlink() -> None:
    """The old body goes before it is certain that the new one has taken its place."""
    directory = Path(os.environ["DURABILITY_DATA"]) / "blobs"

    async def careless(tx: Any, holder: bytes, placement: Any, now: int) -> None:
        await release(tx, holder, placement, now)
        if placement is not None and placement.blob is not None:
            name = placement.blob.hex()
            (directory / name[6:8] / name).unlink(missing_ok=True)

    release = rows.release
    for module in (versions, parts):
        put(module, "release", careless)


def early_answer() -> None:
    """Clients are answered while the commit is on its way."""
    end, respond = GroupCommit._end, Job.respond

    def careless(self: GroupCommit) -> None:
        if self.commits < PREPARED:
            end(self)
            return
        for job in self._group:
            job.respond()
        self.reactor.callLater(LATE, end, self)

    def once(self: Job) -> None:
        if not self.answered:
            respond(self)

    put(GroupCommit, "_end", careless)
    put(Job, "respond", once)


def row_forgotten_first() -> None:
    """The sweeper forgets a blob before it has deleted it."""

    async def careless(self: sweep.BlobSweep, grace: int) -> int:
        doomed = await self.index.read(lambda tx: rows.condemned_before(tx, self.ids.now() - grace, self.batch))
        await self.index.run(lambda tx: rows.forget(tx, doomed))
        await self.blobs.delete(doomed)
        return len(doomed)

    put(sweep.BlobSweep, "_delete", careless)


def blob_before_lease() -> None:
    """Bytes are written before there is a row by which the sweeper could find them."""

    async def careless(tx: Any, blob_id: bytes, now: int, lease_until: int) -> None:
        return None

    async def place(tx: Any, holder: bytes, placement: Any, data: bytes | None = None) -> None:
        if placement.blob is not None:
            await begin(tx, placement.blob, 0, 0)
        await placed(tx, holder, placement, data)

    begin, placed = rows.begin_blob, rows.place
    put(rows, "begin_blob", careless)
    for module in (rows, objects):
        put(module, "place", place)


def migration_in_steps() -> None:
    """A migration commits each of its statements."""

    def careless(connection: sqlite3.Connection, path: str, scripts: Any, store_id: str) -> None:
        version = migrations.schema_version(connection, path)
        if version == 0:
            migrate(connection, path, scripts, store_id)
            return
        for number in sorted(scripts):
            for statement in _statements(scripts[number]) if number > version else ():
                connection.execute(statement)
        connection.execute("INSERT OR REPLACE INTO store VALUES ('schema_version', ?)", (str(max(scripts)),))

    migrate, _statements = migrations.migrate, migrations._statements
    put(index, "migrate", careless)


def unverified_reads() -> None:
    """What is read is sent without a look at its checksums."""
    reading.verify_frame = reading.verify_all = _nothing  # type: ignore[attr-defined,assignment]


def missing_is_absent() -> None:
    """An object whose bytes are missing is taken for one that is not there."""
    opened = FileBlobs.open

    async def open_or_deny(self: FileBlobs, blob_id: bytes) -> FileReader:
        try:
            return await opened(self, blob_id)
        except CorruptedData:
            raise NoSuchKey from None

    FileBlobs.open = open_or_deny  # type: ignore[method-assign]


PATCHES: dict[str, Callable[[], None]] = {
    patch.__name__: patch
    for patch in (
        small_log,
        frequent_sweep,
        frequent_look,
        no_file_sync,
        no_directory_sync,
        no_parent_sync,
        synchronous_normal,
        checkpoint_not_synced,
        row_before_data,
        rename_before_sync,
        early_unlink,
        early_answer,
        row_forgotten_first,
        blob_before_lease,
        migration_in_steps,
        unverified_reads,
        missing_is_absent,
    )
}
