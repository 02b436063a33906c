"""Something to make mutants of."""

from __future__ import annotations


def fare(age: int) -> int:
    """Children below six go free."""
    if age < 6:
        return 0
    return 10
