"""What processes use, read from /proc: CPU, resident memory, and whether they have come to rest."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from attrs import define, field

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_REST = 0.05
_SAMPLE = 0.2

_high_water = re.compile(r"VmHWM:\s+(\d+) kB").search
_GONE = (FileNotFoundError, ProcessLookupError)


def tree(pids: Iterable[int]) -> list[int]:
    """Those processes, and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(*_GONE):
                children.setdefault(parent_of(Path(f"/proc/{entry}/stat").read_text()), []).append(int(entry))
    found: list[int] = []
    pending = list(pids)
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.append(pid)
            pending += children.get(pid, [])
    return found


def parent_of(stat: str) -> int:
    """The parent, from /proc/PID/stat. A command's name may have spaces and parentheses."""
    return int(stat.rpartition(")")[2].split()[1])


def seconds_of(stat: str) -> float:
    """Seconds of CPU, user and system, that a process used, and those of its children that have ended."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICK


@define
class Processes:
    """A server's processes: those named, and what they start.

    Attributes:
        pids: none where the server is on another machine; then nothing is known.
    """

    pids: Sequence[int] = ()

    def cpu(self) -> float | None:
        """Seconds of CPU so far."""
        if not self.pids:
            return None
        used = 0.0
        for pid in tree(self.pids):
            with suppress(*_GONE):
                used += seconds_of(Path(f"/proc/{pid}/stat").read_text())
        return used

    def resident(self, among: Sequence[int] | None = None) -> float | None:
        """MiB of all together; pages that they share count for each."""
        if not self.pids:
            return None
        pages = 0
        for pid in among or tree(self.pids):
            with suppress(*_GONE):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * _PAGE / (1 << 20)

    def most_resident(self) -> float:
        """MiB that each had at its highest, added up."""
        found = 0
        for pid in tree(self.pids):
            with suppress(*_GONE):
                high = _high_water(Path(f"/proc/{pid}/status").read_text())
                found += int(high[1]) if high else 0
        return found / 1024

    def settle(self, patience: float = 120.0) -> None:
        """Wait until they use less than a twentieth of a core; `patience` (s) is the longest wait."""
        end = time.monotonic() + patience
        used = self.cpu()
        while used is not None and time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu() or 0.0
            if now - used < _REST * 0.5:
                return
            used = now


@define
class Watch:
    """What processes use while the context lasts.

    Attributes:
        cpu: seconds of CPU; None where nothing is known.
        peak: the most MiB that were resident together, looked at five times a second.
    """

    processes: Processes
    cpu: float | None = None
    peak: float | None = None
    _thread: Thread | None = field(init=False, default=None)
    _over: Event = field(init=False, factory=Event)
    _before: float | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        if self.processes.pids:
            self._thread = Thread(target=self._sample, daemon=True)
            self._thread.start()
        self._before = self.processes.cpu()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        after = self.processes.cpu()
        if after is not None and self._before is not None:
            self.cpu = after - self._before
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        """Look at memory. The tree is read once: reading all of /proc five times a second would be a load itself."""
        pids = tree(self.processes.pids)
        while True:
            self.peak = max(self.peak or 0.0, self.processes.resident(pids) or 0.0)
            if self._over.wait(_SAMPLE):
                return
