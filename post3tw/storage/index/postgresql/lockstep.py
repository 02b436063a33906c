"""Coroutines of transactions, driven in step: each gives its next statement, all statements travel together.

Theory of operation. A transaction awaits nothing but its `tx`. Its driver starts the coroutine, which runs up to the
first statement whose answer it needs; what it asks is then in `tx.unsent`, behind whatever it had written without
asking for an answer. The driver sends what all its members have there in one exchange, hands each its answer, and so
on until all have ended. As many exchanges are needed as the one with the most questions has; the rest ride along.

Members of a group are in one database transaction and see what the others wrote. Their locks do not collide, so that
nothing one of them reads is written by another one; only what is read and written without locks (a bucket that is being
created) may be, and constraints of the database catch that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable, Iterable, Sequence
from typing import Any

from attrs import define, field
from zope.interface import implementer

from post3tw.storage.index.postgresql.pipeline import Answer
from post3tw.storage.index.postgresql.statements import Request, joining, request
from post3tw.storage.index.rows import joined_row
from post3tw.storage.interfaces import ITransaction


class ForeignAwait(Exception):
    """A transaction awaited something other than its `tx`: a mistake in its code."""


class _Step:
    """What a transaction hands to its driver when it needs the answer to what it sent last."""

    def __await__(self) -> Generator[_Step, Answer, Answer]:
        return (yield self)


_STEP = _Step()


@implementer(ITransaction)
class LockstepTransaction:
    """The `tx` of a coroutine that is driven in step.

    Attributes:
        unsent: what is to be sent, in order; when the coroutine waits, it waits for the last of these.
        wants_row: it waits for one row and nothing else.
        wrote: whether it changed anything, or may have.
    """

    __slots__ = ("memo", "unsent", "wants_row", "wrote")

    def __init__(self, memo: dict[Hashable, Any] | None = None) -> None:
        self.memo = memo
        self.unsent: list[Request] = []
        self.wants_row = False
        self.wrote = False

    async def one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        self.unsent.append(request(sql, parameters))
        self.wants_row = True
        answer = await _STEP
        self.wants_row = False
        return answer.first()

    async def all(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows."""
        self.unsent.append(request(sql, parameters))
        return (await _STEP).rows()

    async def joined(self, sql: str, *parameters: object) -> tuple[bytes, str]:
        """See ITransaction."""
        self.unsent.append(request(joining(sql), parameters))
        return joined_row((await _STEP).first())

    async def run(self, sql: str, *parameters: object) -> int:
        """Run a statement; the number of rows it changed."""
        self.unsent.append(request(sql, parameters))
        changed = (await _STEP).changed
        if changed:
            self.wrote = True
        return changed

    async def write(self, sql: str, *parameters: object) -> None:
        """Run a statement, some time before the next one and before the commit."""
        self.unsent.append(request(sql, parameters))

    async def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each tuple of parameters, as `write`."""
        self.unsent += [request(sql, row) for row in rows]


@define(eq=False)
class Member:
    """A transaction that is being driven.

    Attributes:
        tx: what it was given.
        ended: it has returned or raised; what it wrote last may still be unsent.
        outcome: what it returned.
        error: what it raised.
    """

    tx: LockstepTransaction
    ended: bool = field(default=False, init=False)
    outcome: Any = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)
    _coroutine: Coroutine[Any, Any, Any] = field(init=False)

    @classmethod
    def begun(cls, transaction: Callable[[Any], Awaitable[Any]], memo: dict[Hashable, Any] | None = None) -> Member:
        """Start a transaction and let it run up to its first question."""
        member = cls(LockstepTransaction(memo))
        try:
            member._coroutine = transaction(member.tx)  # type: ignore[assignment]
        except Exception as error:
            member.error = error
            member.ended = True
        else:
            member.go_on(None)
        return member

    def go_on(self, answer: Answer | None) -> None:
        """Hand over the answer it waits for; returns when it waits for the next, or has ended."""
        try:
            awaited = self._coroutine.send(answer)
        except StopIteration as done:
            self.outcome = done.value
        except Exception as error:
            self.error = error
        else:
            if awaited is _STEP:
                return
            self._coroutine.close()
            self.error = ForeignAwait(f"a transaction may await nothing but its tx, this one awaited {awaited!r}")
        self.ended = True
        if self.error is not None:
            self.tx.unsent.clear()  # never sent, so there is nothing to undo

    def give_up(self) -> None:
        """End the coroutine where it is."""
        if not self.ended:
            self.ended = True
            self._coroutine.close()

    def take_unsent(self) -> list[Request]:
        """What is to be sent for it now."""
        unsent, self.tx.unsent = self.tx.unsent, []
        if len(unsent) > (not self.ended):  # more than the question: writes that nobody asks about
            self.tx.wrote = True
        return unsent
