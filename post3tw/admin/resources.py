"""The pages of the admin endpoint: health for supervisors, metrics for Prometheus."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site


class Page(Resource):
    """A page without children that answers GET and HEAD."""

    gather: Callable[[], Awaitable[None]] | None = None
    """Awaited before it answers: asks those who know."""

    def render_GET(self, request: Any) -> bytes | int:
        """See IResource."""
        if self.gather is None:
            return self._head_and_body(request)
        left: list[object] = []
        request.notifyFinish().addErrback(left.append)
        Deferred.fromCoroutine(self._reply_later(request, self.gather, left)).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _reply_later(self, request: Any, gather: Callable[[], Awaitable[None]], left: list[object]) -> None:
        await gather()
        if not left:
            body = self._head_and_body(request)
            request.setHeader(b"content-length", str(len(body)).encode("ascii"))
            request.write(body)
            request.finish()

    def _head_and_body(self, request: Any) -> bytes:
        request.setHeader(b"cache-control", b"no-store")
        status, content_type, body = self.answer(request)
        request.setResponseCode(status)
        request.setHeader(b"content-type", content_type.encode("ascii"))
        return body

    def answer(self, request: Any) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        raise NotImplementedError


class Folder(Resource):
    """Holds pages, and is none itself."""

    def render(self, request: Any) -> Any:
        """See IResource."""
        return notFound().render(request)


def _as_json(code: int, **members: str) -> tuple[int, str, bytes]:
    return code, "application/json", json.dumps(members).encode("ascii") + b"\n"


class Live(Page):
    """200 for as long as the process answers at all."""

    def answer(self, request: Any) -> tuple[int, str, bytes]:
        """See Page."""
        return _as_json(200, status="ok")


class Ready(Page):
    """200 while requests are served, 503 with a reason before and after.

    Args:
        obstacle: why not now, None when everything is as it should be.
    """

    def __init__(self, obstacle: Callable[[], str | None]) -> None:
        super().__init__()
        self._obstacle = obstacle

    def answer(self, request: Any) -> tuple[int, str, bytes]:
        """See Page."""
        reason = self._obstacle()
        return _as_json(200, status="ok") if reason is None else _as_json(503, status="unavailable", reason=reason)


class Metrics(Page):
    """What was counted, in Prometheus' text format. Open to this machine; others need the token.

    A proxy on this machine makes everybody look local, so a request that was passed on needs the token too.
    """

    def __init__(self, registry: CollectorRegistry, token: str) -> None:
        super().__init__()
        self._registry = registry
        self._token = token

    def answer(self, request: Any) -> tuple[int, str, bytes]:
        """See Page."""
        if not _is_local(request) and not self._has_token(request):
            request.setHeader(b"www-authenticate", b"Bearer")
            hint = "send the token of --metrics-token" if self._token else "start the server with --metrics-token"
            return _as_json(401, error=f"not from this machine: {hint}")
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)

    def _has_token(self, request: IRequest) -> bool:
        given = request.getHeader(b"authorization") or b""
        wanted = b"Bearer " + self._token.encode()
        return bool(self._token) and hmac.compare_digest(given, wanted)


def _is_local(request: Any) -> bool:
    """Whether the request was made on this machine and not passed on by a proxy."""
    if request.getHeader(b"x-forwarded-for") is not None or request.getHeader(b"forwarded") is not None:
        return False
    address = request.getClientAddress()
    return isinstance(address, UNIXAddress) or ip_address(address.host.partition("%")[0]).is_loopback


class AdminRequest(Request):
    """A request whose answer does not say what we are made of."""

    def render(self, resrc: Any) -> None:
        """See twisted.web.server.Request."""
        self.responseHeaders.removeHeader(b"server")
        super().render(resrc)


class AdminSite(Site):
    """The admin endpoint's site: HTTP/1.1 only, no log of its own.

    Args:
        registry: what `/metrics` shows.
        obstacle: what `/health/ready` asks.
        token: what `/metrics` wants from other machines; "" closes it to them.
        reactor: times out connections that say nothing.
        gather: awaited before `/health/ready` and `/metrics`, where others know what they show.
    """

    noisy = False

    def __init__(
        self,
        registry: CollectorRegistry,
        obstacle: Callable[[], str | None],
        token: str,
        reactor: Any,
        gather: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        root, health = Folder(), Folder()
        health.putChild(b"live", Live())
        ready, metrics = Ready(obstacle), Metrics(registry, token)
        ready.gather = metrics.gather = gather
        health.putChild(b"ready", ready)
        root.putChild(b"health", health)
        root.putChild(b"metrics", metrics)
        super().__init__(root, requestFactory=AdminRequest, reactor=reactor, timeout=30)

    def acceptableProtocols(self) -> list[bytes]:
        """See IProtocolNegotiationFactory."""
        return [b"http/1.1"]

    def log(self, request: object) -> None:
        """Probes every few seconds are nobody's news."""
