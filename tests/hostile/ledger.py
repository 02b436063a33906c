"""Clients that write down what a server acknowledged, and whether all of it is there.

Each client has keys of its own, so that of every key it knows the last acknowledged state and what it was doing when
the server went away. A request without an answer may have happened or not; one with an answer must have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from threading import Event

from attrs import define, field, frozen

from tests.hostile.raw import Client, Connection, Reply

MIB = 1 << 20
PART = 5 * MIB


@frozen
class Content:
    """What a key may hold: bytes made from a seed, so that a ledger stays small."""

    seed: int
    size: int

    @property
    def body(self) -> bytes:
        """The bytes."""
        return Random(self.seed).randbytes(self.size)


NOTHING: Content | None = None


@define
class Ledger:
    """What is known of one client's keys.

    Attributes:
        acknowledged: by key, the last state that the server has confirmed; None for a key that is not there.
        open: by key, the states that requests without an answer, or with a server's error, may have made since.
        count: how many writes were acknowledged.
    """

    acknowledged: dict[str, Content | None] = field(factory=dict)
    open: dict[str, list[Content | None]] = field(factory=dict)
    count: int = 0

    def allowed(self, key: str) -> list[Content | None]:
        """What the key may hold now."""
        return [self.acknowledged.get(key), *self.open.get(key, ())]

    def settle(self, key: str, state: Content | None) -> None:
        """The key was looked at: that is what it holds from now on."""
        self.acknowledged[key] = state
        self.open.pop(key, None)


@define
class Writer:
    """One client: does one thing after another until the server is gone or it is told to stop.

    Attributes:
        client: of the running server; a new one after each restart.
        name: begins its keys.
        random: decides what it does.
        ledger: what it knows.
        stop: when it shall stop.
    """

    client: Client
    name: str
    random: Random
    stop: Event
    ledger: Ledger = field(factory=Ledger)
    refused: list[str] = field(factory=list)
    _connection: Connection | None = field(default=None, init=False)

    def run(self) -> None:
        """Work until the connection breaks or `stop` is set; in a thread."""
        chosen = [action for weight, action in self.actions() for _ in range(weight)]
        try:
            with self.client.connect() as self._connection:
                while not self.stop.is_set():
                    self.random.choice(chosen)()
        except OSError:
            return

    def actions(self) -> list[tuple[int, Callable[[], None]]]:
        """What it does, with weights."""
        return [
            (8, self._put_small),
            (4, self._put_large),
            (4, self._delete),
            (3, self._copy),
            (1, self._multipart),
        ]

    def _key(self) -> str:
        return f"{self.name}-{self.random.randrange(12)}"

    def _ask(self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> Reply:
        assert self._connection is not None
        self._connection.send(self.client.message(method, f"/bucket/{target}", headers, body))
        return self._connection.reply(method)

    def _write(self, key: str, state: Content | None, ask: Callable[[], Reply], status: int) -> None:
        """A request that makes a key hold something."""
        self.ledger.open.setdefault(key, []).append(state)
        reply = ask()
        if reply.status == status and b"<Error>" not in reply.body:
            self.ledger.settle(key, state)
            self.ledger.count += 1
        else:
            self._refuse(reply)

    def _refuse(self, reply: Reply) -> None:
        self.refused.append(f"{reply.status} {reply.code}")

    def _content(self, size: int) -> Content:
        return Content(self.random.getrandbits(48), size)

    def _put_small(self) -> None:
        self._put(self._content(self.random.randrange(1, 16384)))

    def _put_large(self) -> None:
        self._put(self._content(self.random.randrange(65537, 3 * MIB)))

    def _put(self, content: Content) -> None:
        key, body = self._key(), content.body
        self._write(key, content, lambda: self._ask("PUT", key, [], body), 200)

    def _delete(self) -> None:
        key = self._key()
        self._write(key, NOTHING, lambda: self._ask("DELETE", key, []), 204)

    def _copy(self) -> None:
        source, key = self._key(), self._key()
        content = self.ledger.acknowledged.get(source)
        if content is None or source == key or source in self.ledger.open:
            return
        header = (b"x-amz-copy-source", f"/bucket/{source}".encode())
        self._write(key, content, lambda: self._ask("PUT", key, [header]), 200)

    def _multipart(self) -> None:
        key, content = self._key(), self._content(PART + self.random.randrange(1, 100_000))
        created = self._ask("POST", f"{key}?uploads", [])
        if created.status != 200:
            self._refuse(created)
            return
        upload = created.body.decode().partition("<UploadId>")[2].partition("<")[0]
        body, listed = content.body, ""
        for number, part in enumerate((body[:PART], body[PART:]), 1):
            reply = self._ask("PUT", f"{key}?partNumber={number}&uploadId={upload}", [], part)
            if reply.status != 200:
                self._refuse(reply)
                return
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers.get('etag')}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self._write(key, content, lambda: self._ask("POST", f"{key}?uploadId={upload}", [], document), 200)

    # -- afterwards

    def check(self) -> list[str]:
        """Look at every key: what is wrong with them. What was open is settled."""
        wrong = []
        present = set(self._listed())
        for key in sorted(self.ledger.acknowledged.keys() | self.ledger.open.keys()):
            reply = self.client.ask("GET", f"/bucket/{key}")
            states = self.ledger.allowed(key)
            if reply.status == 404:
                found, matches = NOTHING, NOTHING in states
            else:
                found = next((state for state in states if state is not None and state.body == reply.body), NOTHING)
                matches = reply.status == 200 and found is not NOTHING
            if not matches:
                wrong.append(f"{key}: {reply.status}, {len(reply.body)} bytes, allowed {states}")
            if (key in present) != (reply.status == 200):
                wrong.append(f"{key}: GET says {reply.status}, the listing otherwise")
            self.ledger.settle(key, found)
        return wrong

    def _listed(self) -> list[str]:
        reply = self.client.ask("GET", f"/bucket?list-type=2&prefix={self.name}-")
        return re.findall("<Key>([^<]*)</Key>", reply.body.decode())
