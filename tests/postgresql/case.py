"""What these tests share: nodes on one database, clients that keep a ledger, and a look into the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from threading import Event, Thread

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.postgresql import Cluster
from post3tw.testing.server import RunningServer
from tests.hostile.case import client_of, wait_until
from tests.hostile.ledger import Writer
from tests.hostile.raw import Client, Reply

ACCESS_KEY, SECRET_KEY = "post3testing", "a-secret-that-all-nodes-know"


def node(dsn: str, *options: str) -> RunningServer:
    """A server on a database, not started. All have the same root key."""
    return RunningServer(
        options=("--backend=postgres", "--reserve=0", *options),
        environment={"DATABASE_URL": dsn},
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )


def client(endpoint: str) -> Client:
    """A client of a node, or of what stands before several."""
    return Client(endpoint, ACCESS_KEY, SECRET_KEY)


@define
class Load:
    """Clients that write until they are told to stop, each with keys of its own, whatever the server answers.

    Attributes:
        endpoints: where; client n talks to the endpoint n modulo their number.
        count: of clients.
        seed: of what they do; loads with different seeds have different keys.
    """

    endpoints: Sequence[str]
    count: int = 8
    seed: int = 20261121
    writers: list[Writer] = field(init=False, factory=list)
    _stop: Event = field(init=False, factory=Event)
    _threads: list[Thread] = field(init=False, factory=list)

    def __enter__(self) -> Load:
        for number in range(self.count):
            name = f"client-{self.seed}-{number}"
            endpoint = self.endpoints[number % len(self.endpoints)]
            writer = Writer(client(endpoint), name, Random(f"{self.seed}-{number}"), self._stop)
            self.writers.append(writer)
            self._threads.append(Thread(target=self._work, args=(writer,)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> int:
        """How many writes were."""
        return sum(writer.ledger.count for writer in self.writers)

    @property
    def refused(self) -> list[str]:
        """Status and code of what was refused."""
        return [refusal for writer in self.writers for refusal in writer.refused]

    def wait_for(self, more: int, patience: float = 30) -> bool:
        """Wait until so many more writes are acknowledged; whether they are in time."""
        goal = self.acknowledged + more
        return wait_until(lambda: self.acknowledged >= goal, patience)

    def move(self, endpoint: str) -> None:
        """Let all clients look at an endpoint, now that they have stopped."""
        for writer in self.writers:
            writer.client = client(endpoint)

    def lost(self) -> list[str]:
        """What is not as it was acknowledged."""
        return [wrong for writer in self.writers for wrong in writer.check()]

    def _work(self, writer: Writer) -> None:
        """A client connects again when its connection breaks."""
        while not self._stop.is_set():
            writer.run()
            self._stop.wait(0.02)


class NodesCase(SynchronousTestCase):
    """Tests with a cluster of their own, because they break it."""

    def start_cluster(self, **options: object) -> Cluster:
        """A running cluster, gone after the test."""
        cluster = Cluster(**options)  # type: ignore[arg-type]
        self.addCleanup(cluster.close)
        return cluster.start()

    def start_node(self, dsn: str, *options: str) -> RunningServer:
        """A running node, killed after the test when it is still there."""
        made = node(dsn, *options)
        self.addCleanup(self.end, made)
        return made.start()

    def end(self, made: RunningServer) -> None:
        """Stop a node that may have been ended already."""
        made.__exit__(None, None, None)

    def make_bucket(self, at: RunningServer, name: str = "bucket") -> None:
        """The bucket that the clients of a load write to."""
        self.assertEqual(client_of(at).ask("PUT", f"/{name}").status, 200)

    def answers(self, endpoint: str, wanted: Callable[[Reply], bool], patience: float = 20) -> Reply:
        """PUT a small object until the answer is as wanted; that answer."""
        end = time.monotonic() + patience
        while True:
            reply = client(endpoint).ask("PUT", "/bucket/probe", body=b"probe")
            if wanted(reply):
                return reply
            if time.monotonic() > end:
                self.fail(f"after {patience} s still {reply}")
            time.sleep(0.02)

    def recovers(self, endpoint: str, patience: float = 20) -> float:
        """Wait until a write succeeds; after how many seconds."""
        begin = time.monotonic()
        self.answers(endpoint, lambda reply: reply.status == 200, patience)
        return time.monotonic() - begin
