"""Numbers of several processes."""

from __future__ import annotations

import json

from attrs import define
from prometheus_client import CollectorRegistry, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from post3tw.metrics.readings import Readings
from post3tw.metrics.requests import RequestMetrics
from post3tw.metrics.summing import Family, Sum, measured, only_up


@define
class Answered:
    """A request."""

    operation: str = "GetObject"
    status: int = 200
    duration: float = 0.002
    bytes_in: int = 0
    bytes_out: int = 10


def process(requests: int, free: float) -> list[Family]:
    """What a process measured that answered some requests, as it comes out of a pipe."""
    metrics = RequestMetrics()
    for _ in range(requests):
        metrics.observe(Answered())
    registry = CollectorRegistry()
    registry.register(metrics)
    registry.register(Readings({"post3_free_bytes": lambda: free, "post3_connections": lambda: requests}))
    found: list[Family] = json.loads(json.dumps(measured(registry)))
    return found


class SummingTests(SynchronousTestCase):
    """Two processes as one."""

    def shown(self, *parts: list[Family]) -> set[str]:
        """The lines that Prometheus reads."""
        registry = CollectorRegistry()
        registry.register(Sum(lambda: parts))
        return set(generate_latest(registry).decode().splitlines())

    def test_sum(self) -> None:
        """Counters, histograms and gauges are added, label by label; what all measure of one thing is not."""
        lines = self.shown(process(3, 100.0), process(4, 90.0))
        for line in (
            'post3_requests_total{operation="GetObject",status="200"} 7.0',
            'post3_request_seconds_bucket{le="0.001",operation="GetObject"} 0.0',
            'post3_request_seconds_bucket{le="+Inf",operation="GetObject"} 7.0',
            'post3_request_seconds_count{operation="GetObject"} 7.0',
            "post3_response_bytes_total 70.0",
            "post3_connections 7.0",
            "post3_free_bytes 100.0",
        ):
            self.assertIn(line, lines)

    def test_the_same(self) -> None:
        """One process alone is shown as it is."""
        registry = CollectorRegistry()
        metrics = RequestMetrics()
        metrics.observe(Answered())
        registry.register(metrics)
        self.assertEqual(self.shown(measured(registry)), set(generate_latest(registry).decode().splitlines()))

    def test_only_up(self) -> None:
        """Of a process that is gone stays what only goes up."""
        lines = self.shown(only_up(process(3, 100.0)))
        self.assertIn('post3_requests_total{operation="GetObject",status="200"} 3.0', lines)
        self.assertFalse([line for line in lines if line.startswith("post3_connections")])
