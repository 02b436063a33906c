"""Many writing transactions, one commit. The theory of operation is at the head of `index`."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, ClassVar, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.index.job import Job
from post3tw.storage.index.rows import joined_row
from post3tw.storage.index.sqlite.checkpoints import Checkpoints
from post3tw.storage.index.sqlite.failures import IndexFailed, foreign_await, translated
from post3tw.storage.index.sqlite.snapshot import Snapshot, joining
from post3tw.storage.index.sqlite.turns import AlwaysOurs, Turns
from post3tw.storage.index.sqlite.worker import Worker
from post3tw.storage.interfaces import ITransaction

T = TypeVar("T")

GROUP_LIMIT = 256
"""How many transactions share one commit at most."""

ENOUGH = 8
"""So many transactions do not wait for others of the same turn while the disk is idle."""

SLICE = 0.005
"""Seconds that transactions may keep the reactor before other events get their turn."""

_ROWS_AT_ONCE = 256


class _Pause:
    """What a transaction hands to its driver when the slice is over."""

    def __await__(self) -> Generator[_Pause, None, None]:
        yield self


_PAUSE = _Pause()


@implementer(ITransaction)
class WriteTransaction:
    """The `tx` of writing transactions: each statement at once, but for a pause when the slice is over."""

    __slots__ = ("_execute", "_execute_many", "_seconds", "deadline", "memo")

    def __init__(self, connection: sqlite3.Connection, seconds: Callable[[], float]) -> None:
        self._execute = connection.execute
        self._execute_many = connection.executemany
        self._seconds = seconds
        self.deadline = 0.0
        self.memo = None

    async def one(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        if self._seconds() > self.deadline:
            await _PAUSE
        row: tuple[Any, ...] | None = self._execute(sql, parameters).fetchone()
        return row

    async def all(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        if self._seconds() > self.deadline:
            await _PAUSE
        return self._execute(sql, parameters).fetchall()

    async def joined(self, sql: str, *parameters: Any) -> tuple[bytes, str]:
        """See ITransaction."""
        if self._seconds() > self.deadline:
            await _PAUSE
        return joined_row(self._execute(joining(sql), parameters).fetchone())

    async def run(self, sql: str, *parameters: Any) -> int:
        """Run a statement; the number of rows it changed."""
        if self._seconds() > self.deadline:
            await _PAUSE
        return self._execute(sql, parameters).rowcount

    async def write(self, sql: str, *parameters: Any) -> None:
        """Run a statement."""
        if self._seconds() > self.deadline:
            await _PAUSE
        self._execute(sql, parameters)

    async def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each tuple of parameters."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            if self._seconds() > self.deadline:
                await _PAUSE
            self._execute_many(sql, rows[start : start + _ROWS_AT_ONCE])


@define(eq=False)
class _Job(Job):
    """A job that knows its transaction."""

    transaction: Callable[[Any], Awaitable[Any]]


@define(eq=False)
class GroupCommit:
    """Drives transactions on the reactor thread, and commits them, many at a time, in another.

    Attributes:
        reactor: for time and for coming back from the thread.
        worker: the thread that commits.
        connection: the one that writes, in autocommit mode, used by nobody else.
        snapshot: what reads see; it is renewed before they are told of a commit.
        checkpoints: what looks after the log.
        turns: when this process may write, where there are others.
        commits: how many commits there were.
        reruns: how many transactions were run a second time, because one of their group failed after writing.
    """

    log: ClassVar[Logger] = Logger()

    reactor: Any
    worker: Worker
    connection: sqlite3.Connection
    snapshot: Snapshot
    checkpoints: Checkpoints
    turns: Turns = field(factory=AlwaysOurs)
    commits: int = field(default=0, init=False)
    reruns: int = field(default=0, init=False)
    _tx: WriteTransaction = field(init=False)
    _waiting: deque[_Job] = field(factory=deque, init=False)
    _alone: deque[_Job] = field(factory=deque, init=False)
    _group: list[_Job] = field(factory=list, init=False)
    _source: deque[_Job] = field(init=False)
    _limit: int = field(default=GROUP_LIMIT, init=False)
    _driven: Any = field(default=None, init=False)
    _changes_at_begin: int = field(default=0, init=False)
    _changes_before: int = field(default=0, init=False)
    _busy: bool = field(default=False, init=False)
    _gathering: IDelayedCall | None = field(default=None, init=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._tx = WriteTransaction(self.connection, self.reactor.seconds)
        self._source = self._waiting

    @property
    def backlog(self) -> int:
        """How many transactions wait for their turn."""
        return len(self._waiting) + len(self._alone)

    async def run(self, transaction: Callable[[Any], Awaitable[T]]) -> T:
        """Run a transaction; returns what it returned, when that is committed. Cancelling it: see `Job.result`."""
        job = _Job(transaction)
        self._waiting.append(job)
        if not self._busy:
            self._busy = True
            self._gathering = self._begin_later()  # whoever else comes in this turn of the reactor joins the group
        elif self._gathering is not None and len(self._waiting) >= ENOUGH:
            self._gathering.cancel()
            self._begin()
        outcome: T = await job.result()
        return outcome

    async def idle(self) -> None:
        """Return when everything submitted is answered."""
        if self._busy:
            waiter: Deferred[None] = Deferred()
            self._idle.append(waiter)
            await waiter

    # -- on the reactor thread ----------------------------------------------------------------------------------------

    def _begin_later(self) -> IDelayedCall:
        return self.reactor.callLater(0, self._begin)  # type: ignore[no-any-return]

    def _begin(self) -> None:
        """Begin a group, as soon as it is our turn, if anybody waits; rest, if not."""
        self._gathering = None
        self.snapshot.let_go()
        if not self.backlog:
            self._busy = False
            if self._idle:
                self.reactor.callLater(0, self._tell_idle)  # after the answers that are still to be given
            return
        try:
            if not self.turns.take_at_once():
                self.worker.do(self._wait_for_turn)
                return
        except OSError as error:
            self._begin_group(error)
        else:
            self._begin_group(None)

    def _begin_group(self, failure: Exception | None) -> None:
        self._source, self._limit = (self._alone, 1) if self._alone else (self._waiting, GROUP_LIMIT)
        self._group = []
        self._changes_at_begin = self.connection.total_changes
        self._tx.deadline = self.reactor.seconds() + SLICE
        try:
            if failure is not None:
                raise failure
            self.connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            if failure is None:
                self.turns.give_back()
            while self._take():
                pass
            self._fail(self._group, translated(error))
            self._begin_later()
        else:
            self._drive()

    def _tell_idle(self) -> None:
        if not self._busy:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _take(self) -> bool:
        """Take the next transaction into the group; False when the group is complete."""
        while self._source and len(self._group) < self._limit:
            if self._group and self.reactor.seconds() > self._tx.deadline:
                break
            job = self._source.popleft()
            if not job.cancelled:
                job.begun = True
                self._group.append(job)
                self._changes_before = self.connection.total_changes
                return True
        return False

    def _drive(self) -> None:
        """Drive one member of the group after the other to its end, then have them committed."""
        while self._driven is not None or self._take():
            job = self._group[-1]
            try:
                if self._driven is None:
                    self._driven = job.transaction(self._tx)
                awaited = self._driven.send(None)
                if awaited is _PAUSE:
                    self.reactor.callLater(0, self._resume)
                    return
                raise foreign_await(self._driven, awaited)
            except StopIteration as done:
                job.outcome = done.value
            except Exception as error:
                job.error = translated(error)
            self._driven = None
            if job.error is not None and self._is_spoiled(job.error):
                self._undo()
                return
        self._end()

    def _resume(self) -> None:
        self._tx.deadline = self.reactor.seconds() + SLICE
        self._drive()

    def _is_spoiled(self, error: Exception) -> bool:
        """Whether the member that just failed left something to undo, or SQLite undid everything by itself, or will not
        commit any more what met a damaged page."""
        changed = self.connection.total_changes != self._changes_before
        return changed or not self.connection.in_transaction or isinstance(error, IndexFailed)

    def _undo(self) -> None:
        """Roll the group back; its members run again, each alone. One that was alone already is answered."""
        self._roll_back()
        self.turns.give_back()
        if len(self._group) == 1:
            self._answer(self._group)
        else:
            self._run_again(self._group)
        self._begin_later()

    def _run_again(self, group: list[_Job]) -> None:
        for job in group:
            job.outcome = job.error = None
        self.reruns += len(group)
        self._alone.extend(group)

    def _end(self) -> None:
        if self.connection.total_changes == self._changes_at_begin:  # nothing was written: nothing to wait for
            self._roll_back()
            self.turns.give_back()
            self._answer(self._group)
            self._begin_later()
        else:
            self.worker.do(self._commit, self._group)

    def _committed(self, group: list[_Job], error: Exception | None, checkpoint: bool) -> None:
        if checkpoint:
            self.snapshot.let_go()  # so that what this group wrote can be copied, and is seen by those it answers
            self._answer(group)
            self.worker.do(self._checkpoint)
            return
        if error is not None and len(group) > 1 and isinstance(error, InsufficientStorage):
            self._run_again(group)  # one large write must not fail the deletes beside it
            self._begin()
            return
        self._begin()  # first, so that the disk has work while answers go out
        if error is None:
            self._answer(group)
        else:
            self._fail(group, error)

    def _answer(self, group: list[_Job]) -> None:
        for job in group:
            job.respond()

    def _fail(self, group: list[_Job], error: Exception) -> None:
        for job in group:
            job.error = error
            job.respond()

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _wait_for_turn(self) -> None:
        failure = None
        try:
            self.turns.take()
        except OSError as error:
            failure = error
        self.reactor.callFromThread(self._begin_group, failure)

    def _commit(self, group: list[_Job]) -> None:
        error = None
        try:
            self.connection.execute("COMMIT")
            self.commits += 1
        except Exception as failure:
            error = translated(failure)
            self._roll_back()
        checkpoint = error is None and self.checkpoints.due()
        if not checkpoint:
            self.turns.give_back()
        self.reactor.callFromThread(self._committed, group, error, checkpoint)

    def _checkpoint(self) -> None:
        try:
            self.checkpoints.finish(self.connection)
        finally:
            self.turns.give_back()
            self.reactor.callFromThread(self._begin)

    # -- in either ----------------------------------------------------------------------------------------------------

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.log.failure("The index could not roll a transaction back")
