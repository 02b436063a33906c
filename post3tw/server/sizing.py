"""How many processes serve: what was asked for, what the machine (or the container) is good for, what is possible."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReactorProcess
from twisted.logger import Logger

from post3tw.config import Config
from post3tw.server.adopted import can_be_shared
from post3tw.storage.crew import MOST_WORKERS

MEMORY_OF_WORKER = 512 << 20
"""Bytes of memory that there are for each worker at least. An idle one takes a fifth of that; the rest is for requests
and for the system's cache."""

_CGROUP = Path("/sys/fs/cgroup")

_log = Logger()


def count_workers(config: Config, backend: Any, reactor: Any) -> int:
    """How many processes a server of its own has.

    Where more than one were wanted and cannot be had, the log says why.

    Args:
        config: `workers` is 0 for as many as make sense.
        backend: an IBackend.
        reactor: the one that is installed.
    """
    count = config.workers or min(default_workers(), MOST_WORKERS)
    if count < 2:
        return 1
    reasons = [f"--listen {text} cannot be shared" for text in config.listen if not can_be_shared(text)]
    if getattr(backend, "possess", None) is None:
        reasons.append(f"backend {config.backend} is for one process")
    if not (IReactorProcess.providedBy(reactor) and IReactorFDSet.providedBy(reactor)):
        reasons.append("this reactor cannot share ports")
    if reasons:
        _log.warn("One process instead of {count} workers: {reasons}.", count=count, reasons=", ".join(reasons))
        return 1
    return count


def default_workers(cgroup: Path = _CGROUP) -> int:
    """One for each core that this process may use, as far as there is memory for them; 1 at least."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _words(cgroup / "memory.max")
    if limit and limit[0].isdecimal():
        memory = min(memory, int(limit[0]))
    return max(1, min(_cores(cgroup), memory // MEMORY_OF_WORKER))


def _cores(cgroup: Path) -> int:
    """What may be used at a time; a part of a core counts as one."""
    cores = len(os.sched_getaffinity(0))
    quota = _words(cgroup / "cpu.max")
    if len(quota) == 2 and quota[0].isdecimal():
        cores = min(cores, -(-int(quota[0]) // int(quota[1])))
    return cores


def _words(path: Path) -> list[str]:
    """Those of a file; none where there is no such file."""
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
