"""The schema in PostgreSQL, at first starts and later ones."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from post3tw.storage.index.sqlite.migrations import schema_scripts as sqlite_scripts
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.postgresql.management import Management, ManagementFailed
from post3tw.storage.postgresql.migrations import Migration, schema_scripts
from post3tw.testing.postgresql import database_of, new_database, shared_cluster
from tests.storage.postgresql.nodes import connected

FIRST = {1: "CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL); CREATE TABLE versions (a INT);"}
SECOND = {**FIRST, 2: "ALTER TABLE versions ADD COLUMN b TEXT DEFAULT '50%';"}


class MigrationTests(TestCase):
    """Bringing a database to the newest schema."""

    timeout = 30

    def setUp(self) -> None:
        self.dsn = new_database(self)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What is in the database."""
        return shared_cluster().query(sql, database=database_of(self.dsn))

    async def migrate(self, scripts: dict[int, str], store_id: str = "aa") -> Management:
        """One node's start."""
        from twisted.internet import reactor

        management = await connected(self, self.dsn)
        await Migration(management, reactor, store_id, scripts).run()
        return management

    async def refusal(self, scripts: dict[int, str]) -> str:
        """Why a start is refused."""
        try:
            await self.migrate(scripts)
        except StoreRefused as refused:
            return str(refused)
        raise self.failureException("it was not refused")

    async def test_first_start(self) -> None:
        """An empty database gets the whole schema of this release, with its version and an identity."""
        scripts = schema_scripts()
        await self.migrate(scripts)
        found = dict(self.rows("SELECT name, value FROM store"))
        self.assertEqual(found, {"schema_version": str(max(scripts)), "store_id": "aa"})

    def test_same_versions(self) -> None:
        """Every step of the schema has a script for each of the two databases."""
        self.assertEqual(sorted(schema_scripts()), sorted(sqlite_scripts()))
        self.assertEqual(sorted(schema_scripts()), list(range(1, max(schema_scripts()) + 1)))

    async def test_older_schema(self) -> None:
        """Only what is missing is applied; the identity stays."""
        await self.migrate(FIRST)
        await self.migrate(SECOND, "bb")
        await self.migrate(SECOND, "cc")
        self.assertEqual(dict(self.rows("SELECT name, value FROM store")), {"schema_version": "2", "store_id": "aa"})
        self.assertEqual(self.rows("SELECT b FROM versions"), [])

    async def test_slow_step(self) -> None:
        """A step may take longer than the role's statement_timeout, which is for everyday statements."""
        self.rows(f'ALTER DATABASE "{database_of(self.dsn)}" SET statement_timeout = 300')
        await self.migrate({1: f"{FIRST[1]} SELECT pg_sleep(0.4);"})
        self.assertEqual(self.rows("SELECT value FROM store WHERE name = 'schema_version'"), [("1",)])

    async def test_three_nodes_at_once(self) -> None:
        """Three nodes that start together all find one schema, made once."""
        starts = [Deferred.fromCoroutine(self.migrate(schema_scripts(), store_id)) for store_id in ("a1", "a2", "a3")]
        await gatherResults(starts, consumeErrors=True)
        self.assertEqual(len(self.rows("SELECT value FROM store WHERE name = 'store_id'")), 1)

    async def test_three_nodes_without_an_advisory_lock(self) -> None:
        """The same on a database whose advisory locks do nothing."""
        self.rows("CREATE FUNCTION pg_advisory_xact_lock(BIGINT) RETURNS VOID LANGUAGE SQL AS 'SELECT NULL'")
        self.rows(f'ALTER DATABASE "{database_of(self.dsn)}" SET search_path = public, pg_catalog')
        await self.test_three_nodes_at_once()

    async def test_newer_schema(self) -> None:
        """A schema of a newer release is refused and not touched."""
        await self.migrate(SECOND)
        self.assertIn("schema 2, written by a newer release; this one knows schemas up to 1", await self.refusal(FIRST))
        self.assertEqual(self.rows("SELECT value FROM store WHERE name = 'schema_version'"), [("2",)])

    async def test_not_ours(self) -> None:
        """A database in which somebody else has a table of one of our names is refused and not touched."""
        self.rows("CREATE TABLE buckets (water INT)")
        self.assertIn("has a table buckets, but no index of post3tw", await self.refusal(FIRST))
        self.assertEqual(self.rows("SELECT 1 FROM pg_tables WHERE tablename = 'versions'"), [])

    async def test_all_or_nothing(self) -> None:
        """A script that fails leaves the schema as it was."""
        await self.migrate(FIRST)
        with self.assertRaises(ManagementFailed):
            await self.migrate({**FIRST, 2: "ALTER TABLE versions ADD COLUMN b INT; SELECT 1 / 0;"})
        self.assertEqual(self.rows("SELECT value FROM store WHERE name = 'schema_version'"), [("1",)])
        self.assertEqual(self.rows("SELECT column_name FROM information_schema.columns WHERE column_name = 'b'"), [])

    async def test_encoding(self) -> None:
        """A database that does not keep UTF-8 is refused."""
        shared_cluster().query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.addCleanup(shared_cluster().query, "DROP DATABASE latin WITH (FORCE)")
        self.dsn = shared_cluster().dsn("latin")
        self.assertIn("the encoding LATIN1; make one with ENCODING 'UTF8'", await self.refusal(FIRST))

    async def test_standby(self) -> None:
        """A database that takes no writes is named as such, with what to do."""
        self.rows(f'ALTER DATABASE "{database_of(self.dsn)}" SET default_transaction_read_only = on')
        with self.assertRaisesRegex(ManagementFailed, "takes no writes.*target_session_attrs=read-write"):
            await self.migrate(FIRST)
