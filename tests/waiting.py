"""Waiting for what happens by itself."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import deferLater


async def until(holds: Callable[[], bool], pause: float = 0.005) -> None:
    """Wait until something is seen, looking every `pause` seconds. The test's timeout ends a wait in vain."""
    from twisted.internet import reactor

    while not holds():
        await deferLater(reactor, pause)
