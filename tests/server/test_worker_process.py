"""Tests of post3tw.server.worker_process."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import Mock, patch

from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.worker_process import MEMORY, WorkerProcess


class Started:
    """A reactor that notes the environment in which it is to start a process."""

    def spawnProcess(self, *_: object, env: dict[str, str], **options: Any) -> None:
        """See IReactorProcess."""
        self.environ = env


class EnvironmentTests(SynchronousTestCase):
    """The environment of a worker."""

    def environ_in(self, ours: dict[str, str]) -> dict[str, str]:
        """That of a worker, when this is ours."""
        reactor = Started()
        with patch.dict(os.environ, ours, clear=True):
            WorkerProcess(Mock(number=0), lambda *_: None).spawn(reactor, {})
        return reactor.environ

    def test_memory(self) -> None:
        """It keeps memory that was freed for the next body, unless the environment says otherwise."""
        self.assertEqual(self.environ_in({"A": "b"}).items() & MEMORY.items(), MEMORY.items())
        name = "MALLOC_TRIM_THRESHOLD_"
        self.assertEqual(self.environ_in({name: "0"})[name], "0")
