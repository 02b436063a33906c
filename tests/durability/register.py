"""Whether a history of calls on one key can be explained by a register: by calls that happen one after the other, each
at one moment between its beginning and its end.

Theory of operation (Wing and Gong 1993, Lowe's just-in-time form). We walk through the beginnings and ends of calls in
the order of time, and keep every *configuration* that explains all answers so far: what the register holds, and which
of the calls that have begun and not ended have already happened. A call that begins changes nothing. When one ends,
each configuration is extended by whatever sequences of pending calls end in it, and those remain in which it has
happened. If none remains, no order explains the answers, and that call is where it shows.

A call without an answer (the client lost its connection, the server died or reported an error) may have happened or
not: at its end, configurations in which it did not are kept as well. Its end is the moment after which it cannot happen
any more: the restart for calls that a kill cut off, the answer for errors.

Values are unique, or None for no object, and writes are: unconditional, only over nothing, or only over one value.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import define, field, frozen

Value = str | None


class Kind(Enum):
    """What a call does."""

    PUT = "put"
    GET = "get"
    DELETE = "delete"
    CREATE = "create"
    REPLACE = "replace"


class Outcome(Enum):
    """How a call ended: it did what it says, its condition did not hold, or nobody knows."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@frozen
class Call:
    """One call on the key.

    Attributes:
        kind: what it does.
        begin: when it was sent.
        end: when its answer was there, later than `begin`.
        outcome: how it ended.
        value: what a write writes, or a read has read.
        expected: what a REPLACE wants to find.
    """

    kind: Kind
    begin: float
    end: float
    outcome: Outcome = Outcome.DONE
    value: Value = None
    expected: Value = None

    def after(self, state: Value) -> tuple[Value] | None:
        """What the register holds after this call, in a tuple; None where the answer contradicts what it held."""
        if self.kind is Kind.GET:
            return (state,) if state == self.value or self.outcome is not Outcome.DONE else None
        if self.kind is Kind.DELETE:
            return (None,)
        if self.kind is Kind.PUT:
            return (self.value,) if self.outcome is not Outcome.REFUSED else (state,)
        holds = state is None if self.kind is Kind.CREATE else state == self.expected and state is not None
        if self.outcome is Outcome.UNKNOWN:
            return (self.value if holds else state,)
        if holds is not (self.outcome is Outcome.DONE):
            return None
        return (self.value if holds else state,)

    @property
    def only_looks(self) -> bool:
        """Whether its answer says that it changed nothing."""
        return self.kind is Kind.GET or self.outcome is Outcome.REFUSED


_Configuration = tuple[Value, frozenset[int]]


def unexplained(calls: Iterable[Call], initial: Value = None) -> Call | None:
    """The first call by whose end no order explains the answers; None when the history is linearizable.

    Args:
        calls: of one key, in any order.
        initial: what the key held before all of them.
    """
    history = [call for call in calls if call.kind is not Kind.GET or call.outcome is Outcome.DONE]
    # At one moment beginnings come before ends: such calls are taken to overlap, which is the lenient reading.
    events = sorted(
        [(call.begin, 0, number) for number, call in enumerate(history)]
        + [(call.end, 1, number) for number, call in enumerate(history)]
    )
    search = _Search(history)
    configurations: set[_Configuration] = {(initial, frozenset())}
    for _, ends, number in events:
        if not ends:
            search.pending[number] = None
            configurations = {search.looked(*each) for each in configurations}
            continue
        configurations = search.ended(configurations, number)
        del search.pending[number]
        if not configurations:
            return history[number]
    return None


@define
class _Search:
    """The calls that have begun and not ended, and what they can lead to."""

    history: list[Call]
    pending: dict[int, None] = field(factory=dict)

    def looked(self, state: Value, happened: frozenset[int]) -> _Configuration:
        """A configuration in which every pending call that changes nothing, and is right about the state, has happened:
        nothing is lost by letting it happen at once."""
        looks = [
            number
            for number in self.pending
            if number not in happened and self.history[number].only_looks and self.history[number].after(state)
        ]
        return (state, happened.union(looks)) if looks else (state, happened)

    def ended(self, configurations: set[_Configuration], number: int) -> set[_Configuration]:
        """The configurations when a call has ended: it happened in each of them, or it is one that need not have."""
        kept: set[_Configuration] = set()
        if self.history[number].outcome is Outcome.UNKNOWN:
            kept |= {(state, happened) for state, happened in configurations if number not in happened}
        seen, waiting = set(configurations), list(configurations)
        while waiting:
            state, happened = waiting.pop()
            if number in happened:
                kept.add((state, happened - {number}))
                continue
            for other in self.pending:
                if other in happened or self.history[other].only_looks:
                    continue
                after = self.history[other].after(state)
                if after is None:
                    continue
                found = self.looked(after[0], happened | {other})
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)
        return kept
