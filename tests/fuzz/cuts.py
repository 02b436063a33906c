"""Readers of streams, fed in pieces: wherever the stream is cut, what comes out must be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any
from zlib import crc32

from post3tw.model.errors import DomainError

_EVERYWHERE = 400
"""Bytes up to which a stream is cut at every place, when thoroughly."""

_THOROUGH: ContextVar[bool] = ContextVar("_THOROUGH", default=False)


@contextmanager
def thoroughly() -> Iterator[None]:
    """Cut at every place. A fuzzer has no time for that, but many inputs."""
    token = _THOROUGH.set(True)
    try:
        yield
    finally:
        _THOROUGH.reset(token)


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """Ways to cut a stream: not at all, in single bytes or at random, and in two, at some places or at every one."""
    yield [stream]
    random = Random(crc32(stream))
    size = len(stream)
    if _THOROUGH.get() and size <= _EVERYWHERE:
        places = list(range(1, size))
    else:
        places = [random.randrange(1, size) for _ in range(2)] if size > 1 else []
    for at in places:
        yield [stream[:at], stream[at:]]
    yield _pieces(stream, random, (1,) if size <= _EVERYWHERE else (1, 2, 7, 64, 1000))


def _pieces(stream: bytes, random: Random, sizes: Sequence[int]) -> list[bytes]:
    pieces, at = [], 0
    while at < len(stream):
        size = random.choice(sizes)
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def read_alike(stream: bytes, read: Callable[[Iterable[bytes]], Any], *, one_refusal: bool = True) -> None:
    """Check that a reader makes the same of a stream however it is cut: the same result, or the same refusal. Of two
    things that are wrong a reader may find either first, which `one_refusal` False allows.

    Raises:
        AssertionError: it does not.
    """
    outcomes = [_outcome(read, pieces, one_refusal) for pieces in cuts(stream)]
    for outcome in outcomes:
        assert outcome == outcomes[0], (outcomes[0], outcome)


def _outcome(read: Callable[[Iterable[bytes]], Any], pieces: Iterable[bytes], one_refusal: bool) -> Any:
    try:
        return read(pieces)
    except DomainError as error:
        return type(error) if one_refusal else DomainError
