"""What is counted of requests."""

from __future__ import annotations

from attrs import define
from prometheus_client import CollectorRegistry, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from post3tw.metrics.readings import COUNTERS, GAUGES, Readings
from post3tw.metrics.requests import BUCKETS, RequestMetrics


@define
class Answered:
    """What is counted of a request."""

    operation: str = "GetObject"
    status: int = 200
    duration: float = 0.001
    bytes_in: int = 0
    bytes_out: int = 0


class RequestMetricsTests(SynchronousTestCase):
    """The metrics of requests."""

    def setUp(self) -> None:
        self.metrics = RequestMetrics()
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample."""
        return self.registry.get_sample_value(name, labels)

    def test_requests(self) -> None:
        """Requests are counted by operation and status; those without an operation under `none`."""
        for record in (Answered(), Answered(), Answered(status=404), Answered(operation="", status=400)):
            self.metrics.observe(record)
        self.assertEqual(self.value("post3_requests_total", operation="GetObject", status="200"), 2)
        self.assertEqual(self.value("post3_requests_total", operation="GetObject", status="404"), 1)
        self.assertEqual(self.value("post3_requests_total", operation="none", status="400"), 1)

    def test_bytes(self) -> None:
        """Bytes of bodies add up, each way."""
        self.metrics.observe(Answered(bytes_in=10, bytes_out=1))
        self.metrics.observe(Answered(bytes_in=5, bytes_out=2))
        self.assertEqual(self.value("post3_request_bytes_total"), 15)
        self.assertEqual(self.value("post3_response_bytes_total"), 3)

    def test_durations(self) -> None:
        """A request counts in every interval that is as long as it took, its bound included."""
        for seconds in (0.0001, 0.001, 0.0011, 1000.0):
            self.metrics.observe(Answered(duration=seconds))
        counts = {
            bound: self.value("post3_request_seconds_bucket", operation="GetObject", le=bound)
            for bound in ("0.0005", "0.001", "0.0025", "60.0", "+Inf")
        }
        self.assertEqual(counts, {"0.0005": 1, "0.001": 2, "0.0025": 3, "60.0": 3, "+Inf": 4})
        self.assertEqual(self.value("post3_request_seconds_count", operation="GetObject"), 4)
        self.assertAlmostEqual(self.value("post3_request_seconds_sum", operation="GetObject") or 0, 1000.0022)

    def test_bounds_ascend(self) -> None:
        """The bounds of the histogram ascend, as the search for the interval needs."""
        self.assertEqual(list(BUCKETS), sorted(set(BUCKETS)))

    def test_page(self) -> None:
        """The page is made before and after the first request."""
        self.assertIn(b"post3_requests_total", generate_latest(self.registry))
        self.metrics.observe(Answered())
        line = b'post3_request_seconds_bucket{le="+Inf",operation="GetObject"} 1.0'
        self.assertIn(line, generate_latest(self.registry))


class ReadingsTests(SynchronousTestCase):
    """Numbers that are read off."""

    def test_values(self) -> None:
        """Each is asked for when the page is made; counters get their suffix."""
        numbers = {"post3_connections": 3.0, "post3_index_commits": 4.0}
        registry = CollectorRegistry()
        registry.register(Readings({name: lambda name=name: numbers[name] for name in numbers}))  # type: ignore[misc]
        numbers["post3_connections"] = 5.0
        self.assertEqual(registry.get_sample_value("post3_connections"), 5.0)
        self.assertEqual(registry.get_sample_value("post3_index_commits_total"), 4.0)

    def test_names(self) -> None:
        """Every name is ours, and is of one kind."""
        self.assertEqual(GAUGES.keys() & COUNTERS.keys(), set())
        for name in (*GAUGES, *COUNTERS):
            self.assertTrue(name.startswith("post3_"))

    def test_unknown_name(self) -> None:
        """A name that has no description is refused."""
        self.assertRaises(ValueError, Readings, {"post3_other": lambda: 1.0})
