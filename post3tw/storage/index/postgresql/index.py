"""The index on PostgreSQL.

Theory of operation
===================
The transactions are those of SQLite, but each `await` is a way to the server and back, and each commit a sync of its
disk. Both are shared.

**Writing.** `run` puts a transaction into a queue. At the end of the reactor's turn, those whose locks do not collide
become a group (`group_commit`), which is one transaction of the database on one connection (`group`): the coroutines
are driven in step, each step sends a statement of every member in one exchange (`lockstep`, `pipeline`), and one
COMMIT serves all. Two connections write, so that one group's statements run while the other's COMMIT waits for the
disk.

**Locks** are declared, taken in the database for the whole group at once, before its first question, in an order that
is the same on every node (`locks`). So nodes need not know each other, and no group holds what another waits for in a
circle.

**Isolation.** READ COMMITTED for writers, with locks taken first; a single statement's own state for reads that ask
once, REPEATABLE READ for those that ask more often (`reads`).

**Failure.** A member that fails before its first write is answered with its error. After that, and when a statement
fails, the group is rolled back; the member because of which runs alone, the others once more together, then each
alone. What lost a race (serialization failure, deadlock, unique violation) is tried ATTEMPTS times. When the
connection fails during COMMIT nobody knows what came of it: the callers are told ServiceUnavailable, and none that it
succeeded. A caller that is cancelled before its transaction began leaves nothing; later it learns what came of it.

**Durability** is the database's: `full` leaves `synchronous_commit` as it is configured there (so that it may also
wait for a standby), `relaxed` turns it off, which may lose the last moments before a crash but never harms the
database.

**Timeouts.** Nothing waits for ever: locks LOCK_TIMEOUT, reading statements STATEMENT_TIMEOUT, any answer
ANSWER_TIMEOUT. Writers have no statement_timeout, because one that ends a COMMIT which waits for a synchronous
standby is no error to PostgreSQL: the COMMIT is reported as done, although it may be lost with the primary. A node that
stops in the middle of a group (a suspended machine, a broken network) keeps its locks for IDLE_TIMEOUT.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from attrs import define, field
from zope.interface import implementer

from post3tw.model.errors import ServiceUnavailable, SlowDown
from post3tw.storage.index.postgresql.group import Announces
from post3tw.storage.index.postgresql.group_commit import GroupCommit
from post3tw.storage.index.postgresql.pipeline import Pipeline
from post3tw.storage.index.postgresql.reads import Hears, Reads
from post3tw.storage.interfaces import IIndex, IMeasured, Lock
from post3tw.storage.postgresql.connection import ANSWER_TIMEOUT
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.pool import Pool

T = TypeVar("T")

WRITERS, POINT_READERS, SNAPSHOT_READERS = 2, 2, 4
"""Connections that write, that read for those who ask once, and for those who ask more often."""

LOCK_TIMEOUT = 10.0
IDLE_TIMEOUT = 10.0
STATEMENT_TIMEOUT = 30.0
"""Seconds."""

WALKS: Mapping[str, str | int] = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
}
"""Every statement is a walk along indexes, whatever the parameters and the statistics are. So nothing is gained by
planning it again and again; and that a table is still empty, as it is when the first plans are made, is no reason to
read it whole later on."""


class Notices(Announces, Hears, Protocol):
    """As much as the index needs of `post3tw.storage.postgresql.notices.Notices`."""


@implementer(IIndex, IMeasured)
@define(eq=False)
class PostgresIndex:
    """An index in a database whose schema is there already (`post3tw.storage.postgresql.migrations`).

    Attributes:
        reactor: of the server.
        dsn: where the database is.
        notices: how nodes tell each other of changed buckets.
        durability: "full" or "relaxed".
        writers: connections that write.
        backlog_limit: transactions that may wait; more are refused.
    """

    reactor: Any
    dsn: Dsn
    notices: Notices
    durability: str = "full"
    writers: int = WRITERS
    backlog_limit: int = 10_000
    _writing: GroupCommit = field(init=False)
    _reading: Reads = field(init=False)
    _open: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        writing = {**WALKS, "lock_timeout": _milliseconds(LOCK_TIMEOUT), "statement_timeout": 0}
        if self.durability == "relaxed":
            writing["synchronous_commit"] = "off"
        reading = {
            **WALKS,
            "statement_timeout": _milliseconds(STATEMENT_TIMEOUT),
            "default_transaction_read_only": "on",
        }
        self._writing = GroupCommit(self.reactor, self._pool(self.writers, writing), self.notices)
        self._reading = Reads(
            self.reactor,
            self._pool(POINT_READERS, reading),
            self._pool(SNAPSHOT_READERS, reading),
            self.notices,
        )

    def _pool(self, size: int, settings: Mapping[str, str | int]) -> Pool:
        settings = {**settings, "idle_in_transaction_session_timeout": _milliseconds(IDLE_TIMEOUT)}
        return Pool(self.reactor, self.dsn, size, settings, answer_timeout=ANSWER_TIMEOUT)

    @property
    def commits(self) -> int:
        """How many groups were committed since the start."""
        return self._writing.commits

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Its connections."""
        return self._writing.pool, self._reading.points, self._reading.snapshots

    def readings(self) -> Mapping[str, Callable[[], float]]:
        """See IMeasured."""
        return {
            "post3_index_commits": lambda: self._writing.commits,
            "post3_index_transactions": lambda: self._writing.transactions,
            "post3_index_reruns": lambda: self._writing.reruns,
            "post3_index_exchanges": lambda: Pipeline.all_exchanges,
        }

    async def start(self) -> None:
        """Connect.

        Raises:
            ServiceUnavailable, SlowDown, DatabaseFailed: the database cannot be asked.
        """
        await self._reading.run(_begin)
        self._open = True

    async def stop(self) -> None:
        """Finish every transaction that was accepted, then close. New ones are refused from now on."""
        if not self._open:
            return
        self._open = False
        await self._writing.idle()
        await self._writing.pool.stop()
        await self._reading.points.stop()
        await self._reading.snapshots.stop()

    async def run(self, transaction: Callable[[Any], Awaitable[T]], locks: Sequence[Lock] = ()) -> T:
        """Run a writing transaction under its locks; see IIndex.

        Raises:
            SlowDown: too many transactions wait already, or a lock was not to be had in time.
            ServiceUnavailable: the index is not open, or the database went away: it may have been committed or not.
            InsufficientStorage: the database's disk is full.
            DatabaseFailed: the database reported another error.
        """
        if not self._open:
            raise ServiceUnavailable
        if self._writing.backlog >= self.backlog_limit:
            raise SlowDown
        return await self._writing.run(transaction, locks)

    async def read(self, transaction: Callable[[Any], Awaitable[T]]) -> T:
        """Run a reading transaction; see IIndex.

        Raises:
            SlowDown: too many transactions wait already, or the statement took too long.
            ServiceUnavailable: the index is not open, or the database is away.
            DatabaseFailed: the database reported another error; also for an attempt to write.
        """
        if not self._open:
            raise ServiceUnavailable
        if self._reading.backlog >= self.backlog_limit:
            raise SlowDown
        return await self._reading.run(transaction)


async def _begin(tx: Any) -> None:
    await tx.one("SELECT value FROM store WHERE name = 'schema_version'")


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
