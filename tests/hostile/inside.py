"""What a server holds, seen from beside it: in its data directory, or in its database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg
from attrs import frozen

from post3tw.testing.server import RunningServer

_TABLES = {
    "buckets": "SELECT count(*) FROM buckets",
    "versions": "SELECT count(*) FROM versions",
    "current": "SELECT count(*) FROM current",
    "bodies": "SELECT count(*) FROM bodies",
    "uploads": "SELECT count(*) FROM uploads",
    "parts": "SELECT count(*) FROM parts",
    "blobs": "SELECT count(*) FROM blobs WHERE lease_until IS NULL",
    "references": "SELECT count(*) FROM blob_references",
}


@frozen
class Holdings:
    """What a store holds, as far as a refused request must not change it.

    Attributes:
        rows: of each table that says that something exists. Blobs that are only leased are not counted.
        blobs: names of finished blobs.
    """

    rows: dict[str, int]
    blobs: frozenset[str]


class Inside(Protocol):
    """A look into a store, while a server works on it."""

    def holdings(self) -> Holdings:
        """What it holds now."""

    def unfinished(self) -> list[str]:
        """Names of blobs in the making."""


@frozen
class InsideDirectory:
    """The data directory of the backend `fs`."""

    path: Path

    def holdings(self) -> Holdings:
        """See Inside."""
        with closing(sqlite3.connect(f"file:{self.path}/index.sqlite3?mode=ro", uri=True)) as index:
            rows = {name: int(index.execute(query).fetchone()[0]) for name, query in _TABLES.items()}
        return Holdings(rows, frozenset(path.name for path in (self.path / "blobs").rglob("*") if path.is_file()))

    def unfinished(self) -> list[str]:
        """See Inside."""
        return [path.name for path in (self.path / "tmp").iterdir()]


@frozen
class InsideDatabase:
    """The database of the backend `postgres`."""

    dsn: str

    def holdings(self) -> Holdings:
        """See Inside."""
        with psycopg.connect(self.dsn) as connection:
            rows = {name: int((connection.execute(query).fetchone() or [0])[0]) for name, query in _TABLES.items()}
            return Holdings(
                rows,
                frozenset(self._names(connection, "SELECT id FROM stored_blobs WHERE size IS NOT NULL AND NOT doomed")),
            )

    def unfinished(self) -> list[str]:
        """See Inside."""
        with psycopg.connect(self.dsn) as connection:
            return self._names(connection, "SELECT id FROM stored_blobs WHERE size IS NULL OR doomed")

    def _names(self, connection: psycopg.Connection, query: str) -> list[str]:
        return [bytes(row[0]).hex() for row in connection.execute(query)]


def inside(server: RunningServer) -> Inside:
    """What a server holds."""
    if dsn := server.environment.get("DATABASE_URL"):
        return InsideDatabase(dsn)
    assert server.data_dir is not None
    return InsideDirectory(server.data_dir)
