"""Making a connection: host names, hosts in their order, a timeout for each.

libpq would resolve names with a call that blocks, and leaves its timeout to us when it may not block. So names are
resolved by the reactor, and each address is an attempt of its own. While libpq connects, its socket may become another
one at every step (TLS refused, the next protocol tried), so the reactor holds it for one step only.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from psycopg import OperationalError, generators
from psycopg.waiting import Ready, Wait
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReadWriteDescriptor, IResolutionReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.storage.postgresql.dsn import Dsn, conninfo


async def connected(reactor: Any, dsn: Dsn, timeout: float) -> Any:
    """A connection of libpq (psycopg.pq.abc.PGconn) to the first host that takes us; see `connection.connect`."""
    failures: list[tuple[str, OperationalError]] = []
    for attempt in dsn.attempts():
        try:
            places = await addressed(reactor, attempt, timeout)
        except OperationalError as error:
            failures.append((attempt.get("host", ""), error))
            continue
        for one in places:
            try:
                return await _attempt(reactor, one, float(one.get("connect_timeout") or timeout))
            except OperationalError as error:
                failures.append((one.get("host", ""), error))
    if len(failures) == 1:
        raise failures[0][1]
    raise OperationalError("no host of the database took us: " + "; ".join(str(error) for _, error in failures))


async def _attempt(reactor: Any, parameters: Mapping[str, str], timeout: float) -> Any:
    steps = generators.connect(conninfo(parameters))
    deadline = reactor.seconds() + timeout
    try:
        descriptor, wanted = next(steps)
        while True:
            ready = await _Step(reactor, descriptor, wanted).wait(max(0.0, deadline - reactor.seconds()))
            if not ready:
                where = parameters.get("host", "")
                raise OperationalError(f"connection to {where!r} failed: no answer within {timeout:g} seconds")
            descriptor, wanted = steps.send(ready)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def addressed(reactor: Any, parameters: Mapping[str, str], timeout: float = 10.0) -> list[Mapping[str, str]]:
    """The same parameters for each address that the host's name stands for; TLS goes on checking the name.

    Raises:
        psycopg.OperationalError: nobody knows the name, or says so within `timeout` seconds.
    """
    host = parameters.get("host", "")
    if not host or host.startswith(("/", "@")) or parameters.get("hostaddr") or _is_address(host):
        return [parameters]
    found: Deferred[list[str]] = Deferred()
    reactor.nameResolver.resolveHostName(_Addresses(found), host)
    try:
        addresses = await found.addTimeout(timeout, reactor)
    except TookTooLong:
        addresses = []
    if not addresses:
        raise OperationalError(f"the name of the database's host {host!r} is not known")
    return [{**parameters, "hostaddr": address} for address in addresses]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects the addresses of a name."""

    def __init__(self, found: Deferred[list[str]]) -> None:
        self._found = found
        self._addresses: list[str] = []

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        """The reactor looks."""

    def addressResolved(self, address: Any) -> None:
        """One more."""
        self._addresses.append(address.host)

    def resolutionComplete(self) -> None:
        """That was all. Nobody listens any more when it took too long."""
        if not self._found.called:
            self._found.callback(self._addresses)


@implementer(IReadWriteDescriptor)
class _Step:
    """A descriptor that is not ours, in the reactor until it is ready once."""

    def __init__(self, reactor: Any, descriptor: int, wanted: Wait) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._wanted = wanted
        self._done: Deferred[Ready] = Deferred(lambda _: self._remove())

    async def wait(self, timeout: float) -> Ready:
        """Readiness; Ready.NONE after `timeout` seconds."""
        if self._wanted & Wait.R:
            self._reactor.addReader(self)
        if self._wanted & Wait.W:
            self._reactor.addWriter(self)
        late = self._reactor.callLater(timeout, self._fire, Ready.NONE)
        try:
            return await self._done
        finally:
            if late.active():
                late.cancel()

    def fileno(self) -> int:
        """libpq's descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """Who writes, in a log."""
        return "postgresql"

    def doRead(self) -> None:
        """There are bytes, or the end."""
        self._fire(Ready.R)

    def doWrite(self) -> None:
        """There is room, or the connection was refused."""
        self._fire(Ready.W)

    def connectionLost(self, reason: Failure) -> None:
        """The connection was refused; libpq finds out why."""
        self._fire(Ready.RW)

    def _fire(self, ready: Ready) -> None:
        if not self._done.called:
            # First away from the reactor: the next step may close the descriptor.
            self._remove()
            self._done.callback(ready)

    def _remove(self) -> None:
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
