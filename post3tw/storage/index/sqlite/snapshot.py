"""What reading transactions see.

Theory of operation
===================
All reads between two commits see the same state, so they share one BEGIN: it stays open from read to read, and is ended
when the writer says that something may have changed. A point read then is one statement, and costs half of what it
costs with a BEGIN and a COMMIT of its own, most of it locks on files.

An open snapshot keeps a checkpoint from copying what was committed after it was taken, and the log from beginning anew.
That is why it is ended from outside: before a group of writes begins, and before the checkpoint that completes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Sequence
from typing import Any

from zope.interface import implementer

from post3tw.storage.interfaces import ITransaction


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
            self.connection.execute("COMMIT")
