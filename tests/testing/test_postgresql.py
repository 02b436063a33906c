"""The PostgreSQL that tests run on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.postgresql import Cluster, ClusterFailed, database_of, new_database, shared_cluster

ABANDONED = """
import time
from post3tw.testing.postgresql import Cluster
cluster = Cluster().start()
print(cluster.directory, flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    """Whether a process does anything; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


class SharedClusterTests(SynchronousTestCase):
    """The cluster that all tests of a process share."""

    def test_new_database(self) -> None:
        """Each database is empty, and apart from others."""
        one, two = new_database(self), new_database(self)
        cluster = shared_cluster()
        cluster.query("CREATE TABLE t (a int)", database=database_of(one))
        for dsn, tables in ((one, 1), (two, 0)):
            counted = cluster.query(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=database_of(dsn)
            )
            self.assertEqual(counted, [(tables,)])

    def test_dropped(self) -> None:
        """A database goes with its test, although somebody is still connected to it."""
        cluster, dsn = shared_cluster(), shared_cluster().create_database()
        with psycopg.connect(dsn):
            cluster.drop_database(dsn)
        found = cluster.query("SELECT count(*) FROM pg_database WHERE datname = %s", database_of(dsn))
        self.assertEqual(found, [(0,)])

    def test_template(self) -> None:
        """A database can begin as a copy of another."""
        template = new_database(self)
        shared_cluster().query("CREATE TABLE t AS SELECT 7 AS a", database=database_of(template))
        copy = new_database(self, database_of(template))
        self.assertEqual(shared_cluster().query("SELECT a FROM t", database=database_of(copy)), [(7,)])

    def test_connections(self) -> None:
        """Who is connected can be seen, and ended, by what they did last."""
        cluster, dsn = shared_cluster(), new_database(self)
        with psycopg.connect(dsn) as first, psycopg.connect(dsn, autocommit=True) as second:
            first.execute("SELECT 1")
            second.execute("SELECT 2")
            self.assertEqual(cluster.connections(dsn), [("idle in transaction", "SELECT 1"), ("idle", "SELECT 2")])
            self.assertEqual(cluster.terminate_backends(dsn, "%2"), 1)
            with self.assertRaises(psycopg.OperationalError):
                second.execute("SELECT 3")
            first.execute("SELECT 4")

    def test_order_of_text(self) -> None:
        """Text is not in the order of its bytes, as with the locale of most users."""
        self.assertEqual(shared_cluster().query("SELECT 'a' < 'B'"), [(True,)])


class ClusterTests(SynchronousTestCase):
    """A cluster of a test's own."""

    def test_restart(self) -> None:
        """What was committed outlives a crash of the server, connections do not."""
        with Cluster(settings={"max_connections": "17"}) as cluster:
            cluster.query("CREATE TABLE t AS SELECT 7 AS a")
            self.assertEqual(cluster.query("SHOW max_connections"), [("17",)])
            with psycopg.connect(cluster.dsn()) as connection:
                cluster.restart("immediate")
                with self.assertRaises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
            self.assertEqual(cluster.query("SELECT a FROM t"), [(7,)])
            cluster.stop()
            with self.assertRaises(psycopg.OperationalError):
                cluster.query("SELECT 1")

    def test_durability(self) -> None:
        """A durable cluster syncs."""
        with Cluster(durable=True) as cluster:
            self.assertEqual(cluster.query("SHOW fsync") + cluster.query("SHOW synchronous_commit"), [("on",)] * 2)

    def test_tls(self) -> None:
        """With TLS it has a certificate, and takes nobody without, nor with a wrong password; the right one is no
        secret of a repr."""
        with Cluster(tls=True) as cluster:
            dsn = cluster.tcp_dsn(sslmode="verify-full", sslrootcert=str(cluster.certificate))
            with psycopg.connect(dsn) as connection:
                row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            self.assertEqual(row, (True,))
            for wrong in (cluster.tcp_dsn(sslmode="disable"), dsn.replace(cluster.password, "x")):
                with self.assertRaises(psycopg.OperationalError):
                    psycopg.connect(wrong)
            self.assertNotIn(cluster.password, repr(cluster))

    def test_standby(self) -> None:
        """A standby has what its primary committed, and takes writes when it is promoted."""
        standby = Cluster()
        self.addCleanup(standby.close)
        with Cluster(settings={"synchronous_standby_names": "*", "synchronous_commit": "remote_apply"}) as primary:
            standby.settings = {"synchronous_standby_names": ""}
            standby.follow(primary)
            primary.query("CREATE TABLE t AS SELECT 7 AS a")
            with self.assertRaises(psycopg.errors.ReadOnlySqlTransaction):
                standby.query("INSERT INTO t VALUES (8)")
        standby.promote()
        standby.query("INSERT INTO t VALUES (8)")
        self.assertEqual(standby.query("SELECT a FROM t ORDER BY a"), [(7,), (8,)])

    def test_does_not_start(self) -> None:
        """A server that refuses its settings raises what it has logged, and leaves nothing."""
        cluster = Cluster(settings={"shared_buffers": "nonsense"})
        with self.assertRaises(ClusterFailed) as failed:
            cluster.__enter__()
        self.assertIn("shared_buffers", str(failed.exception))
        with self.assertRaises(ClusterFailed):
            cluster.dsn()

    def test_close(self) -> None:
        """A closed cluster leaves no directory."""
        with Cluster() as cluster:
            directory = cluster.directory
        self.assertFalse(directory.exists())
        cluster.close()

    def test_killed(self) -> None:
        """When the tests are killed the server ends and the directory goes."""
        tests = subprocess.Popen([sys.executable, "-c", ABANDONED], stdout=subprocess.PIPE, text=True)
        self.addCleanup(tests.wait)
        assert tests.stdout is not None
        with tests.stdout:
            directory = Path(tests.stdout.readline().strip())
        server = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        self.assertTrue(runs(server))
        os.kill(tests.pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while directory.exists() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertFalse(directory.exists())
        self.assertFalse(runs(server))
