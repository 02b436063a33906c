"""Groups of transactions when the database fails in ways that a test cannot bring about with a real disk."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.index.sqlite import group_commit
from post3tw.storage.index.sqlite.checkpoints import Checkpoints
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.sqlite.group_commit import ENOUGH, GroupCommit
from post3tw.storage.index.sqlite.snapshot import Snapshot
from post3tw.storage.index.sqlite.worker import Worker
from post3tw.storage.interfaces import ITransaction


class FailingConnection(sqlite3.Connection):
    """A connection on which the next executions of a statement fail with an error of SQLite."""

    faults: list[tuple[str, int]]

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """Fail when it is the turn of this statement."""
        if self.faults and self.faults[0][0] == sql:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = self.faults.pop(0)[1]
            error.sqlite_errorname = "INJECTED"
            raise error
        return super().execute(sql, *arguments)


class GroupCommitTests(TestCase):
    """A GroupCommit on a file, over a connection that can fail."""

    def setUp(self) -> None:
        """An empty table."""
        from twisted.internet import reactor

        path = self.mktemp()
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FailingConnection
        )
        self.addCleanup(self.connection.close)
        self.connection.faults = []
        self.connection.execute("CREATE TABLE numbers (number INTEGER)")
        worker = Worker(reactor, "post3-test")
        worker.start()
        self.addCleanup(worker.stop)
        checkpoints = Checkpoints(path, lambda: sqlite3.connect(path))
        reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.addCleanup(reader.close)
        self.groups = GroupCommit(reactor, worker, self.connection, Snapshot(reader), checkpoints)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.groups.idle()))

    def insert(self, number: int) -> Deferred[int]:
        """Begin to insert a number; fires with the number of rows there are then."""

        async def transaction(tx: ITransaction) -> int:
            await tx.run("INSERT INTO numbers VALUES (?)", number)
            return len(await tx.all("SELECT number FROM numbers"))

        return Deferred.fromCoroutine(self.groups.run(transaction))

    def numbers(self) -> list[int]:
        """What is there."""
        return [number for (number,) in self.connection.execute("SELECT number FROM numbers ORDER BY number")]

    async def test_full_at_commit(self) -> None:
        """When a group does not fit on the disk at COMMIT, its members are committed one by one, as far as they fit."""
        self.connection.faults = [("COMMIT", sqlite3.SQLITE_FULL), ("COMMIT", sqlite3.SQLITE_FULL)]
        first, second, third = (self.insert(number) for number in (1, 2, 3))
        await self.assertFailure(first, InsufficientStorage)
        self.assertEqual((await second, await third), (1, 2))
        self.assertEqual(self.numbers(), [2, 3])
        self.assertEqual((self.groups.commits, self.groups.reruns), (2, 3))

    async def test_sync_fails(self) -> None:
        """When the disk cannot sync at COMMIT, the whole group fails and nothing is run again; the next is served."""
        self.connection.faults = [("COMMIT", sqlite3.SQLITE_IOERR_FSYNC)]
        for call in [self.insert(1), self.insert(2)]:
            error = await self.assertFailure(call, IndexFailed)
            self.assertEqual(str(error), "INJECTED: injected")
        self.assertEqual(self.groups.reruns, 0)
        self.assertEqual(await self.insert(3), 1)

    async def test_cannot_begin(self) -> None:
        """When a group cannot begin, its members fail without being run, and the next is served."""
        self.connection.faults = [("BEGIN IMMEDIATE", sqlite3.SQLITE_IOERR)]
        for call in [self.insert(1), self.insert(2)]:
            await self.assertFailure(call, IndexFailed)
        self.assertEqual(await self.insert(3), 1)

    async def test_cannot_roll_back(self) -> None:
        """A rollback that fails is reported; the caller still learns why the transaction failed."""

        async def broken(tx: ITransaction) -> None:
            await tx.run("INSERT INTO numbers VALUES (1)")
            raise InsufficientStorage

        self.connection.faults = [("ROLLBACK", sqlite3.SQLITE_IOERR)]
        await self.assertFailure(Deferred.fromCoroutine(self.groups.run(broken)), InsufficientStorage)
        [failure] = self.flushLoggedErrors(sqlite3.OperationalError)
        self.assertIn("injected", str(failure.value))

    async def test_enough_do_not_wait(self) -> None:
        """Of many that come in one turn, the first begin while the others still come; those share the next commit."""
        self.patch(group_commit, "SLICE", 60.0)  # so that a busy machine does not make the first group smaller
        calls = [self.insert(number) for number in range(3 * ENOUGH)]
        self.assertEqual(self.groups.backlog, 2 * ENOUGH)
        for count, call in enumerate(calls, 1):
            self.assertEqual(await call, count)
        self.assertEqual(self.groups.commits, 2)

    async def test_idle(self) -> None:
        """`idle` returns when everything is answered, and at once when there is nothing."""
        await self.groups.idle()
        calls = [self.insert(number) for number in range(5)]
        await self.groups.idle()
        self.assertEqual([self.successResultOf(call) for call in calls], [1, 2, 3, 4, 5])
