"""What the index tells its callers when the database fails, and that it recovers by itself."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

import psycopg
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from post3tw.model.errors import InsufficientStorage, ServiceUnavailable, SlowDown
from post3tw.storage.index.postgresql import index as index_module
from post3tw.storage.index.postgresql.index import PostgresIndex
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.failures import DatabaseFailed
from post3tw.testing.index_fixture import bucket
from post3tw.testing.postgresql import Cluster, database_of, shared_cluster
from tests.storage.index.postgresql.case import OneNode, PostgresCase
from tests.storage.postgresql.databases import make_schema

INSERT = "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)"


async def insert(tx: ITransaction, name: bytes) -> None:
    """Write and wait for it."""
    await tx.run(INSERT, name, b"", b"")


class FailureTests(PostgresCase):
    """Failures of a real database."""

    def bodies(self) -> list[bytes]:
        """The ids of the bodies that are there."""
        return [body for (body,) in self.query("SELECT id FROM bodies ORDER BY id")]

    async def test_terminated_while_writing(self) -> None:
        """When the server ends the connection in the middle of a group, all of it is refused and undone, and the next
        group has a new connection."""
        index = await self.started()

        async def cut_off(tx: ITransaction) -> None:
            await insert(tx, b"lost")
            shared_cluster().terminate_backends(self.dsn)
            await insert(tx, b"more")

        outcomes = await self.together(index.run(cut_off), index.run(partial(insert, name=b"beside")))
        self.assertEqual([type(outcome) for outcome in outcomes], [ServiceUnavailable] * 2)
        await index.run(partial(insert, name=b"after"))
        self.assertEqual(self.bodies(), [b"after"])

    async def test_terminated_while_idle(self) -> None:
        """Connections that end while nobody uses them are replaced, unnoticed by callers."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        await index.read(lambda tx: tx.one("SELECT 1"))
        shared_cluster().terminate_backends(self.dsn)
        from twisted.internet import reactor

        while any(pool._idle for pool in index.pools):  # until the reactor has seen the ends
            await deferLater(reactor, 0)
        await index.run(partial(insert, name=b"after"))
        self.assertEqual(await index.read(partial(find_bucket, tenant="", name="bucket-1")), bucket())

    async def test_terminated_while_reading(self) -> None:
        """A read whose connection ends is refused, and the next one succeeds."""
        index = await self.started()

        async def cut_off(tx: ITransaction) -> None:
            await tx.one("SELECT 1")
            shared_cluster().terminate_backends(self.dsn)
            await tx.one("SELECT 2")

        [outcome] = await self.together(index.read(cut_off))
        self.assertIsInstance(outcome, ServiceUnavailable)
        self.assertEqual(await index.read(lambda tx: tx.one("SELECT 3")), (3,))

    async def test_lock_held_by_somebody_else(self) -> None:
        """A lock that is not to be had in time is a SlowDown, and is not tried again and again."""
        self.patch(index_module, "LOCK_TIMEOUT", 0.05)
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        with psycopg.connect(self.dsn) as blocker:
            blocker.execute("SELECT 1 FROM buckets WHERE id = 1 FOR UPDATE")
            blocked, beside = await self.together(
                index.run(partial(insert, name=b"blocked"), [Lock(1)]),
                index.run(partial(insert, name=b"beside"), [Lock(2)]),
            )
        self.assertEqual((type(blocked), beside), (SlowDown, None))
        await index.run(partial(insert, name=b"later"), [Lock(1)])
        self.assertEqual(self.bodies(), [b"beside", b"later"])

    async def test_slow_read(self) -> None:
        """A statement that takes too long is ended, and those beside it are answered."""
        self.patch(index_module, "STATEMENT_TIMEOUT", 0.1)
        index = await self.started()
        slow, quick = await self.together(
            index.read(lambda tx: tx.one("SELECT pg_sleep(10)")), index.read(lambda tx: tx.one("SELECT 1"))
        )
        self.assertIsInstance(slow, SlowDown)
        self.assertEqual(quick, (1,))

    async def test_standby(self) -> None:
        """Where nothing can be written, writers are refused, and the next makes a new connection: it may find the new
        primary."""
        [(name,)] = self.query("SELECT current_database()")
        self.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        index = await self.started(writers=1)
        [outcome] = await self.together(index.run(partial(insert, name=b"refused")))
        self.assertIsInstance(outcome, ServiceUnavailable)
        self.assertEqual(await index.read(lambda tx: tx.one("SELECT 1")), (1,))
        shared_cluster().query(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await index.run(partial(insert, name=b"after"))
        self.assertEqual(self.bodies(), [b"after"])

    async def test_no_database(self) -> None:
        """An index whose database is not there does not start, and shows no secrets."""
        from twisted.internet import reactor

        index = PostgresIndex(reactor, Dsn.parse("postgresql:///none?host=/nowhere&password=hush"), OneNode())
        [outcome] = await self.together(index.start())
        self.assertIsInstance(outcome, ServiceUnavailable)
        self.assertNotIn("hush", f"{outcome!r} {outcome.__cause__} {index!r}")

    async def test_full_disk(self) -> None:
        """Who looks after space is told, also when the member of a group met it."""
        index, told = await self.started(), []
        index.pools[0].on_full = lambda: told.append("full")
        self.query("CREATE FUNCTION fill() RETURNS INTEGER LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'")
        with self.assertRaises(InsufficientStorage):
            await index.run(lambda tx: tx.one("SELECT fill()"))
        self.assertEqual(told, ["full"])

    async def test_mistake_in_a_statement(self) -> None:
        """A wrong statement is an error of ours, not of the client's."""
        index = await self.started()
        outcomes = await self.together(
            index.run(lambda tx: tx.run("UPDATE nothing SET a = 1")), index.read(lambda tx: tx.one("SELECT nothing"))
        )
        self.assertEqual([type(outcome) for outcome in outcomes], [DatabaseFailed] * 2)


class DurabilityTests(PostgresCase):
    """What an acknowledgement means."""

    async def setting(self, **options: str) -> object:
        """What writers commit with."""
        index = await self.started(**options)
        row = await index.run(lambda tx: tx.one("SHOW synchronous_commit"))
        return None if row is None else row[0]

    async def test_durability(self) -> None:
        """Commits wait for what the database is configured to wait for, unless durability is relaxed."""
        [(name,)] = self.query("SELECT current_database()")
        self.query(f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply')
        self.assertEqual(await self.setting(), "remote_apply")
        self.assertEqual(await self.setting(durability="relaxed"), "off")

    async def test_unknown_outcome(self) -> None:
        """A COMMIT whose answer does not come is never believed, though it may have been done: not when the connection
        ends, and not when the time for it is over."""
        self.patch(index_module, "ANSWER_TIMEOUT", 1.0)
        # Commits wait for a standby that there is not.
        settings = {"synchronous_standby_names": "nobody", "synchronous_commit": "local"}
        with Cluster(settings=settings) as cluster:
            self.dsn = cluster.create_database()
            make_schema(self.dsn)
            self.dsn += "&options=" + quote("-c synchronous_commit=on")
            index = self.make_index()
            await index.start()
            waiting = Deferred.fromCoroutine(index.run(partial(insert, name=b"terminated")))
            while not cluster.terminate_backends(self.dsn, "COMMIT"):
                await deferLater(index.reactor, 0.01)
            await self.assertFailure(waiting, ServiceUnavailable)
            [late] = await self.together(index.run(partial(insert, name=b"late")))
            self.assertIsInstance(late, ServiceUnavailable)
            cluster.terminate_backends(self.dsn)
            found = cluster.query("SELECT id FROM bodies ORDER BY id", database=database_of(self.dsn))
            self.assertEqual(found, [(b"late",), (b"terminated",)])
            await index.stop()
