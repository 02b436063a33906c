"""The program of a worker, as far as it can be had without a process; tests.server.test_workers has the rest."""

from __future__ import annotations

import os
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.orders import Message
from post3tw.worker import Worker


@define
class Stopping:
    """A server, as far as it stops."""

    stopped: Deferred[None]
    in_order: bool = True

    def stopService(self) -> Deferred[None]:
        """See IService."""
        return self.stopped


@define
class Heard:
    """A parent that remembers what it is told."""

    messages: list[Message] = field(factory=list)

    def send(self, **message: Any) -> None:
        """See Reports."""
        self.messages.append(message)


class WorkerTests(SynchronousTestCase):
    """What it does with the orders of its parent."""

    def worker(self, server: Any = None) -> tuple[Worker, Heard]:
        """One that serves."""
        parent: Any = Heard()
        worker: Worker = Worker(None, parent)
        worker.server = server
        return worker, parent

    def test_status(self) -> None:
        """Its exit status says whether all steps of stopping worked."""
        statuses: list[int] = []
        self.patch(os, "_exit", statuses.append)
        for server in (Stopping(succeed(None)), Stopping(succeed(None), False), Stopping(fail(OSError("no disk")))):
            self.worker(server)[0]._follow({"do": "stop"})
        self.assertEqual(statuses, [0, 1, 1])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_sign_of_life(self) -> None:
        """It gives one when it is asked for."""
        worker, parent = self.worker()
        worker._follow({"do": "live"})
        self.assertEqual(parent.messages, [{"alive": True}])
