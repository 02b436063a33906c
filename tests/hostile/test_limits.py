"""Clients that are slow, idle or too many: closed by timeouts, told to slow down, and the others are served."""

from __future__ import annotations

import os
import resource
import time

from tests.backends import only_on
from tests.hostile.case import HostileCase, wait_until
from tests.hostile.raw import Connection, Reply
from tests.server.workers_case import worker_pids

MIB = 1 << 20


_TIMEOUTS = ("--head-timeout=500ms", "--body-timeout=500ms", "--idle-timeout=1s")


class SlowTests(HostileCase):
    """Each slow client is closed soon after its time is over, and others are served meanwhile."""

    options = ("--durability=relaxed", "--reserve=0", *_TIMEOUTS)

    def assert_served(self) -> None:
        """Others are served."""
        self.assertEqual(self.client.ask("GET", f"/{self.bucket}?list-type=2").status, 200)

    def test_slow_head(self) -> None:
        """A head that comes in drops times out."""
        with self.client.connect() as connection:
            connection.drip(self.client.head("GET", self.target()), pause=0.1)
            self.assert_error(connection.reply(), 400, "RequestTimeout")
            self.assertTrue(connection.closed())

    def test_slow_body(self) -> None:
        """So does a body, whether an object's or a document's, and leaves nothing."""
        for method, target in (("PUT", self.target()), ("POST", f"/{self.bucket}?delete")):
            with self.client.connect() as connection:
                connection.send(self.client.head(method, target, [(b"content-length", b"100000")]))
                connection.drip(b" " * 100_000, pause=0.1)
                self.assert_error(connection.reply(), 400, "RequestTimeout")
                self.assertTrue(connection.closed())
        self.assert_error(self.client.ask("GET", self.target()), 404, "NoSuchKey")
        self.assertEqual(self.inside.unfinished(), [])

    def test_stalled_body(self) -> None:
        """A body that stops coming times out as well, also a large one that has begun to be written."""
        with self.client.connect() as connection:
            connection.send(self.client.head("PUT", self.target(), [(b"content-length", b"9999999")]) + b"a" * MIB)
            self.assertTrue(wait_until(lambda: bool(self.inside.unfinished())))
            self.assert_error(connection.reply(), 400, "RequestTimeout")
        self.assertTrue(wait_until(lambda: not self.inside.unfinished()))

    def test_idle(self) -> None:
        """Connections that say nothing are closed: new ones, and those between requests."""
        with self.client.connect() as new, self.client.connect() as used:
            used.send(self.client.message("GET", self.target()))
            self.assertEqual(used.reply().status, 404)
            begun = time.monotonic()
            self.assertTrue(new.closed())
            self.assertTrue(used.closed())
            self.assertLess(time.monotonic() - begun, 10)

    def test_slow_reader(self) -> None:
        """A client that asks for much and takes nothing of it is cut off, and holds nothing open."""
        self.put("key", os.urandom(48 * MIB))
        with self.client.connect() as connection:
            connection.send(self.client.message("GET", self.target()))
            self.assertTrue(connection.begun())
            time.sleep(3.5)
            self.assertRaises(ConnectionError, connection.reply)

    def test_many(self) -> None:
        """Many slow clients at once do not keep anybody from being served."""
        connections = [self.client.connect() for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.send(b"GET /%d HTTP/1.1\r\n" % number)
        self.assert_served()
        for connection in connections:
            self.assert_error(connection.reply(), 400, "RequestTimeout")
            connection.close()
        self.assert_served()


class TooManyTests(HostileCase):
    """More than may be are told so, and service resumes."""

    options = ("--durability=relaxed", "--reserve=0", "--max-connections=20", "--max-requests=4")

    def setUp(self) -> None:
        """Nothing of the test before is left."""
        self.open: list[Connection] = []
        super().setUp()
        self.addCleanup(self.resume)

    def resume(self) -> None:
        """When the clients have gone, everybody is served again."""
        for connection in self.open:
            connection.close()
        self.assertTrue(wait_until(lambda: self.client.ask("GET", self.target()).status == 404))

    def connect(self) -> Connection:
        """One more connection."""
        self.open.append(self.client.connect())
        return self.open[-1]

    def assert_slow_down(self, reply: Reply) -> None:
        """The request was one too many."""
        self.assert_error(reply, 503, "SlowDown")
        self.assertIn("retry-after", reply.headers)

    def ask(self, connection: Connection) -> Reply:
        """A request that is quick to answer."""
        connection.offer(self.client.message("GET", self.target()))
        return connection.reply()

    def test_connections(self) -> None:
        """The twenty-first connection is told to slow down and closed; the twenty go on."""
        served: list[Connection] = []
        while (reply := self.ask(self.connect())).status == 404:
            served.append(self.open[-1])
        self.assert_slow_down(reply)
        self.assertTrue(self.open[-1].closed())
        self.assertIn(len(served), (18, 19, 20))  # the server may not have seen yet that others are closed
        for connection in served:
            self.assertEqual(self.ask(connection).status, 404)

    def test_requests(self) -> None:
        """The fifth request at a time is told to slow down; the four finish."""
        headers = [(b"content-length", b"10"), (b"expect", b"100-continue")]
        writing = [self.connect() for _ in range(4)]
        for connection in writing:
            connection.send(self.client.head("PUT", self.target("written"), headers))
            self.assertTrue(connection.continued())
        self.assert_slow_down(self.ask(self.connect()))
        for connection in writing:
            connection.send(b"0123456789")
            self.assertEqual(connection.reply().status, 200)


@only_on("fs", "reading and writing blobs needs no files elsewhere")
class TooManyFilesTests(HostileCase):
    """A process that may open no more files, whatever the reason."""

    def test_descriptors(self) -> None:
        """Requests that need a file are told to slow down, others are served; afterwards all are."""
        self.put("large", os.urandom(MIB))
        soft, hard = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
        with self.client.connect() as connection:
            connection.send(self.client.message("GET", self.target()))
            self.assertEqual(connection.reply().status, 404)
            pids = [self.server.pid, *worker_pids(self.server)]
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))  # those that are open stay open
            try:
                for method, key, body in (("GET", "large", b""), ("PUT", "new", b"a" * MIB)):
                    connection.send(self.client.message(method, self.target(key), (), body))
                    self.assert_error(connection.reply(), 503, "SlowDown", method)
                connection.send(self.client.message("PUT", self.target("small"), (), b"small"))
                self.assertEqual(connection.reply().status, 200)
            finally:
                for pid in pids:
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(len(self.client.ask("GET", self.target("large")).body), MIB)
        self.assertEqual(self.client.ask("PUT", self.target("new"), (), b"a" * MIB).status, 200)
