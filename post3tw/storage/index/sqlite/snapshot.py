"""What reading transactions see.

Theory of operation
===================
All reads between two commits see the same state, so they share one BEGIN: it stays open from read to read, and is ended
when the writer says that something may have changed. A point read then is one statement, and costs half of what it
costs with a BEGIN and a COMMIT of its own, most of it locks on files.

An open snapshot keeps a checkpoint from copying what was committed after it was taken, and the log from beginning anew.
That is why it is ended from outside: before a group of writes begins, and before the checkpoint that completes.

Where other processes commit too, nobody says so: the state of the log does (`log_state`), which is looked at before
each read. And one that nobody reads from any more is ended after a few milliseconds, as another process may wait to
begin the log anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

from zope.interface import implementer

from post3tw.storage.index.rows import joined_row
from post3tw.storage.interfaces import ITransaction


@lru_cache
def joining(sql: str) -> str:
    """The statement for `ITransaction.joined`. A separator that is a blob would be made text for each row: 0.1 us."""
    separator = "(SELECT CAST(x'ff' AS TEXT))"
    return f"SELECT CAST(group_concat(key, {separator}) AS BLOB), group_concat(entry, '|') FROM ({sql})"


@implementer(ITransaction)
class ReadTransaction:
    """The `tx` of reading transactions."""

    __slots__ = ("_execute", "memo")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self.memo: dict[Hashable, Any] = {}

    async def one(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        row: tuple[Any, ...] | None = self._execute(sql, parameters).fetchone()
        return row

    async def all(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._execute(sql, parameters).fetchall()

    async def joined(self, sql: str, *parameters: Any) -> tuple[bytes, str]:
        """See ITransaction."""
        return joined_row(self._execute(joining(sql), parameters).fetchone())

    async def run(self, sql: str, *parameters: Any) -> int:
        """SQLite refuses: the connection only reads."""
        return self._execute(sql, parameters).rowcount

    async def write(self, sql: str, *parameters: Any) -> None:
        """SQLite refuses: the connection only reads."""
        self._execute(sql, parameters)

    async def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """SQLite refuses: the connection only reads."""
        for row in rows:
            self._execute(sql, row)


class Snapshot:
    """The state that reads see. Used on the reactor thread.

    Args:
        connection: the one that reads, in autocommit mode, used by nobody else.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._tx = ReadTransaction(connection)

    def hold(self) -> ReadTransaction:
        """The `tx` of a read; all statements on it, and on those of other reads until `let_go`, see one state.

        Raises:
            sqlite3.Error: SQLite could not begin.
        """
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN")
        return self._tx

    def let_go(self) -> None:
        """The next read is to see what was committed until then."""
        self._tx.memo.clear()
        if self.connection.in_transaction:
            try:
                self.connection.execute("COMMIT")
            except sqlite3.Error:
                # What it says when a read met a damaged page, and was told so. It ends the transaction nevertheless.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def stop(self) -> None:
        """End it for good; the connection is somebody else's to close."""
        self.let_go()


HELD = 0.005
"""Seconds that a snapshot is held at most where other processes wait for its end."""


class SharedSnapshot(Snapshot):
    """The state that reads see, of a database to which other processes write as well.

    Args:
        connection: as above.
        state: of the log; see LogState.
        clock: an IReactorTime.
    """

    def __init__(self, connection: sqlite3.Connection, state: Callable[[], bytes], clock: Any) -> None:
        super().__init__(connection)
        self._state = state
        self._seen = b""
        self._clock = clock
        self._end: Any = None

    def hold(self) -> ReadTransaction:
        """See Snapshot. Whatever anybody has committed by now is seen."""
        state = self._state()
        if state != self._seen:
            self.let_go()
            self._seen = state  # SQLite may see something newer still; then the next read only renews it for nothing
        if self._end is None:
            self._end = self._clock.callLater(HELD, self._expire)
        return super().hold()

    def stop(self) -> None:
        """See Snapshot."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
        super().stop()

    def _expire(self) -> None:
        self._end = None
        self.let_go()
