"""Ids that we make. Time-ordered, so that rows made together lie together; random, so that none can be guessed."""

from __future__ import annotations

import os
from collections.abc import Callable

from attrs import field, frozen


class RandomBlocks:
    """Random bytes of the operating system, drawn a page at a time: a system call costs more than the id it is for.

    For one thread, and not across a fork.

    Args:
        draw: where pages come from.
        size: of a page; at least as much as anybody asks for at once.
    """

    def __init__(self, draw: Callable[[int], bytes] = os.urandom, size: int = 4096) -> None:
        self._draw = draw
        self._size = size
        self._page = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        """So many bytes that nobody was given before."""
        start = self._used
        if start + count > len(self._page):
            start, self._page = 0, self._draw(self._size)
        self._used = start + count
        return self._page[start : self._used]


@frozen
class IdSource:
    """Makes ids from a clock (seconds since the epoch) and a source of random bytes, both replaceable in tests."""

    seconds: Callable[[], float]
    random: Callable[[int], bytes] = field(factory=RandomBlocks)

    def now(self) -> int:
        """The time in milliseconds since the epoch, as every row keeps it."""
        return int(self.seconds() * 1000)

    def object_id(self) -> bytes:
        """16 bytes in the order of UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
        return self.now().to_bytes(6, "big") + self.random(10)

    def bucket_id(self) -> int:
        """A positive 63-bit integer: 42 bits of milliseconds, 21 random bits."""
        return (self.now() & ((1 << 42) - 1)) << 21 | int.from_bytes(self.random(3), "big") >> 3

    def request_id(self) -> str:
        """16 upper-case hex digits, as in x-amz-request-id."""
        return self.random(8).hex().upper()
