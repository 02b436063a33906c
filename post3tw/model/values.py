"""Values: attrs classes that the type checker holds frozen, and that are as cheap to make as others.

A frozen attrs class sets each attribute by object.__setattr__: six of them take 1 µs instead of 0.2, and a request
makes a dozen such objects. Classes of what is made for every request, row or entry of a listing are therefore
`@value_class`: equal and hashed by what they hold, and never assigned to, which is mypy's to see and not Python's.
What is made once and kept for long stays attrs' own `@frozen`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as value_class
else:
    from attrs import define

    def value_class(cls):
        """A class decorator; see above."""
        return define(cls, unsafe_hash=True)


__all__ = ["value_class"]
