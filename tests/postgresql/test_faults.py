"""The database goes away, comes back, hangs or is full: S3 errors that clients try again, nothing acknowledged lost,
recovery without a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress as ignoring
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Literal
from unittest import SkipTest
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg

from post3tw.testing.postgresql import Cluster, database_of, give
from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.hostile.case import assert_well_formed, wait_until
from tests.hostile.ledger import MIB, Content
from tests.hostile.raw import PATIENCE, Reply
from tests.postgresql.case import Load, NodesCase, client, node
from tests.postgresql.haproxy import free_port

LARGE, SMALL = 4 * MIB, 40_000
"""Sizes of objects: in blocks, and in the index."""

LONG = os.environ.get("POST3_LONG") == "1"
TRANSIENT = {"503 SlowDown", "503 ServiceUnavailable"}
MOST_CONNECTIONS = 40
"""More than a node ever has."""


def status_of(url: str) -> int | None:
    """The status that a page answers; None when nobody does."""
    try:
        with urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def hang_up(connections: list[psycopg.Connection]) -> None:
    """Close them all."""
    while connections:
        connections.pop().close()


def send(number: int, processes: list[int]) -> None:
    """Send a signal to all of these, as far as they are still there."""
    for process in processes:
        with ignoring(ProcessLookupError):
            os.kill(process, number)


class DownAtStartTests(NodesCase):
    """A node that starts before its database does."""

    def setUp(self) -> None:
        """A database behind a password, stopped."""
        self.cluster = self.start_cluster(tcp=True)
        self.dsn = self.cluster.tcp_dsn("postgres")
        self.cluster.stop()

    def test_waits(self) -> None:
        """It says what it waits for, is alive but not ready, and serves as soon as the database does."""
        port = free_port()
        made = node(self.dsn, "--start-timeout=60", f"--admin=tcp:{port}:interface=127.0.0.1")
        self.addCleanup(self.end, made)
        starting = Thread(target=made.start)
        starting.start()
        self.addCleanup(starting.join)
        health = f"http://127.0.0.1:{port}/health"
        self.assertTrue(wait_until(lambda: status_of(f"{health}/live") == 200), made.output)
        self.assertEqual(status_of(f"{health}/ready"), 503)
        self.assertTrue(wait_until(lambda: f"127.0.0.1:{self.cluster.port}" in made.output), made.output)
        self.cluster.start()
        starting.join()
        self.assertEqual(status_of(f"{health}/ready"), 200)
        self.make_bucket(made)
        self.assertNotIn(self.cluster.password, made.output)
        self.assertFalse("Traceback" in made.output)

    def test_gives_up(self) -> None:
        """After --start-timeout it ends with status 1 and one line that says which database, and no secret."""
        with self.assertRaises(ServerNotRunning) as refused:
            node(self.dsn, "--start-timeout=1").start()
        said = str(refused.exception)
        self.assertEqual(len(re.findall("(?m)^post3: ", said)), 1, said)
        self.assertIn(f"127.0.0.1:{self.cluster.port}", said)
        self.assertNotIn(self.cluster.password, said)
        self.assertFalse("Traceback" in said)


class FaultCase(NodesCase):
    """A durable cluster that is broken, a node, and clients that write."""

    def setUp(self) -> None:
        """Start the cluster and a node."""
        self.cluster = self.start_cluster(durable=True)
        self.dsn = self.cluster.create_database()
        self.node = self.start_node(self.dsn)
        self.addCleanup(self.assert_calm)
        self.make_bucket(self.node)

    def assert_calm(self) -> None:
        """The node has logged no traceback."""
        found = re.search(r"Traceback(?:.*\n\t)*.*", self.node.output)
        self.assertIsNone(found, found and found[0])

    def assert_sound(self, load: Load) -> None:
        """Nothing acknowledged was lost, everything refused may be tried again, and connections are as few as ever."""
        self.assertEqual(load.lost(), [])
        self.assertEqual(set(load.refused) - TRANSIENT, set())
        self.assertLess(len(self.cluster.connections(self.dsn)), MOST_CONNECTIONS)
        self.assertEqual(self.open_transactions(), [])

    def open_transactions(self) -> list[tuple[str, str]]:
        """Connections that hold a transaction open."""
        return [found for found in self.cluster.connections(self.dsn) if found[0].startswith("idle in transaction")]


class LostConnectionTests(FaultCase):
    """Connections end while clients write."""

    def test_restart(self) -> None:
        """The database is restarted, and crashes, under load: clients are told to try again, and then it works."""
        with Load([self.node.endpoint]) as load:
            modes: list[Literal["fast", "immediate"]] = ["fast", "immediate"]
            for mode in modes:
                self.assertTrue(load.wait_for(40))
                self.cluster.restart(mode)
                self.recovers(self.node.endpoint)
            self.assertTrue(load.wait_for(40))
        self.assert_sound(load)

    def test_terminated(self) -> None:
        """Single connections are terminated, in the middle of writes, over and over."""
        ended = 0
        with Load([self.node.endpoint]) as load:
            for _ in range(25):
                self.assertTrue(load.wait_for(10))
                ended += self.cluster.terminate_backends(self.dsn)
        self.assertGreater(ended, 25)
        self.recovers(self.node.endpoint)
        self.assert_sound(load)

    def test_away(self) -> None:
        """While the database is away every request is answered soon, the node is alive and not ready."""
        with Load([self.node.endpoint], count=4) as load:
            self.assertTrue(load.wait_for(20))
            self.cluster.stop("immediate")
            for method, path in (
                ("PUT", "/bucket/k"),
                ("GET", "/bucket/k"),
                ("GET", "/bucket"),
                ("DELETE", "/bucket/k"),
            ):
                begin = time.monotonic()
                reply = client(self.node.endpoint).ask(method, path, body=b"x" if method == "PUT" else b"")
                self.assertIn(f"{reply.status} {reply.code}", TRANSIENT)
                self.assertLess(time.monotonic() - begin, PATIENCE)
            admin = self.node.admin_endpoint
            self.assertEqual(status_of(f"{admin}/health/live"), 200)
            self.assertTrue(wait_until(lambda: status_of(f"{admin}/health/ready") == 503))
            self.cluster.start()
            self.recovers(self.node.endpoint)
            self.assertTrue(wait_until(lambda: status_of(f"{admin}/health/ready") == 200))
        self.assert_sound(load)

    def test_too_many_connections(self) -> None:
        """When others have taken all connections requests are told to slow down, and go on when there are some."""
        self.cluster.configure({"max_connections": "24", "superuser_reserved_connections": "0"})
        self.cluster.restart()
        others: list[psycopg.Connection] = []
        self.addCleanup(hang_up, others)
        while True:
            try:
                others.append(psycopg.connect(self.cluster.dsn()))
            except psycopg.OperationalError:
                break
        reply = self.answers(self.node.endpoint, lambda reply: reply.status != 200)
        self.assertIn(f"{reply.status} {reply.code}", TRANSIENT)
        hang_up(others)
        self.recovers(self.node.endpoint)


class SlowDatabaseTests(FaultCase):
    """The database is there, but has no time for us."""

    def setUp(self) -> None:
        """Timeouts have to pass."""
        if not LONG:
            raise SkipTest("takes two minutes: run with POST3_LONG=1")
        super().setUp()

    def test_row_locked_by_others(self) -> None:
        """Somebody else holds the lock that all writes of a bucket need: they are answered in time, reads go on, and
        afterwards writes do."""
        put = client(self.node.endpoint).ask("PUT", "/bucket/k", body=b"x")
        self.assertEqual(put.status, 200)
        name = "bucket"
        with psycopg.connect(self.dsn) as other:
            other.execute("SELECT * FROM buckets WHERE name = %s FOR UPDATE", (name,))
            lines = [client(self.node.endpoint).connect(patience=45) for _ in range(30)]
            for number, line in enumerate(lines):
                line.send(client(self.node.endpoint).message("PUT", f"/bucket/k{number}", body=b"x"))
            self.assertEqual(client(self.node.endpoint).ask("GET", "/bucket/k").status, 200)
            replies = [line.reply("PUT") for line in lines]
            for line in lines:
                line.close()
        self.assertEqual({f"{reply.status} {reply.code}" for reply in replies} - TRANSIENT, set())
        self.recovers(self.node.endpoint)

    def test_frozen(self) -> None:
        """A database that does not answer any more, as behind a broken network: requests are answered in time."""
        processes = self.cluster.processes()
        self.addCleanup(send, signal.SIGCONT, processes)
        send(signal.SIGSTOP, processes)
        begin = time.monotonic()
        with client(self.node.endpoint).connect(patience=90) as line:
            line.send(client(self.node.endpoint).message("PUT", "/bucket/k", body=b"x"))
            reply = line.reply("PUT")
        self.assertIn(f"{reply.status} {reply.code}", TRANSIENT)
        self.assertLess(time.monotonic() - begin, 75)
        send(signal.SIGCONT, processes)
        self.recovers(self.node.endpoint)


class VanishingClientTests(FaultCase):
    """Clients that do not wait for the end."""

    def test_get(self) -> None:
        """A client that reads slowly, and one that vanishes, leave no transaction open and no connection in use."""
        body = os.urandom(64 * MIB)
        asked = client(self.node.endpoint)
        self.assertEqual(asked.ask("PUT", "/bucket/large", body=body).status, 200)
        slow = [asked.connect() for _ in range(6)]
        for line in slow:
            line.send(asked.message("GET", "/bucket/large"))
            self.assertTrue(line.begun())
        self.assertTrue(wait_until(lambda: not self.busy()), self.cluster.connections(self.dsn))
        self.assertEqual(asked.ask("GET", "/bucket/large", [(b"range", b"bytes=0-9")]).body, body[:10])
        for line in slow:
            line.reset()
        self.assertTrue(wait_until(lambda: not self.busy()))
        self.assertEqual(asked.ask("GET", "/bucket/large").body, body)

    def test_put(self) -> None:
        """Clients that vanish in the middle of a PUT leave no object, no transaction and, in time, no blocks."""
        asked = client(self.node.endpoint)
        for _ in range(6):
            with asked.connect() as line:
                line.send(
                    asked.message("PUT", "/bucket/cut", [(b"content-length", b"%d" % (64 * MIB))], bytes(8 * MIB))
                )
                line.reset()
        self.assertTrue(wait_until(lambda: not self.busy()))
        self.assertEqual(asked.ask("GET", "/bucket/cut").status, 404)
        self.assertTrue(wait_until(lambda: self.database_size() < 40 * MIB), self.database_size())

    def busy(self) -> list[tuple[str, str]]:
        """Connections that do anything, or are in a transaction."""
        return [found for found in self.cluster.connections(self.dsn) if found[0] != "idle"]

    def database_size(self) -> int:
        """Bytes of the database's files."""
        name = database_of(self.dsn)
        self.cluster.query("VACUUM", database=name)
        return int(self.cluster.query("SELECT pg_database_size(%s)", name)[0][0])


class FullDatabaseTests(NodesCase):
    """The disk of the database is full."""

    def setUp(self) -> None:
        """A database whose tables are on a small file system; the log of the cluster is elsewhere."""
        self.disk = Path(tempfile.mkdtemp(prefix="post3-disk-"))
        self.addCleanup(self.disk.rmdir)
        options = f"size={96 * MIB}"
        mount = ["mount", "-t", "tmpfs", "-o", options, "post3-hostile", str(self.disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            raise SkipTest(f"NOT TESTED: a database that is full; mounting a disk needs root: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", str(self.disk)], check=True)
        give(self.disk)
        self.cluster: Cluster = self.start_cluster()
        self.cluster.query(f"CREATE TABLESPACE small LOCATION '{self.disk}'")
        self.cluster.query("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
        self.node: RunningServer = self.start_node(self.cluster.dsn("small"), "--blob-grace=0s")
        self.make_bucket(self.node)

    def put(self, key: str, size: int) -> Reply:
        """Write an object; its bytes follow from its name."""
        return client(self.node.endpoint).ask("PUT", f"/bucket/{key}", body=Content(size, size).body)

    def fill(self, size: int) -> list[str]:
        """Write objects until one is refused: the keys of those that were stored."""
        for number in count():
            key = f"{size}-{number}"
            reply = self.put(key, size)
            if reply.status != 200:
                break
        self.assertEqual((reply.status, reply.code), (507, "InsufficientStorage"))
        assert_well_formed(self, reply.body)
        self.assertEqual(client(self.node.endpoint).ask("GET", f"/bucket/{key}").status, 404)
        return [f"{size}-{earlier}" for earlier in range(number)]

    def test_full(self) -> None:
        """Writes are refused as InsufficientStorage, reads go on, nothing acknowledged is lost, and with more room
        writes come back by themselves."""
        asked = client(self.node.endpoint)
        ballast = self.disk / "ballast"
        ballast.write_bytes(bytes(4 * MIB))
        kept = dict.fromkeys(self.fill(LARGE), LARGE) | dict.fromkeys(self.fill(SMALL), SMALL)
        self.assertGreater(len(kept), 5)
        for key, size in kept.items():
            self.assertEqual(asked.ask("GET", f"/bucket/{key}").body, Content(size, size).body)
        self.assertEqual(len(re.findall("<Key>", asked.ask("GET", "/bucket?list-type=2").body.decode())), len(kept))
        ballast.unlink()
        self.assertEqual(self.put("again", SMALL).status, 200)
        for key in kept:
            self.assertEqual(asked.ask("DELETE", f"/bucket/{key}").status, 204)
        self.assertFalse("Traceback" in self.node.output)
