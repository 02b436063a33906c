"""Numbers of several processes, as those of one server.

Processes measure themselves (`measured`), tell each other what is then plain data, and one of them shows the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

Family = Sequence[Any]
"""Name, type and documentation of a metric, and its samples: (name, labels, value) of each. JSON can hold it."""

OF_ALL = frozenset({"post3_damaged", "post3_free_bytes", "post3_leading", "process_max_fds"})
"""What all processes measure of the same thing: the largest number is shown."""

OLDEST = frozenset({"process_start_time_seconds"})
"""Of these the smallest."""

_ONLY_UP = ("counter", "histogram")


def measured(registry: CollectorRegistry) -> list[Family]:
    """What a registry shows now."""
    return [
        (
            metric.name,
            metric.type,
            metric.documentation,
            [(sample.name, sample.labels, sample.value) for sample in metric.samples],
        )
        for metric in registry.collect()
    ]


def summed(parts: Iterable[Iterable[Family]]) -> list[Family]:
    """What several processes measured, put together."""
    heads: dict[str, tuple[str, str]] = {}
    samples: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for part in parts:
        for name, kind, documentation, found in part:
            heads[name] = kind, documentation
            together = max if name in OF_ALL else min if name in OLDEST else _sum
            values = samples.setdefault(name, {})
            for sample, labels, value in found:
                key = sample, tuple(labels.items())
                values[key] = together(values[key], value) if key in values else value
    return [
        (name, *head, [(sample, dict(labels), value) for (sample, labels), value in samples[name].items()])
        for name, head in heads.items()
    ]


def only_up(part: Iterable[Family]) -> list[Family]:
    """What still counts when the process that measured it is gone: a sum that falls looks like a new start."""
    return [family for family in part if family[1] in _ONLY_UP]


@frozen(eq=False)
class Sum(Collector):
    """A collector of what several processes measured; `parts` gives what each did."""

    parts: Callable[[], Iterable[Iterable[Family]]]

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        for name, kind, documentation, samples in summed(self.parts()):
            metric = Metric(name, documentation, kind)
            for sample, labels, value in samples:
                metric.add_sample(sample, labels, value)
            yield metric


def _sum(one: float, other: float) -> float:
    return one + other
