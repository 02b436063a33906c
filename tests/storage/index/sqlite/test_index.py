"""The SQLite index: the contract, and what only it promises."""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from post3tw.model.errors import InsufficientStorage, PreconditionFailed, SlowDown
from post3tw.model.version import Placement
from post3tw.storage.index.sqlite.checkpoints import HARD_LIMIT, SOFT_LIMIT
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.sqlite.group_commit import ENOUGH
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.blobs import place, release
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.interfaces import ITransaction
from post3tw.testing.index_contract import IndexContract
from post3tw.testing.index_fixture import NOW, bucket, object_id

MIB = 1 << 20


class SqliteFixture(TestCase):
    """An index in a new file for each test."""

    def setUp(self) -> None:
        """A new file for each test."""
        self.path = self.mktemp()

    def make_index(self, **options: Any) -> SqliteIndex:
        """An index in the test's file."""
        from twisted.internet import reactor

        return SqliteIndex(self.path, reactor, **options)


class SqliteContractTests(SqliteFixture, IndexContract):
    """The contract, on SQLite."""

    make_index: Any = SqliteFixture.make_index


class SqliteIndexTests(SqliteFixture):
    """What only this index promises."""

    async def started(self, **options: Any) -> SqliteIndex:
        """A started index, stopped when the test ends."""
        index = self.make_index(**options)
        await index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(index.stop()))
        return index

    def store(self, index: SqliteIndex, number: int, size: int = 1) -> Deferred[None]:
        """Begin to store an inline body."""
        placement = Placement(size, body=object_id(number), crcs=b"")
        return Deferred.fromCoroutine(index.run(lambda tx: place(tx, object_id(number), placement, b"x" * size)))

    def remove(self, index: SqliteIndex, number: int) -> Deferred[None]:
        """Begin to delete an inline body."""
        placement = Placement(1, body=object_id(number))
        return Deferred.fromCoroutine(index.run(lambda tx: release(tx, object_id(number), placement, NOW)))

    async def bodies(self, index: SqliteIndex) -> list[int]:
        """The numbers of the bodies that are there."""
        rows = await index.read(lambda tx: tx.all("SELECT id FROM bodies ORDER BY id"))
        return [int.from_bytes(body, "big") for (body,) in rows]

    # -- groups --------------------------------------------------------------------------------------------------------

    async def test_one_commit_for_many(self) -> None:
        """Transactions that come in the same turn of the reactor share one commit."""
        index = await self.started()
        for stored in [self.store(index, number) for number in range(ENOUGH - 1)]:
            await stored
        self.assertEqual((index.commits, index.reruns), (1, 0))

    async def test_no_commit_for_nothing(self) -> None:
        """A group that wrote nothing is answered without a commit."""
        index = await self.started()

        async def refuse(tx: ITransaction) -> None:
            raise PreconditionFailed

        await self.assertFailure(Deferred.fromCoroutine(index.run(refuse)), PreconditionFailed)
        self.assertEqual(index.commits, 0)

    async def test_rerun_one_by_one(self) -> None:
        """When a member fails after it wrote, each member runs again in a commit of its own, in the same order."""
        index = await self.started()
        runs: list[int] = []

        async def insert(tx: ITransaction, number: int) -> None:
            runs.append(number)
            await create_bucket(tx, bucket(number))
            if number == 2:
                raise PreconditionFailed

        calls = [Deferred.fromCoroutine(index.run(lambda tx, n=n: insert(tx, n))) for n in (1, 2, 3)]  # type: ignore[misc]
        await self.assertFailure(calls[1], PreconditionFailed)
        await calls[2]
        self.assertEqual(runs, [1, 2, 1, 2, 3])
        self.assertEqual((index.commits, index.reruns), (2, 2))

    async def test_long_transaction_yields(self) -> None:
        """A transaction of many statements lets the reactor do other things, and nothing of it is seen meanwhile."""
        index = await self.started()
        seen: list[int] = []
        long = Deferred.fromCoroutine(index.run(self.insert_many))
        while not long.called:
            rows = await index.read(lambda tx: tx.all("SELECT COUNT(*) FROM bodies"))
            seen.append(rows[0][0])
            turn: Deferred[None] = Deferred()
            index.reactor.callLater(0, turn.callback, None)
            await turn
        self.assertGreater(len(seen), 3)
        self.assertEqual(set(seen) - {20_000}, {0})

    async def insert_many(self, tx: ITransaction) -> None:
        """Insert 20,000 rows, half of them one by one."""
        insert = "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)"
        await tx.many(insert, [(object_id(number), b"", b"") for number in range(10_000)])
        for number in range(10_000, 20_000):
            await tx.run(insert, object_id(number), b"", b"")

    async def test_too_many_wait(self) -> None:
        """When as many transactions wait as may, the next is turned away."""
        index = await self.started(backlog_limit=3)
        accepted = [self.store(index, number) for number in range(3)]
        await self.assertFailure(self.store(index, 3), SlowDown)
        for stored in accepted:
            await stored
        await self.store(index, 4)
        self.assertEqual(await self.bodies(index), [0, 1, 2, 4])

    async def test_reads_one_state(self) -> None:
        """A read sees the state of its first statement, whatever is committed before its last."""
        index = await self.started()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)

        async def count_twice(tx: ITransaction) -> list[Any]:
            before = await tx.one("SELECT COUNT(*) FROM bodies")
            other.execute("INSERT INTO bodies (id, crcs, data) VALUES (x'00', x'', x'')")
            return [before, await tx.one("SELECT COUNT(*) FROM bodies")]

        self.assertEqual(await index.read(count_twice), [(0,), (0,)])
        await self.store(index, 1)
        self.assertEqual(await self.bodies(index), [0, 1])

    async def test_reads_share_a_begin(self) -> None:
        """Reads without a commit between them share one BEGIN; a write that is answered is seen by the next read."""
        index = await self.started()
        statements: list[str] = []
        index._opened.snapshot.connection.set_trace_callback(statements.append)  # type: ignore[union-attr]
        for number in range(3):
            await self.store(index, number)
            self.assertEqual(await self.bodies(index), list(range(number + 1)))
            self.assertEqual(await self.bodies(index), list(range(number + 1)))
        self.assertEqual(statements.count("BEGIN"), 3)

    # -- faults --------------------------------------------------------------------------------------------------------

    async def test_full(self) -> None:
        """A full database refuses what does not fit, reads and deletes go on, and space that is freed is used."""
        index = await self.started()
        await self.store(index, 1, 256 * 1024)
        connection = index._opened.writer.connection  # type: ignore[union-attr]
        connection.execute("PRAGMA max_page_count = 100")  # below what it has: it cannot grow
        await self.assertFailure(self.store(index, 2, 256 * 1024), InsufficientStorage)
        self.assertEqual(await self.bodies(index), [1])
        await self.remove(index, 1)
        await self.store(index, 3, 128 * 1024)
        self.assertEqual(await self.bodies(index), [3])

    async def test_full_for_one(self) -> None:
        """A write that does not fit fails alone: the small one and the delete beside it are committed."""
        index = await self.started()
        await self.store(index, 1)
        connection = index._opened.writer.connection  # type: ignore[union-attr]
        connection.execute("PRAGMA max_page_count = 100")
        large, small, delete = self.store(index, 2, MIB), self.store(index, 3), self.remove(index, 1)
        await self.assertFailure(large, InsufficientStorage)
        await small
        await delete
        self.assertEqual(await self.bodies(index), [3])

    async def test_failed_commit(self) -> None:
        """When the log cannot be written at COMMIT, nobody of the group is told that it is stored, and nothing is."""
        index = await self.started()
        await self.store(index, 1)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(self.path + "-wal"), limits[1]))
        try:
            failing = [self.store(index, number, 64 * 1024) for number in (2, 3)]
            for stored in failing:
                await self.assertFailure(stored, IndexFailed)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertEqual(await self.bodies(index), [1])
        self.assertEqual(index.reruns, 0)
        await self.store(index, 4)
        self.assertEqual(await self.bodies(index), [1, 4])

    async def test_locked_by_another(self) -> None:
        """When somebody else writes to the file, transactions fail, and work again when that is over."""
        index = await self.started()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        await self.assertFailure(self.store(index, 1), IndexFailed)
        other.execute("ROLLBACK")
        await self.store(index, 2)
        self.assertEqual(await self.bodies(index), [2])

    async def test_killed(self) -> None:
        """What a process acknowledged before it was killed is there in the next."""
        from twisted.internet import reactor

        killed = KilledWriter(200)
        arguments = [
            sys.executable,
            "-m",
            "tests.storage.index.sqlite.acknowledging_writer",
            os.path.abspath(self.path),
        ]
        reactor.spawnProcess(killed, sys.executable, arguments, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
        await killed.ended
        index = await self.started()
        found = await self.bodies(index)
        self.assertEqual(set(killed.acknowledged) - set(found), set())
        self.assertGreaterEqual(len(killed.acknowledged), 200)

    # -- files ---------------------------------------------------------------------------------------------------------

    async def test_log_stays_short(self) -> None:
        """However much is written and read at the same time, the log stays below its limit, what is answered is seen at
        once, and in the end it is in the database file."""
        from twisted.internet import reactor

        index = await self.started(durability="relaxed")
        longest = 0
        for number in range(100):
            seen = self.store(index, number, MIB).addCallback(lambda _: Deferred.fromCoroutine(self.bodies(index)))
            while not seen.called:
                await self.bodies(index)
                await deferLater(reactor, 0)
            self.assertEqual(len(await seen), number + 1)
            longest = max(longest, os.path.getsize(self.path + "-wal"))
        self.assertGreater(longest, SOFT_LIMIT)
        self.assertLess(longest, HARD_LIMIT + 4 * MIB)
        self.assertGreater(os.path.getsize(self.path), 100 * MIB - HARD_LIMIT - 4 * MIB)
        self.assertEqual(await self.bodies(index), list(range(100)))

    async def test_free_inside(self) -> None:
        """What deletes have freed inside the file is counted, and new rows take it before the file grows."""
        index = await self.started()
        insert = "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)"
        self.assertLess(await index.free_inside(), MIB)
        for round_ in range(3):
            for number in range(8):
                row = object_id(8 * round_ + number), b"", bytes(MIB)
                await index.run(partial(_run, insert, row))
            self.assertLess(await index.free_inside(), MIB)
            await index.run(lambda tx: tx.run("DELETE FROM bodies"))
            self.assertGreater(await index.free_inside(), 8 * MIB)
        await index.stop()
        self.assertLess(os.stat(self.path).st_size, 10 * MIB)

    async def test_stop_leaves_one_file(self) -> None:
        """A stopped index is one file: the log is copied into it."""
        index = await self.started()
        await self.store(index, 1)
        await index.stop()
        directory, name = os.path.split(self.path)
        self.assertEqual([entry for entry in os.listdir(directory) if entry.startswith(name)], [name])

    async def test_durability(self) -> None:
        """Full durability syncs each commit, relaxed never syncs."""
        modes: list[tuple[int]] = []
        for durability in ("full", "relaxed"):
            index = await self.started(durability=durability)
            connection = index._opened.writer.connection  # type: ignore[union-attr]
            modes += connection.execute("PRAGMA synchronous").fetchall()
            await index.stop()
        self.assertEqual(modes, [(2,), (0,)])


async def _run(sql: str, row: tuple[Any, ...], tx: ITransaction) -> None:
    await tx.run(sql, *row)


class KilledWriter(ProcessProtocol):
    """Reads what a writer acknowledges, one number a line, and kills it after so many."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self.output = b""
        self.errors = b""
        self.ended: Deferred[None] = Deferred()

    @property
    def acknowledged(self) -> list[int]:
        """The numbers of whole lines."""
        return [int(line) for line in self.output.split(b"\n")[:-1]]

    def outReceived(self, data: bytes) -> None:
        """Count, and kill without warning."""
        self.output += data
        if self.output.count(b"\n") >= self.enough and self.transport is not None:
            self.transport.signalProcess("KILL")

    def errReceived(self, data: bytes) -> None:
        """Keep it for the report."""
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        """Only a kill is what was meant."""
        if getattr(reason.value, "signal", None) == 9:
            self.ended.callback(None)
        else:
            self.ended.errback(RuntimeError(self.errors.decode()))
