"""Writing transactions that wait become groups. The theory of operation is at the head of `index`."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from post3tw.model.errors import SlowDown
from post3tw.storage.index.job import Job
from post3tw.storage.index.postgresql.group import Announces, Spoiled, Work, run_group
from post3tw.storage.index.postgresql.locks import Claim, LockTable, Name
from post3tw.storage.index.postgresql.lockstep import Member
from post3tw.storage.index.postgresql.pipeline import pipeline_on
from post3tw.storage.interfaces import Lock
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.failures import RETRYABLE
from post3tw.storage.postgresql.pool import Pool

T = TypeVar("T")

GROUP_LIMIT = 256
"""How many transactions share one commit at most."""

KEYS_LIMIT = 64
"""How many keys a transaction may lock and still share a commit: those that do much keep nobody waiting but
themselves."""

ATTEMPTS = 5
"""How often a transaction is run alone while others get in its way."""

PATIENCE = 20.0
"""Seconds after which a transaction is not tried, or not tried again: somebody outside holds what it needs, and those
who wait behind it would wait that long too."""

_LOST_RACES = RETRYABLE | {"23505"}
"""SQLSTATEs after which a transaction may succeed when it is run again: it lost a race, or (unique_violation) somebody
wrote what it had not found."""


@define(eq=False)
class _Job(Job):
    """A job that knows its locks, since when it waits, and how often it was run alone."""

    work: Work
    since: float
    attempts: int = 0


@define(eq=False)
class GroupCommit:
    """Forms groups of what waits, and has them committed.

    Attributes:
        reactor: for the end of its turn.
        pool: connections to write on, as many as groups may be under way.
        announces: who is told of changed buckets.
        commits: how many groups were committed.
        transactions: how many transactions were in them.
        reruns: how many transactions were run again, because their group was rolled back.
    """

    log: ClassVar[Logger] = Logger()

    reactor: Any
    pool: Pool
    announces: Announces
    commits: int = field(default=0, init=False)
    transactions: int = field(default=0, init=False)
    reruns: int = field(default=0, init=False)
    _waiting: deque[_Job] = field(factory=deque, init=False)
    _held: LockTable = field(factory=LockTable, init=False)
    _under_way: int = field(default=0, init=False)
    _gathering: IDelayedCall | None = field(default=None, init=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False)

    @property
    def backlog(self) -> int:
        """How many transactions wait for their turn."""
        return len(self._waiting)

    async def run(self, transaction: Callable[[Any], Awaitable[T]], locks: Sequence[Lock]) -> T:
        """Run a transaction; returns what it returned, when that is committed. Cancelling it: see `Job.result`."""
        job = _Job(Work(transaction, Claim.of(locks)), self.reactor.seconds())
        self._waiting.append(job)
        self._begin_later()
        outcome: T = await job.result()
        return outcome

    async def idle(self) -> None:
        """Return when everything submitted is answered."""
        if self._waiting or self._under_way:
            waiter: Deferred[None] = Deferred()
            self._idle.append(waiter)
            await waiter

    # -- forming groups ------------------------------------------------------------------------------------------------

    def _begin_later(self) -> None:
        """Begin at the end of this turn of the reactor: whoever else comes in it joins the group."""
        if self._gathering is None and self._under_way < self.pool.size:
            self._gathering = self.reactor.callLater(0, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._begin()

    def _begin(self) -> None:
        if self._under_way >= self.pool.size:
            return  # who is ready next begins again
        jobs = self._take()
        if jobs:
            self._under_way += 1
            Deferred.fromCoroutine(self._settle(jobs)).addErrback(self._failed, jobs)
            if self._waiting:
                self._begin_later()
        elif not self._waiting and not self._under_way and self._idle:
            self.reactor.callLater(0, self._tell_idle)  # after the answers that are still to be given

    def _tell_idle(self) -> None:
        if not self._waiting and not self._under_way:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _take(self) -> list[_Job]:
        """The next group: in the order of coming, but for those whose locks are held."""
        group: list[_Job] = []
        skipped: list[_Job] = []
        wanted: set[Name] = set()  # by those skipped, so that nobody who came later gets in their way
        wanted_exclusively: set[Name] = set()
        while self._waiting and len(group) < GROUP_LIMIT:
            job = self._waiting.popleft()
            if job.cancelled:
                continue
            claim = job.work.claim
            large = len(claim.exclusive) > KEYS_LIMIT
            if (
                (group and large)
                or not self._held.free(claim)
                or not wanted.isdisjoint(claim.exclusive)
                or not wanted_exclusively.isdisjoint(claim.shared)
            ):
                skipped.append(job)
                wanted |= claim.exclusive | claim.shared
                wanted_exclusively |= claim.exclusive
                continue
            self._held.take(claim)
            job.begun = True
            group.append(job)
            if large:
                break
        self._waiting.extendleft(reversed(skipped))
        return group

    # -- committing them -----------------------------------------------------------------------------------------------

    async def _settle(self, jobs: list[_Job]) -> None:
        """Commit a group, or, when it is spoiled, what is left of it; then answer."""
        again = [jobs]
        while again:
            group = self._in_time(again.pop())
            if not group:
                continue
            try:
                members = await self.pool.run(partial(self._together, [job.work for job in group]))
            except Spoiled as spoiled:
                again += self._after(spoiled, group, len(group) == len(jobs))
            except Exception as error:
                for job in group:
                    job.error = error
            else:
                self.commits += 1
                self.transactions += len(group)
                for job, member in zip(group, members, strict=True):
                    job.outcome, job.error = member.outcome, member.error
        for job in jobs:
            self._held.release(job.work.claim)
        self._under_way -= 1
        self._begin()  # first, so that the database has work while answers go out
        for job in jobs:
            job.respond()

    def _in_time(self, group: list[_Job]) -> list[_Job]:
        """Those of a group that have not waited too long; the others are refused."""
        latest = self.reactor.seconds() - PATIENCE
        for job in group:
            if job.since < latest:
                job.error = SlowDown()
        return [job for job in group if job.since >= latest]

    async def _together(self, group: Sequence[Work], connection: Connection) -> list[Member]:
        return await run_group(pipeline_on(connection), group, self.announces)

    def _after(self, spoiled: Spoiled, group: list[_Job], first: bool) -> list[list[_Job]]:
        """What to run after a group was rolled back, the last of it first.

        The member because of which runs alone, the others once more together; should that fail as well, each alone.
        """
        if len(group) == 1:
            (job,) = group
            job.attempts += 1
            if getattr(spoiled.error, "sqlstate", None) in _LOST_RACES and job.attempts < ATTEMPTS:
                self.reruns += 1
                return [group]
            job.error = self.pool.translated(spoiled.error)
            return []
        self.reruns += len(group)
        if spoiled.position is None or not first:
            return [[job] for job in reversed(group)]
        culprit = group[spoiled.position]
        return [[culprit], [job for job in group if job is not culprit]]

    def _failed(self, failure: Any, jobs: list[_Job]) -> None:
        self.log.failure("The index met an error", failure)
        for job in jobs:
            if not job.answered:
                job.error = failure.value
                job.respond()
