"""The admin endpoint's pages, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import treq
from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.test.requesthelper import DummyRequest

from post3tw.admin.resources import AdminSite, Metrics
from post3tw.metrics.requests import RequestMetrics


class PageTests(TestCase):
    """What a supervisor, a load balancer and Prometheus see."""

    async def setUp(self) -> None:  # type: ignore[override]
        from twisted.internet import reactor

        self.obstacle: str | None = None
        registry = CollectorRegistry()
        registry.register(RequestMetrics())
        site = AdminSite(registry, lambda: self.obstacle, "tok", reactor)
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}"
        pool = HTTPConnectionPool(reactor, persistent=False)
        self.client = treq.client.HTTPClient(Agent(reactor, pool=pool))

    async def get(self, path: str, **options: Any) -> tuple[int, Any, bytes]:
        """Status, headers and body of a page."""
        response = await self.client.get(self.url + path, **options)
        return response.code, response.headers, await response.content()

    async def test_live(self) -> None:
        """/health/live answers as long as the process does, whatever else is wrong."""
        self.obstacle = "starting"
        status, headers, body = await self.get("/health/live")
        self.assertEqual((status, json.loads(body)), (200, {"status": "ok"}))
        self.assertEqual(headers.getRawHeaders("cache-control"), ["no-store"])

    async def test_ready(self) -> None:
        """/health/ready says 503 and why while requests are not served, else 200."""
        self.obstacle = "stopping"
        status, _, body = await self.get("/health/ready")
        self.assertEqual((status, json.loads(body)), (503, {"status": "unavailable", "reason": "stopping"}))
        self.obstacle = None
        status, _, body = await self.get("/health/ready")
        self.assertEqual((status, json.loads(body)), (200, {"status": "ok"}))

    async def test_metrics(self) -> None:
        """/metrics is Prometheus' text format, for callers on this machine."""
        status, headers, body = await self.get("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers.getRawHeaders("content-type")[0].startswith("text/plain"))
        self.assertIn(b"post3_requests_total", body)

    async def test_head(self) -> None:
        """HEAD works as GET does, without the body."""
        response = await self.client.head(self.url + "/health/live")
        self.assertEqual((response.code, await response.content()), (200, b""))

    async def test_other_paths_and_methods(self) -> None:
        """There is nothing else, and nothing says what we are made of."""
        for path, status in (("/", 404), ("/health", 404), ("/metrics/x", 404), ("/health/live/x", 404)):
            found, headers, _ = await self.get(path)
            self.assertEqual(found, status, path)
            self.assertIsNone(headers.getRawHeaders("server"))
        response = await self.client.post(self.url + "/metrics", data=b"")
        self.assertEqual(response.code, 405)
        await response.content()


class MetricsAccessTests(SynchronousTestCase):
    """Who may read the metrics."""

    def status(self, address: Any, headers: dict[bytes, bytes] | None = None, token: str = "tok") -> int:
        """The status for a caller."""
        request = DummyRequest([b""])
        request.client = address
        for name, value in (headers or {}).items():
            request.requestHeaders.addRawHeader(name, value)
        return Metrics(CollectorRegistry(), token).answer(request)[0]

    def test_this_machine(self) -> None:
        """Callers on this machine need no token."""
        for address in (
            IPv4Address("TCP", "127.0.0.1", 1),
            IPv4Address("TCP", "127.9.9.9", 1),
            IPv6Address("TCP", "::1", 1),
            UNIXAddress("/run/x"),
        ):
            self.assertEqual(self.status(address), 200, address)

    def test_elsewhere(self) -> None:
        """Callers from elsewhere need the right token."""
        for address in (IPv4Address("TCP", "192.0.2.1", 1), IPv6Address("TCP", "fe80::1%eth0", 1)):
            self.assertEqual(self.status(address), 401)
            self.assertEqual(self.status(address, {b"authorization": b"Bearer tok"}), 200)
            for wrong in (b"Bearer tokk", b"Bearer ", b"tok", b"Basic tok", b"bearer\xff"):
                self.assertEqual(self.status(address, {b"authorization": wrong}), 401, wrong)

    def test_no_token(self) -> None:
        """Without a token configured nobody from elsewhere gets in, not even with an empty one."""
        address = IPv4Address("TCP", "192.0.2.1", 1)
        self.assertEqual(self.status(address, {b"authorization": b"Bearer "}, token=""), 401)

    def test_behind_a_proxy(self) -> None:
        """What a proxy on this machine passes on is not from this machine."""
        address = IPv4Address("TCP", "127.0.0.1", 1)
        for name in (b"x-forwarded-for", b"forwarded"):
            self.assertEqual(self.status(address, {name: b"192.0.2.1"}), 401)
