"""The connection through txpostgres."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.management import Management, ManagementFailed
from post3tw.testing.postgresql import database_of, new_database, shared_cluster
from tests.storage.postgresql.nodes import connected
from tests.waiting import until


class AskingTests(TestCase):
    """Statements and transactions."""

    timeout = 20

    async def connected(self) -> Management:
        """A connection to an empty database."""
        self.dsn = new_database(self)
        return await connected(self, self.dsn)

    async def failure(self, asked: Awaitable[object]) -> ManagementFailed:
        """How a question ends that must fail."""
        try:
            await asked
        except ManagementFailed as failed:
            return failed
        raise self.failureException("it did not fail")

    async def test_query(self) -> None:
        """A statement's rows are returned, its parameters apart from it."""
        management = await self.connected()
        self.assertEqual(await management.query("SELECT %s::int + 1, %s", 1, "it's"), [(2, "it's")])
        self.assertEqual(await management.query("SELECT '100%%'", *[]), [("100%%",)])

    async def test_refused(self) -> None:
        """What the database refuses is one line, with its SQLSTATE, and the connection goes on."""
        management = await self.connected()
        error = await self.failure(management.query("SELECT nothing"))
        self.assertEqual(error.sqlstate, "42703")
        self.assertNotIn("\n", str(error))
        self.assertEqual(await management.query("SELECT 1"), [(1,)])

    async def test_cancelled_by_the_database(self) -> None:
        """A statement that the database ends, here for taking too long, is a failure like any other, and is not taken
        for a caller who went away."""
        management = await self.connected()
        await management.query("SELECT set_config('statement_timeout', '10', false)")
        error = await self.failure(management.query("SELECT pg_sleep(10)"))
        self.assertEqual((str(error), error.sqlstate), ("the database cancelled the statement", "57014"))

    async def test_encoding(self) -> None:
        """Texts are UTF-8, although the database gives its clients another encoding."""
        dsn = new_database(self)
        shared_cluster().query(f"ALTER DATABASE \"{database_of(dsn)}\" SET client_encoding = 'LATIN1'")
        management = await connected(self, dsn)
        self.assertEqual(await management.query("SELECT %s, octet_length(%s)", "\u20ac", "\u20ac"), [("\u20ac", 3)])

    async def test_transaction(self) -> None:
        """A transaction is committed at its end, and undone when it raises."""
        management = await self.connected()
        await management.execute("CREATE TABLE t (n INT)")

        async def insert(cursor: Any) -> int:
            await cursor.execute("INSERT INTO t VALUES (7)")
            return 3

        async def fail(cursor: Any) -> None:
            await insert(cursor)
            raise KeyError("no")

        self.assertEqual(await management.transaction(insert), 3)
        with self.assertRaises(KeyError):
            await management.transaction(fail)
        self.assertEqual(await management.query("SELECT n FROM t"), [(7,)])

    async def test_unknown_host(self) -> None:
        """Hosts are tried in their order; when none takes us, each says why."""
        from twisted.internet import reactor

        dsn = Dsn.parse("postgresql://nowhere.invalid:5432,127.0.0.1:1/name")
        text = str(await self.failure(Management(reactor, dsn).start()))
        self.assertIn("'nowhere.invalid' is not known; ", text)
        self.assertIn("Connection refused", text)

    async def test_slow(self) -> None:
        """A statement that takes too long fails; the connection is made again for the next."""
        management = await self.connected()
        recovered: Deferred[None] = Deferred()
        management.on_recovery(lambda: recovered.callback(None))
        error = await self.failure(management.query("SELECT pg_sleep(10)", timeout=0.05))
        self.assertIn("within 0.05 seconds", str(error))
        self.assertFalse(management.connected)
        await recovered
        self.assertEqual(await management.query("SELECT 1"), [(1,)])

    async def test_terminated(self) -> None:
        """A connection that the server ends is made again, and listens again."""
        management = await self.connected()
        heard: list[str] = []
        await management.listen("news", heard.append)
        recovered: Deferred[None] = Deferred()
        management.on_recovery(lambda: recovered.callback(None))
        shared_cluster().terminate_backends(self.dsn)
        await recovered
        await management.execute("NOTIFY news, 'again'")
        await until(lambda: bool(heard))
        self.assertEqual(heard, ["again"])
        self.assertEqual(management.reconnections, 1)
