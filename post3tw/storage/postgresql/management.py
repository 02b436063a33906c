"""One connection of a node through txpostgres, for all that is not on a request's way: the schema, LISTEN, leases.

Theory of operation. txpostgres brings NOTIFY to the reactor and a strategy for connections that died
(`txpostgres.reconnection`): whatever ends the connection is shown to its detector, which connects again, with growing
pauses, until it succeeds or we stop. Until then every question fails at once.

What we add: each question has a timeout, after which the connection is closed, because a network that swallows packets
ends none; hosts are tried one after the other, each with its timeout; an answer that nobody waits for any more (a
cancelled caller) closes the connection too, because nobody knows what is still under way on it, and because a Deferred
of txpostgres that is cancelled raises out of `cancel`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, TypeVar

import psycopg2
from attrs import define, field
from psycopg import OperationalError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionClosed
from twisted.logger import Logger
from twisted.python.failure import Failure
from txpostgres import reconnection, retrying, txpostgres

from post3tw.storage.postgresql.connecting import addressed
from post3tw.storage.postgresql.dsn import Dsn, conninfo
from post3tw.storage.postgresql.failures import one_line

T = TypeVar("T")

CONNECT_TIMEOUT = 5.0
"""Seconds for one attempt to connect to one address, unless the DSN has a connect_timeout."""

ANSWER_TIMEOUT = 5.0
"""Seconds for one statement, unless it is known to take longer."""

QUERY_CANCELED = "57014"
"""SQLSTATE."""

_DEATHS = (
    psycopg2.InterfaceError,
    psycopg2.OperationalError,
    txpostgres.RollbackFailed,
    ConnectionClosed,
    CancelledError,
)
_FAILURES = (psycopg2.Error, txpostgres.RollbackFailed, reconnection.ConnectionDead, ConnectionClosed)


class ManagementFailed(Exception):
    """The database could not be asked, or refused. The text is one line without secrets.

    Attributes:
        sqlstate: the server's reason; None when it gave none, as when there is no connection.
    """

    def __init__(self, reason: str, sqlstate: str | None = None) -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate


def _failed(error: BaseException | None) -> ManagementFailed:
    if isinstance(error, reconnection.ConnectionDead):
        return ManagementFailed("there is no connection to the database")
    if isinstance(error, txpostgres.RollbackFailed):
        error = error.originalFailure.value
    return ManagementFailed(one_line(error), getattr(error, "pgcode", None))


def _told_apart(result: Any) -> Any:
    """The answer, unless the server ended the statement (statement_timeout, pg_cancel_backend): txpostgres has the same
    exception for that as for a caller who went away."""
    if isinstance(result, Failure) and result.check(CancelledError):
        return Failure(ManagementFailed("the database cancelled the statement", QUERY_CANCELED))
    return result


def _give_up(answer: Deferred[Any], timeout: float) -> None:
    if not answer.called:
        answer.errback(ManagementFailed(f"the database did not answer within {timeout:g} seconds"))


class _Detector(reconnection.DeadConnectionDetector):  # type: ignore[misc]
    """Connects again, the way of its Management."""

    def __init__(self, management: Management) -> None:
        super().__init__(self._is_death, reactor=management.reactor)
        self._management = management
        self.attempts: Deferred[None] | None = None

    def _is_death(self, failure: Failure) -> bool:
        return not self._management.stopped and failure.check(*_DEATHS) is not None

    def startReconnecting(self, failure: Failure) -> None:
        """See DeadConnectionDetector; its own cannot be stopped."""
        self._management.lost(_failed(failure.value))
        call = retrying.RetryingCall(self.reconnect)
        call.reactor = self.reactor
        self.attempts = call.start(_pauses())
        self.attempts.addCallback(lambda _: self.connectionRecovered())
        self.attempts.addErrback(lambda ended: ended.trap(CancelledError))

    def reconnect(self) -> Deferred[None]:
        """See DeadConnectionDetector."""
        return Deferred.fromCoroutine(self._management.connect())


def _pauses() -> Iterator[float]:
    """Seconds before each attempt. Short, because one connection of each node costs little, and random, because all
    nodes lose theirs at once."""
    pauses: Iterator[float] = retrying.simpleBackoffIterator(initialDelay=0.1, maxDelay=1.0, maxRetries=0, now=False)
    return pauses


class _Connection(txpostgres.Connection):  # type: ignore[misc]
    """A connection whose end is for its detector, not for the log."""

    def doRead(self) -> None:
        """See IReadDescriptor."""
        try:
            super().doRead()
        except psycopg2.Error:
            self.detector.checkForDeadConnection(Failure())


class _AtOnce:
    """Stands where txpostgres has a Cooperator, which would tell of a NOTIFY some turns of the reactor later."""

    def cooperate(self, work: Iterator[object]) -> None:
        """Do it."""
        for _ in work:
            pass


@define(eq=False)
class Management:
    """The connection.

    Attributes:
        reactor: of the server.
        dsn: where the database is.
        reconnections: how often it was made again.
    """

    log: ClassVar[Logger] = Logger()

    reactor: Any
    dsn: Dsn
    stopped: bool = field(default=True, init=False)
    reconnections: int = field(default=0, init=False)
    _connection: Any = field(default=None, init=False)
    _detector: _Detector = field(init=False)
    _channels: dict[str, Callable[[str], None]] = field(factory=dict, init=False)
    _recovered: list[Callable[[], None]] = field(factory=list, init=False)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect.

        Raises:
            ManagementFailed: no host took us; the text says why, of each.
        """
        self._detector = _Detector(self)
        self._detector.addRecoveryHandler(self._recover)
        self._connection = _Connection(self.reactor, _AtOnce(), self._detector)
        self._connection.addNotifyObserver(self._notified)
        try:
            await self.connect()
        except BaseException:
            self._connection = None
            raise
        self.stopped = False

    async def stop(self) -> None:
        """Close; safe to call twice."""
        if self.stopped:
            return
        self.stopped = True
        if self._detector.connectionIsDead and self._detector.attempts is not None:
            self._detector.attempts.cancel()
        self._close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return not self.stopped and not self._detector.connectionIsDead

    def on_recovery(self, recovered: Callable[[], None]) -> None:
        """Have a function called whenever the connection was made again."""
        self._recovered.append(recovered)

    # -- asking --------------------------------------------------------------------------------------------------------

    async def query(self, sql: str, *parameters: object, timeout: float = ANSWER_TIMEOUT) -> list[tuple[Any, ...]]:
        """The rows of one statement that returns rows, in a transaction of its own. Placeholders are `%s`.

        Raises:
            ManagementFailed: no answer within `timeout` seconds, or a bad one.
        """
        rows: list[tuple[Any, ...]] = await self._ask(timeout, "runQuery", sql, parameters or None)
        return rows

    async def execute(self, sql: str, *parameters: object, timeout: float = ANSWER_TIMEOUT) -> None:
        """Run one statement in a transaction of its own; see `query`."""
        await self._ask(timeout, "runOperation", sql, parameters or None)

    async def transaction(self, interaction: Callable[[Any], Awaitable[T]], timeout: float = ANSWER_TIMEOUT) -> T:
        """Run a coroutine function with a txpostgres Cursor, between BEGIN and COMMIT.

        Raises:
            ManagementFailed: as `query`; what the interaction raises itself undoes the transaction and is passed on.
        """

        async def run(cursor: Any) -> T:
            return await interaction(cursor)

        outcome: T = await self._ask(timeout, "runInteraction", lambda cursor: Deferred.fromCoroutine(run(cursor)))
        return outcome

    async def listen(self, channel: str, notified: Callable[[str], None]) -> None:
        """Have a function called with the payload of each NOTIFY on a channel, from now on and after reconnections.

        Raises:
            ManagementFailed: the database does not know LISTEN, or cannot be asked.
        """
        await self.execute(f'LISTEN "{channel}"')
        self._channels[channel] = notified

    async def _ask(self, timeout: float, method: str, *arguments: Any) -> Any:
        if self._connection is None or self.stopped:
            raise ManagementFailed("there is no connection to the database")
        return await self._within(timeout, getattr(self._connection, method)(*arguments))

    async def _within(self, timeout: float, asked: Deferred[Any]) -> Any:
        """What txpostgres answers. Its own Deferred is never cancelled; the connection is closed instead."""
        answer: Deferred[Any] = Deferred()
        asked.addBoth(lambda result: None if answer.called else answer.callback(_told_apart(result)))
        alarm = self.reactor.callLater(timeout, _give_up, answer, timeout)
        try:
            return await answer
        except _FAILURES as error:
            raise _failed(error) from None
        except (CancelledError, ManagementFailed):
            self._close()
            raise
        finally:
            if alarm.active():
                alarm.cancel()

    # -- for the detector ----------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to the first host that takes us.

        Raises:
            ManagementFailed: none did.
        """
        self._close()
        reasons = []
        for attempt in self.dsn.attempts():
            timeout = float(attempt.get("connect_timeout") or CONNECT_TIMEOUT)
            try:
                for one in await addressed(self.reactor, attempt, timeout):
                    try:
                        await self._within(timeout, self._connection.connect(conninfo(one)))
                        return
                    except ManagementFailed as failed:
                        self._close()  # libpq may keep the socket of an attempt that failed
                        reasons.append(str(failed))
            except OperationalError as unknown:
                reasons.append(str(unknown))
        raise ManagementFailed("; ".join(reasons))

    def lost(self, reason: ManagementFailed) -> None:
        """The connection ended."""
        self.log.warn("The connection to the database was lost: {reason}", reason=str(reason))

    async def _recover(self) -> None:
        self.reconnections += 1
        self.log.info("There is a connection to the database again.")
        try:
            for channel in self._channels:
                await self.execute(f'LISTEN "{channel}"')
        except ManagementFailed:
            return  # it was lost again, and will be made again
        for recovered in self._recovered:
            recovered()

    def _notified(self, notice: Any) -> None:
        notified = self._channels.get(notice.channel)
        if notified is not None:
            notified(notice.payload)

    def _close(self) -> None:
        if self._connection is not None and self._connection.pollable() is not None:
            self._connection.close()
