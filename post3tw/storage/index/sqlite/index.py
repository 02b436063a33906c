"""The index on SQLite: one file, one commit for many transactions.

Theory of operation
===================
Durable commits are limited by the disk's sync, not by SQLite, so the transactions that wait are committed together.

**Writing.** `run` puts a transaction into a queue. At the end of the reactor's turn, BEGIN, and the waiting
coroutines are driven one after the other, each to its end, on the reactor thread: a statement is done when `await`
looks at it. Then the COMMIT, with its one fsync, goes to a thread of its own. Transactions that come meanwhile wait
in the queue and are the next group. When the commit is back, that group begins at once, so that the disk has work,
and then the first one is answered. Clients that are answered together come back together; a group therefore begins
before the end of the turn when ENOUGH wait, or the disk would always be idle while the reactor works, and the reactor
while the disk does.

Why not drive the coroutines in the thread as well? sqlite3 lets go of the GIL around every statement, and taking it
back from a busy reactor costs a thread up to one switch interval each time: with a reactor busy with reads, a thread
that ran the statements committed 16 small transactions a second, and this arrangement 2,000, at less CPU for each
also without competition (`benchmarks/index.py` shows what it does now). Statements take a few microseconds; only the
disk is worth a thread. What takes longer is sliced: a group that has used up `SLICE` goes on in a later turn of the
reactor, inside the same BEGIN, and a transaction with many statements pauses between two of them.

**Failure.** Transactions raise their domain errors before their first write; such a member of a group is simply
answered with its error when the others are. No SAVEPOINT is taken, which would cost a tenth more. Should a member
fail after it has written, the group is rolled back, and its members run again one by one: they are pure, and may. An
error of SQLite in a statement is such a failure too. An error at COMMIT fails the whole group; nothing that may have
reached the disk is tried again and believed. Only a disk that was too full to write to (not to sync) makes the
members run again one by one, so that the small ones, deletes above all, still pass. A caller that is cancelled before
its transaction began leaves nothing; later it still learns what came of it, because it must not take back bytes that a
commit is about to refer to.

**Reading.** `read` drives its coroutine on the reactor thread too, on a connection of its own, where all its statements
see one committed state (`snapshot`). It never waits for a writer. It cannot write.

**Durability.** WAL with synchronous=FULL: when COMMIT returns, the log is synced. `durability="relaxed"` is
synchronous=OFF: nothing is ever synced, a killed process loses nothing, but a power cut may lose what was
acknowledged, and the file too. Memory-mapped reading stays off: an error of the disk must be an exception, not a
signal.

**Processes.** An index with `shared` may be opened by several processes of one machine. They write in turns (`turns`),
each a group at a time, and see what the others have committed (`log_state`). Statements still run on the reactor
thread of whoever has the turn, and only waiting for it is the thread's; while one process waits for its disk, the
others read their requests and send their answers.

**Files.** `PATH`, `PATH-wal` (kept near 16 MiB, see `checkpoints`), `PATH-shm`, and `PATH-turns` where it is shared.
That no other process has them open is for whoever opens the data directory to make sure. 4 KiB pages: a body of 4 KiB
is written as little more than that; with 8 KiB pages every second half page would stay empty, and each small change log
twice as much.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeVar

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.model.errors import ServiceUnavailable, SlowDown
from post3tw.storage.index.sqlite.checkpoints import SOFT_LIMIT, Checkpoints
from post3tw.storage.index.sqlite.failures import foreign_await, translated
from post3tw.storage.index.sqlite.group_commit import GroupCommit
from post3tw.storage.index.sqlite.log_state import LogState
from post3tw.storage.index.sqlite.migrations import migrate, refuse_foreign, schema_scripts
from post3tw.storage.index.sqlite.snapshot import SharedSnapshot, Snapshot
from post3tw.storage.index.sqlite.turns import AlwaysOurs, TurnsOfProcesses
from post3tw.storage.index.sqlite.worker import Worker
from post3tw.storage.interfaces import IIndex, Lock, StoreRefused

T = TypeVar("T")

PAGE_SIZE = 4096
"""Bytes."""

_SYNCHRONOUS = {"full": "FULL", "relaxed": "OFF"}


@define(eq=False)
class _Opened:
    """What exists between start and stop."""

    worker: Worker
    writer: GroupCommit
    snapshot: Snapshot
    turns: TurnsOfProcesses | None = None
    log_state: LogState | None = None


@implementer(IIndex)
@define(eq=False)
class SqliteIndex:
    """IIndex in a SQLite file. All methods are called on the reactor thread.

    Attributes:
        path: the database file; its directory exists.
        reactor: for time, and to come back from threads.
        durability: "full" or "relaxed".
        shared: whether other processes have the file open too; then all of them must say so.
        backlog_limit: how many transactions may wait; more are turned away with SlowDown.
        random: makes the id of a new store.
        scripts: the schema, by version.
        worker: what commits; a simulation puts its own in the place of threads.
        thread: what copies the log meanwhile.
    """

    log: ClassVar[Logger] = Logger()

    path: str
    reactor: Any
    durability: str = "full"
    shared: bool = False
    backlog_limit: int = 10_000
    random: Callable[[int], bytes] = os.urandom
    scripts: dict[int, str] = field(factory=schema_scripts)
    worker: Callable[[Any, str], Worker] = Worker
    thread: Callable[..., threading.Thread] = threading.Thread
    _opened: _Opened | None = field(default=None, init=False)

    async def start(self) -> None:
        """Open the file, make or migrate its schema.

        Raises:
            StoreRefused: it is not an index, a newer release wrote it, or it cannot be opened.
        """
        worker = self.worker(self.reactor, "post3-index")
        worker.start()
        try:
            self._opened = await worker.call(self._open, worker)
        except BaseException:
            worker.stop()
            raise

    async def stop(self) -> None:
        """Finish every transaction that was accepted, then close. New ones are refused from now on."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        await opened.writer.idle()
        opened.snapshot.stop()
        await opened.worker.call(self._close, opened)
        opened.worker.stop()

    async def run(self, transaction: Callable[[Any], Awaitable[T]], locks: Sequence[Lock] = ()) -> T:
        """Run a writing transaction; see IIndex. There is one writer, so locks are held whether declared or not.

        Raises:
            SlowDown: too many transactions wait already.
            ServiceUnavailable: the index is not open.
            InsufficientStorage: the disk is full.
            IndexFailed: SQLite reported another error.
        """
        opened = self._opened
        if opened is None:
            raise ServiceUnavailable
        if opened.writer.backlog >= self.backlog_limit:
            raise SlowDown
        return await opened.writer.run(transaction)

    async def read(self, transaction: Callable[[Any], Awaitable[T]]) -> T:
        """Run a reading transaction, at once.

        Raises:
            ServiceUnavailable: the index is not open.
            IndexFailed: SQLite reported an error; also for an attempt to write.
        """
        opened = self._opened
        if opened is None:
            raise ServiceUnavailable
        try:
            coroutine: Any = transaction(opened.snapshot.hold())
            raise foreign_await(coroutine, coroutine.send(None))
        except StopIteration as done:
            outcome: T = done.value
            return outcome
        except sqlite3.Error as error:
            raise translated(error) from error

    async def free_inside(self) -> int:
        """Bytes of free pages in the file: new rows take them before it grows, so on a full disk they are space.

        Raises:
            ServiceUnavailable, IndexFailed.
        """
        row = await self.read(lambda tx: tx.one("PRAGMA freelist_count"))
        return 0 if row is None else int(row[0]) * PAGE_SIZE

    @property
    def commits(self) -> int:
        """How many commits were made since the start."""
        return 0 if self._opened is None else self._opened.writer.commits

    @property
    def reruns(self) -> int:
        """How many transactions ran a second time since the start, because one in their group failed after a write."""
        return 0 if self._opened is None else self._opened.writer.reruns

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _open(self, worker: Worker) -> _Opened:
        refuse_foreign(self.path, max(self.scripts))
        turns = TurnsOfProcesses(self.path + "-turns") if self.shared else None
        try:
            if turns is not None:
                turns.open()
                turns.take()
            writing = self._connect()
            writing.execute("PRAGMA cache_size = -32768")
            migrate(writing, self.path, self.scripts, self.random(16).hex())
            if turns is not None:
                turns.give_back()
            reader = self._connect()
            reader.execute("PRAGMA cache_size = -32768")
            reader.execute("PRAGMA query_only = ON")
            log_state = LogState(self.path) if self.shared else None
        except (sqlite3.Error, OSError) as error:
            raise StoreRefused(f"{self.path} cannot be opened: {error}") from error
        snapshot = Snapshot(reader) if log_state is None else SharedSnapshot(reader, log_state, self.reactor)
        checkpoints = Checkpoints(self.path, self._connect, turns, self.thread)
        writer = GroupCommit(self.reactor, worker, writing, snapshot, checkpoints, turns or AlwaysOurs())
        return _Opened(worker, writer, snapshot, turns, log_state)

    def _connect(self) -> sqlite3.Connection:
        # The timeout is for when SQLite's own two connections meet, or when a process died while it wrote and
        # the next one repairs the wal-index; nobody waits for anything else.
        connection = sqlite3.connect(
            self.path, timeout=1, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in (
            f"page_size = {PAGE_SIZE}",
            "journal_mode = WAL",
            f"synchronous = {_SYNCHRONOUS[self.durability]}",
            "wal_autocheckpoint = 0",
            f"journal_size_limit = {SOFT_LIMIT}",
            "secure_delete = OFF",
            "temp_store = MEMORY",
            "mmap_size = 0",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchone()
        return connection

    def _close(self, opened: _Opened) -> None:
        opened.writer.checkpoints.settle()
        opened.snapshot.connection.close()
        if not self.shared:  # else the last process that closes it does so, unasked
            try:
                opened.writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error:
                self.log.failure("The last checkpoint of the index failed; the next start makes up for it")
        opened.writer.connection.close()
        if opened.log_state is not None:
            opened.log_state.close()
        if opened.turns is not None:
            opened.turns.close()
