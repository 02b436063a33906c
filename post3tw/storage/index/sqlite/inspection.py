"""Looking into an index from outside, beside a running server or without one, and changing nothing.

A server keeps its log beside the file as long as it runs, and clears both away when it stops. So where there is no log
nobody writes, and the file is opened as immutable, which keeps SQLite from making its own files beside it, in a
directory that may not be ours; where there is one, it is opened read-only, as one more reader.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote

from attrs import frozen

from post3tw.storage.index.sqlite.migrations import schema_scripts, schema_version
from post3tw.storage.index.sqlite.snapshot import ReadTransaction
from post3tw.storage.interfaces import StoreRefused, Transaction

T = TypeVar("T")


@frozen
class Inspection:
    """One state of an index, as long as `inspected` holds it."""

    _tx: ReadTransaction

    def read(self, transaction: Transaction[T]) -> T:
        """The result of a reading transaction, at once: on SQLite nothing in it has to wait."""
        running = transaction(self._tx).__await__()
        try:
            next(running)
        except StopIteration as end:
            result: T = end.value
            return result
        raise RuntimeError("a transaction waited for something else than the index")


@contextmanager
def inspected(path: str) -> Iterator[Inspection]:
    """The state that an index has now.

    Args:
        path: of the SQLite file.

    Raises:
        StoreRefused: there is none, it cannot be read, or it has another schema than this release works with.
    """
    if not os.path.exists(path):
        raise StoreRefused(f"there is no index {path}")
    running = any(os.path.exists(path + end) for end in ("-wal", "-shm", "-journal"))
    mode = "mode=ro" if running else "mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?{mode}", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            _require_known_schema(connection, path)
            yield Inspection(ReadTransaction(connection))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreRefused(f"{path} cannot be read as an index: {error}") from error


def _require_known_schema(connection: sqlite3.Connection, path: str) -> None:
    version, known = schema_version(connection, path), max(schema_scripts())
    if version != known:
        raise StoreRefused(f"{path} has schema {version}; this release reads schema {known}")
