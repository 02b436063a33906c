"""Databases with the schema and nothing in it. They are emptied after a test and used again, because making one takes
ten times as long; whoever changes settings or tables needs one for itself."""

from __future__ import annotations

from functools import cache

import psycopg
from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.postgresql.migrations import schema_scripts
from post3tw.testing.postgresql import database_of, new_database, shared_cluster

_KEPT = {"store", "key_locks", "bucket_changes"}
"""Tables with rows that belong to the schema."""

_free: list[str] = []


def make_schema(dsn: str) -> None:
    """Make the schema in an empty database, without what makes it the store of a node."""
    with psycopg.connect(dsn) as connection:
        for _, script in sorted(schema_scripts().items()):
            connection.execute(script.encode())


@cache
def _template() -> str:
    """The name of a database that is copied."""
    dsn = shared_cluster().create_database()
    make_schema(dsn)
    with psycopg.connect(dsn) as connection:
        version = str(max(schema_scripts()))
        connection.execute("INSERT INTO store VALUES ('store_id', 'c0ffee'), ('schema_version', %s)", (version,))
    return database_of(dsn)


@cache
def _emptying() -> str:
    """What empties a database, as one statement, when nobody is connected to it any more."""
    tables = shared_cluster().query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=_template())
    deletes = "".join(f"DELETE FROM {name}; " for (name,) in sorted(tables) if name not in _KEPT)
    leave = (
        "PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid(); "
    )
    return f"DO $$BEGIN {leave}{deletes}END$$"


def own_database(test: SynchronousTestCase) -> str:
    """The DSN of a new database with the schema, dropped after the test."""
    return new_database(test, _template())


def empty_database(test: SynchronousTestCase) -> str:
    """The DSN of a database with the schema and no rows, for the length of the test."""
    dsn = _free.pop() if _free else shared_cluster().create_database(_template())
    test.addCleanup(_empty, dsn)
    return dsn


def _empty(dsn: str) -> None:
    shared_cluster().query(_emptying(), database=database_of(dsn))
    _free.append(dsn)
