"""Stores as `fsck` meets them: a data directory, with or without a server on it, or a database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.failures import translated
from post3tw.storage.index.sqlite.inspection import Inspection, at_once, inspected
from post3tw.storage.index.sqlite.snapshot import ReadTransaction
from post3tw.storage.interfaces import StoreRefused, Transaction
from post3tw.storage.threads import NoThreads

if TYPE_CHECKING:
    from post3tw.storage.postgresql.inspection import DatabaseInspection

T = TypeVar("T")

LOST = "lost"
"""The directory, in the data directory, where blobs are put that nobody knows."""


@frozen
class Directory:
    """A data directory of the `fs` backend.

    Attributes:
        place: which one.
        inspection: its index.
        blobs: its blobs.
        ours: whether no server has it, nor can have it.
    """

    place: DataDirectory
    inspection: Inspection
    blobs: FileBlobs
    ours: bool

    def read(self, transaction: Transaction[T]) -> T:
        """See Subject. Raises IndexFailed."""
        try:
            return self.inspection.read(transaction)
        except sqlite3.Error as error:
            raise translated(error) from error

    def change(self, transaction: Transaction[T]) -> T:
        """See Subject. Raises IndexFailed."""
        connection = sqlite3.connect(self.place.index, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            result = at_once(transaction(ReadTransaction(connection)))  # which writes, where it is allowed to
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            connection.close()
        return result

    def complaints(self, quick: bool) -> Iterator[str]:
        """See Subject."""
        check = "quick_check" if quick else "integrity_check"
        try:
            for (line,) in self.inspection.connection.execute(f"PRAGMA {check}"):
                if line != "ok":
                    yield line
        except sqlite3.Error as error:
            yield f"cannot be read: {error}"

    def set_aside(self, blob_id: bytes) -> str | None:
        """See Subject. It goes to DATA/lost."""
        files, lost = self.place.files, self._lost()
        source, target = self.blobs.find(blob_id), os.path.join(lost, blob_id.hex())
        files.rename(source, target)
        files.sync_directory(lost)
        files.sync_directory(os.path.dirname(source))
        return target

    def keep_lost(self, blob_id: bytes) -> None:
        """Let a damaged blob, if there is anything of it, have a name in DATA/lost besides its own: another is about to
        take its place."""
        source = self.blobs.find(blob_id)
        if not self.place.files.exists(source):
            return
        lost = self._lost()
        for number in count():
            target = os.path.join(lost, blob_id.hex() + (f".{number}" if number else ""))
            try:
                self.place.files.link(source, target)
            except FileExistsError:
                if not os.path.samestat(os.lstat(source), os.lstat(target)):
                    continue
            break
        self.place.files.sync_directory(lost)

    def _lost(self) -> str:
        lost = os.path.join(self.place.path, LOST)
        self.place.files.make_directory(lost)
        self.place.files.sync_directory(self.place.path)
        return lost


@contextmanager
def opened_directory(path: str, changing: bool = False) -> Iterator[Directory]:
    """A data directory to look at.

    As long as no server has it none can start on it, so that what is seen stays as it is.

    Args:
        path: the directory.
        changing: whether it will be changed; then nobody else may have it.

    Raises:
        StoreRefused: it is none, or its index cannot be opened; or a server has what is to be changed.
    """
    place = DataDirectory(path, Files(), NoThreads())
    if not os.path.exists(place.index):
        raise StoreRefused(f"{place.path} is no data directory: there is no index in it")
    ours = True
    try:
        place.possess()
    except StoreRefused:
        if changing:
            raise
        ours = False
    try:
        with inspected(place.index, steady=False, changing=changing, alone=ours) as inspection:
            blobs = FileBlobs(place.files, place.threads, place.blobs, place.temporary)
            yield Directory(place, inspection, blobs, ours)
    finally:
        at_once(place.stop())


@frozen
class Database:
    """A database of the `postgres` backend.

    Attributes:
        inspection: its connection.
        blobs: where its blobs are: in it, or in files.
    """

    inspection: DatabaseInspection
    blobs: Any

    def read(self, transaction: Transaction[T]) -> T:
        """See Subject."""
        return self.inspection.read(transaction)

    def change(self, transaction: Transaction[T]) -> T:
        """See Subject."""
        return self.inspection.change(transaction)

    def complaints(self, quick: bool) -> Iterator[str]:
        """PostgreSQL has its own tools for that (pg_amcheck)."""
        return iter(())

    def set_aside(self, blob_id: bytes) -> str | None:
        """Not here: nodes are at work."""
        return None


@contextmanager
def opened_database(dsn: str, blobs: str | None) -> Iterator[Database]:
    """A database to look at, with its nodes at work.

    Args:
        dsn: which one.
        blobs: the directory of its blobs, where they are files.

    Raises:
        StoreRefused: it cannot be used; or the packages for it are missing.
    """
    try:
        from post3tw.storage.postgresql.inspection import InspectedBlobs, inspected_database
    except ImportError as error:
        raise StoreRefused(f"this needs further packages, pip install 'post3tw[postgres]' ({error})") from None
    with inspected_database(dsn) as inspection:
        yield Database(inspection, InspectedBlobs(inspection.connection) if blobs is None else _files(blobs))


def _files(directory: str) -> FileBlobs:
    return FileBlobs(Files(), NoThreads(), os.path.join(directory, "blobs"), os.path.join(directory, "tmp"))
