"""What nodes tell each other: that a bucket's row or documents changed, so that no cache of them is believed too long.

Theory of operation
===================
**Telling.** A transaction that changes or deletes a row of `buckets` (each change of a document raises its bucket's
generation, so that is one too) ends with one more statement, `announcement`: it raises the number in `bucket_changes`
and sends a NOTIFY with the new number and the buckets' names. Both take effect with the commit, or not at all. The row
stays locked from there to the commit; nothing is locked after it, so nobody waits in a circle, and numbers are
committed in their order. The index finds such statements by `watched`, wherever they are written: no transaction has to
remember, and SQLite, which has one process, does not pay.

**Hearing.** One connection (`Management`) listens. A notice whose number is the next one names what to forget. Any
other number means that notices were lost: then everything is forgotten.

**When nothing is heard.** NOTIFY is lost while a connection is made again, and databases that share PostgreSQL's
protocol may know none. So the number is also read, every POLL_INTERVAL; one that is not what was heard last means the
same: forget everything. An answer confirms the caches as of the moment when it was *asked*, and a cache is believed for
BELIEF seconds after that: `current` is a comparison with the clock, so neither a database that does not answer nor a
reactor that was busy makes an old value look new.

So a node's caches are right within BELIEF (1 s) of a commit on another node, whatever is lost, and usually within the
milliseconds that a NOTIFY takes. On the node that committed they are right at once, because the index calls `forget`
before it answers.

**Filling a cache.** A value that was read before a notice may arrive after it. So whoever fills a cache notes `epoch`
before it asks, and keeps the answer only if `epoch` is still the same. And a cache only ever speeds reads up: every
writing transaction reads the bucket's row itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from time import monotonic
from typing import Any, ClassVar, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from post3tw.storage.postgresql.management import Management, ManagementFailed

POLL_INTERVAL = 0.4
"""Seconds between two looks at the number of changes."""

BELIEF = 1.0
"""Seconds after which what was not confirmed is not believed: two polls, the second a little late."""

_PAYLOAD_LIMIT = 7900
"""Bytes; PostgreSQL takes 8000, and the number stands in front."""

_WATCHED = re.compile(r"\s*(?:UPDATE|DELETE\s+FROM)\s+buckets\b", re.IGNORECASE)
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)


class Forget(Protocol):
    """What a cache is called with."""

    def __call__(self, tenant: str | None, name: str = "") -> None:
        """Forget a tenant's bucket of this name; everything when `tenant` is None (the unnamed tenant is "")."""


def watched(sql: str) -> str | None:
    """The statement to run in place of one that changes buckets: it returns (tenant, name) of each. None for others.

    Raises:
        ValueError: it returns something already. The statement is a mistake in our own code: write it in two.
    """
    if _WATCHED.match(sql) is None:
        return None
    if _RETURNING.search(sql) is not None:
        raise ValueError(f"a statement that changes buckets cannot return anything else: {sql}")
    return f"{sql} RETURNING tenant, name"


_COUNT = "UPDATE bucket_changes SET number = number + 1"
_COUNT_AND_NOTIFY = (
    f"WITH counted AS ({_COUNT} RETURNING number)"
    " SELECT pg_notify(CAST(? AS TEXT), number || ' ' || CAST(? AS TEXT)) FROM counted"
)


@define(eq=False)
class Notices:
    """What this node hears, and how it speaks.

    Attributes:
        management: the connection that listens and polls.
        reactor: for timers.
        seconds: a clock that only goes forward, as a reactor's does not.
        epoch: rises with every notice; see "Filling a cache" above.
        heard: how many notices came.
        forgotten: how often everything had to be forgotten.
    """

    log: ClassVar[Logger] = Logger()

    management: Management
    reactor: Any
    seconds: Callable[[], float] = monotonic
    epoch: int = field(default=0, init=False)
    heard: int = field(default=0, init=False)
    forgotten: int = field(default=0, init=False)
    _number: int | None = field(default=None, init=False)
    _asked: float = field(default=float("-inf"), init=False)
    _channel: str | None = field(default=None, init=False)
    _caches: list[Forget] = field(factory=list, init=False)
    _polls: LoopingCall | None = field(default=None, init=False)
    _polling: Deferred[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.management.on_recovery(self._reconnected)

    # -- for caches ----------------------------------------------------------------------------------------------------

    @property
    def current(self) -> bool:
        """Whether caches may be believed now."""
        return self.seconds() - self._asked <= BELIEF

    def subscribe(self, forget: Forget) -> None:
        """Have a cache told what to forget."""
        self._caches.append(forget)

    def forget(self, buckets: Iterable[tuple[str, str]]) -> None:
        """Forget buckets of this node's caches. The index calls it after its own commit, before anybody is answered."""
        self.epoch += 1
        for tenant, name in buckets:
            for cache in self._caches:
                cache(tenant, name)

    # -- for the index -------------------------------------------------------------------------------------------------

    def announcement(self, buckets: Collection[tuple[str, str]]) -> tuple[str, tuple[str, ...]]:
        """The statement, with its parameters, that ends a transaction which changed these buckets."""
        if self._channel is None:
            return _COUNT, ()
        names = json.dumps(sorted(buckets), separators=(",", ":"))
        if len(names) > _PAYLOAD_LIMIT:
            names = "[]"
        return _COUNT_AND_NOTIFY, (self._channel, names)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to listen and to poll. The schema is there.

        Raises:
            ManagementFailed: the database cannot be asked.
        """
        row = await self.management.query("SELECT value FROM store WHERE name = 'store_id'")
        channel = f"post3_{row[0][0]}"  # several stores may share a database, in schemas of their own
        try:
            await self.management.listen(channel, self._notified)
            self._channel = channel
        except ManagementFailed as failed:
            if failed.sqlstate is None:
                raise
            self.log.info(
                "This database has no NOTIFY; changes of buckets are found by polling: {reason}", reason=failed
            )
        self._polls = LoopingCall(self._poll)
        self._polls.clock = self.reactor
        self._polls.start(POLL_INTERVAL)

    async def stop(self) -> None:
        """Neither listen nor poll any more."""
        polls, self._polls = self._polls, None
        if polls is not None:
            polls.stop()
        if self._polling is not None:
            await self._polling
        self._asked = float("-inf")

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _poll(self) -> Deferred[None]:
        self._polling = Deferred.fromCoroutine(self._look())
        return self._polling.addErrback(self._went_wrong)

    def _went_wrong(self, failure: Failure) -> None:
        """A mistake, ours or in the table: go on asking, and believe nothing meanwhile."""
        self.log.failure("The number of changes cannot be read.", failure)

    async def _look(self) -> None:
        asked = self.seconds()
        try:
            ((number,),) = await self.management.query("SELECT number FROM bucket_changes", timeout=BELIEF)
        except ManagementFailed:
            return  # not confirmed; `Management` says in the log that the database is away
        if number != self._number:
            self._number = number  # also a smaller one: after a failover that lost commits
            self._forget_everything()
        self._asked = asked

    def _notified(self, payload: str) -> None:
        self.heard += 1
        text, _, names = payload.partition(" ")
        number, known = int(text), self._number
        if number == known:
            return  # a poll saw it first, and everything was forgotten
        self._number = number
        buckets = json.loads(names)
        if known is not None and number == known + 1 and buckets:
            self.forget((tenant, name) for tenant, name in buckets)
        else:
            self._forget_everything()

    def _reconnected(self) -> None:
        """Perhaps to another server: its number may be one that we know from the other, and mean something else."""
        self._number = None
        self._asked = float("-inf")

    def _forget_everything(self) -> None:
        self.epoch += 1
        self.forgotten += 1
        for cache in self._caches:
            cache(None)
