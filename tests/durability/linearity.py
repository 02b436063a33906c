"""Linearizability: every key of a server is a register, whoever writes it, through whichever node, while servers die.

    python -m tests.durability.linearity [--operations 100000] [--backend fs|postgres] [--nodes 1] [--kills 3]
        [--terminate 0.5] [--rounds 1000] [--server-option=--workers=2 …]

Sixteen clients put, get, delete, create (`If-None-Match: *`) and replace (`If-Match`) a few keys, over all nodes. What
each was answered, and when, makes a history of each key, which `register` checks. `--kills 3` ends a node with SIGKILL
about every three seconds and starts it again; `--terminate 0.5` ends connections of PostgreSQL every half a second.
Then the race: `--rounds` times 32 clients create one object at once, and exactly one may be told that it did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from threading import Event

import psycopg
from attrs import define, evolve, field

from post3tw.testing.postgresql import database_of, shared_cluster
from post3tw.testing.server import RunningServer
from tests.durability.register import Call, Kind, Outcome, unexplained
from tests.durability.simulation import say
from tests.durability.values import body_of, etag_of, value_of
from tests.hostile.raw import Client, Connection, Fields, Reply
from tests.postgresql.case import ACCESS_KEY, SECRET_KEY, node

CLIENTS = 16
KEYS = 24
RACERS = 32
PATIENCE = 300.0
"""Seconds that a node may be away: long runs are for machines that have other work, too."""
PROGRESS = 30.0
"""Seconds between two lines that say how far a run is."""
OPTIONS = ("--durability=relaxed", "--reserve=0", "--blob-grace=0")

_METHODS = {Kind.PUT: "PUT", Kind.CREATE: "PUT", Kind.REPLACE: "PUT", Kind.GET: "GET", Kind.DELETE: "DELETE"}
_CHOICES = [Kind.PUT] * 4 + [Kind.GET] * 8 + [Kind.DELETE] * 2 + [Kind.CREATE] * 3 + [Kind.REPLACE] * 3


class Gone(Exception):
    """A node that was killed did not come back."""


# -- the servers -------------------------------------------------------------------------------------------------------


@define
class Nodes:
    """Servers on one store.

    Attributes:
        servers: the nodes.
        dsn: of their database; None for files.
        endpoints: where each of them was when it was up; a server that starts again has none for a while.
        up: of each node, whether it can be talked to.
        kills: how many there were.
    """

    servers: Sequence[RunningServer]
    dsn: str | None = None
    endpoints: list[str] = field(init=False)
    up: list[Event] = field(init=False)
    kills: int = 0
    terminated: int = 0

    def __attrs_post_init__(self) -> None:
        self.endpoints = [server.endpoint for server in self.servers]
        self.up = [Event() for _ in self.servers]
        for event in self.up:
            event.set()

    def client(self, number: int) -> Client:
        """A client of a node, as soon as it is there. Raises Gone."""
        self.wait(number)
        server = self.servers[number]
        return Client(self.endpoints[number], server.access_key, server.secret_key)

    def wait(self, number: int) -> None:
        """Wait until a node is there. Raises Gone."""
        if not self.up[number].wait(PATIENCE):
            raise Gone(f"node {number} is not back after {PATIENCE:g} s")

    def kill(self, random: Random) -> None:
        """End a node at once, and start it again."""
        number = random.randrange(len(self.servers))
        self.up[number].clear()
        self.servers[number].kill()
        self.kills += 1
        self.servers[number].start()
        self.endpoints[number] = self.servers[number].endpoint
        self.up[number].set()

    def terminate(self, random: Random) -> None:
        """End one of the nodes' connections to the database."""
        assert self.dsn is not None
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with psycopg.connect(self.dsn) as connection:
            if processes := [row[0] for row in connection.execute(query)]:
                connection.execute("SELECT pg_terminate_backend(%s)", (random.choice(processes),))
                self.terminated += 1


@contextmanager
def running(backend: str, count: int, options: Sequence[str] = ()) -> Iterator[Nodes]:
    """Nodes with an empty bucket, as long as the context lasts."""
    with ExitStack() as stack:
        if backend == "postgres":
            dsn = shared_cluster().create_database()
            stack.callback(shared_cluster().query, f'DROP DATABASE "{database_of(dsn)}" WITH (FORCE)')
            servers = [node(dsn, *OPTIONS[:1], *options) for _ in range(count)]
        else:
            dsn, directory = None, stack.enter_context(tempfile.TemporaryDirectory(prefix="post3-linear-"))
            server = RunningServer(
                Path(directory) / "data", options=(*OPTIONS, *options), access_key=ACCESS_KEY, secret_key=SECRET_KEY
            )
            servers = [server]
        for server in servers:
            server.patience = PATIENCE
        nodes = Nodes([stack.enter_context(server) for server in servers], dsn)
        reply = nodes.client(0).ask("PUT", "/bucket")
        assert reply.status == 200, reply
        yield nodes


# -- the clients -------------------------------------------------------------------------------------------------------


@define(eq=False)
class Racer:
    """One client, in a thread of its own.

    Attributes:
        nodes: whom it asks.
        number: of the client; it talks to the node of this number, modulo how many there are.
        random: decides.
        share: how many calls it makes.
        values: of each key, values that were written lately, of all clients.
        calls: what it was answered.
        refused: statuses and codes of errors of the server.
    """

    nodes: Nodes
    number: int
    random: Random
    share: int
    values: dict[str, list[tuple[bool, str]]]
    calls: list[tuple[str, Call]] = field(factory=list)
    refused: Counter[str] = field(factory=Counter)
    strange: list[str] = field(factory=list)
    _connection: Connection | None = None
    _client: Client | None = None

    def run(self) -> None:
        """Make all calls. Raises Gone."""
        at = self.number % len(self.nodes.servers)
        for count in range(self.share):
            key, call, headers, body = self._choose(f"{self.number}-{count}")
            call = evolve(call, begin=time.monotonic())
            try:
                reply = self._ask(at, _METHODS[call.kind], f"/bucket/{key}", headers, body)
            except OSError as error:
                if isinstance(error, TimeoutError):
                    self.strange.append(f"{call} was not answered")
                self._connection = None
                self.nodes.wait(at)  # a node that died has done until then whatever it will
                self.calls.append((key, evolve(call, outcome=Outcome.UNKNOWN, end=time.monotonic())))
                time.sleep(0.01)
            else:
                self.calls.append((key, evolve(self._understood(call, reply), end=time.monotonic())))
        if self._connection is not None:
            self._connection.close()

    def _ask(self, at: int, method: str, target: str, headers: Fields, body: bytes) -> Reply:
        if self._connection is None:
            self._client = self.nodes.client(at)
            self._connection = self._client.connect()
        assert self._client is not None
        self._connection.send(self._client.message(method, target, headers, body))
        reply = self._connection.reply(method)
        if reply.headers.get("connection") == "close":
            self._connection.close()
            self._connection = None
        return reply

    def _choose(self, name: str) -> tuple[str, Call, Fields, bytes]:
        key, kind = f"key-{self.random.randrange(KEYS)}", self.random.choice(_CHOICES)
        known = self.values.setdefault(key, [])
        if kind in (Kind.GET, Kind.DELETE):
            return key, Call(kind, 0, 0), (), b""
        value, large, expected, headers = name, self.random.random() < 0.1, None, []
        if kind is Kind.CREATE:
            headers = [(b"if-none-match", b"*")]
        elif kind is Kind.REPLACE:
            other, expected = self.random.choice(known[-4:] or [(False, "none")])
            headers = [(b"if-match", etag_of(expected, other))]
        known.append((large, value))
        return key, Call(kind, 0, 0, value=value, expected=expected), headers, body_of(value, large)

    def _understood(self, call: Call, reply: Reply) -> Call:
        if reply.status >= 500:
            self.refused[f"{reply.status} {reply.code}"] += 1
            return evolve(call, outcome=Outcome.UNKNOWN)
        if call.kind is Kind.GET and reply.status in (200, 404):
            return evolve(call, value=value_of(reply.body) if reply.status == 200 else None)
        if reply.status in (200, 204):
            return call
        if reply.status != 412 and not (reply.status == 404 and call.kind is Kind.REPLACE):
            self.strange.append(f"{call} was answered {reply.status} {reply.code}")
            return evolve(call, outcome=Outcome.UNKNOWN)
        return evolve(call, outcome=Outcome.REFUSED)


@define
class Outcomes:
    """What came of a run: how many calls, how they ended, and what is wrong."""

    calls: int
    answered: int
    refused: Counter[str]
    wrong: list[str]


def exercise(
    nodes: Nodes, operations: int, seed: int, trouble: Sequence[tuple[float, Callable[[Random], None]]] = ()
) -> Outcomes:
    """Let the clients work, and check what they were told.

    Args:
        nodes: the servers.
        operations: how many calls all clients make together.
        seed: decides what they call.
        trouble: what is done beside them, each about every so many seconds.

    Raises:
        Gone: a node did not come back.
        ServerNotRunning: it did not start again.
    """
    values: dict[str, list[tuple[bool, str]]] = {}
    racers = [Racer(nodes, n, Random(f"{seed}-{n}"), operations // CLIENTS, values) for n in range(CLIENTS)]
    _work(racers, trouble, seed)
    last = Racer(nodes, 0, Random(), 0, values)
    history = [each for racer in racers for each in racer.calls]
    for number in range(KEYS):
        call = Call(Kind.GET, time.monotonic(), 0)
        reply = nodes.client(0).ask("GET", f"/bucket/key-{number}")
        history.append((f"key-{number}", evolve(last._understood(call, reply), end=time.monotonic())))
    wrong = [each for racer in (*racers, last) for each in racer.strange]
    for key in sorted({key for key, _ in history}):
        if (call_ := unexplained(call for of, call in history if of == key)) is not None:
            wrong.append(f"{key} is no register: {call_}")
    answered = sum(call.outcome is not Outcome.UNKNOWN for _, call in history)
    refused = sum((racer.refused for racer in racers), Counter[str]())
    return Outcomes(len(history), answered, refused, wrong)


def _work(racers: Sequence[Racer], trouble: Sequence[tuple[float, Callable[[Random], None]]], seed: int) -> None:
    """Let the clients make all their calls, in trouble. What ends a thread of trouble is raised before what ends a
    client: it is the cause."""
    over = Event()
    with ThreadPoolExecutor(len(racers) + len(trouble)) as pool:
        makers = [pool.submit(_make_trouble, over, seconds, make, seed) for seconds, make in trouble]
        working = [pool.submit(racer.run) for racer in racers]
        while wait(working, PROGRESS).not_done:
            sys.stderr.write(f"{sum(len(racer.calls) for racer in racers)} operations\n")
        over.set()
    for each in (*makers, *working):
        each.result()


def _make_trouble(over: Event, seconds: float, make: Callable[[Random], None], seed: int) -> None:
    random = Random(seed)
    while not over.wait(random.uniform(0.5, 1.5) * seconds):
        make(random)


def race(nodes: Nodes, rounds: int) -> list[str]:
    """Let 32 clients create one object at once, over and over: what is wrong."""
    clients = [nodes.client(number % len(nodes.servers)) for number in range(RACERS)]
    wrong = []
    with ExitStack() as stack:
        lines = [stack.enter_context(client.connect()) for client in clients]
        for number in range(rounds):
            target = f"/bucket/race-{number}"
            for racer, (client, line) in enumerate(zip(clients, lines, strict=True)):
                line.send(client.message("PUT", target, [(b"if-none-match", b"*")], b"%d" % racer))
            statuses = [line.reply("PUT").status for line in lines]
            winners = [racer for racer, status in enumerate(statuses) if status == 200]
            if len(winners) != 1 or set(statuses) - {200, 412, 409}:
                wrong.append(f"round {number}: {sorted(Counter(statuses).items())}")
            elif (body := clients[0].ask("GET", target).body) != b"%d" % winners[0]:
                wrong.append(f"round {number}: {winners[0]} has won, {body!r} is there")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--backend", choices=("fs", "postgres"), default="fs")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--kills", type=float, default=0, help="seconds between two kills of a node")
    parser.add_argument(
        "--terminate", type=float, default=0, help="seconds between two ended connections of PostgreSQL"
    )
    parser.add_argument("--rounds", type=int, default=1000, help="of the race")
    parser.add_argument("--server-option", action="append", default=[], help="for the servers; repeatable")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with running(options.backend, options.nodes, options.server_option) as nodes:
        begin, wrong = time.monotonic(), race(nodes, options.rounds)
        raced = time.monotonic() - begin
        trouble = [(options.kills, nodes.kill), (options.terminate, nodes.terminate)]
        found = exercise(nodes, options.operations, options.seed, [each for each in trouble if each[0]])
    for each in (*wrong, *found.wrong):
        say(each)
    say(
        f"{options.backend}, {options.nodes} nodes {' '.join(options.server_option)}: {options.rounds} races in"
        f" {raced:.0f} s, {len(wrong)} without exactly one winner; {found.calls} operations, {found.answered} answered,"
        f" {nodes.kills} kills, {nodes.terminated} connections ended, {dict(found.refused)},"
        f" {time.monotonic() - begin - raced:.0f} s: {len(found.wrong)} violations"
    )
    return int(bool(wrong or found.wrong))


if __name__ == "__main__":
    sys.exit(main())
