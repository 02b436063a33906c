"""A node and its database: waiting, refusing, losing it and finding it again."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import TestCase

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.node import Node
from post3tw.storage.shared_directory import SharedDirectory
from post3tw.testing.postgresql import Cluster, database_of, new_database, shared_cluster
from tests.storage.postgresql.pgbouncer import through_pgbouncer
from tests.waiting import until


@cache
def tls_cluster() -> Cluster:
    """One cluster for all tests, that ends with the process."""
    return Cluster(tls=True).start()


class NodeCase(TestCase):
    """Tests of nodes."""

    timeout = 60

    def node(self, dsn: str, **options: Any) -> Node:
        """A node that is not started; it stops after the test."""
        from twisted.internet import reactor

        node = Node(reactor, Dsn.parse(dsn), "one", "aa" * 16, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(node.stop()))
        return node

    async def refusal(self, node: Node) -> str:
        """Why a node does not start."""
        try:
            await node.start()
        except StoreRefused as refused:
            self.assertNotIn("\n", str(refused))
            return str(refused)
        raise self.failureException("it started")


class StartTests(NodeCase):
    """With a database that is as it should be, or is not."""

    async def test_start(self) -> None:
        """A node that was started leads if nobody else does, and has nothing against requests."""
        node = self.node(new_database(self))
        self.assertEqual(node.obstacle(), "waiting for the database")
        await node.start()
        await until(lambda: node.obstacle() is None)
        self.assertTrue(node.leadership.leads)
        self.assertEqual(node.readings()["post3_leading"](), True)
        self.assertEqual(node.readings()["post3_database_connections"](), 1)

    async def test_start_again(self) -> None:
        """A node that was stopped can be started again, and leaves no connection behind."""
        dsn = new_database(self)
        node = self.node(dsn)
        for _ in range(2):
            await node.start()
            await node.stop()
            self.assertIsNotNone(node.obstacle())
        for _ in range(100):
            if not shared_cluster().connections(dsn):
                return
            await self.tick()
        self.fail("a connection is left")

    async def test_directory(self) -> None:
        """A node whose blobs are files has its directory with it, and is full when that is."""
        directory = SharedDirectory(self.mktemp(), "one")
        node = self.node(new_database(self), directory=directory)
        await node.start()
        self.assertTrue(os.path.isdir(directory.temporary))
        node.admit_write()
        directory.full = True
        self.assertTrue(node.full)
        self.assertRaises(InsufficientStorage, node.admit_write)
        await node.recover()
        self.assertFalse(node.full)

    async def test_no_such_database(self) -> None:
        """A database that does not exist is said at once, by name."""
        dsn = shared_cluster().dsn("nowhere")
        self.assertIn('database "nowhere" does not exist', await self.refusal(self.node(dsn)))

    async def test_no_right(self) -> None:
        """A user who may not make tables is said at once, in the database's words."""
        dsn = new_database(self)
        cluster = shared_cluster()
        cluster.query("CREATE ROLE guest LOGIN")
        self.addCleanup(cluster.query, "DROP ROLE guest")
        said = await self.refusal(self.node(dsn.replace("user=postgres", "user=guest")))
        self.assertIn("permission denied for schema public", said)

    async def test_loss_is_possible(self) -> None:
        """A database that does not wait for its disk is a warning, unless durability is relaxed anyway."""
        dsn = new_database(self)
        shared_cluster().query(f'ALTER DATABASE "{database_of(dsn)}" SET synchronous_commit = off')
        for durable, expected in ((False, []), (True, ["fsync", "full_page_writes", "synchronous_commit"])):
            with capturedLogs() as events:
                node = self.node(dsn, durable=durable)
                await node.start()
                await node.stop()
            self.assertEqual([event["name"] for event in events if event["log_level"] is LogLevel.warn], expected)

    async def test_nobody_listens(self) -> None:
        """A server that is not there is waited for, not longer than `start_timeout`; then the start is refused."""
        node = self.node("postgresql://someone:s3cret@127.0.0.1:1/name", start_timeout=0.3)
        said = await self.refusal(node)
        self.assertIn("the database 127.0.0.1:1/name was not there in time: ", said)
        self.assertIn("Connection refused", said)
        self.assertNotIn("s3cret", said)

    async def test_cancelled(self) -> None:
        """A start that is given up while it waits ends at once and leaves nothing behind."""
        starting = Deferred.fromCoroutine(self.node("postgresql://127.0.0.1:1/name").start())
        await self.tick()
        starting.cancel()
        with self.assertRaises(CancelledError):
            await starting

    async def tick(self) -> None:
        """A moment for the reactor."""
        from twisted.internet import reactor

        await deferLater(reactor, 0.02)


class AwayTests(NodeCase):
    """With a database that goes and comes."""

    async def test_comes_later(self) -> None:
        """A database that starts after the node is found, and what it got no answer from is not remembered."""
        cluster = Cluster().start()
        self.addCleanup(cluster.close)
        dsn = cluster.create_database()
        cluster.stop()
        starting = Deferred.fromCoroutine(self.node(dsn).start())
        await deferToThread(cluster.start)
        await starting

    async def test_restart(self) -> None:
        """While the database is away the node is not ready; when it is back, it is, and leads again."""
        cluster = Cluster().start()
        self.addCleanup(cluster.close)
        node = self.node(cluster.create_database())
        await node.start()
        await deferToThread(cluster.stop, "immediate")
        await until(lambda: node.obstacle() == "the database does not answer")
        await deferToThread(cluster.start)
        await until(lambda: node.obstacle() is None)
        self.assertEqual(node.management.reconnections, 1)

    async def test_stop_while_away(self) -> None:
        """A node can be stopped while it tries to reach its database again; nothing of it is left in the reactor."""
        cluster = Cluster().start()
        self.addCleanup(cluster.close)
        node = self.node(cluster.create_database())
        await node.start()
        await deferToThread(cluster.stop, "immediate")
        await until(lambda: not node.management.connected)
        await node.stop()
        self.assertFalse(node.leadership.leads)


class PoolerTests(NodeCase):
    """With pgbouncer before the database."""

    def setUp(self) -> None:
        self.cluster = Cluster(tcp=True).start()
        self.addCleanup(self.cluster.close)
        self.database = self.cluster.create_database()

    async def test_sessions(self) -> None:
        """With a session for each connection a node is as good as without: it hears notices too."""
        node = self.node(through_pgbouncer(self, self.cluster, self.database, "session"))
        await node.start()
        sql, parameters = node.notices.announcement([("", "photos")])
        await node.management.execute(sql.replace("?", "%s"), *parameters)
        await until(lambda: node.notices.heard == 1)

    async def test_transactions(self) -> None:
        """A pooler that lends sessions to several clients is refused, and its mode named."""
        node = self.node(through_pgbouncer(self, self.cluster, self.database, "transaction"))
        self.assertIn("pool_mode=session", await self.refusal(node))


class TlsTests(NodeCase):
    """With a database that wants TLS."""

    def setUp(self) -> None:
        self.cluster = tls_cluster()

    def dsn(self, **options: str) -> str:
        """The database through TCP."""
        return self.cluster.tcp_dsn("postgres", **options)

    async def test_verified(self) -> None:
        """A certificate that is trusted, for the host that is named."""
        dsn = self.dsn(sslmode="verify-full", sslrootcert=str(self.cluster.certificate))
        node = self.node(dsn)
        await node.start()
        self.assertEqual(
            await node.management.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), [(True,)]
        )

    async def test_not_trusted(self) -> None:
        """A certificate that nobody vouches for is said at once, without the password."""
        other = Cluster(tls=True).start()
        self.addCleanup(other.close)
        dsn = self.dsn(sslmode="verify-full", sslrootcert=str(other.certificate))
        said = await self.refusal(self.node(dsn))
        self.assertIn("certificate verify failed", said)
        self.assertNotIn(self.cluster.password, said)

    async def test_no_file(self) -> None:
        """A file of certificates that is not there is named."""
        said = await self.refusal(self.node(self.dsn(sslmode="verify-full", sslrootcert="/no/such/file")))
        self.assertIn('root certificate file "/no/such/file" does not exist', said)

    async def test_wrong_host(self) -> None:
        """A certificate for another host is refused."""
        certificate = str(self.cluster.certificate)
        dsn = self.dsn(sslmode="verify-full", sslrootcert=certificate).replace("@127.0.0.1", "@127.0.0.2")
        dsn += "&hostaddr=127.0.0.1"
        self.assertIn("does not match host name", await self.refusal(self.node(dsn)))

    async def test_without_tls(self) -> None:
        """A server that wants TLS from a client that will not is said at once."""
        self.assertIn("pg_hba.conf", await self.refusal(self.node(self.dsn(sslmode="disable"))))

    async def test_wrong_password(self) -> None:
        """A wrong password is said at once, and not shown."""
        dsn = self.dsn(sslmode="require").replace(self.cluster.password, "wr0ng")
        said = await self.refusal(self.node(dsn))
        self.assertIn("authentication failed", said)
        self.assertNotIn("wr0ng", said)
