"""A statement with binary parameters and a binary answer, without what psycopg does for convenience on the way.

With 1 MiB a parameter, adapting and copying cost as much as sending. Not prepared, so that it passes through any
pooler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result

from post3tw.storage.postgresql.connection import Connection


async def ask(connection: Connection, sql: bytes, parameters: Sequence[bytes | None]) -> Any:
    """Run one statement; its result (psycopg.pq.abc.PGresult).

    Args:
        connection: nobody else uses it meanwhile.
        sql: one statement with $1, $2 …, whose types it makes plain.
        parameters: in PostgreSQL's binary formats; see `int4` and `int8`.

    Raises:
        psycopg.Error: the statement failed, or the connection did.
    """
    return await connection.wait(_exchange(connection.pgconn, sql, parameters))


COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
"""Before and after the rows of a COPY in binary (PostgreSQL documentation, COPY, Binary Format). A row is the number of
its columns in two bytes, then the length of each, in four, and its bytes."""


async def ask_and_copy(connection: Connection, sql: bytes, data: bytes) -> Any:
    """Run statements, the last of which is a COPY FROM STDIN, in one transaction; the result of the COPY.

    Args:
        connection: nobody else uses it meanwhile.
        sql: the statements; there are no parameters.
        data: what is copied.

    Raises:
        psycopg.Error: a statement failed, and nothing was done; or the connection did.
    """
    return await connection.wait(_copying(connection.pgconn, sql, data))


def int4(number: int) -> bytes:
    """A parameter of type integer."""
    return number.to_bytes(4, "big", signed=True)


def int8(number: int) -> bytes:
    """A parameter of type bigint."""
    return number.to_bytes(8, "big", signed=True)


def number(value: bytes | None) -> int:
    """An integer or bigint of an answer, which is not NULL."""
    assert value is not None
    return int.from_bytes(value, "big", signed=True)


def _exchange(pgconn: Any, sql: bytes, parameters: Sequence[bytes | None]) -> PQGen[Any]:
    formats = [pq.Format.BINARY] * len(parameters)
    pgconn.send_query_params(sql, parameters, param_formats=formats, result_format=pq.Format.BINARY)
    return (yield from _results(pgconn))[0]


def _copying(pgconn: Any, sql: bytes, data: bytes) -> PQGen[Any]:
    pgconn.send_query(sql)
    yield from _results(pgconn)
    yield from generators.copy_to(pgconn, data)
    return (yield from generators.copy_end(pgconn, None))


def _results(pgconn: Any) -> PQGen[list[Any]]:
    results: list[Any] = yield from generators.execute(pgconn)
    # A server that ends the connection may say why, and libpq then that it is gone: two results for one statement.
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return results
