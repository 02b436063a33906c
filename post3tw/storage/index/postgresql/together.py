"""The same statement of several members of a group, as one statement with a row for each.

Theory of operation. Members of a group do alike: 16 PUTs look for 16 keys, then insert 16 bodies, 16 versions and 16
entries of the listing. To begin, run and end a statement costs PostgreSQL more than a row does, and us as well. So
`INSERT INTO t (a, b) VALUES (?, ?)` becomes `INSERT INTO t (a, b) SELECT m.p1, m.p2 FROM unnest($1::BYTEA[],
$2::BIGINT[]) AS m (p1, p2)`, one statement for any number of rows. A question becomes a LATERAL one, and each of its
rows ends with the number of the member that it is for.

Only what is certain to mean the same is written so: plain INSERTs, and statements about one key of one bucket. Keys are
locked, so two members never name the same row, and in which order members come makes no difference. The statements of
one member keep their order (`group`), and are never joined with each other.

The types of the arrays are those that the server says the parameters have, when it prepares the statement for the first
time. Until then statements go one by one, and always where we do not know a type.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from post3tw.storage.index.postgresql.pipeline import Answer, Part
from post3tw.storage.index.postgresql.statements import BINARY, TEXT, Request, Statement, statement_as

_INSERT = re.compile(r"(INSERT INTO [^()]*\([^()]*\)) VALUES \(([mp\d., ]*)\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"(UPDATE \w+ SET [^()]*) (WHERE [^()]*)")
_DELETE = re.compile(r"(DELETE FROM \w+) (WHERE [^()]*)")
_PARAMETER = re.compile(r"\$(\d+)")

_NAMES = {17: "BYTEA", 20: "BIGINT", 23: "INTEGER", 25: "TEXT"}
"""Types by their numbers (pg_type.oid), which are the same everywhere."""

_AS_BYTES = frozenset({17, 25})
_HEADS = {one: b"\0\0\0\1\0\0\0\1" + one.to_bytes(4, "big") + b"%b\0\0\0\1" for one in _AS_BYTES}
"""One dimension, NULLs among the elements, their type, how many, the number of the first."""
_NULL = b"\xff\xff\xff\xff"


@frozen(eq=False)
class Form:
    """How a statement is written for several members.

    Attributes:
        statement: the one for all of them; its parameters are arrays.
        types: numbers of the types of their elements.
        formats: of the arrays.
    """

    statement: Statement
    types: tuple[int, ...]
    formats: tuple[int, ...]


def form_of(statement: Statement) -> Form | None:
    """How to write a statement for several members; None when it cannot be, or its types are not known yet."""
    if not statement.joins or statement.types is None:
        return None
    if statement not in _forms:
        _forms[statement] = _form(statement, statement.types)
    return _forms[statement]


_forms: dict[Statement, Form | None] = {}


def _form(statement: Statement, types: tuple[int, ...]) -> Form | None:
    if not types or any(one not in _NAMES for one in types):
        return None
    columns = ", ".join(f"p{number}" for number in range(1, len(types) + 1))
    arrays = ", ".join(f"${number}::{_NAMES[one]}[]" for number, one in enumerate(types, 1))
    body = _PARAMETER.sub(r"m.p\1", statement.text.decode())
    sql = (_asking if statement.reads else _writing)(body, f"unnest({arrays})", columns)
    formats = tuple(BINARY if one in _AS_BYTES else TEXT for one in types)
    return None if sql is None else Form(statement_as(sql), types, formats)


def _asking(body: str, members: str, columns: str) -> str:
    return f"SELECT q.*, m.n FROM {members} WITH ORDINALITY AS m ({columns}, n) CROSS JOIN LATERAL ({body}) AS q"


def _writing(body: str, members: str, columns: str) -> str | None:
    source = f"{members} AS m ({columns})"
    if insert := _INSERT.fullmatch(body):
        return f"{insert[1]} SELECT {insert[2]} FROM {source} {insert[3]}"
    if update := _UPDATE.fullmatch(body):
        return f"{update[1]} FROM {source} {update[2]}"
    if delete := _DELETE.fullmatch(body):
        return f"{delete[1]} USING {source} {delete[2]}"
    return None


def joined(form: Form, requests: Sequence[Request]) -> Request:
    """One request for several of the same statement."""
    columns = zip(*[request.values for request in requests], strict=True)
    arrays = [_array(one, column) for one, column in zip(form.types, columns, strict=True)]
    return Request(form.statement, tuple(arrays), form.formats)


def _array(element: int, values: tuple[bytes | None, ...]) -> bytes:
    """An array as the protocol has it: digits as text, bytes and text with their lengths (array_recv)."""
    first, size = values[0], len(values)
    same = values.count(first) == size  # most columns have one value for all: a tenth of the work
    if element not in _AS_BYTES:
        digits = [b"NULL" if value is None else value for value in (values[:1] if same else values)]
        return b"{%b}" % b",".join(digits * size if same else digits)
    head = _HEADS[element] % size.to_bytes(4, "big")
    if same:
        return head + (_NULL if first is None else len(first).to_bytes(4, "big") + first) * size
    parts = [head]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts.append(len(value).to_bytes(4, "big"))
            parts.append(value)
    return b"".join(parts)


def parts(answer: Answer, count: int) -> list[Part]:
    """The answers to a question that was asked for so many members, in their order."""
    result = answer.result
    rows: list[int | None] = [None] * count
    last = result.nfields - 1
    for row in range(result.ntuples - 1, -1, -1):  # backwards: where there are several, the first is the answer
        rows[int.from_bytes(result.get_value(row, last), "big") - 1] = row
    return [Part(result, answer.rows_of, row) for row in rows]
