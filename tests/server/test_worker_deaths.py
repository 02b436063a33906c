"""Workers that die, and how several of them end together."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import ssl
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from threading import Event, Thread
from urllib.parse import urlsplit

from attrs import define

from post3tw.testing.certificates import make_certificate
from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.backends import only_on
from tests.hostile.case import wait_until
from tests.hostile.ledger import Writer
from tests.hostile.raw import Client
from tests.server.workers_case import MANY, WorkersCase, ask, is_gone, metric, worker_pids

KILLS = 3
CLIENTS = 6
SYSTEMD = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
if listening.fileno() != 3:
    os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "s3", "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[1], sys.argv[1:])
"""


@define
class Persistent:
    """A client that goes on where it was cut off, and counts how often that happened."""

    writer: Writer
    cuts: int = 0

    def run(self) -> None:
        """Work until told to stop; in a thread."""
        while not self.writer.stop.is_set():
            self.writer.run()
            self.cuts += not self.writer.stop.is_set()


@only_on("fs", "on PostgreSQL workers are nodes, which tests.postgresql kills")
class DeathTests(WorkersCase):
    """A server that is started for each test."""

    def start(self, *options: str, **attributes: object) -> None:
        """Start it; it is stopped with the test, unless that has done so."""
        directory = tempfile.TemporaryDirectory(prefix="post3-deaths-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.server = RunningServer(
            data_dir=self.directory / "data",
            options=("--reserve=0", "--bucket=bucket", *options),
            workers=2,
            **attributes,  # type: ignore[arg-type]
        ).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def test_killed_under_load(self) -> None:
        """A worker that is killed costs the requests that it was at, nothing else: whoever was with another goes on,
        who comes back is served, and nothing acknowledged is lost."""
        self.start("--blob-grace=0")
        stop = Event()
        clients = [
            Persistent(Writer(self.client(), f"client-{n}", Random(f"20261121-{n}"), stop)) for n in range(CLIENTS)
        ]
        threads = [Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for number in range(KILLS):
            self.kill(worker_pids(self.server)[number % 2])
        stop.set()
        for thread in threads:
            thread.join()
        writers = [client.writer for client in clients]
        self.assertEqual([text for writer in writers for text in writer.refused], [])
        self.assertEqual([wrong for writer in writers for wrong in writer.check()], [])
        self.assertLessEqual(sum(client.cuts for client in clients), KILLS * CLIENTS)
        self.assertGreater(sum(writer.ledger.count for writer in writers), KILLS * CLIENTS)
        self.assertEqual(metric(self.server, "post3_workers_replaced_total"), KILLS)
        self.assertEqual(self.server.stop(), 0)
        with closing(sqlite3.connect(self.directory / "data" / "index.sqlite3")) as index:
            self.assertEqual(index.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(list((self.directory / "data" / "tmp").iterdir()), [])

    def test_limits(self) -> None:
        """Limits are those of the server: what is in the air at one worker counts at the other."""
        self.start("--max-requests=2")
        client = self.client()
        one, other = self.one_of_each()
        begun = client.head("PUT", "/bucket/key", [(b"content-length", b"5"), (b"expect", b"100-continue")])
        for connection in (one, client.connect()):
            self.addCleanup(connection.close)
            connection.send(begun)
            self.assertTrue(connection.continued())
        self.assertEqual(ask(client, other, "GET", "/bucket").status, 503)
        one.send(b"01234")
        self.assertEqual(one.reply("PUT").status, 200)
        self.assertEqual(client.ask("GET", "/bucket").status, 200)

    def test_one_is_told_to_end(self) -> None:
        """A worker that gets SIGTERM finishes what it does, and is replaced."""
        self.start()
        client = self.client()
        connections, pids = self.one_of_each(), worker_pids(self.server)
        for connection in connections:
            connection.send(client.message("PUT", "/bucket/key", [], b"0123456789")[:-5])
        for connection, pid in zip(connections, pids, strict=True):
            os.kill(pid, signal.SIGTERM)
            connection.send(b"56789")
        self.assertEqual([connection.reply("PUT").status for connection in connections], [200, 200])
        self.assertTrue(wait_until(lambda: metric(self.server, "post3_workers_replaced_total") == 2))
        self.assertTrue(wait_until(lambda: client.ask("GET", "/bucket/key").body == b"0123456789"))

    def test_drain(self) -> None:
        """SIGTERM closes the ports; what every worker has begun is finished."""
        self.start()
        client = self.client()
        connections = self.one_of_each()
        for connection in connections:
            connection.send(client.message("PUT", "/bucket/key", [], b"0123456789")[:-5])
        pids = worker_pids(self.server)
        statuses: list[int] = []
        stopping = Thread(target=lambda: statuses.append(self.server.stop()))
        stopping.start()
        self.assertTrue(wait_until(lambda: not self.accepts(client)))
        for connection in connections:
            connection.send(b"56789")
        self.assertEqual([connection.reply("PUT").status for connection in connections], [200, 200])
        stopping.join()
        self.assertEqual(statuses, [0])
        self.assertTrue(all(map(is_gone, pids)))

    def accepts(self, client: Client) -> bool:
        """Whether the port is open."""
        try:
            client.connect().close()
        except ConnectionError:
            return False
        return True

    def test_parent_is_killed(self) -> None:
        """Workers whose parent is gone end at once, and the data directory is free."""
        self.start()
        pids = worker_pids(self.server)
        self.assertEqual(len(pids), 2)
        self.server.kill()
        self.assertTrue(wait_until(lambda: all(map(is_gone, pids))))
        self.server.start()

    def test_foreign_index(self) -> None:
        """A store that cannot be opened is one line, and exit status 1, although a worker found out."""
        directory = tempfile.TemporaryDirectory(prefix="post3-deaths-")
        self.addCleanup(directory.cleanup)
        data = Path(directory.name) / "data"
        data.mkdir(0o700)
        (data / "index.sqlite3").write_bytes(b"not a database" * 1000)
        refused = str(self.assertRaises(ServerNotRunning, RunningServer(data_dir=data, workers=2).start))
        (line,) = (line for line in refused.splitlines() if line.startswith("post3: "))
        self.assertIn("cannot be read as an index", line)
        self.assertNotIn("Traceback", refused)

    def test_endpoints(self) -> None:
        """Every kind of endpoint can be shared, and both workers take connections from it."""
        directory = tempfile.TemporaryDirectory(prefix="post3-endpoints-")
        self.addCleanup(directory.cleanup)
        place, local = Path(directory.name), "interface=127.0.0.1"
        made = make_certificate(place)
        pems = place / "pems"
        pems.mkdir()
        (pems / "localhost.pem").write_bytes(made.private_key.read_bytes() + made.certificate.read_bytes())
        kinds = [
            "tcp6:0:interface=\\:\\:1",
            f"ssl:0:{local}:certKey={made.certificate}:privateKey={made.private_key}",
            f"tls:{pems}:port=0:{local}",
            f"haproxy:tcp:0:{local}",
            "systemd:domain=INET:index=0",
            f"unix:{place}/s3:mode=600",
        ]
        self.start(*(f"--listen={kind}" for kind in kinds), wrapper=(sys.executable, "-c", SYSTEMD))
        self.assertEqual(len(self.server.endpoints), 7)
        for kind, url in zip(["tcp", *kinds], self.server.endpoints, strict=True):
            with ExitStack() as connections:
                workers = set[str]()
                for _ in range(MANY):
                    if len(workers) < 2:
                        workers.add(self.who_answers(connections, kind, url))
                self.assertEqual(len(workers), 2, kind)
        self.assertEqual((place / "s3").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse((place / "s3").exists())

    def who_answers(self, connections: ExitStack, kind: str, url: str) -> str:
        """The worker that answers on an endpoint; the connection stays open, so that the next is another's."""
        if kind.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(kind.split(":")[1])
        else:
            address = urlsplit(url)
            connection = socket.create_connection((address.hostname, address.port), 20)
        if kind.startswith("haproxy:"):
            connection.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n")
        if kind.startswith(("ssl:", "tls:")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        connections.enter_context(connection).sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = ""
        while "</Error>" not in reply:
            reply += connection.recv(1 << 16).decode()
        self.assertTrue(reply.startswith("HTTP/1.1 403 "), reply)
        (worker,) = re.findall(r"(?mi)^x-amz-id-2: *(\S+)", reply)
        return str(worker)
