"""Many requests on one connection, many clients on one key: everybody gets what is theirs."""

from __future__ import annotations

import os
from threading import Barrier, Thread

from tests.hostile.case import HostileCase
from tests.hostile.raw import Connection, Reply

MIB = 1 << 20


class PipeliningTests(HostileCase):
    """Replies leave in the order of their requests (TW-2)."""

    def setUp(self) -> None:
        """Store objects that are told apart."""
        super().setUp()
        self.bodies = {f"key-{n}": f"body {n}".encode() * (n + 1) for n in range(20)}
        for key, body in self.bodies.items():
            self.put(key, body)

    def replies(self, requests: list[tuple[str, bytes]]) -> list[Reply]:
        """Send all requests, method and message, before the first reply is read."""
        with self.client.connect() as connection:
            sender = Thread(target=connection.offer, args=(b"".join(message for _, message in requests),))
            sender.start()
            replies = [connection.reply(method) for method, _ in requests]
            sender.join()
        return replies

    def test_order(self) -> None:
        """A hundred GETs behind a large, slow one are answered in order."""
        large = os.urandom(8 * MIB)
        self.put("large", large)
        keys = ["large"] + [f"key-{n * 7 % 20}" for n in range(100)]
        replies = self.replies([("GET", self.client.message("GET", self.target(key))) for key in keys])
        self.assertEqual([reply.body for reply in replies], [large] + [self.bodies[key] for key in keys[1:]])

    def test_errors_between(self) -> None:
        """Errors, HEADs, writes and bodies that nobody reads do not shift the answers."""
        requests, expected = [], []
        for number in range(20):
            key = f"key-{number}"
            requests += [
                ("GET", self.client.message("GET", self.target("none"))),
                ("HEAD", self.client.message("HEAD", self.target("none"))),
                ("PUT", self.client.message("PUT", self.target(key, "acl=x&unheard"), [], b"ignored" * 1000)),
                (
                    "PUT",
                    self.client.message("PUT", self.target(key), [(b"content-md5", b"x")], b"GET / HTTP/1.1\r\n" * 9),
                ),
                ("GET", self.client.message("GET", self.target(key))),
                ("PUT", self.client.message("PUT", self.target(key), [], b"new")),
                ("GET", self.client.message("GET", self.target(key))),
                ("DELETE", self.client.message("DELETE", self.target(key))),
                ("GET", self.client.message("GET", self.target(key))),
            ]
            expected += [404, 404, None, 400, self.bodies[key], 200, b"new", 204, 404]
        replies = self.replies(requests)
        for (method, _), reply, wanted in zip(requests, replies, expected, strict=True):
            if isinstance(wanted, bytes):
                self.assertEqual((reply.status, reply.body), (200, wanted))
            elif wanted is not None:
                self.assertEqual(reply.status, wanted, method)
        ids = [reply.headers["x-amz-request-id"] for reply in replies]
        self.assertEqual(len(set(ids)), len(ids))


class RaceTests(HostileCase):
    """Several clients and one key."""

    def race(self, connections: list[Connection], messages: list[bytes]) -> list[Reply]:
        """Send one message on each connection, all at the same moment."""
        replies: list[Reply | None] = [None] * len(messages)
        barrier = Barrier(len(messages))

        def send(number: int) -> None:
            barrier.wait()
            connections[number].send(messages[number])
            replies[number] = connections[number].reply()

        threads = [Thread(target=send, args=(number,)) for number in range(len(messages))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [reply for reply in replies if reply is not None]

    def test_create(self) -> None:
        """Of twenty clients that create a key if it is not there, one does, every time; small bodies and large."""
        connections = [self.client.connect() for _ in range(20)]
        for number in range(12):
            key, size = f"key-{number}", 200_000 if number % 4 == 0 else 100
            bodies = [os.urandom(size) for _ in connections]
            condition = [(b"if-none-match", b"*")]
            messages = [self.client.message("PUT", self.target(key), condition, body) for body in bodies]
            replies = self.race(connections, messages)
            self.assertEqual(sorted(reply.status for reply in replies), [200] + [412] * 19)
            winner = next(n for n, reply in enumerate(replies) if reply.status == 200)
            self.assertEqual(self.client.ask("GET", self.target(key)).body, bodies[winner])
        for connection in connections:
            connection.close()

    def test_replace(self) -> None:
        """Of twenty clients that replace what they have seen, one does, every time."""
        connections = [self.client.connect() for _ in range(20)]
        etag = self.put("key", b"first").headers["etag"]
        for _ in range(8):
            condition = [(b"if-match", etag.encode())]
            bodies = [os.urandom(100) for _ in connections]
            messages = [self.client.message("PUT", self.target(), condition, body) for body in bodies]
            replies = self.race(connections, messages)
            self.assertEqual(sorted(reply.status for reply in replies), [200] + [412] * 19)
            etag = next(reply.headers["etag"] for reply in replies if reply.status == 200)
            self.assertEqual(self.client.ask("HEAD", self.target()).headers["etag"], etag)
        for connection in connections:
            connection.close()

    def test_old_bytes(self) -> None:
        """A GET that has begun ends with the bytes that it began with, whatever becomes of the key meanwhile."""
        for change in ("overwrite", "delete"):
            body = os.urandom(32 * MIB)
            self.put("key", body)
            with self.client.connect() as reading:
                reading.send(self.client.message("GET", self.target()))
                self.assertTrue(reading.begun())
                if change == "overwrite":
                    self.put("key", b"new")
                else:
                    self.assertEqual(self.client.ask("DELETE", self.target()).status, 204)
                reply = reading.reply()
            self.assertEqual((reply.status, reply.body == body), (200, True), change)
            after = self.client.ask("GET", self.target())
            self.assertEqual((after.status, after.body[:3]), (200, b"new") if change == "overwrite" else (404, b"<?x"))
