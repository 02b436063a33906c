"""Many statements of one connection in one exchange.

Theory of operation. What a statement costs is mostly the way to the server and back, and waking up on both sides. In
pipeline mode (PostgreSQL documentation, 34.5) any number of statements are sent at once, and their answers read as
they come. Behind the last stands a Sync: after an error the server ignores everything up to there, so an exchange has
at most one error, and what stands behind it was not done. Outside of a transaction the statements of an exchange are
one.

We drive libpq's calls ourselves, through the generators that `Connection.wait` takes: psycopg's own pipelines make a
cursor for each statement, which costs several times what is left here. Each statement is prepared when a connection
first meets it. Answers come in binary; psycopg's loaders make rows of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import monotonic
from typing import Any, ClassVar, cast
from weakref import WeakKeyDictionary

from attrs import define, field, frozen
from psycopg import Error, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.waiting import Ready, Wait

from post3tw.storage.index.postgresql.statements import BINARY, Request, Statement, request
from post3tw.storage.postgresql.connection import Connection

_PREPARED_LIMIT = 400
"""Statements that a connection prepares. More distinct ones than that are no hot path, and each takes memory there."""

PLANS_KEPT = 5.0
"""Seconds for which a connection keeps its plans. One that was made while a table was known to be empty reads it
whole, and is kept until the next ANALYZE: with autovacuum's one minute, that is minutes of ever slower writes to a
new store. Making all of them anew costs about 5 ms."""

_FORGET_PLANS = request("DISCARD PLANS")

_ANSWERED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})


@frozen(eq=False)
class Answer:
    """The result of a statement.

    Attributes:
        result: psycopg's.
        rows_of: makes its rows.
    """

    result: Any
    rows_of: Any

    def rows(self) -> list[tuple[Any, ...]]:
        """All rows."""
        self.rows_of.set_pgresult(self.result)
        return cast("list[tuple[Any, ...]]", self.rows_of.load_rows(0, self.result.ntuples, tuple))

    def first(self) -> tuple[Any, ...] | None:
        """The first row."""
        if not self.result.ntuples:
            return None
        self.rows_of.set_pgresult(self.result)
        return cast("tuple[Any, ...]", self.rows_of.load_row(0, tuple))

    @property
    def changed(self) -> int:
        """How many rows the statement changed."""
        return self.result.command_tuples or 0


@frozen(eq=False)
class Part(Answer):
    """One member's share of an answer to several.

    Attributes:
        row: which row is the member's; None when none is. The last column says so, and is not the member's.
    """

    row: int | None

    def first(self) -> tuple[Any, ...] | None:
        """The member's row."""
        if self.row is None:
            return None
        self.rows_of.set_pgresult(self.result)
        return cast("tuple[Any, ...]", self.rows_of.load_row(self.row, tuple)[:-1])


_FAREWELL = b"?"
"""Stands for what the server says behind the last answer: that it ends the connection."""


class StatementFailed(Exception):
    """A statement of an exchange failed, and none behind it was done.

    Attributes:
        position: which one.
        error: what the server says.
        answers: those of the statements before it.
    """

    def __init__(self, position: int, error: Error, answers: Sequence[Answer]) -> None:
        super().__init__(position)
        self.position = position
        self.error = error
        self.answers = answers


@define(eq=False)
class Pipeline:
    """A connection in pipeline mode. Nothing else may use it any more.

    Attributes:
        connection: in autocommit.
        all_exchanges: how many there were in this process, on all connections.
        seconds: a clock that only goes forward.
    """

    all_exchanges: ClassVar[int] = 0

    connection: Connection
    seconds: Callable[[], float] = monotonic
    _prepared: set[bytes] = field(factory=set, init=False, repr=False)
    _rows_of: Any = field(init=False, repr=False)
    _plan_until: float = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._plan_until = self.seconds() + PLANS_KEPT
        self._rows_of = Transformer(self.connection)
        self.connection.pgconn.enter_pipeline_mode()

    async def exchange(self, batch: Sequence[Request]) -> list[Answer]:
        """Send statements and return their answers.

        Raises:
            StatementFailed: one of them failed.
            psycopg.Error: the connection did, and nobody knows what was done.
        """
        Pipeline.all_exchanges += 1
        try:
            in_transaction = self.connection.pgconn.transaction_status != TransactionStatus.IDLE
            if not in_transaction and self.seconds() >= self._plan_until:
                self._plan_until = self.seconds() + PLANS_KEPT
                await self.connection.wait(self._exchange([_FORGET_PLANS]))
            return await self.connection.wait(self._exchange(batch))
        except Error:
            self.connection.drop()
            raise

    def _exchange(self, batch: Sequence[Request]) -> Generator[Wait, Ready | int, list[Answer]]:
        pgconn = self.connection.pgconn
        kinds = self._send(pgconn, batch)
        yield from _flush(pgconn)
        answers: list[Answer] = []
        failure: StatementFailed | None = None
        results = iter(kinds)
        while True:
            while pgconn.is_busy():
                yield Wait.R
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # the end of one statement's results, or of everything
                if pgconn.status == ConnStatus.BAD:
                    raise OperationalError("the connection ended") if failure is None else failure.error
                continue
            status = result.status
            if status == ExecStatus.PIPELINE_SYNC:
                break
            if failure is not None:
                continue
            prepared = next(results, _FAREWELL)
            if prepared is _FAREWELL:
                raise _error(result)
            if status not in _ANSWERED:
                failure = StatementFailed(len(answers), _error(result), answers)
            elif isinstance(prepared, bytes):
                self._prepared.add(prepared)
            elif prepared is not None:
                prepared.types = tuple(result.param_type(number) for number in range(result.nparams))
            else:
                answers.append(Answer(result, self._rows_of))
        if failure is not None:
            raise failure
        return answers

    def _send(self, pgconn: Any, batch: Sequence[Request]) -> list[bytes | Statement | None]:
        """Hand everything to libpq. Returns what each result will be of: the name of a statement that is prepared, the
        statement that is described, or None for a statement that is run."""
        kinds: list[bytes | Statement | None] = []
        known, fresh = self._prepared, set[bytes]()
        for one in batch:
            statement = one.statement
            name = statement.name
            if name not in known and name not in fresh:
                if len(known) + len(fresh) >= _PREPARED_LIMIT:
                    name = b""
                else:
                    fresh.add(name)
                pgconn.send_prepare(name, statement.text)
                kinds.append(name)
                if statement.joins and statement.types is None:
                    pgconn.send_describe_prepared(name)
                    kinds.append(statement)
            pgconn.send_query_prepared(name, one.values, one.formats, BINARY)
            kinds.append(None)
        pgconn.pipeline_sync()
        return kinds


def _flush(pgconn: Any) -> Generator[Wait, Ready | int, None]:
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:  # the server may wait for us to read before it reads on
            pgconn.consume_input()


def _error(result: Any) -> Error:
    if result.status == ExecStatus.FATAL_ERROR:
        return error_from_result(result)
    return OperationalError(f"the database answered {ExecStatus(result.status).name}")


_pipelines: WeakKeyDictionary[Connection, Pipeline] = WeakKeyDictionary()


def pipeline_on(connection: Connection) -> Pipeline:
    """The pipeline of a connection, the same one every time."""
    pipeline = _pipelines.get(connection)
    if pipeline is None:
        pipeline = _pipelines[connection] = Pipeline(connection)
    return pipeline
