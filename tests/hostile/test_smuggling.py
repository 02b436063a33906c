"""Requests that two readers may take apart differently, sent to the server itself and through proxies before it.

Through a proxy an inner request may be served only if the proxy saw it as a request too; and what a payload leaves on
the connection behind the proxy must not reach the next client, who gets what it asked for and nothing else.
"""

from __future__ import annotations

import re
import socketserver
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.case import HostileCase, wait_until
from tests.hostile.fronts import Front
from tests.hostile.payloads import Payload, payloads
from tests.hostile.raw import Connection

PATIENCE = 0.3
"""Seconds in which a reply to a payload, or to what it smuggled, has to begin. That none comes is an answer too."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_CONTINUED = b"100"


def statuses_of(port: int, data: bytes) -> list[bytes]:
    """Send bytes on a connection of their own; the statuses of all final replies."""
    with Connection("127.0.0.1", port, PATIENCE) as connection:
        connection.offer(data)
        received = connection.everything()
    return [status for status in _STATUS.findall(received) if status != _CONTINUED]


class SmugglingTests(HostileCase):
    """Every payload."""

    victims: ClassVar[int] = 8

    def setUp(self) -> None:
        """Everybody may read and write, so that nothing is refused before its body was read."""
        super().setUp()
        allowed = self.client.ask("PUT", f"/{self.bucket}?acl", [(b"x-amz-acl", b"public-read-write")])
        self.assertEqual(allowed.status, 200)
        for number in range(self.victims):
            self.put(f"victim-{number}", b"body %d" % number, [(b"x-amz-acl", b"public-read")])
        self.payloads = payloads()

    def data(self, number: int) -> bytes:
        """What is sent for a payload; its targets say which one it is."""
        return self.payloads[number].bytes(self.target(f"p{number}-outer"), self.target(f"p{number}-inner"))

    def all_at_once(self, port: int) -> list[list[bytes]]:
        """Send every payload; the statuses that each got."""

        def send(number: int) -> list[bytes]:
            return statuses_of(port, self.data(number))

        with ThreadPoolExecutor(40) as pool:
            return list(pool.map(send, range(len(self.payloads))))

    def served(self, begin: int, number: int) -> int:
        """How often the server has served a payload's inner request, by its log since."""
        return self.server.output[begin:].count(f'"key":"p{number}-inner"')

    def seen(self, log: str, number: int) -> int:
        """How often a proxy's log says that it saw it."""
        return sum(f"p{number}-inner" in line for line in log.splitlines())

    def assert_logged(self, port: int) -> None:
        """Wait until the server has logged all requests up to now."""
        message = f"GET {self.target('the-last')} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
        with Connection("127.0.0.1", port) as connection:
            connection.send(message)
            self.assertEqual(connection.reply().status, 404)
        self.assertTrue(wait_until(lambda: f'{self.bucket}","key":"the-last"' in self.server.output))

    def assert_no_more_than(self, payload: Payload, statuses: list[bytes]) -> None:
        """There are no more replies than requests, and none is an accident."""
        self.assertLessEqual(len(statuses), payload.requests, (payload, statuses))
        self.assertFalse({b"500", b"502"} & set(statuses), (payload, statuses))

    def test_TW_1_directly(self) -> None:
        """TW-1: no payload gets more answers than it has requests; only where it has two is the inner one served."""
        begin = len(self.server.output)
        answers = self.all_at_once(self.client.port)
        self.assert_logged(self.client.port)
        for number, (payload, statuses) in enumerate(zip(self.payloads, answers, strict=True)):
            self.assert_no_more_than(payload, statuses)
            if payload.requests == 1:
                self.assertEqual(self.served(begin, number), 0, payload)
        self.assertGreater(sum(self.served(begin, number) for number in range(len(self.payloads))), 5)
        self.assertGreater(sum(b"400" in statuses for statuses in answers), 80)
        self.assertGreater(sum(b"200" in statuses for statuses in answers), 10)

    def behind(self, kind: str) -> None:
        """Every payload through a proxy, and victims after it."""
        with Front(kind, self.server.endpoint) as front:
            begin = len(self.server.output)
            self.all_at_once(front.port)
            for number in range(self.victims * 4):
                key = f"victim-{number % self.victims}"
                with Connection("127.0.0.1", front.port) as connection:
                    connection.send(f"GET {self.target(key)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                    reply = connection.reply()
                self.assertEqual((reply.status, reply.body), (200, b"body %d" % (number % self.victims)))
            self.assert_logged(front.port)
            self.assertTrue(wait_until(lambda: "the-last" in front.log()))
            log = front.log()
        for number, payload in enumerate(self.payloads):
            self.assertLessEqual(self.served(begin, number), self.seen(log, number), payload)
        outer = sum(f"p{number}-outer" in self.server.output[begin:] for number in range(len(self.payloads)))
        self.assertGreater(outer, 20)

    def test_TW_1_behind_nginx(self) -> None:
        """TW-1: nginx, that passes bodies on when it has all of them."""
        self.behind("nginx")

    def test_TW_1_behind_nginx_unbuffered(self) -> None:
        """TW-1: nginx, that passes bodies on as they come."""
        self.behind("nginx, unbuffered")

    def test_TW_1_behind_haproxy(self) -> None:
        """TW-1: haproxy."""
        self.behind("haproxy")

    def test_TW_1_behind_lenient_haproxy(self) -> None:
        """TW-1: haproxy, that passes on what it would rather refuse."""
        self.behind("haproxy, lenient")


class _Sloppy(socketserver.StreamRequestHandler):
    """Answers every head, and never asks where a body ends."""

    def handle(self) -> None:
        """See BaseRequestHandler."""
        self.connection.settimeout(PATIENCE)
        received = b""
        try:
            while data := self.connection.recv(65536):
                received += data
                while b"\r\n\r\n" in received:
                    received = received.partition(b"\r\n\r\n")[2]
                    self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            return


class _SloppyServer(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True


class HarnessTests(SynchronousTestCase):
    """Whether anybody would notice."""

    def test_a_sloppy_server(self) -> None:
        """A server that takes bodies for requests answers more of them than there are, in most payloads."""
        with _SloppyServer(("127.0.0.1", 0), _Sloppy) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                port = server.server_address[1]
                everything = payloads()
                with ThreadPoolExecutor(40) as pool:
                    sent = [payload.bytes("/b/outer", "/b/inner") for payload in everything]
                    answers = list(pool.map(lambda data: statuses_of(port, data), sent))
            finally:
                server.shutdown()
                thread.join()
        smuggled = sum(len(a) > p.requests for p, a in zip(everything, answers, strict=True))
        self.assertGreater(smuggled, len(everything) // 2)
