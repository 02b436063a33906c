"""The S3 port: a twisted.web site whose tree has the whole of S3 as one leaf, and our own pages beside it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Site

from post3tw.model.ids import IdSource
from post3tw.s3.addressing import Addressing
from post3tw.s3.authentication import Authenticator, IdentitySource
from post3tw.s3.channel import S3Channel
from post3tw.s3.cors import CrossOrigin, open_to
from post3tw.s3.limits import Limits, Tally, tally_of_one
from post3tw.s3.pipeline import Pipeline
from post3tw.s3.proxies import Network, TrustedProxies
from post3tw.s3.record import RequestObserver
from post3tw.s3.request import S3Request
from post3tw.s3.turn import Turn
from post3tw.service.interfaces import IAuthorizedS3Service, ICorsRules
from post3tw.wire.dates import http_date


class S3Leaf(Resource):
    """All of S3. Keys are not path segments, so the tree ends here."""

    isLeaf = True

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self._pipeline = pipeline

    def render(self, request: S3Request) -> int:
        """Hand the request to the pipeline, whatever its method."""
        self._pipeline.serve(request)
        return NOT_DONE_YET


class HealthPage(Resource):
    """Says whether something is well: 200, or 503 with what is not."""

    isLeaf = True

    def __init__(self, obstacle: Callable[[], str | None]) -> None:
        super().__init__()
        self._obstacle = obstacle

    def render(self, request: S3Request) -> int:
        """Answer GET and HEAD, and every other method alike: load balancers ask in many ways."""
        obstacle = self._obstacle()
        status, text = (200, "ok") if obstacle is None else (503, obstacle)
        request.reply(status, [("Content-Type", "text/plain; charset=utf-8")], f"{text}\n".encode())
        return NOT_DONE_YET


class S3Root(Resource):
    """`/-/health/live` and `/-/health/ready` when Host names no bucket (no bucket is called `-`); else S3."""

    def __init__(self, leaf: S3Leaf, addressing: Addressing, ready: Callable[[], str | None]) -> None:
        super().__init__()
        self._leaf = leaf
        self._addressing = addressing
        own, health = _Own(leaf), _Own(leaf)
        own.putChild(b"health", health)
        health.putChild(b"live", HealthPage(lambda: None))
        health.putChild(b"ready", HealthPage(ready))
        self.putChild(b"-", own)

    def getChildWithDefault(self, path: bytes, request: Any) -> IResource:
        """See IResource."""
        if path == b"-" and self._addressing.bucket_of_host(request.head.headers.get("host", "")) is None:
            return self.children[path]  # type: ignore[no-any-return]
        return self._leaf


class _Own(Resource):
    """A folder of pages of our own; what is not there is S3's to refuse."""

    def __init__(self, leaf: S3Leaf) -> None:
        super().__init__()
        self._leaf = leaf

    def getChild(self, path: bytes, request: Any) -> IResource:
        return self._leaf

    def render(self, request: S3Request) -> int:
        return self._leaf.render(request)


class S3Site(Site):
    """Makes channels, and looks after all of them.

    Attributes:
        limits: see there.
        clock: for all timeouts; `seconds` is what it says.
        wall_time: seconds since the epoch.
        draining: whether the server is about to stop.
        departures: how small replies leave.
        open: how many connections there are.
        pipeline: what serves the requests.
    """

    noisy = False

    def __init__(
        self, resource: IResource, pipeline: Pipeline, limits: Limits, clock: IReactorTime, open: Tally | None = None
    ) -> None:
        super().__init__(resource, reactor=clock, parsePOSTFormSubmission=False)
        self.pipeline = pipeline
        self.limits = limits
        self.clock = clock
        self.seconds = clock.seconds
        self.wall_time = pipeline.ids.seconds
        self.draining = False
        self.departures = pipeline.turn.departures
        self.open = open or tally_of_one()
        self._channels: dict[S3Channel, None] = {}  # in the order in which they came
        self._sweep: IDelayedCall | None = None
        self._drained: Deferred[None] | None = None
        self._date = (-1, "")

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._channels)

    @property
    def requests(self) -> int:
        """How many are being served."""
        return self.pipeline.running.own[0]

    def date(self) -> str:
        """The Date header's value, made once a second."""
        second = int(self.wall_time())
        if self._date[0] != second:
            self._date = (second, http_date(second * 1000))
        return self._date[1]

    # -- for Twisted

    def startFactory(self) -> None:
        """Called with the first port. There is no log of twisted.web's."""

    def stopFactory(self) -> None:
        """Called after the last port is closed."""

    def acceptableProtocols(self) -> list[bytes]:
        """For ALPN: HTTP/2 is off."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> S3Channel | None:  # type: ignore[override]
        """Called with each connection. What is far too many is closed at once, what is too many is told so."""
        limits, everywhere = self.limits, sum(self.open.everywhere)
        over = max(everywhere - limits.max_connections, len(self._channels) - limits.own_connections)
        if over >= limits.max_connections // 8 + 8:
            return None
        channel = S3Channel(self, over >= 0)
        self._channels[channel] = None
        self.open.own[0] = len(self._channels)
        if self._sweep is None:
            self._sweep = self.clock.callLater(1, self._check)
        return channel

    def getResourceFor(self, request: Any) -> IResource:
        """The page that a request is for."""
        request.site = self
        return getChildForRequest(self.resource, request)  # type: ignore[no-any-return]

    # -- for channels

    def refuse(self, request: S3Request, error: Exception) -> None:
        """Answer what could not be read as a request."""
        self.pipeline.refuse(request, error)

    def connection_lost(self, channel: S3Channel) -> None:
        """A connection is closed."""
        self._channels.pop(channel, None)
        self.open.own[0] = len(self._channels)
        if not self._channels and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._look_drained()

    def _check(self) -> None:
        self._sweep = self.clock.callLater(1, self._check)
        now = self.seconds()
        for channel in tuple(self._channels):
            channel.check(now)

    # -- the end

    async def drain(self, timeout: float) -> None:
        """Let what runs finish, for at most `timeout` seconds, then close every connection. Idle ones are closed at
        once.

        The ports are closed by whoever opened them, before.
        """
        self.draining = True
        for channel in tuple(self._channels):
            if channel.idle:
                channel.close()
        if self._channels:
            self._drained = Deferred()
            late = self.clock.callLater(timeout, self._abort)
            await self._drained
            if late.active():
                late.cancel()

    def _abort(self) -> None:
        for channel in tuple(self._channels):
            channel.abort()

    def _look_drained(self) -> None:
        if self._drained is not None and not self._channels:
            drained, self._drained = self._drained, None
            drained.callback(None)


def make_site(
    service: IAuthorizedS3Service,
    identities: IdentitySource,
    *,
    clock: IReactorTime,
    ids: IdSource,
    region: str = "us-east-1",
    domains: Iterable[str] = (),
    limits: Limits | None = None,
    trusted_proxies: Iterable[Network] = (),
    cors_rules: ICorsRules | None = None,
    cors_origins: Sequence[str] = (),
    observers: Sequence[RequestObserver] = (),
    ready: Callable[[], str | None] = lambda: None,
    running: Tally | None = None,
    open: Tally | None = None,
    put_off: Callable[[Callable[[], None]], object] | None = None,
) -> S3Site:
    """The factory that speaks S3 on a port.

    Args:
        service: runs the operations.
        identities: knows access keys.
        clock: for timeouts, normally the reactor.
        ids: wall clock and randomness.
        region: what signatures must name.
        domains: below which a host names a bucket.
        limits: of everything.
        trusted_proxies: whose X-Forwarded-For and X-Forwarded-Proto are believed.
        cors_rules: what buckets say to pages of other origins, if they do.
        cors_origins: patterns of origins whose pages may do everything in every bucket.
        observers: are told of every request.
        ready: what stands in the way of serving, None when nothing does.
        running: counts the requests that are being served, where other processes count as well.
        open: likewise the connections.
        put_off: see Turn.
    """
    limits = limits or Limits()
    addressing = Addressing(domains)
    authenticator = Authenticator(identities, region, ids.now)
    pipeline = Pipeline(
        service=service,
        authenticator=authenticator,
        addressing=addressing,
        ids=ids,
        limits=limits,
        proxies=TrustedProxies(tuple(trusted_proxies)),
        cross_origin=CrossOrigin(cors_rules, authenticator.claimed_tenant, open_to(cors_origins)),
        observers=observers,
        host_id=base64.b64encode(secrets.token_bytes(48)).decode("ascii"),
        running=running or tally_of_one(),
        turn=Turn(put_off),
    )
    return S3Site(S3Root(S3Leaf(pipeline), addressing, ready), pipeline, limits, clock, open)
