"""Which node does what is to be done once: sweeping, aborting stale uploads.

Theory of operation. A row of `leases` names the holder and when its lease ends, by the database's clock, so that the
clocks of nodes do not matter. Every node asks for the lease every RENEW_INTERVAL; one statement takes it when it is
free, has ended, or is ours already. A holder counts LEASE from the moment at which it *asked*, by a clock that only
goes forward, and stops leading MARGIN before that, so it has stopped when another can begin. A node that dies is
followed within LEASE + RENEW_INTERVAL (13 s); one that stops gives the lease back, and is followed within
RENEW_INTERVAL.

What is tidied up is decided by its age, though, and that by the leader's clock: one that is a day ahead would take for
abandoned what others are writing, one that is a week ahead would abort every upload. So a node whose clock is more than
MAX_SKEW away from the database's does not lead. (Nor can clients sign for it: S3 allows as much, and no more.)

What the leader runs must bear two leaders all the same: a process that was stopped (SIGSTOP, a hypervisor) for longer
than its lease goes on with the statement it was at. The sweeper's transactions do: each looks at the rows again.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.storage.interfaces import ILeadership
from post3tw.storage.postgresql.management import Management, ManagementFailed

LEASE = 10.0
"""Seconds that a lease lasts."""

RENEW_INTERVAL = 3.0
"""Seconds between two requests."""

MARGIN = 1.0
"""Seconds before its lease's end at which a leader stops."""

MAX_SKEW = 15 * 60.0
"""Seconds that the clocks of a leader and of the database may be apart. The lease of a blob that is being written lasts
45 minutes at least: enough for a writer and a leader who differ by twice this."""

_TIMERS = "timers"
"""What the lease is called."""

_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
_TAKE = (
    f"WITH taken AS (INSERT INTO leases (name, holder, ends) SELECT %s, %s, {_NOW} + %s WHERE {_NOW} BETWEEN %s AND %s"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = excluded.ends"
    f" WHERE leases.holder = excluded.holder OR leases.ends < {_NOW} RETURNING holder)"
    f" SELECT {_NOW}, EXISTS (SELECT 1 FROM taken)"
)
_GIVE_BACK = "DELETE FROM leases WHERE name = %s AND holder = %s"


@implementer(ILeadership)
@define(eq=False)
class Leadership:
    """Whether this node leads.

    Attributes:
        management: the connection over which the lease is asked for.
        reactor: for timers.
        node: what no other node is called.
        lease: seconds that a lease lasts.
        interval: seconds between two requests.
        seconds: a clock that only goes forward, as a reactor's does not.
        clock: what this node takes for the time: seconds since the epoch.
    """

    log: ClassVar[Logger] = Logger()

    management: Management
    reactor: Any
    node: str
    lease: float = LEASE
    interval: float = RENEW_INTERVAL
    seconds: Callable[[], float] = monotonic
    clock: Callable[[], float] = time
    _until: float = field(default=float("-inf"), init=False)
    _led: bool = field(default=False, init=False)
    _skewed: bool = field(default=False, init=False)
    _renewals: LoopingCall | None = field(default=None, init=False)
    _renewing: Deferred[None] | None = field(default=None, init=False)

    @property
    def leads(self) -> bool:
        """Whether this node leads now."""
        return self.seconds() < self._until

    async def start(self) -> None:
        """Ask for the lease for the first time, and then again and again."""
        self._renewals = LoopingCall(self._renew)
        self._renewals.clock = self.reactor
        self._renewals.start(self.interval)
        assert self._renewing is not None
        await self._renewing

    async def stop(self) -> None:
        """Lead no more, and let another begin."""
        renewals, self._renewals = self._renewals, None
        if renewals is None:
            return
        renewals.stop()
        if self._renewing is not None:
            await self._renewing
        led, self._until = self.leads, float("-inf")
        if led:
            try:
                await self.management.execute(_GIVE_BACK, _TIMERS, self.node)
            except ManagementFailed as failed:
                self.log.warn("The lease was not given back; it ends by itself: {reason}", reason=str(failed))

    def _renew(self) -> Deferred[None]:
        self._renewing = Deferred.fromCoroutine(self._ask())
        return self._renewing.addErrback(lambda failure: self.log.failure("The lease cannot be asked for.", failure))

    async def _ask(self) -> None:
        asked = self.seconds()
        try:
            about = (int((self.clock() + skew) * 1000) for skew in (-MAX_SKEW, MAX_SKEW))
            answer = await self.management.query(_TAKE, _TIMERS, self.node, int(self.lease * 1000), *about)
            ((now, taken),) = answer
            self._compare(now / 1000)
            self._until = asked + self.lease - MARGIN if taken else float("-inf")
        except ManagementFailed:
            pass  # `Management` says in the log why; the lease lasts until its end
        if self.leads != self._led:
            self._led = self.leads
            self.log.info("This node {does} the tidying up.", does="does" if self._led else "leaves to others")

    def _compare(self, now: float) -> None:
        """Say so when this node's clock is not that of the database any more, or is again."""
        ahead = self.clock() - now
        skewed = abs(ahead) > MAX_SKEW
        if skewed and not self._skewed:
            self.log.error(
                "The clock of this node is {seconds} seconds ahead of the database's: this node tidies nothing up.",
                seconds=round(ahead),
            )
        self._skewed = skewed
