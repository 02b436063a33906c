"""The schema in PostgreSQL: making it, and bringing an older one up to date, whoever else tries at the same moment.

Theory of operation. The scripts `schema/postgres_NNNN.sql` are the steps, as those of SQLite. All that are missing run
in one transaction, with the note of the new version, so a database has a whole schema or none.

Nodes that start together all find the schema missing. The transaction begins with an advisory lock, so that they come
one after the other, and the later find the work done. The lock is a courtesy: databases that share PostgreSQL's
protocol may have none, or one that does nothing. What decides is that two nodes cannot make the same table, nor note
the same version, so the second one's transaction fails, whole, and it looks again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.task import deferLater
from twisted.logger import Logger

from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.postgresql.failures import READ_ONLY
from post3tw.storage.postgresql.management import Management, ManagementFailed

_SCRIPT = re.compile(r"postgres_(\d{4})\.sql")

_LOCK = 0x706F737433
"""The number of the advisory lock: "post3"."""

_TIMEOUT = 600.0
"""Seconds for a migration, and for waiting until another node has made one."""

_ATTEMPTS = 10
_PAUSE = 0.2

_OTHER_NODE = frozenset({"23505", "40001", "40P01", "42P06", "42P07", "42710", "55P03", "XX000"})
"""What the database may say when another node made the same thing at the same moment: unique violation, serialization
failure, deadlock, duplicate schema, table or object, lock not available, "tuple concurrently updated"."""

_TABLES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = current_schema() AND table_name IN ('store', 'buckets', 'versions', 'blobs')"
)


def schema_scripts() -> dict[int, str]:
    """The scripts that come with this release, by the version that each leads to."""
    found = {}
    for entry in files("post3tw.storage.index").joinpath("schema").iterdir():
        name = _SCRIPT.fullmatch(entry.name)
        if name is not None:
            found[int(name[1])] = entry.read_text(encoding="utf-8")
    return found


@define(eq=False)
class Migration:
    """Brings a database to the newest schema.

    Attributes:
        management: connected.
        reactor: for pauses.
        store_id: the identity of the store, if it is made just now: 32 hex digits.
        scripts: as `schema_scripts` gives them.
    """

    log: ClassVar[Logger] = Logger()

    management: Management
    reactor: Any
    store_id: str
    scripts: Mapping[int, str] = field(factory=schema_scripts)

    async def run(self) -> None:
        """Do what is missing.

        Raises:
            StoreRefused: a newer release wrote the schema, it is not one of ours, or the database does not suit.
            ManagementFailed: the database could not be asked, or refused a statement.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self.management.transaction(self._migrate, timeout=_TIMEOUT)
                return
            except ManagementFailed as failed:
                if failed.sqlstate not in _OTHER_NODE or attempt == _ATTEMPTS:
                    raise
            await deferLater(self.reactor, _PAUSE)

    async def _migrate(self, cursor: Any) -> None:
        await cursor.execute("SET LOCAL statement_timeout = 0")  # the role may have one for everyday statements
        await self._check_database(cursor)
        await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version, newest = await self._version(cursor), max(self.scripts)
        if version > newest:
            raise StoreRefused(
                f"the database has schema {version}, written by a newer release; this one knows schemas up to {newest}"
            )
        if version == newest:
            return
        for number in sorted(self.scripts):
            if number > version:
                await cursor.execute(self.scripts[number])
        await cursor.execute("DELETE FROM store WHERE name = 'schema_version'")
        await cursor.execute("INSERT INTO store (name, value) VALUES ('schema_version', %s)", (str(newest),))
        if version == 0:
            await cursor.execute("INSERT INTO store (name, value) VALUES ('store_id', %s)", (self.store_id,))
        self.log.info("The database has schema {version} now.", version=newest)

    async def _check_database(self, cursor: Any) -> None:
        encoding = await _value(cursor, "SHOW server_encoding")
        if encoding.upper().replace("-", "") != "UTF8":
            raise StoreRefused(f"the database has the encoding {encoding}; make one with ENCODING 'UTF8'")
        if await _value(cursor, "SHOW transaction_read_only") == "on":
            raise ManagementFailed(
                "the database takes no writes; if it is a standby, name all hosts in the DSN, with"
                " target_session_attrs=read-write",
                READ_ONLY,
            )

    async def _version(self, cursor: Any) -> int:
        """The version of the schema; 0 when there is none."""
        await cursor.execute(_TABLES)
        tables = {name for (name,) in cursor.fetchall()}
        if not tables:
            return 0
        row = None
        if {"store", "versions"} <= tables:
            await cursor.execute("SELECT value FROM store WHERE name = 'schema_version' FOR UPDATE")
            row = cursor.fetchone()
        if row is None or not row[0].isdecimal():
            raise StoreRefused(
                f"the database has a table {sorted(tables)[0]}, but no index of post3tw: give it a database of its own"
            )
        return int(row[0])


async def _value(cursor: Any, sql: str) -> str:
    await cursor.execute(sql)
    return str(cursor.fetchone()[0])
