"""Durations and sizes as people write them in options."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)\s*([kmgt]i?b?|b)?", re.IGNORECASE)


def parse_duration(value: str | float) -> float:
    """Seconds of "30s", "500ms", "5m", "2h", "1d" or a plain number of seconds. ValueError when it is none of them."""
    if isinstance(value, int | float):
        return float(value)
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 30s, 5m or 500ms")
    return float(match[1]) * _SECONDS[match[2]]


def parse_size(value: str | int) -> int:
    """Bytes of "64MiB", "1GiB", "10MB", "512" … ValueError when it is no size. KB and KiB are 1000 and 1024."""
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size such as 64MiB")
    unit = (match[2] or "b").lower()
    base = 1024 if "i" in unit or len(unit) == 1 else 1000
    size: int = int(match[1]) * base ** "bkmgt".index(unit[0])
    return size
