"""The `fs` backend: a SQLite index and blobs as files, in one directory that belongs to one server."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, field
from zope.interface import implementer

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.blobs.recent import recent_bytes
from post3tw.storage.crew import Crew
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.interfaces import IBackend, IMeasured, Lock, OpenedStore
from post3tw.storage.reserve import Reserve
from post3tw.storage.threads import NoThreads, Threads

T = TypeVar("T")

DISK_THREADS = 16
"""Reads and writes of blobs at a time. They wait for the disk more than they compute."""


@implementer(IMeasured)
@define(eq=False)
class ReservedIndex(SqliteIndex):
    """An index that gives the reserve back when it finds the disk full, and tries once more: deletes pass then."""

    reserve: Reserve = field(kw_only=True)
    transactions: int = field(default=0, init=False)
    """How many writing transactions were committed since the start."""

    async def run(self, transaction: Callable[[Any], Awaitable[T]], locks: Sequence[Lock] = ()) -> T:
        """See IIndex."""
        try:
            outcome = await SqliteIndex.run(self, transaction, locks)
        except InsufficientStorage:
            self.reserve.release()
            outcome = await SqliteIndex.run(self, transaction, locks)
        self.transactions += 1
        return outcome

    def readings(self) -> Mapping[str, Callable[[], float]]:
        """See IMeasured."""
        return {
            "post3_index_commits": lambda: self.commits,
            "post3_index_transactions": lambda: self.transactions,
            "post3_index_reruns": lambda: self.reruns,
            "post3_free_bytes": self._free_bytes,
        }

    def _free_bytes(self) -> int:
        status = os.statvfs(os.path.dirname(self.path))
        return status.f_bavail * status.f_frsize


@implementer(IBackend)
class FileBackend:
    """Everything in `data_dir`."""

    name = "fs"
    description = "Local files and SQLite; nothing else to install."

    def options(self) -> Sequence[tuple[str, str | None, str]]:
        """See IBackend: none beside those of every backend."""
        return ()

    def open(self, options: Mapping[str, Any], reactor: Any) -> OpenedStore:
        """See IBackend."""
        crew: Crew | None = options.get("crew")
        threads = Threads(reactor, "post3-disk", DISK_THREADS)
        place = DataDirectory(str(options["data_dir"]), Files(), threads, options["reserve"], crew=crew)
        durability = options["durability"]
        index = ReservedIndex(place.index, reactor, durability, crew is not None, reserve=place.reserve)
        place.free_inside = index.free_inside
        return OpenedStore(
            index=index,
            blobs=FileBlobs(
                Files(place.reserve.release),
                threads,
                place.blobs,
                place.temporary,
                durable=durability == "full",
                mark="" if crew is None else f".{crew.number}",
                alone=crew is None or crew.first,
                recent=recent_bytes(1 if crew is None else crew.count),
            ),
            space=place,
            leadership=crew,
        )

    def possess(self, options: Mapping[str, Any]) -> int:
        """See IBackend."""
        return DataDirectory(str(options["data_dir"]), Files(), NoThreads()).possess()
