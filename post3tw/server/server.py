"""The running server: what is started, in which order, and how it ends.

Theory of operation. twistd calls `privilegedStartService` and `startService` before the reactor runs, and both return
at once, so what takes time happens in a coroutine:

    bind ports → admin pages → open the store → root key and users → timers → buckets → accept connections → banner

A store may have to be waited for; the admin pages say so meanwhile. `stopService` is the way back: close the ports, let
requests finish, stop the timers, close the store, write the log out. A request that is cut off by that was not
acknowledged, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field
from prometheus_client import CollectorRegistry
from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from post3tw.config import Config
from post3tw.credentials import CredentialsRefused, RootKey, root_key
from post3tw.model.errors import DomainError
from post3tw.s3.access_log import AccessLog
from post3tw.server.banner import Banner
from post3tw.server.buckets import has_buckets, make_buckets
from post3tw.server.collector import calm_collector
from post3tw.server.descriptors import raise_descriptor_limit
from post3tw.server.ending import ServerFailed, end_process, is_terminal, say
from post3tw.server.listening import CannotListen, IListener, Listener, bind_all
from post3tw.server.signals import Signals
from post3tw.service.identities import Identities, IdentitiesRefused, root_credential
from post3tw.service.interfaces import IAuthorizedS3Service
from post3tw.storage.interfaces import StoreRefused

REFUSALS = (StoreRefused, CredentialsRefused, IdentitiesRefused, CannotListen, DomainError, OSError)
"""Reasons not to start whose text says enough; of any other there is a traceback in the log as well."""


@define
class Readiness:
    """Whether requests are served: what `/health/ready` says.

    Attributes:
        obstacle: why the server does not serve.
        store: why its store cannot be used, as a function that knows at any time.
    """

    obstacle: str | None = "starting"
    store: Callable[[], str | None] = lambda: None

    def __call__(self) -> str | None:
        """Why requests are not served now; None while they are."""
        return self.store() or self.obstacle


def _show(banner: Banner) -> None:
    say(banner.text(is_terminal()))


def _complain(reason: str) -> None:
    say(f"post3: {reason}")


def root_key_of(config: Config, shared: bool) -> RootKey | None:
    """The root key: the one that was given, else that of the data directory, made when there is none; none for a store
    that is shared.

    Raises:
        CredentialsRefused, OSError: it cannot be read or made.
    """
    if config.access_key:
        return RootKey(config.access_key, config.secret_key)
    if shared:
        return None
    Path(config.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    return root_key(config.data_dir)


@define
class Components:
    """What a server is put together from.

    Attributes:
        config: how it was started.
        service: what runs the operations.
        identities: who has a key; root is filled in at the start.
        site: the factory that speaks S3.
        listeners: where it does.
        admin: where the admin pages are.
        access_log: opened and closed with the server.
        place: where objects are, for people.
        shared: whether other nodes use the same store, so that a root key is given or there is none.
        opened: what is started before the first request and in this order, and stopped after the last in the reverse
            one. Each has `start` and `stop`, plain or coroutines.
        services: what runs in between.
        registry: what is measured.
        ready: kept up to date.
        announce: is told when the server is up.
        refuse: is told why it could not be started.
    """

    config: Config
    service: IAuthorizedS3Service
    identities: Identities
    site: Any
    listeners: Sequence[IListener]
    admin: Listener | None
    access_log: AccessLog
    opened: Sequence[Any]
    place: str = ""
    shared: bool = False
    services: Sequence[IService] = ()
    registry: CollectorRegistry = field(factory=CollectorRegistry)
    ready: Readiness = field(factory=Readiness)
    announce: Callable[[Banner], None] = _show
    refuse: Callable[[str], None] = _complain

    @property
    def all_listeners(self) -> tuple[IListener, ...]:
        """Those of S3, and the admin's."""
        return (*self.listeners, *(() if self.admin is None else (self.admin,)))


class Server(MultiService):
    """An S3 server as a service for twisted.application.

    Args:
        reactor: runs it.
        parts: what it is made of.
        take_signals: whether SIGTERM, SIGINT, SIGHUP and SIGUSR1 are for it.

    Attributes:
        parts: what it is made of.
        in_order: no step of stopping it has failed.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, reactor: Any, parts: Components, take_signals: bool = True) -> None:
        super().__init__()
        self.parts = parts
        self.in_order = True
        self._reactor = reactor
        self._signals = Signals(reactor, self.reload, self.reopen) if take_signals else None
        self._starting: Deferred[None] | None = None
        self._opened: list[Any] = []

    # -- for twisted.application

    def privilegedStartService(self) -> None:
        """Take the ports. Raises ServerFailed when one cannot be had."""
        super().privilegedStartService()
        try:
            bind_all(self.parts.listeners, self.parts.admin)
        except CannotListen as error:
            raise self._refused(str(error)) from None

    def startService(self) -> None:
        """Begin to start; what goes wrong at once is raised as ServerFailed, what goes wrong later ends the process."""
        super().startService()
        starting = Deferred.fromCoroutine(self._start())
        if starting.called:
            failures: list[Failure] = []
            starting.addErrback(failures.append)
            if failures:
                raise self._refused(self._reason(failures[0]))
        self._starting = starting.addErrback(self._start_failed)

    def stopService(self) -> Deferred[None]:
        """Stop accepting, let requests finish, close everything."""
        return Deferred.fromCoroutine(self._stop())

    # -- for signals

    def reload(self) -> None:
        """Read identities and certificates again."""
        self.parts.identities.reload()
        for listener in self.parts.all_listeners:
            listener.reload_certificates()

    def reopen(self) -> None:
        """Open the access log's file again, because the old one was moved away."""
        self.parts.access_log.reopen()

    # -- the way up

    async def _start(self) -> None:
        raise_descriptor_limit()
        self.parts.identities.load()  # a bad file is known before there is a data directory
        self.parts.access_log.open()
        if self.parts.admin is not None:
            self.parts.admin.open_gate()
        for each in self.parts.opened:
            await maybeDeferred(each.start)
            self._opened.append(each)
        key = root_key_of(self.parts.config, self.parts.shared)
        root = root_credential("", "").identity
        if key is not None:
            self.parts.identities.root = root_credential(key.access_key, key.secret_key)
            root = self.parts.identities.root.identity
        self.parts.identities.load()  # now that root is known, whose key nobody else may have
        for service in self.parts.services:
            service.setServiceParent(self)
        await make_buckets(self.parts.service, root, self.parts.config.bucket)
        for listener in self.parts.listeners:
            listener.open_gate()
        self.parts.ready.obstacle = None
        if self._signals is not None:  # the process is ours
            self._reactor.callWhenRunning(self._signals.take)
            calm_collector()
        banner = self._banner(key, await has_buckets(self.parts.service, root))
        self.log.debug("Serving S3 on {urls}", urls=" ".join(banner.urls))
        self.parts.announce(banner)

    def _banner(self, key: RootKey | None, has_any: bool) -> Banner:
        parts = self.parts
        place = parts.place or str(parts.config.data_dir)
        urls = tuple(listener.url() for listener in parts.listeners)
        return Banner(parts.config, key, urls, None if parts.admin is None else parts.admin.url(), has_any, place)

    # -- when it does not work

    def _start_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) and self.parts.ready.obstacle == "stopping":
            return
        self.parts.refuse(self._reason(failure))
        end_process(self._reactor, 1)

    def _reason(self, failure: Failure) -> str:
        if not failure.check(*REFUSALS):
            self.log.failure("The server could not be started.", failure=failure)
        return str(failure.value) or type(failure.value).__name__

    def _refused(self, reason: str) -> ServerFailed:
        """Let go of what was taken, and say why."""
        for listener in self.parts.all_listeners:
            listener.close()
        self.parts.refuse(reason)
        return ServerFailed(reason)

    # -- the way down

    async def _stop(self) -> None:
        parts = self.parts
        parts.ready.obstacle = "stopping"
        if self._starting is not None:
            self._starting.cancel()
            await self._starting
        steps: list[Callable[[], Any]] = [listener.close for listener in parts.all_listeners]
        steps += [partial(parts.site.drain, parts.config.drain), super().stopService]
        steps += [each.stop for each in reversed(self._opened)]
        steps += [parts.access_log.close]
        for step in steps:
            try:
                await maybeDeferred(step)
            except Exception:
                self.in_order = False
                self.log.failure("{step} failed; the server goes on stopping", step=step)
        if self._signals is not None:
            self._signals.give_back()
