"""Statements as transactions write them, made ready for PostgreSQL.

`?` becomes `$1`, `$2` and so on, once for each text. A statement that changes buckets returns their names besides, so
that other nodes can be told (`post3tw.storage.postgresql.notices`). Parameters travel without types: PostgreSQL finds
those from the statement, as it does for every column. Integers go as digits, because the width of a binary one would
have to be known; text and bytes go as they are, with their length, so that nothing needs to be escaped and no NUL
ends them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import count

from attrs import define, field, frozen

from post3tw.storage.postgresql.notices import watched

TEXT, BINARY = 0, 1
"""Formats of the protocol (PostgreSQL documentation, 55.1.3)."""

_QUOTED_OR_PLACEHOLDER = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|\?")
_READS = re.compile(r"\s*(?:SELECT|WITH|VALUES)\b(?!.*\bFOR\s+(?:UPDATE|SHARE)\b)", re.IGNORECASE | re.DOTALL)

_JOINS = re.compile(
    r"INSERT INTO [^()]*\([^()]*\) VALUES \([?, ]*\)[^?]*"
    r"|(?:SELECT|UPDATE|DELETE)\b(?=.*\bbucket = \? AND (?:\w\.)?key = \?)(?!.*\b(?:LIMIT|OFFSET) \?).*",
    re.DOTALL,
)

_numbers = count(1)


@define(eq=False)
class Statement:
    """A statement that can be sent.

    Attributes:
        name: what it is called when it is prepared; no other statement of this process has it.
        text: of PostgreSQL.
        reads: it changes nothing and locks nothing, so two that are asked in the same moment have one answer.
        tells: it changes buckets, and its rows are (tenant, name) of each.
        joins: it may be one statement for several members of a group, see `together`.
        types: of its parameters, by their numbers in PostgreSQL, when `joins` and a server has told them.
    """

    name: bytes
    text: bytes
    reads: bool
    tells: bool
    joins: bool = False
    types: tuple[int, ...] | None = field(default=None, init=False)


@frozen(eq=False)
class Request:
    """A statement with its parameters."""

    statement: Statement
    values: tuple[bytes | None, ...]
    formats: tuple[int, ...]


@lru_cache(maxsize=1024)
def statement_of(sql: str) -> Statement:
    """The statement of a text with `?`. Texts are few: transactions put values into parameters."""
    announced = watched(sql)
    numbers = count(1)

    def numbered(match: re.Match[str]) -> str:
        return f"${next(numbers)}" if match[0] == "?" else match[0]

    text = _QUOTED_OR_PLACEHOLDER.sub(numbered, announced or sql)
    reads, tells = _READS.match(sql) is not None, announced is not None
    return Statement(_name(), text.encode(), reads, tells, not tells and _JOINS.fullmatch(sql) is not None)


def statement_as(text: str) -> Statement:
    """A statement in PostgreSQL's own words, with `$1` and so on."""
    return Statement(_name(), text.encode(), False, False)


def _name() -> bytes:
    return b"post3_%d" % next(_numbers)


def request(sql: str, parameters: Iterable[object] = ()) -> Request:
    """A statement with int, str, bytes or None for its placeholders.

    Raises:
        TypeError: a parameter is something else.
        UnicodeEncodeError: text that is not Unicode.
    """
    values: list[bytes | None] = []
    formats = []
    for parameter in parameters:
        kind = type(parameter)
        if kind is bytes:
            values.append(parameter)  # type: ignore[arg-type]
            formats.append(BINARY)
        elif kind is str:
            values.append(parameter.encode())  # type: ignore[attr-defined]
            formats.append(BINARY)
        elif isinstance(parameter, int):
            values.append(b"%d" % parameter)
            formats.append(TEXT)
        elif parameter is None:
            values.append(None)
            formats.append(TEXT)
        else:
            raise TypeError(f"a parameter of a statement cannot be {kind.__name__}")
    return Request(statement_of(sql), tuple(values), tuple(formats))


@lru_cache
def joining(sql: str) -> str:
    """The statement for `ITransaction.joined`."""
    return rf"SELECT string_agg(key, '\xff'), string_agg(entry, '|') FROM ({sql}) AS shown"


def integers(numbers: Iterable[int]) -> str:
    """An array of integers, to be cast: `CAST(CAST(? AS TEXT) AS BIGINT[])`."""
    return "{" + ",".join(map(str, numbers)) + "}"
