"""The schema: making it, finding out which one a file has, and bringing an older one up to date.

The files `schema/sqlite_NNNN.sql` are the steps, applied in the order of their numbers, each missing one in the same
single transaction that notes the new version. So a file either has no schema at all (a first start that did not get
far) or a whole one, whatever happens in between. A file that a newer release wrote is refused before anything can
change it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files
from urllib.parse import quote

from post3tw.storage.interfaces import StoreRefused

_SCRIPT = re.compile(r"sqlite_(\d{4})\.sql")


def schema_scripts() -> dict[int, str]:
    """The scripts that come with this release, by the version that each leads to."""
    found = {}
    for entry in files("post3tw.storage.index").joinpath("schema").iterdir():
        name = _SCRIPT.fullmatch(entry.name)
        if name is not None:
            found[int(name[1])] = entry.read_text(encoding="utf-8")
    return found


def refuse_foreign(path: str, newest: int) -> None:
    """Look at a file that may be an index without changing it.

    Raises:
        StoreRefused: it is no index of ours, or one that a newer release wrote.
    """
    if not os.path.exists(path) or not os.path.getsize(path) or _has_content(path + "-journal"):
        return  # nothing there yet, or a first start that was cut off
    # With a log the file must be opened as what it is, to see what is only there; without one, `immutable` keeps SQLite
    # from making even its own two files beside it.
    mode = "ro" if _has_content(path + "-wal") else "ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode={mode}", uri=True)
        try:
            _refuse_newer(schema_version(connection, path), newest, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreRefused(f"{path} cannot be read as an index: {error}") from error


def _has_content(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0


def schema_version(connection: sqlite3.Connection, path: str) -> int:
    """The version of the schema in an open database; 0 when it is empty.

    Raises:
        StoreRefused: it holds something else than an index.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    row = None
    if {"store", "versions"} <= tables:
        row = connection.execute("SELECT value FROM store WHERE name = 'schema_version'").fetchone()
    if row is None or not row[0].isdecimal():
        raise StoreRefused(f"{path} is a SQLite database, but not an index of post3tw")
    return int(row[0])


def _refuse_newer(version: int, newest: int, path: str) -> None:
    if version > newest:
        raise StoreRefused(
            f"{path} has schema {version}, written by a newer release; this one knows schemas up to {newest}"
        )


def migrate(connection: sqlite3.Connection, path: str, scripts: Mapping[int, str], store_id: str) -> None:
    """Bring an open database to the newest schema, all or nothing.

    Args:
        connection: in autocommit mode.
        path: its file, for messages.
        scripts: as `schema_scripts` gives them.
        store_id: the identity of the store, if it is made just now.

    Raises:
        StoreRefused: as `refuse_foreign`.
    """
    newest = max(scripts)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = schema_version(connection, path)
        _refuse_newer(version, newest, path)
        for number in sorted(scripts):
            if number > version:
                for statement in _statements(scripts[number]):
                    connection.execute(statement)
        if version < newest:
            connection.execute("INSERT OR REPLACE INTO store VALUES ('schema_version', ?)", (str(newest),))
        if version == 0:
            connection.execute("INSERT INTO store VALUES ('store_id', ?)", (store_id,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The single statements of a script. `executescript` would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
