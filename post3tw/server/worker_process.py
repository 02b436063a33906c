"""A worker, as its parent sees it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from post3tw.server.orders import ORDERS, REPORTS, Lines, Message, Order, encoded

MODULE = "post3tw.worker"


class WorkerProcess(ProcessProtocol):
    """One process.

    Args:
        order: what it is to do.
        heard: is called with each of its messages.
    """

    def __init__(self, order: Order, heard: Callable[[WorkerProcess, Message], None]) -> None:
        self.order = order
        self.ready = False
        self.ended: Deferred[str] = Deferred()
        """Fires with how it ended, for people."""
        self.killed = False
        """Whether somebody ended it by a signal that programs do not send themselves."""
        self._heard = heard
        self._lines = Lines()

    @property
    def number(self) -> int:
        """See Order."""
        return self.order.number

    @property
    def pid(self) -> int:
        """Of the process."""
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    def spawn(self, reactor: Any, descriptors: Mapping[int, int]) -> None:
        """Start it. `descriptors` says which one of ours it gets as which number."""
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        arguments = (sys.executable, "-m", MODULE, str(self.number))
        reactor.spawnProcess(
            self,
            sys.executable,
            arguments,
            env=environ,
            childFDs={0: 0, 1: 1, 2: 2, ORDERS: "w", REPORTS: "r", **descriptors},
        )

    def tell(self, **message: Any) -> None:
        """Send it a message."""
        transport: Any = self.transport
        if transport is not None and ORDERS in transport.pipes:
            transport.writeToChild(ORDERS, encoded(message))

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessExitedAlready):
            assert self.transport is not None
            self.transport.signalProcess("KILL")

    # -- for Twisted

    def connectionMade(self) -> None:
        """See ProcessProtocol."""
        self.tell(**self.order.message())

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """See ProcessProtocol."""
        for message in self._lines.add(data):
            self._heard(self, message)

    def processEnded(self, reason: Failure) -> None:
        """See ProcessProtocol."""
        status: Any = reason.value
        self.killed = status.signal in (signal.SIGKILL, signal.SIGTERM)
        how = f"status {status.exitCode}" if status.signal is None else signal.Signals(status.signal).name
        self.ended.callback(how)
