"""`twistd post3`: its options, and `makeService`, which puts a server together.

The composition root: it alone sees every layer, and it alone takes a reactor instead of being handed one. Programs that
embed the server call `makeService` with a mapping of options (docs/embedding.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from attrs import evolve, field, frozen
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector
from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python import usage

from post3tw import __version__
from post3tw.admin.resources import AdminSite
from post3tw.config import OPTIONS, Config, ConfigError, Option, backend_name, read_config, unknown_variables
from post3tw.metrics.readings import Readings
from post3tw.metrics.requests import RequestMetrics
from post3tw.model.ids import IdSource
from post3tw.s3.access_log import AccessLog
from post3tw.s3.limits import Limits
from post3tw.s3.record import RequestObserver
from post3tw.s3.site import S3Site, make_site
from post3tw.server.descriptors import descriptor_limit, most_connections
from post3tw.server.ending import is_terminal
from post3tw.server.listening import CannotListen, Listener
from post3tw.server.server import Components, Readiness, Server
from post3tw.service.cors import CorsLookup
from post3tw.service.identities import Identities
from post3tw.service.interfaces import IAuthorizedS3Service, ICorsRules
from post3tw.service.local import local_service
from post3tw.service.new_buckets import NEW_BUCKET_DEFAULTS
from post3tw.service.people import People
from post3tw.service.store import Store
from post3tw.service.timers import CountedSweep, timers
from post3tw.storage.backends import find_backend, installed_backends
from post3tw.storage.integrity.scrub import Scrub
from post3tw.storage.interfaces import IBackend, IMeasured, OpenedStore, StoreRefused
from post3tw.storage.sweep import BlobSweep
from post3tw.storage.threads import Threads

IDENTITIES_INTERVAL = 2.0
"""Seconds between two looks at the identities file."""

_log = Logger()


# -- options ---------------------------------------------------------------------------------------------------------


class _Collect:
    """Gathers the values of a repeatable option."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def __call__(self, value: str) -> list[str]:
        self._values.append(value)
        return self._values


def backend_options(backend: IBackend) -> tuple[Option, ...]:
    """The options that a backend declares, as rows like our own."""
    return tuple(Option(name, default or "", text) for name, default, text in backend.options())


def _all_options() -> list[Option]:
    """Ours, and those of every backend that can be loaded."""
    rows = [option for option in OPTIONS if not option.secret]
    for backend in installed_backends().values():
        try:
            rows += backend_options(backend)
        except StoreRefused as error:
            _log.warn("{reason}", reason=str(error))
    return rows


def _help(option: Option) -> str:
    default = f", default {option.default}" if option.default else ""
    return f"{option.help} ({option.variable}{default})"


class Options(usage.Options):
    """What `twistd post3` understands. Wrong options end the process with one line on standard error and status 1."""

    synopsis = "[options]"
    longdesc = (
        "An S3-compatible object store. `post3 serve [DIR]` takes the same options. Every option has an environment "
        "variable, named beside it; the command line wins. POST3_ACCESS_KEY and POST3_SECRET_KEY, together, replace "
        "the root key that is otherwise made at the first start and kept in DATA/credentials. SIGHUP reads identities "
        "and certificates again, SIGUSR1 reopens the access log, SIGTERM finishes what runs and exits."
    )

    optParameters: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self) -> None:
        # usage.Options reads this table from the class; which backends there are is known only now.
        type(self).optParameters = [
            (option.name, None, None, _help(option), _Collect() if option.repeatable else None)
            for option in _all_options()
        ]
        super().__init__()

    def opt_help_backends(self) -> None:
        """List the installed backends, then exit."""
        for name, backend in installed_backends().items():
            print(f"{name:<12} {backend.description}")
        raise SystemExit(0)

    def opt_version(self) -> None:
        """Show the version, then exit."""
        print(f"post3tw {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *rest: str) -> None:
        """See usage.Options: there is nothing but options."""
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is not an option")

    def parseOptions(self, options: Any = None) -> None:
        """See usage.Options; twistd's own way with errors is a page of usage."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"post3: {error}") from None


# -- the server ------------------------------------------------------------------------------------------------------


def makeService(
    options: Mapping[str, Any],
    *,
    reactor: Any = None,
    environ: Mapping[str, str] | None = None,
    take_signals: bool = True,
) -> Server:
    """A server that is ready to be started. Nothing is opened yet.

    Args:
        options: those of twistd, or a mapping of names (`data_dir` or `data-dir`) to values as text or already typed.
        reactor: by default the one that is installed.
        environ: where POST3_* variables are looked up; by default the process's environment.
        take_signals: whether the server handles SIGTERM, SIGINT, SIGHUP and SIGUSR1.

    Raises:
        ConfigError: the options make no sense; the text is one line that says why.
        SystemExit: the same, when they are those of twistd.
    """
    if reactor is None:
        from twisted.internet import reactor
    try:
        return _make_server(options, reactor, os.environ if environ is None else environ, take_signals)
    except (ConfigError, StoreRefused) as error:
        if isinstance(options, Options):
            raise SystemExit(f"post3: {error}") from None
        raise ConfigError(str(error)) from error


def _make_server(options: Mapping[str, Any], reactor: Any, environ: Mapping[str, str], take_signals: bool) -> Server:
    backend = find_backend(backend_name(options, environ))
    extra = backend_options(backend)
    config = read_config(options, environ, extra)
    for name in unknown_variables(environ, extra):
        _log.warn("{variable} is set, but no option of this server has that variable", variable=name)
    opened = backend.open(
        {
            **config.backend_options,
            "data_dir": config.data_dir,
            "durability": config.durability,
            "reserve": config.reserve,
            "environ": environ,
        },
        reactor,
    )
    if isinstance(opened, OpenedStore) and opened.shared and not config.access_key and config.identities is None:
        raise ConfigError(
            f"nodes that share a store (backend {config.backend}) must agree on who may use it:"
            " set POST3_ACCESS_KEY and POST3_SECRET_KEY, or give --identities"
        )
    return Server(reactor, _components(config, opened, reactor), take_signals)


def _components(config: Config, opened: Any, reactor: Any) -> Components:
    """Everything there is to a server, connected."""
    ids = IdSource(reactor.seconds)
    identities = Identities(root=None, path=config.identities)
    provider = _provider(config, opened, ids, identities, reactor)
    ready = Readiness(store=provider.obstacle)
    access_log = AccessLog(reactor, config.access_log, human=config.access_log is None and is_terminal())
    metrics = RequestMetrics()
    site = _site(config, provider, identities, ids, (metrics, access_log), ready, reactor)
    readings = {
        "post3_connections": lambda: site.connections,
        "post3_requests_in_flight": lambda: site.requests,
        **provider.readings,
    }
    registry = _registry(metrics, Readings(readings))
    return Components(
        config=config,
        service=provider.service,
        identities=identities,
        site=site,
        listeners=[_listener("--listen", description, reactor, site) for description in config.listen],
        admin=_admin(config, registry, ready, reactor),
        access_log=access_log,
        opened=provider.opened,
        place=provider.place,
        shared=provider.shared,
        services=(*provider.services, _timer(reactor, IDENTITIES_INTERVAL, identities.reload_when_changed)),
        ready=ready,
    )


def _site(
    config: Config,
    provider: _Provider,
    identities: Identities,
    ids: IdSource,
    observers: Sequence[RequestObserver],
    ready: Readiness,
    reactor: Any,
) -> S3Site:
    """What speaks S3 on the ports."""
    return make_site(
        provider.service,
        identities,
        clock=reactor,
        ids=ids,
        region=config.region,
        domains=config.domain,
        limits=_limits(config),
        trusted_proxies=config.trusted_proxy,
        cors_rules=provider.cors_rules,
        cors_origins=config.cors_origin,
        observers=observers,
        ready=ready,
    )


@frozen
class _Provider:
    """What runs the operations, and what has to run for it."""

    service: IAuthorizedS3Service
    opened: Sequence[Any] = ()
    services: Sequence[IService] = ()
    readings: Mapping[str, Callable[[], float]] = field(factory=dict)
    obstacle: Callable[[], str | None] = lambda: None
    place: str = ""
    shared: bool = False
    cors_rules: ICorsRules | None = None


def _provider(config: Config, opened: Any, ids: IdSource, people: People, reactor: Any) -> _Provider:
    """What a backend opened to, ready to be served."""
    if isinstance(opened, OpenedStore):
        return _local_provider(config, opened, ids, people, reactor)
    if IAuthorizedS3Service.providedBy(opened):
        return _Provider(opened, services=[opened] if IService.providedBy(opened) else [])
    raise StoreRefused(f"backend {config.backend} opens to neither a store nor a service that authorizes")


def _local_provider(config: Config, opened: OpenedStore, ids: IdSource, people: People, reactor: Any) -> _Provider:
    """The operations of a local store, and what tidies it up."""
    cpu = Threads(reactor, "post3-cpu", os.cpu_count() or 1)
    started = [cpu, opened.index, opened.blobs]
    store = Store(
        opened.index,
        opened.blobs,
        ids,
        config.region,
        cpu,
        pause=partial(deferLater, reactor, 0),
        people=people,
        new_bucket_documents=NEW_BUCKET_DEFAULTS[config.new_bucket_defaults],
    )
    if opened.space is not None:
        store = evolve(store, admit_write=opened.space.admit_write)
        started.insert(0, opened.space)
    sweep = CountedSweep(BlobSweep(store.index, store.blobs, ids, grace=int(config.blob_grace * 1000)))
    readings: dict[str, Callable[[], float]] = {"post3_swept_blobs": lambda: sweep.removed}
    scrub = _scrub(config, store, reactor)
    if scrub is not None:
        readings.update(scrub.readings())
    for part in (opened.index, opened.blobs, opened.space):
        if IMeasured.providedBy(part):
            readings.update(part.readings())
    return _Provider(
        local_service(store),
        started,
        timers(opened, store, sweep, int(config.stale_uploads), reactor, scrub),
        readings,
        opened.obstacle or (lambda: None),
        opened.place,
        opened.shared,
        CorsLookup(store.index),
    )


def _scrub(config: Config, store: Store, reactor: Any) -> Scrub | None:
    """What reads everything stored now and then, unless it is switched off."""
    if not config.scrub_interval:
        return None
    return Scrub(
        store.index,
        store.blobs,
        store.ids,
        rate=config.scrub_rate,
        interval=int(config.scrub_interval * 1000),
        seconds=reactor.seconds,
        pause=partial(deferLater, reactor),
    )


def _limits(config: Config) -> Limits:
    connections = most_connections(config.max_connections, config.max_requests, descriptor_limit())
    if connections < config.max_connections:
        _log.warn("The limit of open files allows {count} connections at a time.", count=connections)
    return Limits(
        head_timeout=config.head_timeout,
        body_timeout=config.body_timeout,
        idle_timeout=config.idle_timeout,
        max_connections=connections,
        max_requests=config.max_requests,
    )


def _registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of our own, so that a program that embeds us keeps its."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _admin(config: Config, registry: CollectorRegistry, ready: Readiness, reactor: Any) -> Listener | None:
    if config.admin is None:
        return None
    return _listener("--admin", config.admin, reactor, AdminSite(registry, ready, config.metrics_token, reactor))


def _listener(option: str, description: str, reactor: Any, factory: Any) -> Listener:
    try:
        return Listener(description, reactor, factory)
    except CannotListen as error:
        raise ConfigError(f"{option} {error}") from None


def _timer(reactor: Any, interval: float, function: Callable[[], None]) -> TimerService:
    timer = TimerService(interval, function)
    timer.clock = reactor
    return timer
