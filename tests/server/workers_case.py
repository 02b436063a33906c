"""What the tests of several workers share: finding out which worker is behind a connection."""

from __future__ import annotations

import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.hostile.case import wait_until
from tests.hostile.raw import Client, Connection, Reply

MANY = 64
"""So many connections do not all go to one worker."""


def ask(client: Client, connection: Connection, method: str, target: str, *headers: str, body: bytes = b"") -> Reply:
    """A signed request on a connection that stays open; `headers` as "name: value"."""
    fields = [(name.encode(), value.strip().encode()) for name, _, value in (text.partition(":") for text in headers)]
    connection.send(client.message(method, target, fields, body))
    return connection.reply(method)


def worker_pids(server: RunningServer) -> list[int]:
    """The processes of the workers."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return sorted(map(int, children))


def is_gone(pid: int) -> bool:
    """Whether there is no such process any more, or what is left of it waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def metric(server: RunningServer, name: str) -> float:
    """The sum of a metric's samples."""
    with urlopen(f"{server.admin_endpoint}/metrics", timeout=20) as reply:
        text = reply.read().decode()
    found = re.findall(rf"(?m)^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text)
    return sum(map(float, found))


class WorkersCase(SynchronousTestCase):
    """A server with two workers."""

    server: RunningServer

    def client(self) -> Client:
        """One with the root user's key."""
        return Client(self.server.endpoint, self.server.access_key, self.server.secret_key)

    def one_of_each(self, count: int = 2) -> list[Connection]:
        """A connection to each worker; they are closed after the test."""
        client, found = self.client(), dict[str, Connection]()
        open_connections = ExitStack()
        self.addCleanup(open_connections.close)
        for _ in range(MANY):
            connection = open_connections.enter_context(client.connect())
            found.setdefault(self.worker_of(client, connection), connection)
            if len(found) == count:
                return list(found.values())
        self.fail(f"{MANY} connections went to {len(found)} workers")
        raise AssertionError

    def worker_of(self, client: Client, connection: Connection) -> str:
        """What tells a worker from others: each makes up an id of its own for its replies."""
        return ask(client, connection, "GET", "/").headers["x-amz-id-2"]

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """End a worker, and wait until another one serves in its place."""
        before = metric(self.server, "post3_workers_replaced_total")
        os.kill(pid, number)
        self.assertTrue(
            wait_until(
                lambda: (
                    metric(self.server, "post3_workers_replaced_total") > before
                    and metric(self.server, "post3_workers") == 2
                )
            )
        )
