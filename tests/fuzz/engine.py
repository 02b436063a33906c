"""Fuzzing guided by coverage, in plain Python: what it takes to find inputs that a parser does not expect.

Theory of operation
===================
A target is a function of bytes that must return, whatever the bytes are. Inputs are made by changing inputs that are
kept already: bits, slices, numbers, words of the target's language, pieces of other inputs. While one runs, the edges
between lines of post3tw that it takes are recorded; an input that takes an edge nobody took before is kept, so that
further changes begin where it came to. That is what carries a fuzzer through a grammar that chance would never meet.

An input is a *find* when the target raises, when it takes more than 100 ms of processor time, or when it allocates more
than 64 MiB. Time is that of the processor, measured again without tracing before anybody is blamed. Memory is measured
where it can matter, with inputs that are blown up to what the target may be sent.

It needs no package that has to be compiled for each version of Python, and a seed says the whole run.
"""

from __future__ import annotations

import signal
import sys
import traceback
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from random import Random
from time import process_time
from types import CodeType, FrameType, TracebackType
from typing import Any, Self

from attrs import define, field, frozen

MOST_SECONDS = 0.1
"""Of processor time, for one input."""
MOST_MEMORY = 64 << 20
"""Bytes that one input may have allocated at a time."""
HANG = 5.0
"""Seconds of processor time after which an input counts as one that never ends."""
KEPT = 2048
"""Bytes of the longest input that is kept for being interesting."""

_ONE_BLOWN_UP_IN = 400
_PACKAGE = "/post3tw/"

Edge = tuple[int, int, int]


@frozen
class Target:
    """A parser, and what is known of its language.

    Attributes:
        name: of the target, and of its corpus.
        run: takes an input. It may raise nothing: errors that the parser means to raise are caught in it.
        seeds: where the fuzzer begins.
        tokens: words worth inserting.
        most: bytes of the longest input that can reach the parser.
    """

    name: str
    run: Callable[[bytes], None] = field(repr=False)
    seeds: Sequence[bytes] = field(repr=False)
    tokens: Sequence[bytes] = field(default=(), repr=False)
    most: int = 16384


@frozen
class Find:
    """An input that a target does not survive, and what happened."""

    target: str
    data: bytes = field(repr=False)
    reason: str

    @property
    def kind(self) -> str:
        """What finds of one cause have in common: the last line of what happened, and the place."""
        lines = self.reason.strip().splitlines()
        places = [line.strip() for line in lines if line.lstrip().startswith("File ")]
        return f"{lines[-1].partition(':')[0]} {places[-1] if places else ''}"


class Hang(BaseException):
    """An input takes longer than anybody waits. No Exception, so that no target catches it."""


class _Alarm:
    """Raises Hang after a while; as a context manager around many inputs."""

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGVTALRM, self._ring)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)

    def wind(self) -> None:
        """Begin to wait again."""
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        raise Hang()


# -- one input --------------------------------------------------------------------------------------------------------


def tried(target: Target, data: bytes) -> Find | None:
    """Run a target on an input; what is wrong with that, None for nothing."""
    with _Alarm() as alarm:
        return _tried(target, data, alarm) or _too_slow(target, data) or _too_large(target, data)


def _tried(target: Target, data: bytes, alarm: _Alarm) -> Find | None:
    alarm.wind()
    try:
        target.run(data)
    except (Exception, Hang):
        return Find(target.name, data, traceback.format_exc(limit=-6))
    return None


def _too_slow(target: Target, data: bytes) -> Find | None:
    """The best of three counts: the machine has other things to do as well."""
    best = HANG
    for _ in range(3):
        began = process_time()
        target.run(data)
        best = min(best, process_time() - began)
        if best <= MOST_SECONDS:
            return None
    return Find(target.name, data, f"Slow: {best:.3f} s for {len(data)} bytes")


def _too_large(target: Target, data: bytes) -> Find | None:
    tracemalloc.start()
    try:
        target.run(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Find(target.name, data, f"Large: {peak >> 20} MiB for {len(data)} bytes") if peak > MOST_MEMORY else None


# -- edges ------------------------------------------------------------------------------------------------------------


@define(eq=False)
class Edges:
    """Which edges between lines of post3tw were taken, by all inputs so far and by the last one."""

    all: set[Edge] = field(factory=set)
    last: set[Edge] = field(factory=set)
    _ours: dict[CodeType, int] = field(factory=dict)

    def of(self, run: Callable[[bytes], None], data: bytes) -> int:
        """Run something; how many edges it took that nothing before has taken."""
        self.last = set()
        sys.settrace(self._called)
        try:
            run(data)
        finally:
            sys.settrace(None)
        new = len(self.last - self.all)
        self.all |= self.last
        return new

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        number = self._ours.get(code)
        if number is None:
            number = len(self._ours) + 1 if _PACKAGE in code.co_filename else 0
            self._ours[code] = number
        if not number:
            return None
        add, line = self.last.add, 0

        def stepped(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal line
            if event == "line":
                add((number, line, frame.f_lineno))
                line = frame.f_lineno
            return stepped

        return stepped


# -- changes ----------------------------------------------------------------------------------------------------------

_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"9223372036854775808", b"9" * 30, b"1e9", b"0x10")
_BYTES = (
    b"\0",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"%00",
    b"%",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b'"',
    b",",
    b"\\",
)


@define(eq=False)
class Changes:
    """Makes inputs out of others."""

    random: Random
    tokens: Sequence[bytes]

    def of(self, data: bytes, others: Sequence[bytes]) -> bytes:
        """The input with a few changes."""
        for _ in range(1 << self.random.randrange(4)):
            data = self._changed(data, others)
        return data

    def blown_up(self, data: bytes, size: int) -> bytes:
        """The input with one piece of it repeated up to this size."""
        start, end = self._slice(data)
        piece = data[start:end] or self._word()
        return (data[:start] + piece * ((size - len(data)) // len(piece) + 1) + data[end:])[:size]

    def _changed(self, data: bytes, others: Sequence[bytes]) -> bytes:
        random = self.random
        start, end = self._slice(data)
        match random.randrange(9):
            case 0 if data:
                bit = 1 << random.randrange(8)
                at = random.randrange(len(data))
                return data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]
            case 1:
                return data[:start] + data[end:]
            case 2:
                return data[:end] + data[start:end] * random.choice((1, 1, 2, 5)) + data[end:]
            case 3:
                return data[:start] + self._word() + data[start:]
            case 4:
                return data[:start] + self._word() + data[end:]
            case 5:
                other = random.choice(others)
                begin, finish = self._slice(other)
                return data[:start] + other[begin:finish] + data[end:]
            case 6:
                other = random.choice(others)
                return data[:start] + other[self._slice(other)[0] :]
            case 7:
                a, b = self._slice(data)
                first, last = sorted(((start, end), (a, b)))
                if first[1] > last[0]:
                    return data[:start] + data[start:end][::-1] + data[end:]
                return (
                    data[: first[0]]
                    + data[slice(*last)]
                    + data[first[1] : last[0]]
                    + data[slice(*first)]
                    + data[last[1] :]
                )
            case _:
                return data[:start] + random.randbytes(random.randrange(1, 5)) + data[end:]

    def _slice(self, data: bytes) -> tuple[int, int]:
        """A piece, mostly a short one."""
        start = self.random.randrange(len(data) + 1)
        longest = len(data) if self.random.randrange(4) == 0 else 8
        return start, min(len(data), start + self.random.randrange(longest + 1))

    def _word(self) -> bytes:
        return self.random.choice((self.random.choice(self.tokens or _BYTES), self.random.choice(_NUMBERS + _BYTES)))


# -- a run ------------------------------------------------------------------------------------------------------------


@define(eq=False)
class Fuzzer:
    """One run over one target.

    Attributes:
        target: what is fuzzed.
        kept: inputs that lead somewhere, the corpus first.
        finds: one of each kind.
        executions: how many inputs were tried.
        seconds: of processor time.
    """

    target: Target
    random: Random
    kept: list[bytes] = field(factory=list)
    finds: dict[str, Find] = field(factory=dict, init=False)
    executions: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    edges: Edges = field(factory=Edges, init=False)

    def run(self, seconds: float, corpus: Iterable[bytes] = ()) -> None:
        """Try the seeds, the corpus, and then changes of them for so many seconds of processor time."""
        began = process_time()
        changes = Changes(self.random, self.target.tokens)
        with _Alarm() as alarm:
            for data in (*self.target.seeds, *corpus):
                self.kept.append(data)
                self._try(data, alarm)
            while (spent := process_time() - began) < seconds:
                data = changes.of(self.random.choice(self.kept), self.kept)
                if self.random.randrange(_ONE_BLOWN_UP_IN) == 0:
                    self._measure(changes.blown_up(data, self.random.randrange(self.target.most)), alarm)
                elif len(data) <= self.target.most and self._try(data, alarm) and len(data) <= KEPT:
                    self.kept.append(data)
        self.seconds += max(spent, process_time() - began)

    def _try(self, data: bytes, alarm: _Alarm) -> bool:
        """Run the target on an input; whether that led anywhere new."""
        self.executions += 1
        began = process_time()
        alarm.wind()
        try:
            new = self.edges.of(self.target.run, data)
        except (Exception, Hang):
            self._found(Find(self.target.name, data, traceback.format_exc(limit=-6)))
            return False
        if process_time() - began > MOST_SECONDS:
            self._found(_too_slow(self.target, data))
        return new > 0

    def _measure(self, data: bytes, alarm: _Alarm) -> None:
        """The same for a large input, with an eye on time and memory instead of edges."""
        self.executions += 1
        self._found(_tried(self.target, data, alarm) or _too_slow(self.target, data) or _too_large(self.target, data))

    def _found(self, find: Find | None) -> None:
        if find is not None:
            self.finds.setdefault(find.kind, find)

    def smallest(self) -> list[bytes]:
        """Few of the kept inputs, short ones first, that take all the edges that they take together."""
        edges, chosen = Edges(), []
        for data in sorted(set(self.kept), key=lambda data: (len(data), data)):
            try:
                if edges.of(self.target.run, data):
                    chosen.append(data)
            except (Exception, Hang):
                continue  # a find, which is told elsewhere
        return chosen
