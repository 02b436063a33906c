"""One worker of a server with several: the program that the parent starts (server/parent.py). Not for people.

It gets what it needs through descriptors (server/orders.py), never by its command line, which everybody can read. Its
log goes to the parent, its access log where the parent's would.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from types import FrameType
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, Logger, eventAsText, globalLogBeginner
from twisted.python.failure import Failure

from post3tw.metrics.summing import measured
from post3tw.server.banner import Banner
from post3tw.server.collector import calm_collector
from post3tw.server.ending import ServerFailed
from post3tw.server.orders import LISTENERS, LOCK, PAGE, Message, Order, Orders, Reports, read_order
from post3tw.server.reactor import install_reactor
from post3tw.server.server import Server
from post3tw.storage.crew import Crew


@define(eq=False)
class Worker:
    """A server that follows its parent."""

    _log: ClassVar[Logger] = Logger()

    reactor: Any
    reports: Reports
    server: Server = field(init=False)
    _stopping: bool = False

    def begin(self, order: Order) -> None:
        """Make the server and start it; called when the reactor runs."""
        from post3tw.tap import make_worker

        crew = Crew(order.count, order.number, PAGE, LOCK if order.locked else -1, order.first)
        sockets = [(text, family, LISTENERS + index) for index, (text, family) in enumerate(order.endpoints)]
        try:
            self.server = make_worker(order.options, crew, sockets, self.reactor, self._announce, self._refuse)
            self.server.privilegedStartService()
            self.server.startService()
        except ServerFailed:
            self._end(1)
        except Exception as error:
            self._log.failure("The worker could not be started.")
            self._refuse(str(error) or type(error).__name__)
            self._end(1)
        else:
            self.reactor.addReader(Orders(self._follow, self._orphaned))
            self._take_signals()

    def log(self, event: LogEvent) -> None:
        """An observer of the log."""
        level, namespace = event.get("log_level"), event.get("log_namespace", "-")
        if namespace == "log_legacy":
            namespace = event.get("log_system", "-")
        self.reports.send(
            log={
                "level": "info" if level is None else level.name,
                "namespace": namespace,
                "text": eventAsText(event, includeTimestamp=False, includeSystem=False),
            }
        )

    # -- for the server

    def _announce(self, banner: Banner) -> None:
        calm_collector()
        self.reports.send(ready=banner.has_buckets)

    def _refuse(self, reason: str) -> None:
        self.reports.send(refused=reason)

    # -- for the parent

    def _follow(self, message: Message) -> None:
        if "ask" in message:
            parts = self.server.parts
            self.reports.send(answer=message["ask"], obstacle=parts.ready(), families=measured(parts.registry))
        elif message["do"] == "reload":
            self.server.reload()
        elif message["do"] == "reopen":
            self.server.reopen()
        elif message["do"] == "live":
            self.reports.send(alive=True)
        else:
            self._stop()

    def _orphaned(self) -> None:
        self.server.parts.access_log.flush()
        os._exit(1)

    # -- the end

    def _take_signals(self) -> None:
        """A terminal signals all processes; what they do about it is for the parent to say. Who ends a worker by hand
        lets it finish what it does."""
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            stopped: Deferred[Any] = self.server.stopService()
            stopped.addCallbacks(lambda _: self._end(0 if self.server.in_order else 1), self._stop_failed)

    def _stop_failed(self, failure: Failure) -> None:
        self._log.failure("The worker could not stop in order.", failure=failure)
        self._end(1)

    def _end(self, status: int) -> None:
        os._exit(status)  # everything is closed, and threads that wait for a disk are not waited for


def main() -> None:
    """Serve until the parent says otherwise, or is gone."""
    try:
        order = read_order()
    except EOFError:
        return
    install_reactor()
    from twisted.internet import reactor

    worker: Worker = Worker(reactor, Reports())
    observers: Any = [worker.log]
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)
    run: Any = reactor
    run.callWhenRunning(partial(worker.begin, order))
    run.run(installSignalHandlers=False)


if __name__ == "__main__":
    main()
