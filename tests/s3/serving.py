"""A site on a real port, its clock in the test's hands where timeouts matter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from post3tw.model.ids import IdSource
from post3tw.s3.record import RequestRecord
from post3tw.s3.site import make_site
from post3tw.wire.signer import Signer
from tests.s3.doubles import MemoryService, Users
from tests.s3.rawhttp import RawClient, Reply

Headers = Iterable[tuple[bytes, bytes]]

NOW = 1_795_000_000.0
UNSIGNED = b"UNSIGNED-PAYLOAD"


class Records:
    """Keeps the record of every request."""

    def __init__(self) -> None:
        self.all: list[RequestRecord] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def observe(self, record: RequestRecord) -> None:
        self.all.append(record)
        for each in list(self._waiting):
            if len(self.all) >= each[0]:
                self._waiting.remove(each)
                each[1].callback(None)

    async def until(self, count: int) -> None:
        """Wait until so many requests are over."""
        if len(self.all) < count:
            waiting: Deferred[None] = Deferred()
            self._waiting.append((count, waiting))
            await waiting


def wire(method: bytes, target: bytes, headers: Headers = (), body: bytes = b"") -> bytes:
    """A request as bytes; headers are written as they are given."""
    lines = b"".join(b"%b: %b\r\n" % field for field in headers)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, body)


class ServingTestCase(TestCase):
    """Serves a MemoryService on 127.0.0.1.

    `clock` drives the timeouts and the wall clock stands at NOW plus what the clock was advanced.
    """

    timeout = 20

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = cast(Any, reactor)
        self.clock = Clock()
        self.service = MemoryService()
        self.records = Records()
        self.clients: list[RawClient] = []
        self.signer = Signer("ALICEKEY", "alice-secret")
        self.ids = IdSource(lambda: NOW + self.clock.seconds())
        self.site = make_site(
            self.service,
            Users(),
            clock=self.clock,
            ids=self.ids,
            observers=[self.records],
            put_off=partial(self.reactor.callLater, 0),
            **self.options(),
        )
        self.port = self.listen()
        self.addCleanup(self._stop)

    def options(self) -> dict[str, Any]:
        """What the site is made with, beside the usual."""
        return {}

    def listen(self) -> Any:
        """Open the port."""
        return self.reactor.listenTCP(0, self.site, interface="127.0.0.1")

    def endpoint(self) -> Any:
        """What clients connect to."""
        return TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port.getHost().port)

    async def _stop(self) -> None:
        await self.port.stopListening()
        for client in self.clients:
            await client.close()
        drained = Deferred.fromCoroutine(self.site.drain(1))
        self.clock.advance(2)
        await drained

    async def connect(self) -> RawClient:
        """A connection of its own."""
        client: RawClient = await connectProtocol(self.endpoint(), RawClient())
        self.clients.append(client)
        return client

    async def turn(self) -> None:
        """Let the reactor look at its sockets once."""
        await deferLater(self.reactor, 0)

    async def until_read(self, count: int) -> None:
        """Wait until the one request being served got so many bytes of its body."""
        while not any(c._body is not None and c._body.received >= count for c in self.site._channels):
            await self.turn()

    async def ask(self, request: bytes, method: str = "GET") -> Reply:
        """One request on one connection."""
        client = await self.connect()
        client.send(request)
        return await client.reply(method)

    def signed(
        self,
        method: bytes,
        target: bytes,
        headers: Headers = (),
        body: bytes = b"",
        *,
        payload_hash: bytes | None = None,
        signer: Signer | None = None,
    ) -> bytes:
        """A signed request; Content-Length is added when there is a body or the method is PUT or POST."""
        headers = [(b"host", b"localhost"), *headers]
        names = {name for name, _ in headers}
        if (body or method in (b"PUT", b"POST")) and not names & {b"content-length", b"transfer-encoding"}:
            headers.append((b"content-length", b"%d" % len(body)))
        if payload_hash is None:
            payload_hash = hashlib.sha256(body).hexdigest().encode()
        fields = (signer or self.signer).sign_request(
            method, target, headers, time=self.ids.now(), payload_hash=payload_hash
        )
        return wire(method, target, fields, body)
