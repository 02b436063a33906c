"""What is counted of requests.

Theory of operation. The counters of prometheus-client take a lock and look their labels up, which would cost as much
as a signature check, several times a request. So a request costs two dictionary updates and some additions here, on
the reactor's thread only, and the metrics are made from that when somebody asks for them (`collect`, the client's own
way to do this).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from attrs import define, field
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds in seconds: from a small read to a slow upload."""


@define
class _Durations:
    """One histogram: how many took how long."""

    counts: list[int] = field(factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


@define(eq=False)
class RequestMetrics(Collector):
    """Requests as they were answered, and as they are in flight.

    `in_flight` and `connections` are functions that are asked when somebody wants to know.
    """

    in_flight: int = 0
    connections: int = 0
    received: int = 0
    sent: int = 0
    _answers: dict[tuple[str, int], int] = field(factory=dict)
    _durations: dict[str, _Durations] = field(factory=dict)

    def record(self, operation: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count one request that was answered.

        Args:
            operation: the S3 name, "" when the request did not get as far as having one.
            status: of the answer; 499 when the client was gone.
            seconds: from the first byte of the head to the last of the answer.
            received: bytes of the body.
            sent: bytes of the answer's body.
        """
        answer = (operation, status)
        self._answers[answer] = self._answers.get(answer, 0) + 1
        durations = self._durations.get(operation)
        if durations is None:
            durations = self._durations[operation] = _Durations()
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.total += seconds
        self.received += received
        self.sent += sent

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        requests = CounterMetricFamily("post3_requests", "Requests answered.", labels=("operation", "status"))
        for (operation, status), count in self._answers.items():
            requests.add_metric((operation or "none", str(status)), count)
        yield requests
        times = HistogramMetricFamily("post3_request_seconds", "From head to last byte.", labels=("operation",))
        for operation, durations in self._durations.items():
            times.add_metric((operation or "none",), _cumulated(durations.counts), durations.total)
        yield times
        yield CounterMetricFamily("post3_request_bytes", "Bytes of request bodies.", self.received)
        yield CounterMetricFamily("post3_response_bytes", "Bytes of response bodies.", self.sent)
        yield GaugeMetricFamily("post3_requests_in_flight", "Requests being answered.", self.in_flight)
        yield GaugeMetricFamily("post3_connections", "Connections open.", self.connections)


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    """Counts per interval as Prometheus wants them: how many took at most so long."""
    found, so_far = [], 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        so_far += count
        found.append((bound, float(so_far)))
    return found
