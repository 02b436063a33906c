"""Connections that are kept and shared, so many and no more.

Theory of operation. Whoever has work gets a connection for it: an idle one, a new one while there are fewer than
`size`, else the next that comes back, in the order of asking. Who waits longer than `patience` is told SlowDown. The
work runs to its end even when its caller is cancelled meanwhile, so that a client which goes away costs the end of a
statement and not a connection; its time is bounded by the connection's `answer_timeout`.

A connection comes back only when it is fit for the next: open, outside of a transaction, nothing being asked. Any other
is closed, which makes the server undo what was begun. Idle ones that end (a restart, a failover) leave at once, because
the reactor watches them; the next work makes new ones, and finds the new primary when the DSN names several hosts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field
from psycopg import Error
from psycopg.pq import TransactionStatus
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from post3tw.model.errors import InsufficientStorage, ServiceUnavailable, SlowDown
from post3tw.storage.postgresql.connection import ANSWER_TIMEOUT, Connection, connect
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.failures import ends_connection, one_line, translated

T = TypeVar("T")

_log = Logger()


def _nothing() -> None:
    """Nobody wants to know."""


@define(eq=False)
class Pool:
    """At most `size` connections.

    Attributes:
        reactor: see `connection.connect`.
        dsn: where the database is.
        size: how many connections there may be.
        settings: session settings of each, see `connection.connect`.
        patience: seconds to wait for a connection while all are in use.
        connect_timeout: seconds for each host.
        answer_timeout: seconds for one answer of the database.
        on_full: called whenever the database says that its disk is full.
        opened: how many connections were made since the start.
        lost: how many of them ended without our doing, or had to be closed.
        refused: how many times somebody waited in vain.
    """

    reactor: Any
    dsn: Dsn
    size: int
    settings: Mapping[str, str | int] = field(factory=dict)
    patience: float = 10.0
    connect_timeout: float = 10.0
    answer_timeout: float = ANSWER_TIMEOUT
    opened: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    on_full: Callable[[], None] = field(default=_nothing, init=False, repr=False)
    _idle: list[Connection] = field(factory=list, init=False, repr=False)
    _at_work: set[Connection] = field(factory=set, init=False, repr=False)
    _open: int = field(default=0, init=False)
    _waiting: deque[Deferred[Connection | None]] = field(factory=deque, init=False, repr=False)
    _away: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)
    _empty: Deferred[None] | None = field(default=None, init=False, repr=False)

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something with a connection that nobody else has meanwhile.

        `work` leaves it outside of a transaction; a connection that it leaves in one is closed.

        Raises:
            SlowDown: all connections are in use, and were for `patience` seconds; or the database is too busy.
            ServiceUnavailable: the database does not take us, or went away; what was asked may have happened or not.
            InsufficientStorage: its disk is full.
            DatabaseFailed: another error of the database.
            CancelledError: the caller was cancelled; `work` goes on by itself if it has begun.
        """
        connection = await self._take()
        return await shielded(Deferred.fromCoroutine(self._use(connection, work)))

    async def stop(self) -> None:
        """Refuse those who wait, let work end (for `patience` seconds), close all connections."""
        self._stopped = True
        while self._waiting:
            self._waiting.popleft().errback(Failure(ServiceUnavailable()))
        for connection in list(self._idle):
            connection.drop()
            self._open -= 1
        self._idle.clear()
        if self._open:
            self._empty = Deferred()
            late = self.reactor.callLater(self.patience, self._end_work)
            await self._empty
            if late.active():
                late.cancel()

    def translated(self, error: Exception) -> Exception:
        """See `failures.translated`; for errors that work keeps to itself, too."""
        failure = translated(error)
        if isinstance(failure, InsufficientStorage):
            self.on_full()
        return failure

    @property
    def open(self) -> int:
        """How many connections there are, those being made included."""
        return self._open

    @property
    def in_use(self) -> int:
        """How many connections are at work, or being made."""
        return self._open - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def _end_work(self) -> None:
        for connection in list(self._at_work):
            connection.drop()

    # -- giving out ----------------------------------------------------------------------------------------------------

    async def _take(self) -> Connection:
        while not self._stopped:
            if self._idle:
                # The one used last: its caches at the server are warm, and the others' may be let go.
                return self._idle.pop()
            if self._open < self.size:
                return await self._connect()
            connection = await self._queue()
            if connection is not None:
                return connection
        raise ServiceUnavailable

    async def _queue(self) -> Connection | None:
        """Wait for a connection; None says to look again."""
        turn: Deferred[Connection | None] = Deferred(self._leave)
        late = self.reactor.callLater(self.patience, self._refuse, turn)
        self._waiting.append(turn)
        try:
            return await turn
        finally:
            if late.active():
                late.cancel()

    def _leave(self, turn: Deferred[Connection | None]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)

    def _refuse(self, turn: Deferred[Connection | None]) -> None:
        self.refused += 1
        self._leave(turn)
        turn.errback(Failure(SlowDown()))

    async def _connect(self) -> Connection:
        self._open += 1
        try:
            connection = await connect(self.reactor, self.dsn, self.connect_timeout, self.settings)
        except Error as error:
            self._gone()
            if not self._away:
                _log.warn(
                    "no connection to the database {place}: {reason}", place=self.dsn.place, reason=one_line(error)
                )
            self._away = True
            raise translated(error) from error
        except BaseException:
            self._gone()
            raise
        if self._away:
            _log.info("the database {place} is back", place=self.dsn.place)
        self._away = False
        self.opened += 1
        connection.answer_timeout = self.answer_timeout
        return connection

    # -- taking back ---------------------------------------------------------------------------------------------------

    async def _use(self, connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
        self._at_work.add(connection)
        try:
            return await work(connection)
        except Exception as error:
            if ends_connection(error):
                connection.drop()
            failure = self.translated(error)
            raise failure from failure.__cause__
        finally:
            self._at_work.discard(connection)
            self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        fit = not connection.lost and connection.pgconn.transaction_status == TransactionStatus.IDLE
        if self._stopped or not fit:
            connection.drop()
            self.lost += not fit
            self._gone()
        elif self._waiting:
            # In a turn of its own: work that ends at once would nest as deep as the queue is long.
            self.reactor.callLater(0, self._hand, self._waiting.popleft(), connection)
        else:
            connection.on_lost = lambda: self._lost_idle(connection)
            self._idle.append(connection)

    def _hand(self, turn: Deferred[Connection | None], connection: Connection) -> None:
        if turn.called:  # it gave up in the same moment
            self._give_back(connection)
        else:
            turn.callback(connection)

    def _lost_idle(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self.lost += 1
            self._gone()

    def _gone(self) -> None:
        """One connection less: somebody who waits may make another."""
        self._open -= 1
        if self._waiting:
            self._waiting.popleft().callback(None)
        elif self._empty is not None and not self._open:
            empty, self._empty = self._empty, None
            empty.callback(None)


def shielded(inner: Deferred[T]) -> Deferred[T]:
    """A Deferred whose cancellation lets go of the result only. Without a canceller of its own, it ignores the result
    that comes later."""
    outer: Deferred[T] = Deferred()
    inner.addBoth(outer.callback)
    return outer
