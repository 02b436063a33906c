"""The pool of connections, to a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from post3tw.model.errors import InsufficientStorage, ServiceUnavailable, SlowDown
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.failures import DatabaseFailed
from post3tw.storage.postgresql.pool import Pool
from post3tw.testing.postgresql import Cluster, new_database, shared_cluster
from tests.storage.postgresql.test_connection import the_reactor, turn


async def pid(connection: Connection) -> int:
    """Work that says which connection does it."""
    await connection.execute("SELECT 1")
    return connection.info.backend_pid


def sql(text: str) -> Callable[[Connection], Awaitable[Any]]:
    """Work that is one statement; its first row."""

    async def work(connection: Connection) -> Any:
        cursor = await connection.execute(text.encode())
        return await cursor.fetchone() if cursor.description else None

    return work


class PoolCase(TestCase):
    """A database and pools of it."""

    def setUp(self) -> None:
        self.address = new_database(self)

    def make_pool(self, size: int = 2, **arguments: Any) -> Pool:
        """A pool, stopped with the test."""
        pool = Pool(the_reactor(), Dsn.parse(self.address), size, **arguments)
        self.addCleanup(lambda: Deferred.fromCoroutine(pool.stop()))
        return pool

    def begin(self, pool: Pool, work: Callable[[Connection], Awaitable[Any]]) -> Deferred[Any]:
        """Start work without waiting for it."""
        return Deferred.fromCoroutine(pool.run(work))

    def connections(self) -> int:
        """How many connections the server sees."""
        return len(shared_cluster().connections(self.address))


class SharingTests(PoolCase):
    """Who gets a connection, and when."""

    async def test_reused(self) -> None:
        """Work after work has the same connection."""
        pool = self.make_pool()
        self.assertEqual(len({await pool.run(pid) for _ in range(5)}), 1)
        self.assertEqual((pool.opened, pool.in_use), (1, 0))

    async def test_bounded(self) -> None:
        """There are never more connections than allowed, and all work is done."""
        pool = self.make_pool(size=3)
        pids = await gatherResults([self.begin(pool, pid) for _ in range(50)])
        self.assertEqual(len(set(pids)), 3)
        self.assertEqual(self.connections(), 3)

    async def test_in_order(self) -> None:
        """Who waits first is served first."""
        pool, order = self.make_pool(size=1), []

        async def one(n: int) -> None:
            await pool.run(pid)
            order.append(n)

        await gatherResults([Deferred.fromCoroutine(one(n)) for n in range(20)])
        self.assertEqual(order, list(range(20)))

    async def test_deep_queue(self) -> None:
        """Thousands may wait for work that ends at once."""
        pool = self.make_pool(size=1)

        async def nothing(connection: Connection) -> int:
            return 1

        self.assertEqual(sum(await gatherResults([self.begin(pool, nothing) for _ in range(5000)])), 5000)

    async def test_patience(self) -> None:
        """Who waits too long is told to slow down, and the work that has a connection goes on."""
        pool = self.make_pool(size=1, patience=0.05)
        busy = self.begin(pool, sql("SELECT 'done' FROM pg_sleep(0.3)"))
        with self.assertRaises(SlowDown):
            await pool.run(pid)
        self.assertEqual((pool.refused, pool.waiting), (1, 0))
        self.assertEqual(await busy, ("done",))
        await pool.run(pid)

    async def test_settings(self) -> None:
        """Every connection has the settings."""
        pool = self.make_pool(settings={"synchronous_commit": "off"})
        self.assertEqual(await pool.run(sql("SHOW synchronous_commit")), ("off",))


class ReturningTests(PoolCase):
    """What comes back, and what does not."""

    async def test_error_keeps_connection(self) -> None:
        """A failed statement outside of a transaction costs no connection; its error is one of ours."""
        pool = self.make_pool()
        first = await pool.run(pid)
        with self.assertRaisesRegex(DatabaseFailed, "42P01"):
            await pool.run(sql("SELECT * FROM nothing"))
        self.assertEqual(await pool.run(pid), first)

    async def test_full_disk(self) -> None:
        """Who looks after space is told of a full disk, and of nothing else."""
        pool, told = self.make_pool(), []
        pool.on_full = lambda: told.append("full")
        with self.assertRaises(DatabaseFailed):
            await pool.run(sql("SELECT 1 / 0"))
        self.assertEqual(told, [])
        with self.assertRaises(InsufficientStorage):
            await pool.run(sql("DO $$BEGIN RAISE disk_full; END$$"))
        self.assertEqual(told, ["full"])

    async def test_open_transaction_is_closed(self) -> None:
        """A connection left in a transaction is not given to the next, and nothing of it stays."""
        pool = self.make_pool(size=1)
        await pool.run(sql("CREATE TABLE t (n int)"))
        await pool.run(sql("BEGIN; INSERT INTO t VALUES (1)"))
        self.assertEqual(await pool.run(sql("SELECT count(*) FROM t")), (0,))
        self.assertEqual((pool.opened, pool.lost), (2, 1))

    async def test_cancelled_work_goes_on(self) -> None:
        """The work of a cancelled caller ends by itself, and its connection is used again."""
        pool = self.make_pool(size=1)
        first = await pool.run(pid)
        work = self.begin(pool, sql("SELECT pg_sleep(0.05)"))
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        self.assertEqual(pool.in_use, 1)
        self.assertEqual(await pool.run(pid), first)
        self.assertEqual(pool.in_use, 0)

    async def test_cancelled_failing_work(self) -> None:
        """An error that nobody waits for any more disturbs nobody."""
        pool = self.make_pool(size=1)
        work = self.begin(pool, sql("SELECT 1 / 0 FROM pg_sleep(0.05)"))
        while not pool.opened:
            await turn()
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        await pool.run(pid)

    async def test_cancelled_in_the_queue(self) -> None:
        """Who stops waiting leaves the queue."""
        pool = self.make_pool(size=1)
        await pool.run(pid)
        busy, waiting, last = (self.begin(pool, sql(f"SELECT {n} FROM pg_sleep(0.02)")) for n in range(3))
        waiting.cancel()
        with self.assertRaises(CancelledError):
            await waiting
        self.assertEqual(pool.waiting, 1)
        self.assertEqual((await busy, await last), ((0,), (2,)))

    async def test_cancelled_when_its_turn_comes(self) -> None:
        """A connection that was on its way to somebody who gave up goes to the next."""
        pool = self.make_pool(size=1)
        await pool.run(pid)
        waiting: list[Deferred[Any]] = []

        async def first(connection: Connection) -> None:
            await connection.execute("SELECT 1")
            the_reactor().callLater(0, waiting[0].cancel)

        busy = self.begin(pool, first)
        waiting += [self.begin(pool, pid), self.begin(pool, pid)]
        await busy
        with self.assertRaises(CancelledError):
            await waiting[0]
        await waiting[1]
        self.assertEqual((pool.in_use, pool.opened), (0, 1))

    async def test_many_cancelled(self) -> None:
        """However many are cancelled at whatever point, no connection is lost to the pool."""
        pool = self.make_pool(size=3)
        work = [self.begin(pool, sql("SELECT pg_sleep(0.001)")) for _ in range(60)]
        for n, each in enumerate(work):
            if n % 3:
                each.cancel()
                each.addErrback(lambda failure: failure.trap(CancelledError))
            if n % 7 == 0:
                await turn()
        await gatherResults(work)
        while pool.in_use:
            await turn()
        await gatherResults([self.begin(pool, pid) for _ in range(10)])
        self.assertLessEqual(self.connections(), 3)
        self.assertEqual((pool.in_use, pool.waiting), (0, 0))


class DatabaseAwayTests(PoolCase):
    """The database goes and comes back."""

    async def test_idle_ones_leave(self) -> None:
        """Connections that end while idle are replaced, and nobody gets a dead one."""
        pool = self.make_pool(size=3)
        before = set(await gatherResults([self.begin(pool, pid) for _ in range(9)]))
        self.assertEqual(shared_cluster().terminate_backends(self.address), 3)
        while pool.lost < 3:
            await turn()
        after = set(await gatherResults([self.begin(pool, pid) for _ in range(9)]))
        self.assertEqual(before & after, set())

    async def test_lost_at_work(self) -> None:
        """Work whose connection ends is told that the service is not available; the next has a new connection."""
        pool = self.make_pool(size=1)
        await pool.run(pid)
        busy = self.begin(pool, sql("SELECT pg_sleep(60)"))
        waiting = self.begin(pool, pid)
        while not any("pg_sleep" in query for _, query in shared_cluster().connections(self.address)):
            await turn()
        shared_cluster().terminate_backends(self.address)
        with self.assertRaises(ServiceUnavailable):
            await busy
        await waiting
        self.assertEqual((pool.opened, pool.lost), (2, 1))

    async def test_no_answer(self) -> None:
        """A database that does not answer is given up, with its connection."""
        pool = self.make_pool(size=1, answer_timeout=0.05)
        with self.assertRaises(ServiceUnavailable):
            await pool.run(sql("SELECT pg_sleep(60)"))
        pool.answer_timeout = 60.0
        await pool.run(pid)

    async def test_restart(self) -> None:
        """While the server is down everybody is told; when it is back, work goes on by itself."""
        with Cluster() as cluster:
            self.address = cluster.create_database()
            pool = self.make_pool()
            await pool.run(pid)
            cluster.stop("immediate")
            for _ in range(3):
                with self.assertRaises(ServiceUnavailable):
                    await pool.run(pid)
            cluster.start()
            await pool.run(pid)
            await pool.stop()

    async def test_too_many_connections(self) -> None:
        """A server without a free connection makes requests fail, never hang, and is asked again by the next."""
        with Cluster(settings={"max_connections": "5", "superuser_reserved_connections": "0"}) as cluster:
            self.address = cluster.create_database()
            pool, taken = self.make_pool(size=5), []
            while True:
                try:
                    taken.append(psycopg.connect(self.address))
                except psycopg.OperationalError:
                    break
            with self.assertRaises(ServiceUnavailable):
                await pool.run(pid)
            self.assertEqual(pool.in_use, 0)
            for connection in taken:
                connection.close()
            while await self.refused(pool):
                await turn()
            await pool.stop()

    async def refused(self, pool: Pool) -> bool:
        """Whether the server still has no connection for us: backends take a moment to end."""
        try:
            await pool.run(pid)
        except ServiceUnavailable:
            return True
        return False

    async def test_standby(self) -> None:
        """A connection whose server became read-only is not used again."""
        pool = self.make_pool(size=1)
        first = await pool.run(pid)
        await pool.run(sql("SET default_transaction_read_only = on"))
        with self.assertRaises(ServiceUnavailable):
            await pool.run(sql("CREATE TABLE t (n int)"))
        await pool.run(sql("CREATE TABLE t (n int)"))
        self.assertNotEqual(await pool.run(pid), first)


class StoppingTests(PoolCase):
    """The end."""

    async def test_stop(self) -> None:
        """Stopping refuses who waits, lets work end, and closes every connection."""
        pool = self.make_pool(size=1)
        await pool.run(pid)
        busy = self.begin(pool, sql("SELECT 'done' FROM pg_sleep(0.05)"))
        waiting = self.begin(pool, pid)
        stopping = Deferred.fromCoroutine(pool.stop())
        with self.assertRaises(ServiceUnavailable):
            await waiting
        self.assertFalse(stopping.called)
        self.assertEqual(await busy, ("done",))
        await stopping
        with self.assertRaises(ServiceUnavailable):
            await pool.run(pid)
        while self.connections():
            await turn()

    async def test_stop_is_not_held_up(self) -> None:
        """Work that does not end is ended, when stopping has waited as long as anybody waits."""
        pool = self.make_pool(size=1, patience=0.1)
        await pool.run(pid)
        busy = self.begin(pool, sql("SELECT pg_sleep(60)"))
        stopping = Deferred.fromCoroutine(pool.stop())
        with self.assertRaises(ServiceUnavailable):
            await busy
        await stopping

    async def test_stop_unused(self) -> None:
        """A pool that did nothing can be stopped, twice."""
        pool = self.make_pool()
        await pool.stop()
        await pool.stop()
