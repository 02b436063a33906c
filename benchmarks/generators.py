"""Load from processes of their own, begun together: the side of whoever waits for them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from benchmarks.exchange import Endpoint, Request
from benchmarks.load import Job, Outcome

_ROOT = Path(__file__).parents[1]


class LoadFailed(Exception):
    """A process of the load ended. The text is what it wrote."""


def processes_for(clients: int) -> int:
    """How many processes serve so many clients: half of the cores, the other half being for the server."""
    return max(1, min(clients, (os.cpu_count() or 2) // 2))


@frozen
class Loaded:
    """What a load came to.

    Attributes:
        latencies: seconds, ascending.
        elapsed: seconds.
        busy: the part of its time that the busiest process of the load was using a core, 0 to 1.
        bad: answers that do not count.
        first: what was wrong with the first of them.
        etags: by number of the request, from 1, where they are wanted.
    """

    latencies: Sequence[float]
    elapsed: float
    busy: float
    bad: int
    first: str
    etags: dict[int, str]


@define
class Generators:
    """The processes of one load, from `start` to `finish`."""

    endpoint: Endpoint
    requests: Sequence[Request]
    clients: int
    seconds: float
    once: bool = False
    etags: bool = False
    processes: int = 0
    _started: list[subprocess.Popen[bytes]] = field(init=False, factory=list)

    def start(self) -> Self:
        """Start the processes, and wait until all are connected."""
        count = self.processes or processes_for(self.clients)
        for number in range(count):
            clients = self.clients // count + (number < self.clients % count)
            job = Job(self.endpoint, self.requests[number::count], clients, self.seconds, self.once, self.etags)
            self._start(job)
        for process in self._started:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                self._fail(process)
        return self

    def go(self) -> None:
        """Begin."""
        for process in self._started:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.close()

    def finish(self) -> Loaded:
        """Wait for the end; what it came to."""
        outcomes = [self._outcome(process) for process in self._started]
        count = len(outcomes)
        return Loaded(
            latencies=sorted(second for outcome in outcomes for second in outcome.latencies),
            elapsed=max(outcome.elapsed for outcome in outcomes),
            busy=max(outcome.busy / max(outcome.elapsed, 1e-9) for outcome in outcomes),
            bad=sum(outcome.bad for outcome in outcomes),
            first=next((outcome.first for outcome in outcomes if outcome.first), ""),
            # The n-th request of process k was number (n - 1) * count + k + 1 of all.
            etags={
                (number - 1) * count + place + 1: etag
                for place, outcome in enumerate(outcomes)
                for number, etag in outcome.etags.items()
            },
        )

    def _start(self, job: Job) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._started.append(process)
        assert process.stdin is not None
        try:
            pickle.dump(job, process.stdin)
            process.stdin.flush()
        except BrokenPipeError:
            self._fail(process)

    def _outcome(self, process: subprocess.Popen[bytes]) -> Outcome:
        assert process.stdout is not None
        data = process.stdout.read()
        if process.wait() != 0:
            self._fail(process)
        outcome: Outcome = pickle.loads(data)
        return outcome

    def _fail(self, process: subprocess.Popen[bytes]) -> None:
        self._end()
        raise LoadFailed(f"a process of the load ended with status {process.returncode}")

    def _end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
