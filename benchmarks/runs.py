"""One run of one cell on one server, and what was measured."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from http.client import HTTPException

from attrs import frozen

from benchmarks.cells import Cell, Setting
from benchmarks.exchange import Request
from benchmarks.figures import percentile
from benchmarks.generators import Generators, Loaded, LoadFailed
from benchmarks.measuring import Processes, Watch
from benchmarks.scene import MIB, Scene, Side, Stock
from benchmarks.upload import Upload

BESIDE = 4
"""Clients of what runs beside a cell."""

_HEAD_START = 1.0
_LONG = 3600.0


@frozen
class Measured:
    """What a run came to.

    Attributes:
        rate: requests a second.
        mebibytes: of bodies, a second; None where there are none.
        p50: ms.
        p99: ms; of fewer than a hundred requests the slowest.
        cpu: microseconds of the server's CPU a request; None where its processes are not known, or do other work too.
        peak: MiB resident, highest; None likewise.
        busy: how busy the load generator was, 0 to 1.
        wrong: why this is no result; empty if it is one.
    """

    rate: float = 0.0
    mebibytes: float | None = None
    p50: float | None = None
    p99: float | None = None
    cpu: float | None = None
    peak: float | None = None
    busy: float = 0.0
    wrong: str = ""


@frozen
class Runner:
    """Runs cells.

    Attributes:
        stock: what is on the servers.
        seconds: that an ordinary cell lasts.
        everybody: the processes of all servers, which must be at rest before a cell begins.
        processes: of the load; 0: half of the cores.
    """

    stock: Stock
    seconds: float
    everybody: Processes
    processes: int = 0

    def run(self, cell: Cell, setting: Setting, side: Side, mark: str) -> Measured:
        """Run it once; `mark` is one that no other run has."""
        scene = Scene(side.accounts[setting.scheme], self.stock, setting.style, mark)
        try:
            cell.prove(scene)
            if cell.requests is None:
                return self._upload(cell, setting, side, scene)
            return self._load(cell, cell.requests(scene), setting, side, scene)
        except (ValueError, OSError, HTTPException, LoadFailed) as error:
            return Measured(wrong=f"{type(error).__name__}: {error}")

    def _load(self, cell: Cell, requests: list[Request], setting: Setting, side: Side, scene: Scene) -> Measured:
        seconds = self.seconds * cell.stretch
        with ExitStack() as stack:
            load = self._generators(scene, requests, setting.clients, seconds)
            stack.enter_context(load)
            self.everybody.settle()
            beside = None
            if cell.beside is not None:
                beside = self._generators(scene, cell.beside(scene), BESIDE, seconds + _HEAD_START)
                stack.enter_context(beside)
                beside.go()
                time.sleep(_HEAD_START)
            with Watch(side.processes) as watch:
                load.go()
                loaded = load.finish()
            if beside is not None and (other := beside.finish()).bad:
                return Measured(wrong=f"beside it: {other.first}")
        return measured(cell, loaded, watch, alone=beside is None)

    def _upload(self, cell: Cell, setting: Setting, side: Side, scene: Scene) -> Measured:
        began = time.perf_counter()
        upload = Upload.begin(scene)
        beginning = time.perf_counter() - began
        load = Generators(scene.endpoint, upload.parts(), setting.clients, _LONG, once=True, etags=True)
        with load:
            self.everybody.settle()
            with Watch(side.processes) as watch:
                began = time.perf_counter()
                load.go()
                loaded = load.finish()
                if not loaded.bad:
                    upload.complete(loaded.etags)
                took = beginning + time.perf_counter() - began
        whole = Loaded([took], took, loaded.busy, loaded.bad, loaded.first, {})
        return measured(cell, whole, watch)

    def _generators(self, scene: Scene, requests: list[Request], clients: int, seconds: float) -> Generators:
        return Generators(scene.endpoint, requests, clients, seconds, processes=min(self.processes, clients))


def measured(cell: Cell, loaded: Loaded, watch: Watch, *, alone: bool = True) -> Measured:
    """The figures of a run; `alone` is whether the server did nothing else meanwhile."""
    count = len(loaded.latencies)
    if loaded.bad or not count:
        return Measured(wrong=f"{loaded.bad} bad of {loaded.bad + count}: {loaded.first}")
    rate = count / loaded.elapsed
    return Measured(
        rate=rate,
        mebibytes=rate * cell.moved / MIB if cell.moved else None,
        p50=percentile(loaded.latencies, 0.5) * 1000,
        p99=percentile(loaded.latencies, 0.99) * 1000,
        cpu=None if watch.cpu is None or not alone else watch.cpu / count * 1e6,
        peak=watch.peak,
        busy=loaded.busy if math.isfinite(loaded.busy) else 0.0,
    )
