"""Many clients that are slow on purpose, beside one that is not: `python -m tests.hostile.flood [--connections 2000]`.

A third of them sends a head byte by byte, a third a body, a third asks for much and takes nothing. Meanwhile somebody
reads objects of 1 KiB and counts how long that takes. All slow ones must be gone when their time is over, and the
server must not have grown by what they made it hold.

Prints a line of figures; the exit status is 1 when one of them is not what is promised: p99 of a GET below 250 ms, less
than 200 MiB more memory, every slow connection closed in time.
"""

from __future__ import annotations

import argparse
import re
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from attrs import define, field

from post3tw.server.sizing import default_workers
from post3tw.testing.server import RunningServer
from tests.hostile.raw import Client
from tests.server.workers_case import worker_pids

SLOWEST = 0.250
"""Seconds: the 99th percentile of a small GET."""
MOST_MEMORY = 200 << 20
LATE = 30.0
"""Seconds after its time that a connection may still be open. Whoever takes nothing has time from when the buffers of
the system are full, which takes a while with many."""
BUCKET = "flood"
KINDS = ("head", "body", "read")
_LARGE = 8 << 20
_DRIP = 0.5


def resident(server: RunningServer) -> int:
    """Bytes of memory that a server has now, with its workers."""
    size = 0
    for pid in (server.pid, *worker_pids(server)):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert found is not None
        size += int(found[1]) * 1024
    return size


@define
class Outcome:
    """What a flood did.

    Attributes:
        connections: slow ones that were opened.
        left: those that were still open after their time.
        gets: how long each small GET took meanwhile, in seconds, sorted.
        grown: bytes of memory of all processes at the worst moment, above those before.
    """

    connections: int
    left: int
    gets: list[float] = field(repr=False)
    grown: int

    @property
    def p99(self) -> float:
        """Seconds."""
        return self.gets[len(self.gets) * 99 // 100]

    @property
    def good(self) -> bool:
        """Whether all is as promised."""
        return not self.left and self.p99 < SLOWEST and self.grown < MOST_MEMORY

    def __str__(self) -> str:
        return (
            f"flood: {self.connections} slow connections, {self.left} left open, {len(self.gets)} GETs beside them, "
            f"p50 {self.gets[len(self.gets) // 2] * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms, "
            f"memory +{self.grown >> 20} MiB"
        )


@define(eq=False)
class Flood:
    """Slow connections to a server, and what drips into them.

    Attributes:
        client: knows the server.
        count: how many.
        kinds: of KINDS, in turn.
    """

    client: Client
    count: int
    kinds: Sequence[str]
    _open: list[tuple[socket.socket, bytes]] = field(factory=list, init=False)

    def open(self) -> None:
        """Open all of them."""
        head = self.client.head("GET", f"/{BUCKET}/small")
        body = self.client.head("PUT", f"/{BUCKET}/slow", [(b"content-length", b"%d" % _LARGE)])
        read = self.client.head("GET", f"/{BUCKET}/large")
        ways = {"head": (head[:20], b"a"), "body": (body + b"x" * 100_000, b"x"), "read": (read, b"")}
        for number in range(self.count):
            first, drip = ways[self.kinds[number % len(self.kinds)]]
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((self.client.host, self.client.port))
            connection.sendall(first)
            connection.setblocking(False)
            self._open.append((connection, drip))

    def drip(self) -> int:
        """Send another byte wherever one is due; how many connections are open. Those that ask take nothing, so of them
        only a reset shows."""
        poll = select.poll()
        by_number = {connection.fileno(): (connection, drip) for connection, drip in self._open}
        for number, (_, drip) in by_number.items():
            poll.register(number, select.POLLIN if drip else select.POLLHUP)
        for number, events in poll.poll(0):
            connection, drip = by_number[number]
            if events & (select.POLLHUP | select.POLLERR) or (drip and self._ended(connection)):
                connection.close()
                del by_number[number]
        self._open = [entry for entry in by_number.values() if entry[0].fileno() >= 0]
        for connection, drip in self._open:
            try:
                connection.send(drip)
            except OSError:
                continue  # the next look finds it closed
        return len(self._open)

    def _ended(self, connection: socket.socket) -> bool:
        try:
            while data := connection.recv(65536):
                del data
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close those that are left."""
        for connection, _ in self._open:
            connection.close()


@contextmanager
def measured(client: Client, gets: list[float]) -> Iterator[None]:
    """Read a small object again and again, on one connection, and add how long each took."""
    stop = Event()

    def read() -> None:
        with client.connect() as connection:
            while not stop.wait(0.02):
                message = client.message("GET", f"/{BUCKET}/small")
                began = time.monotonic()
                connection.send(message)
                assert connection.reply().status == 200
                gets.append(time.monotonic() - began)

    reader = Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()


def run(server: RunningServer, connections: int, timeout: float, kinds: Sequence[str] = KINDS) -> Outcome:
    """Flood a server whose timeouts are all `timeout` seconds."""
    client = Client(server.endpoint, server.access_key, server.secret_key)
    assert client.ask("PUT", f"/{BUCKET}").status == 200
    for key, size in (("small", 1024), ("large", _LARGE)):
        assert client.ask("PUT", f"/{BUCKET}/{key}", (), b"x" * size).status == 200
    before = peak = resident(server)
    gets: list[float] = []
    flood = Flood(client, connections, kinds)
    try:
        with measured(client, gets):
            flood.open()
            end = time.monotonic() + 2 * timeout + LATE
            while (left := flood.drip()) and time.monotonic() < end:
                peak = max(peak, resident(server))
                time.sleep(_DRIP)
    finally:
        flood.close()
    return Outcome(connections, left, sorted(gets), peak - before)


def options(timeout: float) -> tuple[str, ...]:
    """Of a server that is to be flooded."""
    times = (f"--{name}-timeout={timeout:g}s" for name in ("head", "body", "idle"))
    return ("--durability=relaxed", "--reserve=0", *times)


def main(arguments: list[str]) -> int:
    """Flood a server of our own."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.flood", description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--timeout", type=float, default=10.0, help="of the server, for heads, bodies and idleness")
    parser.add_argument("--workers", type=int, default=default_workers(), help="of the server")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these")
    parser.add_argument("--option", action="append", default=[], help="further options of the server")
    chosen = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with RunningServer(options=(*options(chosen.timeout), *chosen.option), workers=chosen.workers) as server:
        outcome = run(server, chosen.connections, chosen.timeout, chosen.kind or KINDS)
    sys.stdout.write(f"{outcome}\n")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
