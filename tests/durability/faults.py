"""An error, a short write, or death at every system call: `python -m tests.durability.faults --errors --kills`.

Theory of operation. A library in the server (`faults.c`, LD_PRELOAD) counts the calls that touch its data directory
while one request is served, and makes the n-th of them fail, or that and all that follow; or ends the process there.
Each mutating operation is made once for each n, until it is through. Afterwards, without the fault:

- an operation whose own call failed was not answered with success;
- every key holds what it held, or what was sent for it, whole; what was answered with success is there;
- the next request works, without a restart unless the process was killed, and no descriptor is left open.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

from attrs import define, evolve, field, frozen

from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.durability.ledger import Content, Name, Value
from tests.durability.recording import PATCHED
from tests.durability.workload import Person, Unexpected
from tests.hostile.case import client_of, wait_until
from tests.hostile.raw import Client
from tests.processes import ROOT

KINDS = (
    "put_small",
    "put_large",
    "put_version",
    "delete",
    "delete_many",
    "hide_version",
    "delete_version",
    "copy",
    "tag",
    "complete",
    "abort",
)
"""Methods of `Person`: every operation that changes something."""

LEAST, MOST = 4, 12
"""Versions before a fault; each of them is read after it."""

KILL, SHORT = -1, -2
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE)

_ORDERS = struct.Struct("6i32s16s456s")
_SOURCE = Path(__file__).with_name("faults.c")
_SYNCS = ("fsync", "fdatasync")


@cache
def library() -> Path:
    """The library, compiled. Raises CalledProcessError or FileNotFoundError where there is no compiler."""
    directory = Path(tempfile.mkdtemp(prefix="post3-faults-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(path), str(_SOURCE), "-ldl"], check=True)
    return path


@frozen
class Fault:
    """What to do at the n-th call, and with `persistent` at all that follow; with `only` of the calls whose names have
    that in them."""

    nth: int
    action: int
    persistent: bool = False
    only: str = ""

    def __str__(self) -> str:
        what = {KILL: "a kill", SHORT: "a short write"}.get(self.action) or errno.errorcode[self.action]
        return f"{what} at call {self.nth}{' and all after it' if self.persistent else ''}"


@define
class Control:
    """The orders that a server's library reads."""

    path: Path
    _map: mmap.mmap = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.path.write_bytes(bytes(_ORDERS.size))
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ORDERS.size)

    def arm(self, fault: Fault) -> None:
        """Count from now on, and do it."""
        self._map[:] = _ORDERS.pack(0, fault.nth, fault.action, fault.persistent, 0, 0, b"", fault.only.encode(), b"")
        self._map[:4] = struct.pack("i", 1)

    def disarm(self) -> tuple[int, int, str, str]:
        """Do nothing more; how many calls there were, how many of them were hit, and what the first hit was."""
        self._map[:4] = bytes(4)
        _, _, _, _, count, hits, call, _, path = _ORDERS.unpack(self._map[:])
        return count, hits, call.rstrip(b"\0").decode(), path.rstrip(b"\0").decode()


@define
class Outcome:
    """What was found.

    Attributes:
        points: faults that were met.
        refused: of them, those whose operation was answered with an error, or not at all.
        violations: what was wrong.
    """

    points: int = 0
    refused: int = 0
    violations: list[str] = field(factory=list)


@define
class Victim:
    """A server with the library in it, and its one client.

    Attributes:
        directory: for its data and the orders.
        random: of the client.
    """

    directory: Path
    random: Random
    outcome: Outcome = field(factory=Outcome)
    server: RunningServer = field(init=False)
    control: Control = field(init=False)
    person: Person = field(init=False)
    _descriptors: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.control = Control(self.directory / "orders")
        self.server = RunningServer(
            data_dir=self.directory / "data",
            options=("--reserve=0", "--blob-grace=0"),
            environment={
                "PYTHONPATH": f"{ROOT}{os.pathsep}{PATCHED}",
                "DURABILITY_PATCHES": "frequent_look",
                "LD_PRELOAD": str(library()),
                "FAULTS_CONTROL": str(self.control.path),
                "FAULTS_DIRECTORY": str(self.directory / "data"),
            },
        )
        self.person = Person(Client("http://127.0.0.1:1", "", ""), "v", self.random)

    def begin(self) -> None:
        """Start, with something there to change."""
        self._start()
        self.person.prepare()
        self.person.work(30)
        self._descriptors = self._open()

    def end(self) -> None:
        """Stop, and look whether that went well."""
        if not wait_until(lambda: self._open() <= self._descriptors + 2, patience=5):
            self._wrong(f"{self._open() - self._descriptors} descriptors are left open")
        if self.server.stop() != 0:
            self._wrong("the server did not end well")

    def abandon(self) -> None:
        """Kill the server, if it still runs."""
        with suppress(ServerNotRunning):
            self.server.kill()

    def calls(self, kind: str) -> int:
        """How many calls an operation makes."""
        self.control.arm(Fault(0, 0))
        self.person.work(1, (kind,))
        return self.control.disarm()[0]

    def meet(self, kind: str, fault: Fault) -> bool:
        """Make an operation meet a fault; False when it was through before."""
        self._keep_versions()
        before = {name: _untagged(value) for name, value in self.person.holds.items()}
        self.person.asked.clear()
        said = len(self.server.output)
        self.control.arm(fault)
        problem = ""
        try:
            self.person.work(1, (kind,))
        except TimeoutError:
            self._wrong(f"{kind}, {fault}: no answer")
        except (Unexpected, OSError) as error:
            problem = str(error) or repr(error)
        _, hits, call, path = self.control.disarm()
        if not hits:
            if problem:
                self._wrong(f"{kind}: {problem}, without a fault")
            return False
        what = f"{kind}, {fault}, {call}({Path(path).name})"
        self.outcome.points += 1
        self.outcome.refused += bool(problem)
        if fault.action == KILL:
            self._start_again(what)
        elif not problem and _must_fail(fault, call, path):
            self._wrong(f"{what}: answered with success; {self.server.output[said:][-4000:]}")
        self._check(what, before, done=not problem)
        return True

    def _keep_versions(self) -> None:
        """Have as many versions as an operation needs that deletes one, and few enough to read all of them."""
        while not LEAST <= (count := sum(name[0] == "version" for name in self.person.holds)) <= MOST:
            self.person.work(1, ("put_version" if count < LEAST else "delete_version",))

    def _check(self, what: str, before: dict[Name, Value], *, done: bool) -> None:
        """What there is now is right, and the next request works."""
        seen = self.person.see()
        expected = {name: _untagged(value) for name, value in self.person.holds.items() if name[0] in _SEEN}
        asked = "\n".join(self.person.asked)
        known = self.person.sent | {value.sha256 for value in before.values() if isinstance(value, Content)}
        for name in expected.keys() | seen.keys():
            value = seen.get(name)
            if value == expected.get(name) or (value is None and expected.get(name) == Content("", 0)):
                continue
            possible = value is None or (isinstance(value, Content) and value.sha256 in known)
            if done or name[2] not in asked or not possible:
                self._wrong(f"{what}: {name} is {value} instead of {expected.get(name)}")
            if value is None:
                self.person.holds.pop(name, None)
            else:
                self.person.holds[name] = value
        if not wait_until(self._goes_on, patience=5):
            self._wrong(f"{what}: the next request fails: {self.server.output[-2000:]}")

    def _goes_on(self) -> bool:
        try:
            self.person.work(1, ("put_large",))
            self.person.work(1, ("put_small",))
        except (Unexpected, OSError):
            return False
        return True

    def _start(self) -> None:
        self.server.start()
        self.person.client = client_of(self.server)

    def _start_again(self, what: str) -> None:
        self.server.kill()
        try:
            self._start()
        except ServerNotRunning as error:
            self._wrong(f"{what}: it does not start again: {error}")
            raise

    def _open(self) -> int:
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def _wrong(self, what: str) -> None:
        self.outcome.violations.append(what)


_SEEN = ("object", "version")


def _untagged(value: Value) -> Value:
    return evolve(value, tags=()) if isinstance(value, Content) else value


def _must_fail(fault: Fault, call: str, path: str) -> bool:
    """Whether a request cannot have succeeded when this call failed: it was on its own path, and nothing stands in for
    it. Copying the log into the index, shortening the log and clearing away are not; a commit that found the disk full
    is tried once more, with all it has to write."""
    if fault.action == SHORT or path.endswith(("index.sqlite3", "reserve")) or call in ("unlink", "ftruncate"):
        return False
    if call in _SYNCS:
        return True
    in_log = path.endswith("-wal")
    if call == "open":
        return not in_log
    return not (in_log and fault.action in (errno.ENOSPC, errno.EDQUOT) and not fault.persistent)


def faults(nth: int, actions: Sequence[int]) -> Iterator[Fault]:
    """What may go wrong at one call."""
    for action in actions:
        yield Fault(nth, action)
        if action not in (KILL, SHORT):
            yield Fault(nth, action, persistent=True)


def sweep(victim: Victim, kinds: Sequence[str], actions: Sequence[int], beyond: int = 200) -> None:
    """Every fault at every call of some kinds of operations. An operation is through when two faults in a row were not
    met: what is chosen at random may make fewer calls than the last time."""
    for kind in kinds:
        missed, nth = 0, 0
        while missed < 2 and nth < beyond:
            nth += 1
            met = [victim.meet(kind, fault) for fault in faults(nth, actions)]
            missed = 0 if any(met) else missed + 1
        outcome = victim.outcome
        sys.stderr.write(f"{kind}: {nth} calls; {outcome.points} faults, {len(outcome.violations)} violations\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability.faults", description=__doc__)
    parser.add_argument("--errors", action="store_true", help="an error, or a short write, at every call")
    parser.add_argument("--kills", action="store_true", help="SIGKILL at every call")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which operations")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    actions = (*((*ERRORS, SHORT) if options.errors else ()), *((KILL,) if options.kills else ()))
    with tempfile.TemporaryDirectory(prefix="post3-faults-") as directory:
        victim, began = Victim(Path(directory), Random(options.seed)), time.monotonic()
        try:
            victim.begin()
            sweep(victim, options.kinds.split(","), actions)
            victim.end()
        finally:
            victim.abandon()
    for violation in victim.outcome.violations[:20]:
        sys.stdout.write(violation + "\n")
    outcome = victim.outcome
    sys.stdout.write(
        f"faults: {outcome.points} faults at every call of {options.kinds}, {outcome.refused} requests refused by them,"
        f" seed {options.seed}: {len(outcome.violations)} violations; {time.monotonic() - began:.0f} s\n"
    )
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
