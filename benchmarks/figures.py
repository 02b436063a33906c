"""Numbers made of numbers: percentiles, medians with their range, ratios of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from attrs import frozen


def percentile(ordered: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of the values are not above, by nearest rank; NaN of none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


@frozen
class Spread:
    """The median of some rounds, and how far they were apart."""

    median: float
    least: float
    most: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of those that are there; None if there is none."""
    there = [value for value in values if value is not None and not math.isnan(value)]
    return Spread(median(there), min(there), max(there)) if there else None


def ratios(first: Iterable[float | None], second: Iterable[float | None]) -> Spread | None:
    """First over second, pair by pair: the rounds of a pair were next to each other, so what disturbed one was likely
    to disturb the other. Pairs with a missing or zero half are left out."""
    return spread(a / b for a, b in zip(first, second, strict=True) if a and b and not math.isnan(a + b))
