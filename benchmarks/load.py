"""The load generator: one process that keeps connections busy with prepared requests.

`generators.py` starts it with a Job on standard input. It connects, says that it is ready, waits for a line, works
until the time is over, and writes an Outcome. There is one request at a time on a connection, and the next leaves in
the turn in which the last answer was complete, so as many requests are in flight as there are connections.

It costs about as much as it must: a request is bytes that are sent as they are, an answer is looked through for its
end and its status. How busy the process was is in the outcome; where that nears 1, it and not the server is the limit.
"""

from __future__ import annotations

import pickle
import resource
import select
import socket
import ssl
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from itertools import cycle

from attrs import define, field, frozen

from benchmarks.answers import AnswerReader, BadAnswer
from benchmarks.exchange import PATIENCE, Endpoint, Request

_PIECE = 1 << 20
_LOOK_AFTER = 0.25
_CONTINUE_AFTER = 1.0
_ENOUGH_BAD = 100


@frozen
class Job:
    """What a process has to do.

    Attributes:
        endpoint: of the server.
        requests: sent one after the other, by whichever connection is free.
        clients: connections.
        seconds: to begin requests for; those that have begun are waited for.
        once: end with the requests rather than begin again.
        etags: remember those of the answers, when they are asked for once.
        patience: seconds after which an answer that has not come is not waited for.
    """

    endpoint: Endpoint
    requests: Iterable[Request]
    clients: int
    seconds: float
    once: bool = False
    etags: bool = False
    patience: float = PATIENCE


@define
class Outcome:
    """What came of it.

    Attributes:
        latencies: seconds of each request that was answered well, from first byte sent to last received.
        elapsed: seconds from begin to last answer.
        busy: seconds of CPU that the process used.
        bad: answers that were errors or not whole, and connections that broke.
        first: what was wrong with the first of them.
        etags: by number of the request, where the job wants them.
    """

    latencies: array[float] = field(factory=lambda: array("d"))
    elapsed: float = 0.0
    busy: float = 0.0
    bad: int = 0
    first: str = ""
    etags: dict[int, str] = field(factory=dict)

    def note(self, reason: str) -> None:
        """Count a bad answer."""
        self.bad += 1
        self.first = self.first or reason


@define(eq=False)
class Connection:
    """A client: its socket, and the request it is about."""

    load: Load
    socket: socket.socket
    began: float = 0.0
    number: int = 0
    request: Request | None = None
    reader: AnswerReader = field(factory=AnswerReader)
    unsent: memoryview = field(factory=lambda: memoryview(b""))
    holds_body: bool = False
    polls_for: int = select.EPOLLIN

    def begin(self) -> None:
        """Send the next request, if there is one and time for it."""
        self.request = request = self.load.next_request()
        if request is None:
            return
        self.number = self.load.begun
        self.reader = AnswerReader(request.head.startswith(b"HEAD"))
        self.began = time.perf_counter()
        if request.waits or len(request.body) > _PIECE:
            self.holds_body = True
            self._send(request.head)
            if not request.waits:
                self.send_body()
        else:
            self._send(request.head + request.body)

    def send_body(self) -> None:
        """Send the body that was held back."""
        self.holds_body = False
        if self.request is not None:
            self._send(self.request.body)

    def turn(self, events: int) -> None:
        """The socket can do something."""
        if self.request is None:
            self.load.poll.unregister(self.socket)  # The server has closed it, after the last answer.
            return
        if events & select.EPOLLOUT and self.unsent:
            self._flush()
        if events & ~select.EPOLLOUT:
            self._receive()

    def _send(self, data: bytes) -> None:
        if self.unsent:  # The head was not all taken, which needs a very full socket.
            data = bytes(self.unsent) + data
        self.unsent = memoryview(data)
        self._flush()

    def _flush(self) -> None:
        unsent = self.unsent
        try:
            while unsent:
                unsent = unsent[self.socket.send(unsent[:_PIECE]) :]
                if len(unsent) > _PIECE:
                    break  # Others have their turn.
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        self.unsent = unsent
        wanted = select.EPOLLIN | select.EPOLLOUT if unsent else select.EPOLLIN
        if wanted != self.polls_for:
            self.polls_for = wanted
            self.load.poll.modify(self.socket, wanted)

    def _receive(self) -> None:
        buffer = self.load.buffer
        try:
            while True:
                count = self.socket.recv_into(buffer)
                if not count:
                    raise BadAnswer("closed before the answer was complete")
                if self.reader.take(buffer[:count]):
                    self._answered()
                    return
                if self.holds_body and self.reader.continues:
                    self.send_body()
                if not isinstance(self.socket, ssl.SSLSocket):
                    return  # What is left in the socket shows in the next poll; what OpenSSL has read does not.
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass

    def _answered(self) -> None:
        reader, request, load = self.reader, self.request, self.load
        if request is None:
            raise BadAnswer("an answer that nobody asked for")
        took = time.perf_counter() - self.began
        if reader.status >= 300:
            load.outcome.note(f"{reader.status} {reader.kept[:300].decode(errors='replace')}")
        elif request.expected is not None and reader.received != request.expected:
            load.outcome.note(f"{reader.received} bytes of body, not {request.expected}")
        else:
            load.outcome.latencies.append(took)
            if load.job.etags:
                load.outcome.etags[self.number] = reader.etag
        load.last_answer = time.perf_counter()
        if reader.closes or self.unsent or self.holds_body:
            load.reconnect(self)
        self.begin()


@define(eq=False)
class Load:
    """The connections, and what they share."""

    job: Job
    requests: Iterator[Request]
    outcome: Outcome = field(factory=Outcome)
    connections: dict[int, Connection] = field(factory=dict)
    poll: select.epoll = field(factory=select.epoll)
    buffer: memoryview = field(factory=lambda: memoryview(bytearray(_PIECE)))
    begun: int = 0
    until: float = 0.0
    last_answer: float = 0.0

    def next_request(self) -> Request | None:
        """The next, or none when it is time to end."""
        if time.perf_counter() > self.until or self.outcome.bad >= _ENOUGH_BAD:
            return None
        request = next(self.requests, None)
        self.begun += request is not None
        return request

    def connect(self) -> None:
        """Open all connections."""
        for _ in range(self.job.clients):
            self._register(Connection(self, self._socket()))

    def reconnect(self, connection: Connection) -> None:
        """Give a client a new connection; its request is forgotten."""
        self.connections.pop(connection.socket.fileno())
        connection.socket.close()
        connection.socket = self._socket()
        connection.request, connection.unsent, connection.holds_body = None, memoryview(b""), False
        connection.polls_for = select.EPOLLIN
        self._register(connection)

    def run(self) -> Outcome:
        """Work until the time is over."""
        cpu, began = time.process_time(), time.perf_counter()
        self.until = began + self.job.seconds
        self.last_answer = began
        for connection in list(self.connections.values()):
            self._guarded(connection, 0)
        while any(connection.request is not None for connection in self.connections.values()):
            self._work_until(time.perf_counter() + _LOOK_AFTER)
            self._look_after()
        self.outcome.elapsed = self.last_answer - began
        self.outcome.busy = time.process_time() - cpu
        return self.outcome

    def _work_until(self, end: float) -> None:
        """Serve the sockets; the loop that everything depends on."""
        while (left := end - time.perf_counter()) > 0:
            for descriptor, events in self.poll.poll(left):
                self._guarded(self.connections[descriptor], events)

    def _guarded(self, connection: Connection, events: int) -> None:
        """A turn of a connection; events of 0: its first. When it breaks it has another one."""
        try:
            if events:
                connection.turn(events)
            else:
                connection.begin()
        except (OSError, BadAnswer, ValueError) as error:
            self.outcome.note(f"{type(error).__name__}: {error}")
            self.reconnect(connection)
            connection.begin()

    def _look_after(self) -> None:
        """Send bodies that have waited for long enough, and give up answers that have been waited for."""
        now = time.perf_counter()
        for connection in list(self.connections.values()):
            if connection.request is None:
                continue
            if now - connection.began > self.job.patience:
                self.outcome.note(f"no answer within {self.job.patience:g} s")
                self.reconnect(connection)
                self._guarded(connection, 0)
            elif connection.holds_body and now - connection.began > _CONTINUE_AFTER:
                connection.send_body()

    def _socket(self) -> socket.socket:
        made = self.job.endpoint.connect()
        made.setblocking(False)
        return made

    def _register(self, connection: Connection) -> None:
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)


def main() -> None:
    """Be one process of a load."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    job: Job = pickle.load(sys.stdin.buffer)
    load = Load(job, iter(job.requests) if job.once else cycle(job.requests))
    load.connect()
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.readline()
    pickle.dump(load.run(), sys.stdout.buffer)


if __name__ == "__main__":
    from benchmarks.load import main as run  # So that what is pickled has the module's name, not __main__.

    run()
