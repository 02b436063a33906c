"""Looking into an index from outside, beside a running server or without one, and changing nothing.

A server keeps its log beside the file as long as it runs, and clears both away when it stops. So where there is no log
nobody writes, and the file is opened as immutable, which keeps SQLite from making its own files beside it, in a
directory that may not be ours; where there is one, it is opened read-only, as one more reader.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Iterator
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
    """An index, as long as `inspected` holds it.

    Attributes:
        connection: in autocommit mode, or, to see one state all the time, in a transaction.
    """

    connection: sqlite3.Connection

    def read(self, transaction: Transaction[T]) -> T:
        """The result of a reading transaction, at once: on SQLite nothing in it has to wait."""
        alone = not self.connection.in_transaction
        if alone:
            self.connection.execute("BEGIN")
        try:
            return at_once(transaction(ReadTransaction(self.connection)))
        finally:
            if alone and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


def at_once(awaitable: Awaitable[T]) -> T:
    """The result of what does not wait for anything."""
    running = awaitable.__await__()
    try:
        next(running)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("something was waited for that is not there yet")


@contextmanager
def inspected(
    path: str, steady: bool = True, changing: bool = False, older: bool = False, alone: bool = True
) -> Iterator[Inspection]:
    """The state that an index has now.

    Args:
        path: of the SQLite file.
        steady: whether all reads see the same state. It keeps the log of a server that is running from beginning anew,
            so it is not for what takes long.
        changing: whether whoever looks will also write, on a connection of its own.
        older: whether an older schema will do.
        alone: whether no server starts while this lasts, or what is seen then does not matter. If one may, the file is
            opened as one that others write to, even if none does now.

    Raises:
        StoreRefused: there is none, it cannot be read, or it has another schema than this release works with.
    """
    if not os.path.exists(path):
        raise StoreRefused(f"there is no index {path}")
    if not os.path.isfile(path):
        raise StoreRefused(f"{path} is not a regular file")
    running = any(os.path.exists(path + end) for end in ("-wal", "-shm", "-journal"))
    mode = "mode=rw" if changing else "mode=ro" if running or not alone else "mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?{mode}", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = ON")
            if steady:
                connection.execute("BEGIN")
            _require_known_schema(connection, path, older)
            yield Inspection(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreRefused(f"{path} cannot be read as an index: {error}") from error


def _require_known_schema(connection: sqlite3.Connection, path: str, older: bool) -> None:
    version, known = schema_version(connection, path), max(schema_scripts())
    if version != known and not (older and 1 <= version < known):
        raise StoreRefused(f"{path} has schema {version}; this release reads schema {known}")
