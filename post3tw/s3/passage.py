"""What stands between whoever brings a body and whoever takes what is in it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Passage:
    """The producer of what is taken, half of it: what the taker wants is what the bringer is told. A subclass is the
    consumer of what is brought, whose `write` passes bytes on."""

    def __init__(self) -> None:
        self._producer: Any = None
        self._paused = False

    # -- called by what brings the bytes

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """What comes can be paused."""
        self._producer = producer
        if self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """No more comes."""
        self._producer = None

    # -- called by what takes them

    def pauseProducing(self) -> None:
        """Pass it on."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Pass it on."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Pass it on."""
        if self._producer is not None:
            self._producer.stopProducing()
