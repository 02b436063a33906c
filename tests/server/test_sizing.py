"""How many processes serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from post3tw.config import ConfigError, read_config
from post3tw.server import sizing
from post3tw.server.sizing import MEMORY_OF_WORKER, count_workers, default_workers
from post3tw.storage.crew import MOST_WORKERS
from post3tw.storage.fs import FileBackend


class DefaultWorkersTests(SynchronousTestCase):
    """What a machine, or a container in it, is good for."""

    def setUp(self) -> None:
        self.cgroup = Path(self.mktemp())
        self.cgroup.mkdir()
        self.patch(os, "sched_getaffinity", lambda pid: set(range(8)))
        self.patch(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * MEMORY_OF_WORKER // 4096}.__getitem__)

    def test_cores(self) -> None:
        """One for each core that the process may use; without a cgroup, and with one that limits nothing."""
        self.assertEqual(default_workers(self.cgroup), 8)
        (self.cgroup / "cpu.max").write_text("max 100000\n")
        (self.cgroup / "memory.max").write_text("max\n")
        self.assertEqual(default_workers(self.cgroup), 8)

    def test_quota(self) -> None:
        """A container's share of the cores counts, a part of a core as one."""
        for quota, workers in (("250000 100000", 3), ("50000 100000", 1), ("1600000 100000", 8)):
            (self.cgroup / "cpu.max").write_text(f"{quota}\n")
            self.assertEqual(default_workers(self.cgroup), workers, quota)

    def test_memory(self) -> None:
        """There are no more than memory allows, but always one."""
        for memory, workers in ((3 * MEMORY_OF_WORKER, 3), (MEMORY_OF_WORKER // 2, 1)):
            (self.cgroup / "memory.max").write_text(f"{memory}\n")
            self.assertEqual(default_workers(self.cgroup), workers)
        self.patch(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2 * MEMORY_OF_WORKER // 4096}.__getitem__)
        (self.cgroup / "memory.max").write_text("max\n")
        self.assertEqual(default_workers(self.cgroup), 2)


class ForOne:
    """A backend that does not say that it can be opened several times."""


class CountWorkersTests(SynchronousTestCase):
    """What comes of what was asked for."""

    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(sizing, "_log", self)

    def warn(self, text: str, **values: Any) -> None:
        """In the place of the log."""
        self.said.append(text.format(**values))

    def count(self, backend: object = None, clock: Any = None, **options: Any) -> int:
        """How many there are with these options."""
        from twisted.internet import reactor

        return count_workers(read_config(options, {}), backend or FileBackend(), clock or reactor)

    def test_asked_for(self) -> None:
        """A number is a number; auto is what the machine is good for."""
        self.patch(sizing, "default_workers", lambda: 5)
        self.assertEqual([self.count(workers=value) for value in (1, 3, "auto")], [1, 3, 5])

    def test_most(self) -> None:
        """There are no more than fit into what they share."""
        self.patch(sizing, "default_workers", lambda: 10**6)
        self.assertEqual(self.count(workers="auto"), MOST_WORKERS)
        self.assertEqual(self.count(workers=MOST_WORKERS), MOST_WORKERS)
        text = str(self.assertRaises(ConfigError, self.count, workers=MOST_WORKERS + 1))
        self.assertIn(f"neither auto nor a whole number from 1 to {MOST_WORKERS}", text)
        self.assertEqual(self.said, [])

    def test_one_process(self) -> None:
        """Where ports or the store cannot be shared there is one process, and a line that says why."""
        self.assertEqual(self.count(workers=2, listen=["tcp:0", "stdio:"]), 1)
        self.assertEqual(self.count(ForOne(), workers=2), 1)
        self.assertEqual(self.count(clock=Clock(), workers=2), 1)
        for text, reason in zip(self.said, ("--listen stdio: cannot", "is for one process", "reactor"), strict=True):
            self.assertIn("One process instead of 2 workers: ", text)
            self.assertIn(reason, text)
