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
    results = yield from generators.execute(pgconn)
    # A server that ends the connection may say why, and libpq then that it is gone: two results for one statement.
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return results[0]
