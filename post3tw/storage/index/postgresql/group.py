"""A group of writing transactions: one transaction of the database, in as few exchanges as its members need.

Theory of operation. The first exchange begins, takes the locks of all members, and asks the first question of each:
what stands behind the locks is done when they are held. The last one ends with COMMIT; it carries everything that
members wrote without asking for an answer. So a transaction that asks once, decides, and writes is two exchanges,
however many there are in the group. The same statement of several members is one statement (`together`).

The isolation level is READ COMMITTED, on purpose: each statement sees everything that was committed before it began, so
what is read under a lock is the state that the lock protects, even if the lock had to be waited for. Under REPEATABLE
READ the state would be that from before the wait, and the database would have to refuse what conflicts.

A member that fails before it wrote is answered with its error when the others are. Anything else that goes wrong spoils
the group: it is rolled back, and `Spoiled` says whose fault it was. An error of the connection goes to the caller as it
is: whether a COMMIT that was under way was done, nobody knows, so nobody is told that it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from post3tw.storage.index.postgresql.locks import Claim, lock_requests
from post3tw.storage.index.postgresql.lockstep import Member
from post3tw.storage.index.postgresql.pipeline import Answer, Part, Pipeline, StatementFailed
from post3tw.storage.index.postgresql.statements import Request, Statement, request
from post3tw.storage.index.postgresql.together import form_of, joined, parts
from post3tw.storage.postgresql.failures import ends_connection

Bucket = tuple[str, str]
"""Tenant and name."""

JOINED_LIMIT = 64
"""Members that share a statement at most: with bodies of 64 KiB, that is 4 MiB of memory here and there."""

_BEGIN = request("BEGIN ISOLATION LEVEL READ COMMITTED")
_COMMIT = request("COMMIT")
_ROLLBACK = request("ROLLBACK")


class Announces(Protocol):
    """As much as a group needs of `notices.Notices`."""

    def announcement(self, buckets: Collection[Bucket]) -> tuple[str, tuple[str, ...]]:
        """The statement that tells other nodes of changed buckets."""

    def forget(self, buckets: Iterable[Bucket]) -> None:
        """Tell this one."""


class Spoiled(Exception):
    """A group was rolled back.

    Attributes:
        position: the member because of which; None when it was no single one.
        error: what went wrong.
    """

    def __init__(self, position: int | None, error: Exception) -> None:
        super().__init__(position)
        self.position = position
        self.error = error


class _Unclear(Spoiled):
    """It was, because the statement of several members failed: whose fault it is nobody knows."""


@frozen(eq=False)
class Work:
    """What a group is made of: a transaction and the locks it declared."""

    transaction: Callable[[Any], Awaitable[Any]]
    claim: Claim


@define(eq=False)
class _Batch:
    """What is sent in one exchange, and to whom the answers go.

    Attributes:
        requests: in their order.
        joining: whether the same statement of several members becomes one.
        owners: whose each request is; None when it is everybody's, or that of several.
        awaited: who waits for the answer to which request, and as which of those who share it.
    """

    requests: list[Request]
    joining: bool
    owners: list[int | None] = field(init=False)
    awaited: list[tuple[Member, int, int]] = field(factory=list, init=False)
    _same: dict[Any, int] = field(factory=dict, init=False)
    _open: dict[Statement, int] = field(factory=dict, init=False)
    _joined: dict[int, list[Request]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.owners = [None] * len(self.requests)

    def add(self, position: int, member: Member) -> None:
        """Add what a member has to send."""
        unsent = member.take_unsent()
        if not unsent:
            return
        question = None if member.ended else unsent[-1]
        index = -1
        for one in unsent:
            statement = one.statement
            if self.joining and (one is not question or member.tx.wants_row) and form_of(statement) is not None:
                index = self._join(one, position, index + 1)
            elif statement.reads and len(unsent) == 1:
                # Most ask for the bucket first, and most for the same one.
                index = self._same.setdefault((statement, one.values), len(self.requests))
                if index == len(self.requests):
                    self._append(one, position)
            else:
                index = self._append(one, position)
        if question is not None:
            self.awaited.append((member, index, len(self._joined.get(index, ())) - 1))

    def _append(self, one: Request, position: int) -> int:
        self.requests.append(one)
        self.owners.append(position)
        return len(self.requests) - 1

    def _join(self, one: Request, position: int, earliest: int) -> int:
        """Add a request to the same one of other members, unless that is sent before what its member sends first."""
        index = self._open.get(one.statement, -1)
        if index < earliest or len(self._joined[index]) >= JOINED_LIMIT:
            index = self._open[one.statement] = self._append(one, position)
            self._joined[index] = [one]
        else:
            self._joined[index].append(one)
            self.owners[index] = None
        return index

    async def exchange(self, pipeline: Pipeline) -> list[Answer]:
        """Send it.

        Raises:
            Spoiled: a statement failed.
            _Unclear: the statement of several members did.
        """
        for index, several in self._joined.items():
            form = form_of(several[0].statement)
            if len(several) > 1 and form is not None:
                self.requests[index] = joined(form, several)
        try:
            return await pipeline.exchange(self.requests)
        except StatementFailed as failed:
            kind = _Unclear if len(self._joined.get(failed.position, ())) > 1 else Spoiled
            raise kind(self.owners[failed.position], failed.error) from failed.error

    def hand_out(self, answers: Sequence[Answer]) -> None:
        """Let those who wait go on."""
        shares: dict[int, list[Part]] = {}
        for member, index, place in self.awaited:
            several = self._joined.get(index, ())
            if len(several) < 2:
                member.go_on(answers[index])
                continue
            if index not in shares:
                shares[index] = parts(answers[index], len(several))
            member.go_on(shares[index][place])

    @property
    def tells(self) -> bool:
        """Whether anything in it changes buckets."""
        return any(one.statement.tells for one in self.requests)


async def run_group(pipeline: Pipeline, group: Sequence[Work], announces: Announces) -> list[Member]:
    """Run transactions in one transaction of the database, and commit it.

    Returns:
        The members, ended: each has its outcome, or the error with which it failed before it wrote.

    Raises:
        Spoiled: it was rolled back.
        psycopg.Error: the connection failed; it is closed.
    """
    try:
        return await _attempt(pipeline, group, announces, joining=len(group) > 1)
    except _Unclear:  # one by one, statements show whose fault it is
        return await _attempt(pipeline, group, announces, joining=False)


async def _attempt(pipeline: Pipeline, group: Sequence[Work], announces: Announces, *, joining: bool) -> list[Member]:
    members = [Member.begun(work.transaction) for work in group]
    batch = _Batch([_BEGIN, *lock_requests([work.claim for work in group])], joining)
    try:
        buckets = await _drive(pipeline, members, batch, announces)
    except Spoiled as spoiled:
        if ends_connection(spoiled.error):
            raise spoiled.error from None
        await pipeline.exchange([_ROLLBACK])
        raise
    finally:
        for member in members:
            member.give_up()
    if buckets:
        announces.forget(buckets)
    return members


async def _drive(pipeline: Pipeline, members: Sequence[Member], batch: _Batch, announces: Announces) -> set[Bucket]:
    """Exchange after exchange, up to the COMMIT. Returns the buckets that were changed."""
    buckets: set[Bucket] = set()
    while True:
        for position, member in enumerate(members):
            batch.add(position, member)
        last = not batch.awaited and not batch.tells
        if last:
            _finish(batch, buckets, announces)
        answers = await batch.exchange(pipeline)
        if last:
            return buckets
        buckets.update(_told(batch, answers))
        batch.hand_out(answers)
        for position, member in enumerate(members):
            if member.error is not None and member.tx.wrote:
                raise Spoiled(position, member.error)
        batch = _Batch([], batch.joining)


def _finish(batch: _Batch, buckets: set[Bucket], announces: Announces) -> None:
    if buckets:
        batch.requests.append(request(*announces.announcement(buckets)))
        batch.owners.append(None)
    batch.requests.append(_COMMIT)
    batch.owners.append(None)


def _told(batch: _Batch, answers: Sequence[Answer]) -> list[Any]:
    return [
        row for one, answer in zip(batch.requests, answers, strict=True) if one.statement.tells for row in answer.rows()
    ]
