"""What parent and worker tell each other: lines of JSON, in two pipes.

The first line that a worker reads is its Order. Then come objects with one of these members:

    to the worker      {"do": "stop" | "reload" | "reopen" | "live"}, {"ask": number}
    from the worker    {"alive": true}, {"ready": has_buckets}, {"refused": reason}, {"log": {…}}, {"answer": number,
                       "obstacle": …, "families": …}

A worker whose pipe ends has no parent any more, and ends at once: what it had not acknowledged is lost to nobody, and
the next server finds ports and data free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from attrs import asdict, define, field, frozen
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

ORDERS, REPORTS, PAGE, LOCK, LISTENERS = range(3, 8)
"""Descriptors in a worker: its two pipes, the page of the crew, the lock on the data (when there is one), and from here
on those of the listening sockets."""

Message = dict[str, Any]


@frozen
class Order:
    """What a worker needs to know to begin.

    Attributes:
        options: of the server, as the parent was given them.
        number: of the worker.
        count: of all workers.
        first: nobody opened the store before.
        locked: whether there is a lock.
        endpoints: (endpoint string, address family) of the listening sockets.
    """

    options: Mapping[str, Any]
    number: int
    count: int
    first: bool
    locked: bool
    endpoints: Sequence[tuple[str, int]]

    def message(self) -> Message:
        """For the pipe."""
        return asdict(self)


def read_order() -> Order:
    """The first line of a worker's pipe. Raises EOFError when there is no parent any more."""
    with os.fdopen(ORDERS, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()  # unbuffered: what follows is left to Orders
    if not line.endswith(b"\n"):
        raise EOFError
    return Order(**json.loads(line))


def encoded(message: Message) -> bytes:
    """A message as it goes through a pipe."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


@define
class Lines:
    """Puts messages together from pieces of them."""

    _rest: bytes = field(default=b"", init=False)

    def add(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole]


@implementer(IReadDescriptor)
@define(eq=False)
class Orders:
    """The worker's end of the pipe from its parent.

    Attributes:
        follow: is called with each message.
        orphaned: is called when there is no parent any more.
    """

    follow: Callable[[Message], None]
    orphaned: Callable[[], None]
    _lines: Lines = field(factory=Lines, init=False)

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return ORDERS

    def doRead(self) -> None:
        """See IReadDescriptor."""
        data = os.read(ORDERS, 1 << 16)
        if not data:
            self.orphaned()
        for message in self._lines.add(data):
            self.follow(message)

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor: the other end is closed."""
        self.orphaned()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "parent"


@define(eq=False)
class Reports:
    """The worker's end of the pipe to its parent, for any thread. It waits while the pipe is full: the parent does
    nothing that takes long."""

    _lock: Lock = field(factory=Lock, init=False)

    def send(self, **message: Any) -> None:
        """Tell the parent."""
        rest = memoryview(encoded(message))
        with self._lock:
            while rest:
                rest = rest[os.write(REPORTS, rest) :]
