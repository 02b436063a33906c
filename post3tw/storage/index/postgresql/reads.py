"""Reading transactions: those that ask once share an exchange, the others have a state of the database for themselves.

Theory of operation. Most reads ask one question, and a single statement sees one state of the database anyway. So a
read is begun without a transaction: its first question waits for a free connection, and all that wait go in one
exchange. When the coroutine asks a second question, the two must be answered from one state: the coroutine, which is
pure, is given up and run again between BEGIN ISOLATION LEVEL REPEATABLE READ and COMMIT, on a connection of its own.
Which code asks more than once is remembered, so that it is not begun in vain every time.

What reads keep for each other (`tx.memo`: buckets, so that a GET is one statement) must be given up when it changes.
Here that is the whole of it, at every notice of a change, by putting an empty one in its place: a read that began
before still holds the old one, and what it adds there is lost, as it must be. While notices cannot be relied on,
there is no memo.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from types import CodeType
from typing import Any, Protocol, TypeVar, cast

from attrs import define, field
from psycopg import Error
from twisted.internet.defer import Deferred

from post3tw.storage.index.postgresql.lockstep import Member
from post3tw.storage.index.postgresql.pipeline import Answer, StatementFailed, pipeline_on
from post3tw.storage.index.postgresql.statements import Request, request
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.failures import READ_ONLY, DatabaseFailed, translated
from post3tw.storage.postgresql.pool import Pool

T = TypeVar("T")

TOGETHER = 256
"""Questions in one exchange at most."""

MEMO_LIMIT = 10_000
"""Buckets kept at most; after that it begins anew."""

_BEGIN = request("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT = request("COMMIT")


class Hears(Protocol):
    """As much as reads need of `notices.Notices`."""

    @property
    def current(self) -> bool:
        """Whether what is kept may be believed now."""

    def subscribe(self, forget: Callable[..., None]) -> None:
        """Have a function called at every change of a bucket."""


@define(eq=False)
class Reads:
    """Reads of one index.

    Attributes:
        reactor: for the end of its turn.
        points: connections for single questions.
        snapshots: connections for transactions.
        notices: when the memo is good for nothing any more.
        repeated: how many transactions had to be run again, because they asked a second question.
    """

    reactor: Any
    points: Pool
    snapshots: Pool
    notices: Hears
    repeated: int = field(default=0, init=False)
    _memo: dict[Hashable, Any] = field(factory=dict, init=False)
    _several: set[CodeType | None] = field(factory=set, init=False)
    _waiting: list[tuple[Request, Deferred[Answer]]] = field(factory=list, init=False)
    _under_way: int = field(default=0, init=False)
    _gathering: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.notices.subscribe(self._forget)

    @property
    def backlog(self) -> int:
        """How many questions wait to be sent."""
        return len(self._waiting) + self.snapshots.waiting

    async def run(self, transaction: Callable[[Any], Awaitable[T]]) -> T:
        """Run a transaction on the state that was last committed.

        Raises:
            What the transaction raises, and what `Pool.run` does.
        """
        code = _code_of(transaction)
        if code not in self._several:
            member = Member.begun(transaction, self._memo_now())
            if not member.ended and len(questions := member.take_unsent()) == 1:
                member.go_on(await self._ask(questions[0]))
            if member.ended and not member.tx.unsent:
                return cast("T", _outcome(member))
            member.give_up()
            self.repeated += 1
        return await self._in_snapshot(transaction, code)

    def _memo_now(self) -> dict[Hashable, Any] | None:
        if len(self._memo) > MEMO_LIMIT:
            self._forget()
        return self._memo if self.notices.current else None

    def _forget(self, *_: object) -> None:
        self._memo = {}

    # -- single questions ----------------------------------------------------------------------------------------------

    def _ask(self, question: Request) -> Deferred[Answer]:
        answer: Deferred[Answer] = Deferred()
        self._waiting.append((question, answer))
        self._begin_later()
        return answer

    def _begin_later(self) -> None:
        if not self._gathering and self._under_way < self.points.size:
            self._gathering = True
            self.reactor.callLater(0, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self._begin()

    def _begin(self) -> None:
        if self._under_way >= self.points.size:
            return  # the exchange that ends next begins again
        waiting, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
        waiting = [(question, answer) for question, answer in waiting if not answer.called]
        if waiting:
            self._under_way += 1
            Deferred.fromCoroutine(self._exchange(waiting))
        if self._waiting:
            self._begin_later()

    async def _exchange(self, asked: list[tuple[Request, Deferred[Answer]]]) -> None:
        """Ask, and answer; behind a question that fails, once more."""
        answers: list[Any] = []
        while len(answers) < len(asked):
            rest = [question for question, _ in asked[len(answers) :]]
            try:
                answers += await self.points.run(partial(_exchanged, questions=rest))
            except StatementFailed as failed:
                answers += [*failed.answers, _refused(failed.error)]
            except Exception as error:
                answers += [error] * len(rest)
        self._under_way -= 1
        self._begin()  # first, so that the database has work while answers go out
        for (_, waiter), answer in zip(asked, answers, strict=True):
            if waiter.called:
                continue  # cancelled
            if isinstance(answer, Exception):
                waiter.errback(answer)
            else:
                waiter.callback(answer)

    # -- one state for several -----------------------------------------------------------------------------------------

    async def _in_snapshot(self, transaction: Callable[[Any], Awaitable[T]], code: CodeType | None) -> T:
        try:
            driven = partial(_driven, transaction=transaction, memo=self._memo_now())
            member, questions = await self.snapshots.run(driven)
        except StatementFailed as failed:
            raise _refused(failed.error) from failed.error
        if code is not None:
            # A read whose bucket is in the memo by now asks less than it did.
            (self._several.add if questions > 1 else self._several.discard)(code)
        return cast("T", _outcome(member))


async def _exchanged(connection: Connection, questions: list[Request]) -> list[Answer]:
    return await pipeline_on(connection).exchange(questions)


async def _driven(
    connection: Connection, transaction: Callable[[Any], Awaitable[Any]], memo: dict[Hashable, Any] | None
) -> tuple[Member, int]:
    """Run a transaction to its end. Returns it, ended, and how many questions it asked."""
    pipeline = pipeline_on(connection)
    begin, questions = [_BEGIN], 0
    member = Member.begun(transaction, memo)
    try:
        while not member.ended:
            member.go_on((await pipeline.exchange(begin + member.take_unsent()))[-1])
            begin, questions = [], questions + 1
        if questions or member.tx.unsent:  # a write is for the database to refuse
            await pipeline.exchange([*begin, *member.take_unsent(), _COMMIT])
    finally:
        member.give_up()
    return member, questions


def _refused(error: Error) -> Exception:
    """What to raise for a statement that failed. Ours are the connections that only read."""
    if error.sqlstate == READ_ONLY:
        return DatabaseFailed("a reading transaction tried to write")
    return translated(error)


def _outcome(member: Member) -> Any:
    if member.error is not None:
        raise member.error
    return member.outcome


def _code_of(transaction: Any) -> CodeType | None:
    """What a transaction does, whatever its parameters are: the code of a function, also under `partial`."""
    return getattr(getattr(transaction, "func", transaction), "__code__", None)
