"""What a small request costs in the process that serves it, without the network.

    python -m benchmarks requests [--clients 32] [--requests 10000] [--rounds 5] [DIRECTORY]

The whole server is there (site, authentication, service, index on disk, access log to /dev/null) but for sockets:
signed requests of 4 KiB are handed to its channels as a transport would do, each client's next one a turn of the
reactor after its last was answered. Shown are microseconds of CPU a request: of the reactor's thread, and of the
process, which has the thread that commits as well; of several rounds the best, because noise only adds. DIRECTORY
should be on the disk that matters.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import define, field
from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from benchmarks.exchange import Endpoint
from benchmarks.places import existing
from benchmarks.signing import Account
from post3tw.server.collector import calm_collector
from post3tw.server.server import Server
from post3tw.tap import makeService
from post3tw.wire.signer import Signer

BODY = os.urandom(4096)
ACCOUNT = Account(Endpoint("127.0.0.1", 9000), Signer("bench", "benchsecret"))


def signed(method: bytes, target: bytes, body: bytes = b"") -> bytes:
    """A whole request, as it comes over the wire."""
    request = ACCOUNT.sending(method, target, body) if body else ACCOUNT.request(method, target)
    return request.head + request.body


@implementer(IPushProducer)
@define(eq=False)
class Client:
    """A client, and the transport between it and its channel."""

    load: Load
    channel: Any = None
    bufferSize: int = 65536

    def write(self, data: bytes) -> None:
        """An answer: this benchmark's come in one write each."""
        self.load.answered(self, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """An answer."""
        self.load.answered(self, b"".join(iovec))

    def getPeer(self) -> IPv4Address:
        """Where the client is."""
        return IPv4Address("TCP", "127.0.0.1", 50000)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """The channel; it has never to wait for this transport."""

    def unregisterProducer(self) -> None:
        """The channel closes."""

    def pauseProducing(self) -> None:
        """The channel reads no more. A socket would leave the reactor's poll, at the cost of a system call."""
        self.load.pauses += 1

    def resumeProducing(self) -> None:
        """The channel reads again."""

    def stopProducing(self) -> None:
        """The channel wants no more."""


@define(eq=False)
class Load:
    """Clients that send requests until there are none left."""

    reactor: Any
    site: Any
    clients: list[Client] = field(factory=list)
    requests: Iterator[bytes] = field(init=False)
    ready: list[Client] = field(factory=list)
    running: int = 0
    pauses: int = 0
    done: Deferred[None] = field(factory=Deferred)

    def connect(self, count: int) -> None:
        """Open connections."""
        for _ in range(count):
            client = Client(self)
            client.channel = self.site.buildProtocol(None)
            client.channel.makeConnection(client)
            self.clients.append(client)

    async def run(self, requests: list[bytes]) -> tuple[float, float]:
        """Send all; seconds of CPU of the reactor's thread and of the process."""
        self.requests, self.ready, self.done = iter(requests), [], Deferred()
        cpu, process = time.thread_time(), time.process_time()
        self.ready.extend(self.clients)
        self._send()
        await self.done
        return time.thread_time() - cpu, time.process_time() - process

    def answered(self, client: Client, data: bytes) -> None:
        """A client has its answer, and is ready for the next request."""
        if not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(data.decode())
        self.running -= 1
        if not self.ready:
            self.reactor.callLater(0, self._send)
        self.ready.append(client)

    def _send(self) -> None:
        ready, self.ready = self.ready, []
        for client, request in zip(ready, self.requests, strict=False):
            self.running += 1
            client.channel.dataReceived(request)
        if not self.running and not self.ready and not self.done.called:
            self.done.callback(None)


async def measure(reactor: Any, options: argparse.Namespace, directory: str) -> None:
    """Serve, load, print."""
    server = makeService(
        {"data_dir": directory, "listen": ["tcp:0:interface=127.0.0.1"], "admin": "none", "access_log": "/dev/null"},
        reactor=reactor,
        environ={"POST3_ACCESS_KEY": "bench", "POST3_SECRET_KEY": "benchsecret"},
        take_signals=False,
    )
    assert isinstance(server, Server)  # One process: no workers, because the options are a mapping.
    server.privilegedStartService()
    server.startService()
    while server.parts.ready.obstacle is not None:
        await task.deferLater(reactor, 0.01)
    calm_collector()
    load = Load(reactor, server.parts.site)
    load.connect(options.clients)
    await load.run([signed(b"PUT", b"/bench")])
    count = options.requests
    for method in ("PUT", "GET", "HEAD"):
        best = (1.0, 1.0)
        load.pauses = 0
        for number in range(options.rounds):
            targets = [b"/bench/round%d/%06d" % (number, key) for key in range(count)]
            body = BODY if method == "PUT" else b""
            used = await load.run([signed(method.encode(), target, body) for target in targets])
            best = min(best, (used[0] / count, used[1] / count))
        pauses = load.pauses / count / options.rounds
        sys.stdout.write(
            f"{method:5} {best[0] * 1e6:6.1f} us on the reactor {best[1] * 1e6:6.1f} us in all {pauses:5.2f} pauses\n"
        )
    for client in load.clients:
        client.channel.connectionLost()
    await maybeDeferred(server.stopService)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks requests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("directory", type=existing, nargs="?")
    options = parser.parse_args(arguments)

    async def run(reactor: Any) -> None:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            await measure(reactor, options, directory)

    task.react(run)
