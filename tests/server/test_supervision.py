"""Starting and replacing workers, with processes that are none and a clock that is set: crash loops take minutes."""

from __future__ import annotations

import errno
import json
import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.orders import ORDERS, REPORTS, Lines, Order, encoded
from post3tw.server.worker_process import WorkerProcess
from post3tw.server.workers import (
    ANSWER_TIME,
    LONGEST_PAUSE,
    MISSED,
    PULSE,
    SHORT_LIFE,
    SPARE_TIME,
    TRIES,
    NoWorkers,
    Workers,
)
from post3tw.storage.crew import Crew, new_page


class Transport:
    """Of a process that is none."""

    def __init__(self) -> None:
        self.pipes = {ORDERS: None}
        self.told: list[dict[str, Any]] = []
        self.signals: list[str] = []

    def writeToChild(self, number: int, data: bytes) -> None:
        """See IProcessTransport."""
        self.told += [json.loads(line) for line in data.splitlines()]

    def signalProcess(self, name: str) -> None:
        """See IProcessTransport."""
        self.signals.append(name)


class Processes(Clock):
    """A reactor that starts none."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[WorkerProcess] = []
        self.refused = 0

    def spawnProcess(self, process: WorkerProcess, executable: str, arguments: object, **options: Any) -> None:
        """See IReactorProcess."""
        if self.refused:
            self.refused -= 1
            raise BlockingIOError(errno.EAGAIN, "no processes")
        self.started.append(process)
        process.makeConnection(Transport())


def hear(process: WorkerProcess, **message: Any) -> None:
    """A worker says something, in two pieces."""
    data = encoded(message)
    process.childDataReceived(REPORTS, data[:3])
    process.childDataReceived(REPORTS, data[3:])


def end(process: WorkerProcess, status: int | None = 1, number: int | None = None) -> None:
    """A worker ends."""
    reason = ProcessDone(0) if status == 0 else ProcessTerminated(status, number, 0)
    process.processEnded(Failure(reason))


class SupervisionTests(SynchronousTestCase):
    """Three workers."""

    def setUp(self) -> None:
        self.reactor = Processes()
        self.given_up: list[str] = []
        self.workers = Workers(
            self.reactor,
            Crew(3, -1, new_page()),
            lambda number, first: Order({}, number, 3, first, False, []),
            {},
            self.given_up.append,
        )

    def transport(self, process: WorkerProcess) -> Transport:
        """Of a process."""
        transport: Any = process.transport
        assert isinstance(transport, Transport)
        return transport

    def start(self) -> None:
        """Have all of them serve."""
        starting = Deferred.fromCoroutine(self.workers.start())
        for number in range(3):
            hear(self.reactor.started[number], ready=True)
        self.successResultOf(starting)
        self.assertEqual(self.workers.serving, 3)

    def test_first_alone(self) -> None:
        """The first opens the store alone, and knows that it does; then the others follow."""
        starting = Deferred.fromCoroutine(self.workers.start())
        self.assertEqual([(each.number, each.order.first) for each in self.reactor.started], [(0, True)])
        hear(self.reactor.started[0], ready=False)
        orders = [self.transport(process).told[0] for process in self.reactor.started]
        self.assertEqual([(order["number"], order["first"]) for order in orders], [(0, True), (1, False), (2, False)])
        self.assertNoResult(starting)
        hear(self.reactor.started[1], ready=False)
        hear(self.reactor.started[2], ready=True)
        self.successResultOf(starting)

    def test_refused(self) -> None:
        """A worker that does not come up at the start ends the start, with the reason that it gave, if it did."""
        for said, reason in (("the disk is gone", "the disk is gone"), ("", "worker 0 ended with status 1")):
            self.setUp()
            starting = Deferred.fromCoroutine(self.workers.start())
            if said:
                hear(self.reactor.started[0], refused=said)
            end(self.reactor.started[0])
            self.assertEqual(str(self.failureResultOf(starting, NoWorkers).value), reason)

    def test_replaced(self) -> None:
        """A worker that served and is killed is replaced at once, by one of the same number; however often."""
        self.start()
        for _ in range(2 * TRIES):
            end(self.reactor.started[-1], None, signal.SIGKILL)
            self.assertEqual(self.workers.serving, 2)
            self.reactor.advance(0)
            self.assertEqual((self.reactor.started[-1].number, self.reactor.started[-1].order.first), (2, False))
            hear(self.reactor.started[-1], ready=True)
        self.assertEqual((self.workers.serving, self.workers.replaced, self.given_up), (3, 2 * TRIES, []))

    def test_crash_loop(self) -> None:
        """One that ends by itself again and again is tried later and later, then it is given up in one clear line."""
        self.start()
        pauses = []
        while not self.given_up:
            end(self.reactor.started[-1], None, signal.SIGSEGV)
            count, begun = len(self.reactor.started), self.reactor.seconds()
            while len(self.reactor.started) == count and not self.given_up:
                self.reactor.advance(0.1)
            pauses.append(self.reactor.seconds() - begun)
            hear(self.reactor.started[-1], ready=True)
        self.assertEqual(self.given_up, [f"worker 2 ended with SIGSEGV, {TRIES} times in a row"])
        self.assertEqual(len(pauses), TRIES)
        self.assertEqual(pauses[:-1], sorted(pauses[:-1]))
        self.assertLessEqual(max(pauses), LONGEST_PAUSE + 0.2)

    def test_silent(self) -> None:
        """A worker that gives no sign of life any more is killed, whatever it has, and replaced; the others are not,
        and whatever a worker says is a sign."""
        self.start()
        alive, chatting, silent = self.reactor.started
        for number in range(MISSED + 1):
            self.assertEqual(self.transport(silent).signals, [], number)
            self.reactor.advance(PULSE)
            self.assertEqual(self.transport(alive).told[-1], {"do": "live"})
            hear(alive, alive=True)
            hear(chatting, log={"level": "info", "namespace": "-", "text": "busy"})
        self.assertEqual([self.transport(each).signals for each in (alive, chatting, silent)], [[], [], ["KILL"]])
        end(silent, None, signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual((len(self.reactor.started), self.reactor.started[-1].number), (4, 2))
        for _ in range(2 * MISSED):  # whoever is still starting owes nothing
            self.reactor.advance(PULSE)
            hear(alive, alive=True)
            hear(chatting, alive=True)
        self.assertEqual(self.transport(self.reactor.started[-1]).signals, [])

    def test_the_parent_was_silent(self) -> None:
        """When the parent could not run for long, all it had not asked meanwhile is owed by nobody."""
        self.start()
        for _ in range(MISSED):
            self.reactor.advance(1000 * PULSE)
        self.assertEqual([self.transport(process).signals for process in self.reactor.started], [[]] * 3)

    def test_no_processes(self) -> None:
        """When the system has no process for a new worker, it is tried again, and nobody waits for one that is not."""
        self.start()
        self.reactor.refused = 3
        end(self.reactor.started[0], None, signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual(self.workers.serving, 2)
        asking = Deferred.fromCoroutine(self.workers.ask())
        self.reactor.advance(ANSWER_TIME)
        self.successResultOf(asking)
        self.reactor.pump([0.1] * 20)
        self.assertEqual((len(self.reactor.started), self.reactor.refused, self.given_up), (4, 0, []))
        hear(self.reactor.started[-1], ready=True)
        self.assertEqual(self.workers.serving, 3)

    def test_no_processes_at_the_start(self) -> None:
        """When the system has no process for a worker at the start, that is the reason that is given."""
        self.reactor.refused = 1
        failure = self.failureResultOf(Deferred.fromCoroutine(self.workers.start()), NoWorkers)
        self.assertIn("worker 0 cannot be started: [Errno", str(failure.value))

    def test_stop_without_processes(self) -> None:
        """Stopping does not wait for a worker that could not be started."""
        self.start()
        self.reactor.refused = 1
        end(self.reactor.started[0], None, signal.SIGKILL)
        self.reactor.advance(0)
        stopping = Deferred.fromCoroutine(self.workers.stop(10))
        for process in self.reactor.started[1:]:
            end(process, 0)
        self.successResultOf(stopping)

    def test_long_lives(self) -> None:
        """Who served for a while starts anew with the first try."""
        self.start()
        for _ in range(2 * TRIES):
            self.reactor.advance(SHORT_LIFE)
            end(self.reactor.started[-1])
            self.reactor.advance(0)
            hear(self.reactor.started[-1], ready=True)
        self.assertEqual((self.workers.serving, self.given_up), (3, []))

    def test_ask(self) -> None:
        """All are asked; one that does not answer in time is not waited for, and a dead one's counters stay."""
        self.start()
        asking = Deferred.fromCoroutine(self.workers.ask())
        families = [["things", "counter", "Things.", [["things_total", {}, 2.0]]]]
        for process in self.reactor.started[:2]:
            number = self.transport(process).told[-1]["ask"]
            hear(process, answer=number, obstacle="no disk", families=families)
        self.assertNoResult(asking)
        self.reactor.advance(ANSWER_TIME)
        self.successResultOf(asking)
        self.assertIsNone(self.workers.obstacle)  # the third, as far as is known
        end(self.reactor.started[0], None, signal.SIGKILL)
        self.assertEqual(sum(family[3][0][2] for part in self.workers.parts() for family in part), 4)
        end(self.reactor.started[2], None, signal.SIGKILL)
        self.assertIsNotNone(self.workers.obstacle)

    def test_stop(self) -> None:
        """All are told to stop and waited for; who takes too long is killed, and nobody is replaced."""
        self.start()
        stopping = Deferred.fromCoroutine(self.workers.stop(10))
        transports = [self.transport(process) for process in self.reactor.started]
        self.assertEqual([transport.told[-1] for transport in transports], [{"do": "stop"}] * 3)
        end(self.reactor.started[0], 0)
        end(self.reactor.started[1], 0)
        self.assertNoResult(stopping)
        self.reactor.advance(10 + SPARE_TIME)
        self.assertEqual([transport.signals for transport in transports], [[], [], ["KILL"]])
        self.flushLoggedErrors()
        end(self.reactor.started[2], None, signal.SIGKILL)
        self.successResultOf(stopping)
        self.reactor.advance(LONGEST_PAUSE + 2 * PULSE)
        self.assertEqual(len(self.reactor.started), 3)

    def test_counts(self) -> None:
        """A worker that died has no connections and no requests, and the others do not leave connections to it."""
        self.start()
        crew = self.workers.crew
        crew.connections[1], crew.requests[1], crew.accepting[1] = 7, 3, True
        crew.connections[2] = 5
        end(self.reactor.started[1], None, signal.SIGKILL)
        counts = [list(each) for each in (crew.connections, crew.requests, crew.accepting)]
        self.assertEqual(counts, [[0, 0, 5], [0, 0, 0], [0, 0, 0]])


class LinesTests(SynchronousTestCase):
    """Messages in pieces."""

    def test_pieces(self) -> None:
        """Messages come out whole, however they were cut."""
        data = encoded({"one": 1}) + encoded({"two": "\n"}) + encoded({})
        for size in range(1, len(data)):
            lines = Lines()
            found = [each for at in range(0, len(data), size) for each in lines.add(data[at : at + size])]
            self.assertEqual(found, [{"one": 1}, {"two": "\n"}, {}])
