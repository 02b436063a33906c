from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import cycle
from threading import Thread

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from benchmarks.exchange import Endpoint, Request
from benchmarks.load import Job, Load, Outcome

GET = Request(b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n", expected=5)
PUT = Request(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"body" * 500_000, waits=True)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "e"\r\n\r\nhello'

Serve = Callable[[socket.socket, int], None]
"""Serves one connection, the n-th; closes it by returning."""


def head(connection: socket.socket) -> bytes:
    """Read a request's head; empty at the end."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = connection.recv(65536)
        if not more:
            return b""
        read += more
    return read


class LoadTests(TestCase):
    """What a load makes of answers, good and bad."""

    timeout = 30

    async def load(self, serve: Serve, *requests: Request, patience: float = 20) -> Outcome:
        """Send requests over one connection, each once, to a server that answers as `serve` does."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def accept() -> None:
            for number in range(100):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return  # The test is over.
                with connection:
                    serve(connection, number)

        Thread(target=accept, daemon=True).start()
        endpoint = Endpoint("127.0.0.1", listening.getsockname()[1])
        load = Load(Job(endpoint, requests, 1, 20, once=True, etags=True, patience=patience), iter(requests))

        def run() -> Outcome:
            load.connect()
            try:
                return load.run()
            finally:
                for connection in load.connections.values():
                    connection.socket.close()
                load.poll.close()

        return await deferToThread(run)

    async def test_good(self) -> None:
        """Good answers are counted, and their ETags kept by number."""

        def serve(connection: socket.socket, _: int) -> None:
            while head(connection):
                connection.sendall(ANSWER)

        outcome = await self.load(serve, GET, GET, GET)
        self.assertEqual((len(outcome.latencies), outcome.bad), (3, 0))
        self.assertEqual(outcome.etags, {1: '"e"', 2: '"e"', 3: '"e"'})

    async def test_bad(self) -> None:
        """Errors, short bodies and broken connections are bad, and the next request has a connection all the same."""
        answers = cycle(
            [
                b"HTTP/1.1 503 Slow Down\r\nContent-Length: 6\r\n\r\nslower",
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                ANSWER,
            ]
        )

        def serve(connection: socket.socket, _: int) -> None:
            while head(connection):
                answer = next(answers)
                connection.sendall(answer)
                if answer.endswith(b"hel"):
                    return

        outcome = await self.load(serve, GET, GET, GET, GET)
        self.assertEqual((len(outcome.latencies), outcome.bad), (1, 3))
        self.assertEqual(outcome.first, "503 slower")

    async def test_closing(self) -> None:
        """A server that closes after each answer, as it said, is served with a new connection for each request."""
        connections: list[int] = []

        def serve(connection: socket.socket, number: int) -> None:
            connections.append(number)
            if head(connection):
                connection.sendall(ANSWER.replace(b"ETag", b"Connection: close\r\nETag"))

        outcome = await self.load(serve, GET, GET, GET)
        self.assertEqual((len(outcome.latencies), outcome.bad), (3, 0))
        self.assertGreaterEqual(len(connections), 3)

    async def test_continue(self) -> None:
        """A body that waits for 100 Continue comes after it, whole."""
        early: list[bool] = []
        received: list[int] = []

        def serve(connection: socket.socket, _: int) -> None:
            while read := head(connection):
                early.append(not read.endswith(b"\r\n\r\n"))
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                left = len(PUT.body)
                while left:
                    left -= len(connection.recv(min(left, 65536)))
                received.append(len(PUT.body))
                connection.sendall(ANSWER)

        outcome = await self.load(serve, PUT, PUT)
        self.assertEqual((len(outcome.latencies), outcome.bad), (2, 0), outcome.first)
        self.assertEqual((early, received), ([False] * 2, [len(PUT.body)] * 2))

    async def test_silence(self) -> None:
        """An answer that does not come is given up, and is bad."""

        def serve(connection: socket.socket, number: int) -> None:
            while head(connection):
                if number:
                    connection.sendall(ANSWER)

        outcome = await self.load(serve, GET, GET, patience=0.1)
        self.assertEqual((len(outcome.latencies), outcome.bad), (1, 1))
        self.assertEqual(outcome.first, "no answer within 0.1 s")
