"""The parent of several workers: what it does itself, and what it leaves to them.

Theory of operation
===================

The parent takes the ports, the lock on the data and the root key, shows the banner and the admin pages, hands signals
on, and replaces workers that die. It serves no request and opens no store, so there is nothing in it that a request
could bring down.

    bind ports → lock the data → root key and users → admin pages → first worker → the other workers → banner

A worker (`post3tw.worker`) is a whole server (`server.Server`) but for that: it adopts the listening sockets
(`adopted`, `turnstile`), and what has to be done once is done by the one with the number 0 (storage/crew.py). Workers
are started as new programs, not forked: the parent has a reactor, threads and certificates, of which a copy would be of
no use.

What limits the server, connections and requests at a time, is counted in memory that all workers see; a dead one's
counts are cleared.

When the parent ends, however it ends, its pipes close, and the workers end as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from attrs import define, evolve, field
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from post3tw.config import Config
from post3tw.metrics.summing import Family
from post3tw.server.banner import Banner
from post3tw.server.collector import calm_collector
from post3tw.server.descriptors import raise_descriptor_limit
from post3tw.server.ending import ServerFailed, end_process, is_terminal, say
from post3tw.server.listening import CannotListen, Listener, bind_all
from post3tw.server.orders import LISTENERS, LOCK, PAGE, Order
from post3tw.server.server import REFUSALS, Readiness, root_key_of
from post3tw.server.signals import Signals
from post3tw.server.workers import NoWorkers, Workers
from post3tw.service.identities import Identities, root_credential
from post3tw.storage.crew import Crew, new_page


class NobodyServed(Factory):
    """Of the parent's ports, which never accept."""

    noisy = False


@define
class ParentParts:
    """What a parent is put together from.

    Attributes:
        config: how the server was started; `workers` says how many.
        options: the same as it was given, for the workers.
        identities: read once, so that a file that is no good is known before there is a worker.
        listeners: where S3 is served; nobody accepts in the parent.
        admin: where the admin pages are.
        possess: takes possession of the store; see IBackend.
        place: where objects are, for people.
        shared: whether other servers use the same store.
        ready: kept up to date.
    """

    config: Config
    options: Mapping[str, Any]
    identities: Identities
    listeners: Sequence[Listener]
    admin: Listener | None
    possess: Callable[[], int]
    place: str = ""
    shared: bool = False
    ready: Readiness = field(factory=Readiness)

    @property
    def all_listeners(self) -> tuple[Listener, ...]:
        """Those of S3, and the admin's."""
        return (*self.listeners, *(() if self.admin is None else (self.admin,)))


class Parent(MultiService):
    """A server of several processes as a service for twisted.application.

    Args:
        reactor: runs it.
        parts: what it is made of.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, reactor: Any, parts: ParentParts) -> None:
        super().__init__()
        self.parts = parts
        self.workers: Workers | None = None
        self._reactor = reactor
        self._signals = Signals(reactor, self.reload, self.reopen)
        self._has_failed = False

    async def ask(self) -> None:
        """Ask the workers how they are, for the admin pages."""
        if self.workers is not None:
            await self.workers.ask()

    def measured(self) -> Sequence[Sequence[Family]]:
        """What the workers measured when they were asked last."""
        return [] if self.workers is None else self.workers.parts()

    def readings(self) -> dict[str, Callable[[], float]]:
        """What the parent knows itself; see metrics.readings."""
        return {
            "post3_workers": lambda: 0 if self.workers is None else self.workers.serving,
            "post3_workers_replaced": lambda: 0 if self.workers is None else self.workers.replaced,
        }

    # -- for twisted.application

    def privilegedStartService(self) -> None:
        """Take the ports. Raises ServerFailed when one cannot be had."""
        super().privilegedStartService()
        try:
            bind_all(self.parts.listeners, self.parts.admin)
        except CannotListen as error:
            raise self._refused(str(error)) from None

    def startService(self) -> None:
        """Take possession of the store, then begin to start the workers. What goes wrong at once is raised as
        ServerFailed, what goes wrong later ends the process."""
        super().startService()
        parts = self.parts
        raise_descriptor_limit()
        try:
            parts.identities.load()
            lock = parts.possess()
            key = root_key_of(parts.config, parts.shared)
            if key is not None:
                parts.identities.root = root_credential(key.access_key, key.secret_key)
                parts.identities.load()  # now that root is known, whose key nobody else may have
        except REFUSALS as error:
            raise self._refused(str(error)) from None
        self._reactor.callWhenRunning(self._begin, lock, Banner(parts.config, key, (), None, False, parts.place))

    def stopService(self) -> Deferred[None]:
        """Stop accepting, let the workers finish, end."""
        return Deferred.fromCoroutine(self._stop())

    # -- for signals

    def reload(self) -> None:
        """Have identities and certificates read again."""
        if self.parts.identities.path is not None:
            self.parts.identities.reload()
        if self.parts.admin is not None:
            self.parts.admin.reload_certificates()
        self._tell_all("reload")

    def reopen(self) -> None:
        """Have the access log's file opened again."""
        self._tell_all("reopen")

    def _tell_all(self, word: str) -> None:
        if self.workers is not None:
            self.workers.tell_all(word)

    # -- the way up

    def _begin(self, lock: int, banner: Banner) -> None:
        self._signals.take()
        if self.parts.admin is not None:
            self.parts.admin.open_gate()
        Deferred.fromCoroutine(self._start(lock, banner)).addErrback(self._start_failed)

    async def _start(self, lock: int, banner: Banner) -> None:
        parts = self.parts
        self.workers = self._make_workers(lock)
        parts.ready.store = lambda: None if self.workers is None else self.workers.obstacle
        await self.workers.start()
        parts.ready.obstacle = None
        calm_collector()
        urls = tuple(listener.url() for listener in parts.listeners)
        admin_url = None if parts.admin is None else parts.admin.url()
        place = parts.place or str(parts.config.data_dir)
        banner = evolve(banner, urls=urls, admin_url=admin_url, has_buckets=self.workers.has_buckets, place=place)
        self.log.debug("{count} workers serve S3 on {urls}", count=parts.config.workers, urls=" ".join(urls))
        say(banner.text(is_terminal()))

    def _make_workers(self, lock: int) -> Workers:
        parts = self.parts
        page = new_page()
        endpoints = [(each.description, each.port.addressFamily) for each in parts.listeners]
        descriptors = {PAGE: page, **({LOCK: lock} if lock >= 0 else {})}
        descriptors |= {LISTENERS + index: each.port.fileno() for index, each in enumerate(parts.listeners)}

        def order(number: int, first: bool) -> Order:
            count = parts.config.workers
            return Order(parts.options, number, count, first, lock >= 0, endpoints)

        crew = Crew(parts.config.workers, -1, page, lock)
        return Workers(self._reactor, crew, order, descriptors, self._given_up)

    # -- when it does not work

    def _start_failed(self, failure: Failure) -> None:
        if self.parts.ready.obstacle == "stopping":
            return
        if not failure.check(NoWorkers):
            self.log.failure("The server could not be started.", failure=failure)
        self._given_up(str(failure.value) or type(failure.value).__name__)

    def _given_up(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            say(f"post3: {reason}")
            end_process(self._reactor, 1)

    def _refused(self, reason: str) -> ServerFailed:
        """Let go of what was taken, and say why."""
        for listener in self.parts.all_listeners:
            listener.close()
        say(f"post3: {reason}")
        return ServerFailed(reason)

    # -- the way down

    async def _stop(self) -> None:
        parts = self.parts
        parts.ready.obstacle = "stopping"
        steps: list[Callable[[], Any]] = []
        if self.workers is not None:
            workers = self.workers
            steps += [lambda: Deferred.fromCoroutine(workers.stop(parts.config.drain))]
        steps[:0] = [listener.close for listener in parts.all_listeners]
        steps += [partial(MultiService.stopService, self)]
        for step in steps:
            try:
                await maybeDeferred(step)
            except Exception:
                self.log.failure("{step} failed; the server goes on stopping", step=step)
        self._signals.give_back()
