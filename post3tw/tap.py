"""`twistd post3`: `makeService`, which puts a server together.

The composition root: it alone sees every layer, and it alone takes a reactor instead of being handed one. Programs that
embed the server call `makeService` with a mapping of options (docs/embedding.md).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve, field, frozen
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector
from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.task import deferLater
from twisted.logger import Logger

from post3tw.admin.resources import AdminSite
from post3tw.config import Config, ConfigError
from post3tw.metrics.readings import Readings
from post3tw.metrics.requests import RequestMetrics
from post3tw.metrics.summing import Sum, measured
from post3tw.model.ids import IdSource
from post3tw.options import Chosen, Options, choose
from post3tw.s3.access_log import AccessLog
from post3tw.s3.limits import Limits, Tally
from post3tw.s3.record import RequestObserver
from post3tw.s3.site import S3Site, make_site
from post3tw.server.adopted import AdoptedListener
from post3tw.server.banner import Banner
from post3tw.server.descriptors import descriptor_limit, most_connections
from post3tw.server.ending import is_terminal
from post3tw.server.listening import CannotListen, Listener
from post3tw.server.parent import NobodyServed, Parent, ParentParts
from post3tw.server.reactor import at_end_of_turn
from post3tw.server.server import Components, Readiness, Server
from post3tw.server.sizing import count_workers
from post3tw.server.turnstile import Turnstile
from post3tw.service.cors import CorsLookup
from post3tw.service.crowd import MUCH, PLENTY, Crowd
from post3tw.service.identities import Identities
from post3tw.service.interfaces import IAuthorizedS3Service, ICorsRules
from post3tw.service.local import local_service
from post3tw.service.new_buckets import NEW_BUCKET_DEFAULTS
from post3tw.service.people import People
from post3tw.service.store import Store
from post3tw.service.timers import CountedSweep, timers
from post3tw.storage.crew import Crew
from post3tw.storage.integrity.scrub import Scrub
from post3tw.storage.interfaces import IKeepsBlobs, IMeasured, OpenedStore, StoreRefused
from post3tw.storage.sweep import BlobSweep
from post3tw.storage.threads import Threads

__all__ = ["Options", "makeService", "make_worker"]

IDENTITIES_INTERVAL = 2.0
"""Seconds between two looks at the identities file."""

_log = Logger()


# -- the server ------------------------------------------------------------------------------------------------------


def makeService(
    options: Mapping[str, Any],
    *,
    reactor: Any = None,
    environ: Mapping[str, str] | None = None,
    take_signals: bool = True,
) -> Server | Parent:
    """A server that is ready to be started. Nothing is opened yet. Only `twistd post3` gets one of several processes.

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
        chosen = choose(options, os.environ if environ is None else environ)
        if isinstance(options, Options) and environ is None:
            count = count_workers(chosen.config, chosen.backend, reactor)
            if count > 1:
                return _make_parent(dict(options), chosen, count, reactor)
        elif chosen.config.workers > 1:
            _log.warn("A server inside another program is one process, whatever --workers says.")
        return Server(reactor, _components(chosen.alone, chosen.alone.open(reactor), reactor), take_signals)
    except (ConfigError, StoreRefused) as error:
        if isinstance(options, Options):
            raise SystemExit(f"post3: {error}") from None
        raise ConfigError(str(error)) from error


# -- several processes -----------------------------------------------------------------------------------------------


def _make_parent(options: Mapping[str, Any], chosen: Chosen, count: int, reactor: Any) -> Parent:
    chosen = chosen.of(count)
    config, opened = chosen.config, chosen.open(reactor)  # which is only asked what it is
    ready = Readiness()
    parts = ParentParts(
        config,
        {name: value for name, value in options.items() if value is not None},
        Identities(root=None, path=config.identities),
        [_listener("--listen", text, reactor, NobodyServed()) for text in config.listen],
        admin=None,
        possess=partial(chosen.backend.possess, chosen.store_options),
        place=getattr(opened, "place", ""),
        shared=getattr(opened, "shared", False),
        ready=ready,
    )
    parent = Parent(reactor, parts)
    own = _registry(Readings(parent.readings()))
    registry = CollectorRegistry()
    registry.register(Sum(lambda: [measured(own), *parent.measured()]))
    parts.admin = _admin(config, registry, ready, reactor, parent.ask)
    return parent


def make_worker(
    options: Mapping[str, Any],
    crew: Crew,
    sockets: Sequence[tuple[str, int, int]],
    reactor: Any,
    announce: Callable[[Banner], None],
    refuse: Callable[[str], None],
) -> Server:
    """A server as one of several workers; see server/parent.py.

    Args:
        options: as the parent was given them.
        crew: the workers.
        sockets: the listening ones: endpoint string, address family, descriptor.
        reactor: runs it.
        announce: see Components.
        refuse: see Components.

    Raises:
        ConfigError, StoreRefused: the options make no sense.
    """
    chosen = choose(options, os.environ, crew).of(crew.count)
    if not crew.leads:
        chosen = evolve(chosen, config=evolve(chosen.config, bucket=()))
    parts = _components(chosen, chosen.open(reactor, crew), reactor, crew)
    turnstile = Turnstile(crew)
    parts.listeners = [AdoptedListener(*each, reactor, parts.site, turnstile) for each in sockets]
    parts.announce, parts.refuse = announce, refuse
    return Server(reactor, parts, take_signals=False)


# -- one process -----------------------------------------------------------------------------------------------------


def _components(chosen: Chosen, opened: Any, reactor: Any, crew: Crew | None = None) -> Components:
    """Everything there is to a server, connected; a worker gets its listeners later."""
    config = chosen.config
    ids = IdSource(reactor.seconds)
    identities = Identities(root=None, path=config.identities)
    provider = _provider(config, opened, ids, identities, reactor)
    ready = Readiness(store=provider.obstacle)
    access_log = AccessLog(reactor, config.access_log, human=config.access_log is None and is_terminal())
    metrics = RequestMetrics()
    site = _site(config, provider, identities, ids, (metrics, access_log), ready, reactor, crew)
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
        listeners=[] if crew else [_listener("--listen", text, reactor, site) for text in config.listen],
        admin=None if crew else _admin(config, registry, ready, reactor),
        access_log=access_log,
        opened=provider.opened,
        place=provider.place,
        shared=provider.shared,
        services=(*provider.services, _timer(reactor, IDENTITIES_INTERVAL, identities.reload_when_changed)),
        registry=registry,
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
    crew: Crew | None,
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
        running=None if crew is None else _tally(crew, crew.requests),
        open=None if crew is None else _tally(crew, crew.connections),
        put_off=at_end_of_turn(reactor),
    )


def _tally(crew: Crew, counts: memoryview[int]) -> Tally:
    return Tally(counts[crew.number : crew.number + 1], counts)


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
        crowd=Crowd.of_worker(PLENTY, config.workers),
        uploads=Crowd.of_worker(MUCH, config.workers),
    )
    if opened.space is not None:
        store = evolve(store, admit_write=opened.space.admit_write)
        started.insert(0, opened.space)
    sweep = BlobSweep(store.index, store.blobs, ids, grace=int(config.blob_grace * 1000))
    if IKeepsBlobs.providedBy(opened.space):
        sweep = evolve(sweep, removing=opened.space.removing)
    counted = CountedSweep(sweep)
    readings: dict[str, Callable[[], float]] = {"post3_swept_blobs": lambda: counted.removed}
    scrub = _scrub(config, store, reactor)
    if scrub is not None:
        readings.update(scrub.readings())
    for part in (opened.index, opened.blobs, opened.space):
        if IMeasured.providedBy(part):
            readings.update(part.readings())
    return _Provider(
        local_service(store),
        started,
        timers(opened, store, counted, int(config.stale_uploads), reactor, scrub),
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
    if connections * config.workers < config.max_connections:
        count = connections * config.workers
        _log.warn("The limit of open files allows {count} connections at a time.", count=count)
    return Limits(
        head_timeout=config.head_timeout,
        body_timeout=config.body_timeout,
        idle_timeout=config.idle_timeout,
        max_connections=config.max_connections,
        own_connections=connections,
        max_requests=config.max_requests,
    )


def _registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of our own, so that a program that embeds us keeps its."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _admin(
    config: Config,
    registry: CollectorRegistry,
    ready: Readiness,
    reactor: Any,
    gather: Callable[[], Awaitable[None]] | None = None,
) -> Listener | None:
    if config.admin is None:
        return None
    site = AdminSite(registry, ready, config.metrics_token, reactor, gather)
    return _listener("--admin", config.admin, reactor, site)


def _listener(option: str, description: str, reactor: Any, factory: Any) -> Listener:
    try:
        return Listener(description, reactor, factory)
    except CannotListen as error:
        raise ConfigError(f"{option} {error}") from None


def _timer(reactor: Any, interval: float, function: Callable[[], None]) -> TimerService:
    timer = TimerService(interval, function)
    timer.clock = reactor
    return timer
