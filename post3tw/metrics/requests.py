"""What is counted of requests.

Theory of operation. The counters of prometheus-client take a lock and look their labels up, which would cost as much
as a signature check, several times a request. So a request costs two dictionary updates and some additions here, on
the reactor's thread only, and the metrics are made from that when somebody asks for them (`collect`, the client's own
way to do this).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Protocol

from attrs import define, field
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds in seconds: from a small read to a slow upload."""


@define
class _Durations:
    """One histogram: how many took how long."""

    counts: list[int] = field(factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


class AnsweredRequest(Protocol):
    """What is counted of a request."""

    operation: str
    status: int
    duration: float
    bytes_in: int
    bytes_out: int


@define(eq=False)
class RequestMetrics(Collector):
    """Requests as they were answered: an observer of them, and a collector for a registry."""

    _answers: dict[tuple[str, int], int] = field(factory=dict, init=False)
    _durations: dict[str, _Durations] = field(factory=dict, init=False)
    _received: int = field(default=0, init=False)
    _sent: int = field(default=0, init=False)

    def observe(self, record: AnsweredRequest) -> None:
        """Count one request that is over. One without an operation did not get as far as having one."""
        operation = record.operation
        answer = (operation, record.status)
        self._answers[answer] = self._answers.get(answer, 0) + 1
        durations = self._durations.get(operation)
        if durations is None:
            durations = self._durations[operation] = _Durations()
        durations.counts[bisect_left(BUCKETS, record.duration)] += 1
        durations.total += record.duration
        self._received += record.bytes_in
        self._sent += record.bytes_out

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
        yield CounterMetricFamily("post3_request_bytes", "Bytes of request bodies.", self._received)
        yield CounterMetricFamily("post3_response_bytes", "Bytes of response bodies.", self._sent)


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    """Counts per interval as Prometheus wants them: how many took at most so long."""
    found, so_far = [], 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        so_far += count
        found.append((bound, float(so_far)))
    return found
