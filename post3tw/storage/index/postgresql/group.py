"""A group of writing transactions: one transaction of the database, in as few exchanges as its members need.

Theory of operation. The first exchange begins, takes the locks of all members, and asks the first question of each:
what stands behind the locks is done when they are held. The last one ends with COMMIT; it carries everything that
members wrote without asking for an answer. So a transaction that asks once, decides, and writes is two exchanges,
however many there are in the group.

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
from post3tw.storage.index.postgresql.pipeline import Answer, Pipeline, StatementFailed
from post3tw.storage.index.postgresql.statements import Request, request
from post3tw.storage.postgresql.failures import ends_connection

Bucket = tuple[str, str]
"""Tenant and name."""

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


@frozen(eq=False)
class Work:
    """What a group is made of: a transaction and the locks it declared."""

    transaction: Callable[[Any], Awaitable[Any]]
    claim: Claim


@define(eq=False)
class _Batch:
    """What is sent in one exchange, and to whom the answers go."""

    requests: list[Request]
    owners: list[int | None] = field(init=False)
    awaited: list[tuple[Member, int]] = field(factory=list, init=False)
    _shared: dict[Any, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.owners = [None] * len(self.requests)

    def add(self, position: int, member: Member) -> None:
        """Add what a member has to send."""
        unsent = member.take_unsent()
        if not unsent:
            return
        index = len(self.requests)
        if len(unsent) == 1 and unsent[0].statement.reads:
            # Most ask for the bucket first, and most for the same one.
            one = unsent[0]
            index = self._shared.setdefault((one.statement, one.values), index)
        if index == len(self.requests):
            self.requests += unsent
            self.owners += [position] * len(unsent)
            index = len(self.requests) - 1
        if not member.ended:
            self.awaited.append((member, index))

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
    members = [Member.begun(work.transaction) for work in group]
    try:
        buckets = await _drive(pipeline, members, [_BEGIN, *lock_requests([work.claim for work in group])], announces)
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


async def _drive(
    pipeline: Pipeline, members: Sequence[Member], first: list[Request], announces: Announces
) -> set[Bucket]:
    """Exchange after exchange, up to the COMMIT. Returns the buckets that were changed."""
    buckets: set[Bucket] = set()
    batch = _Batch(first)
    while True:
        for position, member in enumerate(members):
            batch.add(position, member)
        last = not batch.awaited and not batch.tells
        if last:
            _finish(batch, buckets, announces)
        answers = await _exchange(pipeline, batch)
        if last:
            return buckets
        buckets.update(_told(batch, answers))
        for member, index in batch.awaited:
            member.go_on(answers[index])
        for position, member in enumerate(members):
            if member.error is not None and member.tx.wrote:
                raise Spoiled(position, member.error)
        batch = _Batch([])


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


async def _exchange(pipeline: Pipeline, batch: _Batch) -> list[Answer]:
    try:
        return await pipeline.exchange(batch.requests)
    except StatementFailed as failed:
        raise Spoiled(batch.owners[failed.position], failed.error) from failed.error
