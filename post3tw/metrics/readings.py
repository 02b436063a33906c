"""What is not counted but read off, when somebody asks: numbers that the parts of the server keep anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import field, frozen
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

GAUGES: Mapping[str, str] = {
    "post3_connections": "Connections open.",
    "post3_requests_in_flight": "Requests being answered.",
    "post3_free_bytes": "Space left where objects are kept.",
    "post3_database_connections": "Connections to the database.",
    "post3_database_connections_in_use": "Connections to the database that are at work.",
    "post3_database_waiting": "Requests that wait for a connection to the database.",
    "post3_damaged": "Stored bytes known to be damaged, missing ones included: bodies, blobs.",
    "post3_workers": "Worker processes that serve.",
    "post3_leading": "Whether this node runs the timers for all nodes.",
}
"""Numbers that go up and down, with what they mean."""

COUNTERS: Mapping[str, str] = {
    "post3_index_commits": "Commits of the index, each for a group of transactions.",
    "post3_index_transactions": "Writing transactions committed.",
    "post3_index_reruns": "Transactions run again, because another of their group failed.",
    "post3_index_exchanges": "Round trips of the index to its database.",
    "post3_database_connections_lost": "Connections to the database that ended by themselves.",
    "post3_database_reconnections": "How often the connection for notices was made again.",
    "post3_bucket_notices": "Notices of other nodes (and of this one) about changed buckets.",
    "post3_workers_replaced": "Worker processes that ended and were replaced.",
    "post3_swept_blobs": "Blobs that nobody referred to and that were removed.",
    "post3_scrubbed_bytes": "Stored bytes that the scrub has verified.",
    "post3_scrubbed_objects": "Bodies and blobs that the scrub has verified.",
    "post3_scrub_damage": "Bodies and blobs that the scrub found damaged, counted each time.",
}
"""Numbers that only go up (and get `_total` at their end), with what they mean."""


def _known(_instance: object, _attribute: object, sources: Mapping[str, object]) -> None:
    unknown = sources.keys() - GAUGES.keys() - COUNTERS.keys()
    if unknown:
        raise ValueError(f"no metrics are called {sorted(unknown)}")


@frozen(eq=False)
class Readings(Collector):
    """A collector that asks.

    Attributes:
        sources: name in GAUGES or COUNTERS to a function that gives the number. Other names are a ValueError.
    """

    sources: Mapping[str, Callable[[], float]] = field(validator=_known)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        for name, read in self.sources.items():
            if name in GAUGES:
                yield GaugeMetricFamily(name, GAUGES[name], read())
            else:
                yield CounterMetricFamily(name, COUNTERS[name], read())
