"""Where a request lets the others of its turn catch up. What for, and how: `s3/turn`."""

from __future__ import annotations

from collections.abc import Generator


class _Step:
    """Hands None to whoever drives the coroutine."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield None


STEP = _Step()
"""`await STEP` between two stages of a request. Whoever drives the coroutine may go on at once: Twisted does."""
