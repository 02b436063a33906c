"""Model-based runs: random requests to servers, compared with a model and with each other.

    python -m tests.durability.models [--operations 500000] [--sides world] [--seed N]

`--sides` names what is asked: `world` (the server in this process, on SQLite, its connections in memory), `fs` and
`postgres` (servers of their own), or several with commas between. Each answer must be what the model (`dictstore`)
says; with several sides all answers must be the same, also to requests that make no sense (`walk`). Now and then the
servers are stopped or killed and started again. A divergence is printed with the seed; the same seed asks the same
again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from attrs import define, field

from post3tw.testing.server import RunningServer
from tests.backends import new_server
from tests.durability.answers import Answer, Side, Step
from tests.durability.dictstore import Refused
from tests.durability.lines import Line, unsigned_head
from tests.durability.listing_rules import ListingRules
from tests.durability.object_rules import ObjectRules
from tests.durability.rules import Rule
from tests.durability.scheduler import Scheduler
from tests.durability.setting_rules import SettingRules
from tests.durability.simulation import say
from tests.durability.upload_rules import UploadRules
from tests.durability.walk import BUCKETS as WALKED
from tests.durability.walk import Walk
from tests.durability.world import World, memory
from tests.hostile.raw import Client, Connection, Fields, Reply

OPTIONS = ("--durability=relaxed", "--reserve=0")
LOOK = 2500
"""Requests between two looks at everything that there is."""


class Divergence(Exception):
    """An answer was not as expected, or not the same everywhere."""


# -- who is asked ------------------------------------------------------------------------------------------------------


@define
class InMemory:
    """A server in this process. What is sent comes in pieces; threads do things in a random order."""

    world: World
    random: Random
    _line: Line | None = None
    _replies: list[Reply | None] = field(factory=list)

    def ask(self, method: str, target: str, headers: Fields, body: bytes, *, payload: bytes, signed: bool) -> Reply:
        """See Asker."""
        line = self._line
        if line is None or line.closed:
            line = self._line = Line(self.world, self._replies.append, self.random)
        self._replies.clear()
        line.ask(method, target, headers, body, payload=payload, signed=signed)
        self.world.scheduler.until(lambda: bool(self._replies))
        if self._replies[0] is None:
            raise Divergence(f"no answer to {method} {target}")
        return self._replies[0]

    def restart(self, gently: bool) -> None:
        """See Asker."""
        self._line = None
        if gently:
            self.world.stop()
        else:
            self.world.crash()
        self.world.start()


@define
class OverSockets:
    """A server in a process of its own."""

    server: RunningServer
    _client: Client | None = None
    _connection: Connection | None = None

    def ask(self, method: str, target: str, headers: Fields, body: bytes, *, payload: bytes, signed: bool) -> Reply:
        """See Asker."""
        server = self.server
        client = self._client = self._client or Client(server.endpoint, server.access_key, server.secret_key)
        if body or method in ("PUT", "POST"):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        head = client.head(method, target, headers, payload_hash=payload) if signed else None
        connection = self._connection = self._connection or client.connect()
        connection.offer((head or unsigned_head(method, target, headers)) + body)
        reply = connection.reply(method)
        if reply.headers.get("connection") == "close":
            connection.close()
            self._connection = None
        return reply

    def restart(self, gently: bool) -> None:
        """See Asker."""
        if self._connection is not None:
            self._connection.close()
        self._client = self._connection = None
        if gently:
            self.server.stop()
        else:
            self.server.kill()
        self.server.start()


@contextmanager
def side(kind: str, seed: int) -> Iterator[Side]:
    """A server that is asked, as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="post3-model-", dir=memory() if kind == "world" else None) as directory:
        if kind == "world":
            random = Random(seed)
            # Time passes, because uploads of one key are listed in the order of their time.
            world = World(Path(directory), Scheduler(random, tick=0.002), random)
            world.start()
            try:
                yield Side(InMemory(world, random))
            finally:
                world.abandon()
        else:
            with new_server(OPTIONS, backend=kind, data_dir=Path(directory) / "data") as server:
                yield Side(OverSockets(server))


# -- what is asked -----------------------------------------------------------------------------------------------------


class Model(ObjectRules, ListingRules, UploadRules, SettingRules):
    """All rules."""

    def next(self) -> Rule:
        """A rule, chosen by weight."""
        return self.random.choice(_RULES)(self)


_WEIGHTS: list[tuple[int, Callable[[Model], Rule]]] = [
    (14, Model.put),
    (14, Model.get),
    (3, Model.read_as_stranger),
    (7, Model.delete),
    (3, Model.delete_many),
    (5, Model.copy),
    (3, Model.list_objects),
    (3, Model.list_versions),
    (3, Model.create_upload),
    (6, Model.upload_part),
    (2, Model.list_parts),
    (1, Model.list_uploads),
    (4, Model.complete),
    (1, Model.abort),
    (3, Model.make_bucket),
    (2, Model.remove_bucket),
    (3, Model.versioning),
    (5, Model.tagging),
    (2, Model.acl),
    (5, Model.retention),
    (4, Model.legal_hold),
]
_RULES = [rule for weight, rule in _WEIGHTS for _ in range(weight)]


@define
class Run:
    """One run.

    Attributes:
        seed: decides what is asked.
        sides: who is asked.
        restarts: how many requests there are between two restarts, on average; 0 for none.
        operations: how many requests were made.
        statuses: how many answers of each status there were.
    """

    seed: int
    sides: list[Side]
    restarts: int = 500
    operations: int = 0
    restarted: int = 0
    statuses: Counter[int] = field(factory=Counter)
    _random: Random = field(init=False)
    _model: Model = field(init=False)
    _walk: Walk = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(self.seed)
        self._model, self._walk = Model(Random(f"{self.seed}-model")), Walk(Random(f"{self.seed}-walk"))

    def go_on(self, operations: int) -> None:
        """Ask until so many requests were made.

        Raises:
            Divergence.
        """
        looked = 0
        while self.operations < operations:
            if self.restarts and self._random.randrange(self.restarts) == 0:
                self._restart()
            if self._random.randrange(5) == 0:
                step = self._walk.next()
                self._walk.learn(step, self._ask(step))
            else:
                self._play(self._model.next())
            if self.operations - looked >= LOOK:
                looked = self.operations
                for step in everything():
                    self._ask(step)

    def _restart(self) -> None:
        gently = self._random.random() < 0.5
        for each in self.sides:
            each.client.restart(gently)
        self.restarted += 1

    def _play(self, rule: Rule) -> None:
        step = None
        try:
            step, expected = next(rule)
            while True:
                answer = self._ask(step)
                if (difference := expected.differs(answer)) is not None:
                    raise self._divergence(step, f"{difference}\nexpected {expected}\nanswer   {answer}")
                step, expected = rule.send(answer)
        except StopIteration:
            return
        except (AssertionError, Refused, KeyError) as error:
            raise self._divergence(step, repr(error)) from error

    def _ask(self, step: Step) -> Answer:
        answers = [each.ask(step) for each in self.sides]
        self.operations += 1
        self.statuses[answers[0].status] += 1
        if any(answer != answers[0] for answer in answers[1:]):
            raise self._divergence(step, "\n".join(f"answer {answer}" for answer in answers))
        if answers[0].status == 500:
            raise self._divergence(step, str(answers[0]))
        return answers[0]

    def _divergence(self, step: Step | None, text: str) -> Divergence:
        return Divergence(f"seed {self.seed}, operation {self.operations}: {step}\n{text}")


def everything() -> list[Step]:
    """Requests that together show all that is stored in the buckets of the walk."""
    steps = [Step("GET", "/")]
    for bucket in WALKED:
        steps += [Step("GET", f"/{bucket}", ((name, None),)) for name in ("versions", "uploads", "tagging")]
        steps += [Step("GET", f"/{bucket}/{key}") for key in ("a", "b", "a/b")]
    return steps


def run(seed: int, kinds: list[str], operations: int, restarts: int) -> Run:
    """Make a run.

    Raises:
        Divergence.
    """
    with ExitStack() as stack:
        made = Run(seed, [stack.enter_context(side(kind, seed)) for kind in kinds], restarts)
        made.go_on(operations)
    return made


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=500_000)
    parser.add_argument("--sides", default="world")
    parser.add_argument("--seed", type=int, default=1, help="the first; each stands for a tenth of the operations")
    parser.add_argument("--restarts", type=int, default=500, help="requests between two restarts; 0 for none")
    options = parser.parse_args(arguments)
    kinds, begin, done, restarted, wrong = options.sides.split(","), time.monotonic(), 0, 0, 0
    share = max(1000, options.operations // 10)
    for seed in range(options.seed, options.seed + 10):
        if done >= options.operations:
            break
        try:
            made = run(seed, kinds, min(share, options.operations - done), options.restarts)
        except Divergence as divergence:
            wrong += 1
            say(str(divergence))
            continue
        done += made.operations
        restarted += made.restarted
        sys.stderr.write(f"seed {seed}: {done} operations, {time.monotonic() - begin:.0f} s\n")
    seconds, cpu = time.monotonic() - begin, time.process_time()
    say(
        f"{done} operations on {options.sides}, {restarted} restarts, {seconds:.0f} s ({cpu:.0f} s of CPU here),"
        f" {done / seconds:.0f}/s: {wrong} divergences"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
