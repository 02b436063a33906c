"""A connection of psycopg 3 that waits on Twisted's reactor.

Theory of operation. All of psycopg's input and output is generators that yield when libpq would block, saying which
readiness they need; `AsyncConnection.wait` is the one place that drives them. Ours gives it to the reactor: no asyncio,
no threads. Everything above it (execute, COPY, pipelines, or generators over `connection.pgconn` of one's own) works
as psycopg documents it. In autocommit: whoever wants a transaction says BEGIN.

The reactor watches the socket while nothing is asked too (`line.py`), so the end of an idle connection is noticed when
it happens (`lost`, `on_lost`) and not by the next who uses it.

One user at a time: a second one while the first waits is an error and not a queue; that is what a pool is for. When a
waiting call is cancelled, or the answer does not come within `answer_timeout`, nobody knows what the server will
still say or do, so the connection is closed: transactions in progress are undone by the server. Shield what should be
kept (see `pool.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from psycopg import AsyncConnection, InterfaceError, pq, sql
from psycopg.abc import PQGen

from post3tw.storage.postgresql.connecting import connected
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.line import Line

T = TypeVar("T")

ANSWER_TIMEOUT = 45.0
"""Seconds the database may take for one answer. Longer than its own statement_timeout: this is for a network that
swallows packets."""


class Connection(AsyncConnection[tuple[Any, ...]]):
    """A connection to PostgreSQL. Make one with `connect`.

    Attributes:
        answer_timeout: seconds for one wait; None for as long as it takes.
        on_lost: called once, without arguments, when the connection ends before `close`.
    """

    def __init__(self, pgconn: Any, reactor: Any) -> None:
        super().__init__(pgconn)
        self.lock = _OneUser()  # type: ignore[assignment]
        self.answer_timeout: float | None = ANSWER_TIMEOUT
        self.on_lost: Callable[[], None] | None = None
        self._autocommit = True
        self._line = Line(reactor, pgconn, self._has_lost)

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked of it any more."""
        return self._line.ended

    async def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:
        """Drive a generator of psycopg to its end and return what it returns.

        Raises:
            ConnectionLost: cancelled, or not answered within `timeout` (default: `answer_timeout`); it is closed now.
            psycopg.Error: what the generator raises.
        """
        try:
            wanted = next(gen)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            # An error that ended the connection is seen by libpq, which does not tell.
            if self.pgconn.status == pq.ConnStatus.BAD:
                self._line.end()
        return await self._line.drive(gen, wanted, timeout if timeout is not None else self.answer_timeout)

    async def close(self) -> None:
        """Take leave of the server; safe to call twice. A transaction in progress is undone."""
        self.drop()

    def drop(self) -> None:
        """`close`, for those who cannot await."""
        self.on_lost = None
        self._line.end()
        self._closed = True

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Give up what is being asked, and the connection with it."""
        self.drop()

    def _has_lost(self) -> None:
        self._closed = True
        tell, self.on_lost = self.on_lost, None
        if tell is not None:
            tell()


async def connect(
    reactor: Any, dsn: Dsn, timeout: float = 10.0, settings: Mapping[str, str | int] | None = None
) -> Connection:
    """Connect to the first host that takes us.

    Args:
        reactor: IReactorFDSet, IReactorTime and IReactorPluggableNameResolver.
        dsn: where.
        timeout: seconds for each host; `connect_timeout` of the DSN goes before it.
        settings: session settings, such as statement_timeout in milliseconds. They are given by SET, because poolers
            refuse unknown settings in the packet that starts a connection.

    Raises:
        psycopg.OperationalError: no host took us; the text says why, of each.
    """
    connection = Connection(await connected(reactor, dsn, timeout), reactor)
    if settings:
        set_all = sql.SQL("; ").join(
            sql.SQL("SET {} = {}").format(sql.SQL(name), sql.Literal(str(value))) for name, value in settings.items()
        )
        try:
            await connection.execute(set_all.as_string(connection).encode())
        except BaseException:
            connection.drop()
            raise
    return connection


class _OneUser:
    """Stands where psycopg has an asyncio lock."""

    def __init__(self) -> None:
        self._taken = False

    async def __aenter__(self) -> None:
        if self._taken:
            raise InterfaceError("the connection is in use")
        self._taken = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken = False
