"""Seeded simulation: a whole server in one thread, in an order that a seed decides, in weather that a seed makes.

    python -m tests.durability.simulation [--seeds 1000] [--first 1] [--seed N]

Each seed is a little life of a server (`world`): some clients write, create, replace, delete and read a few keys at
once, over connections that are cut into pieces or cut off; system calls and commits fail; the sweeper runs; the server
is stopped, or dies, also while it starts. In the end every key's history must be that of a register (`register`), the
data directory sound and free of orphans (`sound`), and the log without an error that no failed call explains. A seed
that fails is printed; `--seed N` runs it again, step by step the same.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from post3tw.model.errors import DomainError
from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.interfaces import StoreRefused
from tests.durability.lines import Line
from tests.durability.register import Call, Kind, Outcome, unexplained
from tests.durability.scheduler import Scheduler, Stuck
from tests.durability.sound import accidents
from tests.durability.values import body_of, etag_of, value_of
from tests.durability.world import World, memory
from tests.hostile.raw import Fields, Reply

KEYS = 4
CALLS = 250
"""Of all clients of a seed."""

_EXPECTED = (DomainError, IndexFailed, OSError, StoreRefused, CancelledError)
"""What bad weather becomes."""


class Violation(Exception):
    """A promise was broken. The text says which, and by which seed."""


@frozen
class Summary:
    """What came of a seed: how much happened, and a digest of all answers."""

    calls: int
    acknowledged: int
    failures: int
    lives: int
    steps: int
    digest: str


@define(eq=False)
class SimulatedClient:
    """One client: a call, its answer, a while, the next call."""

    simulation: Simulation
    name: str
    random: Random
    line: Line | None = None
    _key: str = ""
    _call: Call | None = None
    _count: int = 0
    _waiting: Any = None

    def come_back(self) -> None:
        """A server is there (again)."""
        self.line = None
        self._later(0.01)

    def cut_off(self) -> None:
        """The server is dead."""
        if self._call is not None:
            self._ended(Outcome.UNKNOWN)
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()

    def _later(self, seconds: float) -> None:
        self._waiting = self.simulation.scheduler.callLater(self.random.random() * seconds, self._next)

    def _next(self) -> None:
        simulation, self._waiting = self.simulation, None
        if simulation.left <= 0 or simulation.down:
            return
        simulation.left -= 1
        if self.line is None or self.line.closed:
            self.line = Line(simulation.world, self._answered, Random(self.random.random()))
        self._count += 1
        key, kind = f"key-{self.random.randrange(KEYS)}", self.random.choice(_CHOICES)
        value = f"{self.name}-{self._count}" if kind in (Kind.PUT, Kind.CREATE, Kind.REPLACE) else None
        headers: Fields = ()
        if kind is Kind.CREATE:
            headers = [(b"if-none-match", b"*")]
        expected = None
        if kind is Kind.REPLACE:
            large, expected = simulation.random_value(key, self.random)
            headers = [(b"if-match", etag_of(expected, large))]
        large = self.random.random() < 0.3
        body = b"" if value is None else body_of(value, large)
        if value is not None:
            simulation.values.setdefault(key, []).append((large, value))
        self._key, self._call = key, Call(kind, simulation.now(), 0, value=value, expected=expected)
        self.line.ask(_METHODS[kind], f"/bucket/{key}", headers, body)
        if self.random.random() < 0.03:
            simulation.scheduler.callLater(self.random.random() * 0.002, self.line.hang_up)

    def _answered(self, reply: Reply | None) -> None:
        call = self._call
        if call is None:
            return
        if reply is None:
            self.simulation.open.append((self._key, call))
            self._call = None
            self._later(0.01)
        elif reply.status >= 500 or reply.code in ("RequestTimeout", "RequestTimeTooSkewed"):
            self._ended(Outcome.UNKNOWN)
            self._later(4)  # by then a disk that was full is looked at again
        else:
            self._ended(*self._understood(call, reply))
            self._later(0.003)

    def _understood(self, call: Call, reply: Reply) -> tuple[Outcome, str | None]:
        if call.kind is Kind.GET and reply.status in (200, 404):
            return Outcome.DONE, value_of(reply.body) if reply.status == 200 else None
        if reply.status in (200, 204):
            return Outcome.DONE, call.value
        if reply.status == 412 or (reply.status == 404 and call.kind is Kind.REPLACE):
            return Outcome.REFUSED, call.value
        raise Violation(f"{call} was answered {reply.status} {reply.code}")

    def _ended(self, outcome: Outcome, value: str | None = None) -> None:
        assert self._call is not None
        call, self._call = self._call, None
        if outcome is Outcome.DONE and call.kind is Kind.GET:
            call = evolve(call, value=value)
        self.simulation.keep(self._key, evolve(call, outcome=outcome, end=self.simulation.now()))


_METHODS = {Kind.PUT: "PUT", Kind.CREATE: "PUT", Kind.REPLACE: "PUT", Kind.GET: "GET", Kind.DELETE: "DELETE"}
_CHOICES = [Kind.PUT] * 5 + [Kind.GET] * 6 + [Kind.DELETE] * 2 + [Kind.CREATE] * 3 + [Kind.REPLACE] * 3


@define(eq=False)
class Simulation:
    """One seed.

    Attributes:
        seed: decides everything.
        directory: for data.
        history: the calls on each key that ended.
        open: calls whose connection was lost, which the server may still carry out.
        left: how many calls are still to be made.
        down: whether there is no server to talk to.
    """

    seed: int
    directory: Path
    random: Random = field(init=False)
    scheduler: Scheduler = field(init=False)
    world: World = field(init=False)
    history: dict[str, list[Call]] = field(factory=dict)
    values: dict[str, list[tuple[bool, str]]] = field(factory=dict)
    open: list[tuple[str, Call]] = field(factory=list)
    left: int = CALLS
    down: bool = False
    _time: int = 0
    _deaf: bool = False
    _unexpected: list[str] = field(factory=list)
    _clients: list[SimulatedClient] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.random = Random(self.seed)
        self.scheduler = Scheduler(Random(self.random.random()), tick=self.random.choice((0.0, 0.0001, 0.002)))
        self.world = World(self.directory, self.scheduler, Random(self.random.random()), stormy=True)
        self.world.grace = self.random.choice((0.0, 0.0, 5.0))

    def now(self) -> int:
        """A moment, later than all before."""
        self._time += 1
        return self._time

    def keep(self, key: str, call: Call) -> None:
        """A call has ended."""
        self.history.setdefault(key, []).append(call)

    def random_value(self, key: str, random: Random) -> tuple[bool, str]:
        """A value that somebody may have written lately."""
        known = self.values.get(key, [])[-3:]
        return random.choice(known) if known else (False, "none")

    def run(self) -> Summary:
        """Live it.

        Raises:
            Violation: a promise was broken.
        """
        observer = cast(ILogObserver, self._observe)
        globalLogPublisher.addObserver(observer)
        try:
            self._live()
            self._look()
        except Stuck as stuck:
            raise self._violation(f"somebody waits for ever: {stuck}") from stuck
        finally:
            self.world.abandon()
            self._bury()
            globalLogPublisher.removeObserver(observer)
        calls = [call for key in sorted(self.history) for call in self.history[key]]
        digest = sha256(repr(calls).encode()).hexdigest()[:16]
        acknowledged = sum(call.outcome is not Outcome.UNKNOWN for call in calls)
        world = self.world
        return Summary(len(calls), acknowledged, world.weather.failures, world.lives, self.scheduler.steps, digest)

    # -- living

    def _live(self) -> None:
        self.world.start()
        self._ask_now("PUT", "/bucket")
        for number in range(self.random.randrange(2, 9)):
            self._clients.append(SimulatedClient(self, f"{self.seed}-{number}", Random(self.random.random())))
        self._come_back()
        while self.left > 0:
            self._go_on(self.random.randrange(50, 600))
            self.random.choice(_EVENTS)(self)
        self.world.weather.odds = 0.0
        self._end(self.world.stop)
        self._begin()

    def _go_on(self, steps: int) -> None:
        goal = self.scheduler.steps + steps
        self.scheduler.until(lambda: self.scheduler.steps >= goal or self.left <= 0, 100_000)

    def _storm(self) -> None:
        self.world.weather.odds = self.random.choice((0.0, 0.005, 0.03, 0.15))

    def _sweep(self) -> None:
        Deferred.fromCoroutine(self.world.sweep.run()).addErrback(lambda failure: failure.trap(*_EXPECTED))

    def _pass_time(self) -> None:
        self.scheduler.rightNow += self.random.choice((30, 400, 4000))

    def _kill(self) -> None:
        self._end(self.world.crash)
        self._begin()

    def _stop(self) -> None:
        self.world.weather.odds = 0.0
        self._end(self.world.stop)
        self._begin()

    def _end(self, how: Callable[[], None]) -> None:
        """The server goes; what it has not done by then it never does."""
        self.down = True
        how()
        for client in self._clients:
            client.cut_off()
        if how == self.world.crash:
            self._bury()
        for key, call in self.open:
            self.keep(key, evolve(call, outcome=Outcome.UNKNOWN, end=self.now()))
        self.open.clear()

    def _bury(self) -> None:
        """What was running when the server died ends now, out of hearing: in a dead process it would not end at all."""
        self._deaf = True
        for client in self._clients:
            client.line = None
        gc.collect()
        self._deaf = False

    def _begin(self) -> None:
        """It comes back; while it does, calls may fail and it may die again."""
        self.world.weather.odds = self.random.choice((0.0, 0.0, 0.02))
        try:
            self.world.start()
        except _EXPECTED:
            self.world.weather.odds = 0.0
            self._end(self.world.crash)
            self.world.start()
        self.world.weather.odds = 0.0
        self._come_back()

    def _come_back(self) -> None:
        self.down = False
        for client in self._clients:
            client.come_back()

    # -- looking

    def _look(self) -> None:
        for number in range(KEYS):
            begin, reply = self.now(), self._ask_now("GET", f"/bucket/key-{number}")
            value = value_of(reply.body) if reply.status == 200 else None
            self.keep(f"key-{number}", Call(Kind.GET, begin, self.now(), value=value))
        for key, calls in sorted(self.history.items()):
            if (wrong := unexplained(calls)) is not None:
                raise self._violation(f"{key} is no register: {wrong}")
        self.scheduler.rightNow += 100_000
        for _ in range(2):
            self.scheduler.run(self.world.sweep.run())
            self.scheduler.rightNow += 100
        self.world.stop()
        if found := accidents(self.world.data_dir, swept=True) + self._unexpected:
            raise self._violation("; ".join(found[:5]))

    def _ask_now(self, method: str, target: str) -> Reply:
        replies: list[Reply | None] = []
        Line(self.world, replies.append).ask(method, target)
        self.scheduler.until(lambda: bool(replies))
        if replies[0] is None or replies[0].status not in (200, 404):
            raise self._violation(f"{method} {target} in fine weather: {replies[0]}")
        return replies[0]

    def _violation(self, text: str) -> Violation:
        return Violation(f"seed {self.seed}: {text}")

    def _observe(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        unhandled = str(event.get("log_format")).startswith("Unhandled")
        if failure is not None and not self._deaf and (unhandled or not failure.check(*_EXPECTED)):
            self._unexpected.append(f"{event.get('log_format')}: {failure.getTraceback()}")


_EVENTS: list[Callable[[Simulation], None]] = [
    *[Simulation._storm] * 6,
    *[Simulation._sweep] * 4,
    *[Simulation._pass_time] * 2,
    *[Simulation._kill] * 3,
    Simulation._stop,
]


def simulate(seed: int) -> Summary:
    """Live one seed in a directory of its own."""
    gc.freeze()  # what is there already need not be looked at whenever a server dies
    with tempfile.TemporaryDirectory(prefix="post3-simulation-", dir=memory()) as directory:
        return Simulation(seed, Path(directory)).run()


def say(text: str) -> None:
    """Tell the one who runs a command."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="only this one, twice, and whether both were the same")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        lives = [simulate(options.seed) for _ in range(2)]
        say(f"{lives[0]}\n{lives[1]}\n{'the same' if lives[0] == lives[1] else 'NOT THE SAME'}")
        return int(lives[0] != lives[1])
    wrong, lived = 0, []
    begin = time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        try:
            lived.append(simulate(seed))
        except Violation as violation:
            wrong += 1
            say(str(violation))
        if seed % 50 == 0:
            sys.stderr.write(f"seed {seed}: {len(lived)} lives, {time.monotonic() - begin:.0f} s\n")
    say(
        f"{options.seeds} seeds from {options.first}, {sum(life.calls for life in lived)} calls,"
        f" {sum(life.lives for life in lived)} kills, {sum(life.failures for life in lived)} failures of the system,"
        f" {sum(life.steps for life in lived)} steps, {time.monotonic() - begin:.0f} s: {wrong} violations"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
