"""A node: this process among those that share a database. It is reached, brought to its schema, and listened to.

Theory of operation. A node is started before its index and its blobs, as the place where they are. It keeps trying to
reach the database until `start_timeout` has passed, because databases and servers are started together; only what time
does not heal (a wrong password, a certificate that is not trusted, a schema of a newer release) ends the start at once.
Afterwards it never gives up: connections are made again, and readiness says whether the database answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from attrs import define, field
from psycopg import Error, OperationalError
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.storage.interfaces import IKeepsBlobs, IMeasured, ISpace, StoreRefused
from post3tw.storage.postgresql.connection import connect
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.failures import one_line
from post3tw.storage.postgresql.leadership import Leadership
from post3tw.storage.postgresql.management import Management, ManagementFailed
from post3tw.storage.postgresql.migrations import Migration
from post3tw.storage.postgresql.notices import Notices
from post3tw.storage.postgresql.pool import Pool
from post3tw.storage.shared_directory import SharedDirectory

_PAUSES = (0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts to reach the database; the last for all that follow."""

FULL_FOR = 60.0
"""Seconds for which a disk counts as full after the database said so; it does not say when there is space again."""

_FINAL = re.compile(
    r"certificate|does not support SSL|SSL error|authentication failed|no password supplied|pg_hba\.conf"
    r"|(role|database) \"[^\"]*\" does not exist"
)
"""What libpq and the server say, in English, about what does not pass by waiting. In another language it is waited for
in vain, and then said."""

_FINAL_CLASSES = ("0A", "22", "23", "42")
"""Classes of SQLSTATE that do not pass either: unsupported, bad data, constraint violated, no such thing or no right to
it."""


@implementer(ISpace, IKeepsBlobs, IMeasured)
@define(eq=False)
class Node:
    """This process among those that share a database.

    Attributes:
        reactor: of the server.
        dsn: where the database is.
        name: what no other node is called.
        store_id: the identity of the store, if its schema is made now: 32 hex digits.
        directory: where blobs are, when they are files.
        start_timeout: seconds for which the database is waited for.
        durable: whether nothing may be acknowledged that a power cut could take.
        pools: the connections of index and blobs; see `watch`.
        management: the connection for all that is not on a request's way.
        notices: what other nodes changed.
        leadership: which node runs the timers.
    """

    log: ClassVar[Logger] = Logger()

    reactor: Any
    dsn: Dsn
    name: str
    store_id: str
    directory: SharedDirectory | None = None
    start_timeout: float = 30.0
    durable: bool = True
    pools: Sequence[Pool] = field(default=(), init=False)
    management: Management = field(init=False)
    notices: Notices = field(init=False)
    leadership: Leadership = field(init=False)
    _reached: bool = field(default=False, init=False)
    _full_until: float = field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        self.management = Management(self.reactor, self.dsn)
        self.notices = Notices(self.management, self.reactor)
        self.leadership = Leadership(self.management, self.reactor, self.name)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reach the database and make its schema, if need be.

        Raises:
            StoreRefused: it cannot be reached or used; the text says why.
        """
        if self.directory is not None:
            await self.directory.start()
        try:
            await self._reach()
        except BaseException:
            await self.stop()
            raise
        self._reached = True

    async def stop(self) -> None:
        """Leave: another node may lead. Safe to call twice."""
        self._reached = False
        await self._leave()
        if self.directory is not None:
            await self.directory.stop()

    async def _reach(self) -> None:
        deadline = self.reactor.seconds() + self.start_timeout
        pauses = iter(_PAUSES)
        said, pause = "", 0.0
        while True:
            try:
                await self._join(deadline - self.reactor.seconds())
                return
            except ManagementFailed as failed:
                reason, state = str(failed), failed.sqlstate or ""
            await self._leave()
            pause = next(pauses, pause)
            if _FINAL.search(reason) or state.startswith(_FINAL_CLASSES):
                raise StoreRefused(f"the database {self.dsn.place} cannot be used: {reason}")
            if self.reactor.seconds() + pause >= deadline:
                raise StoreRefused(f"the database {self.dsn.place} was not there in time: {reason}")
            if reason != said:
                self.log.warn("Waiting for the database {place}: {reason}", place=self.dsn.place, reason=reason)
                said = reason
            await deferLater(self.reactor, pause)

    async def _join(self, left: float) -> None:
        try:
            await Deferred.fromCoroutine(self.management.start()).addTimeout(max(left, 0.1), self.reactor)
        except TookTooLong:
            raise ManagementFailed("no host answers") from None
        await Migration(self.management, self.reactor, self.store_id).run()
        await self._refuse_pooler()
        if self.durable:
            await self._warn_of_loss()
        await self.notices.start()
        await self.leadership.start()

    async def _refuse_pooler(self) -> None:
        """Refuse a pooler that lends a session to several clients (pgbouncer's pool_mode=transaction): settings and
        prepared statements of one connection would turn up on another. It shows in just that."""
        try:
            await self.management.query("SELECT set_config('post3.node', %s, false)", self.name)
            connection = await connect(self.reactor, self.dsn)
        except OperationalError as error:
            raise ManagementFailed(one_line(error)) from error
        try:
            found = await connection.execute("SELECT current_setting('post3.node', true)")
            seen = await found.fetchone()
        except Error as error:
            raise ManagementFailed(one_line(error), error.sqlstate) from error
        finally:
            await connection.close()
        if seen == (self.name,):
            raise StoreRefused(
                f"the database {self.dsn.place} is behind a pooler that lends a session to several clients;"
                " it must give each connection its own (pgbouncer: pool_mode=session)"
            )

    async def _warn_of_loss(self) -> None:
        """Say so when the database acknowledges what it has not made durable: that is not ours to change."""
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if (await self.management.query(f"SHOW {name}"))[0][0] == "off":
                self.log.warn("The database has {name} off: a crash may take what was acknowledged.", name=name)

    async def _leave(self) -> None:
        await self.leadership.stop()
        await self.notices.stop()
        await self.management.stop()

    # -- for the server ------------------------------------------------------------------------------------------------

    def obstacle(self) -> str | None:
        """Why requests cannot be served now; None while they can."""
        if not self._reached:
            return "waiting for the database"
        return None if self.notices.current else "the database does not answer"

    @property
    def full(self) -> bool:
        """Whether a disk is full, so that the sweeper removes bytes of deleted objects sooner."""
        if self.directory is not None and self.directory.full:
            return True
        return bool(self.reactor.seconds() < self._full_until)

    def watch(self, *pools: Pool) -> None:
        """Count connections, and hear from them when the disk is full."""
        self.pools = pools
        for pool in pools:
            pool.on_full = self.found_full

    def found_full(self) -> None:
        """The database said that its disk is full."""
        if not self.full:
            self.log.warn("The disk of the database is full.")
        self._full_until = self.reactor.seconds() + FULL_FOR

    def admit_write(self) -> None:
        """Raise InsufficientStorage while the disk of the blobs is full. Of its own the database says so, each time."""
        if self.directory is not None:
            self.directory.admit_write()

    async def recover(self) -> None:
        """Look whether the disk of the blobs has space again."""
        if self.directory is not None:
            await self.directory.recover()

    def removing(self) -> AbstractContextManager[bool]:
        """See IKeepsBlobs. Of blobs in the database a dump sees one state, whatever is removed meanwhile."""
        return nullcontext(True) if self.directory is None else self.directory.removing()

    def readings(self) -> Mapping[str, Callable[[], float]]:
        """See IMeasured."""
        return {
            "post3_database_connections": lambda: sum(pool.open for pool in self.pools) + self.management.connected,
            "post3_database_connections_in_use": lambda: sum(pool.in_use for pool in self.pools),
            "post3_database_connections_lost": lambda: sum(pool.lost for pool in self.pools),
            "post3_database_waiting": lambda: sum(pool.waiting for pool in self.pools),
            "post3_database_reconnections": lambda: self.management.reconnections,
            "post3_bucket_notices": lambda: self.notices.heard,
            "post3_leading": lambda: self.leadership.leads,
        }
