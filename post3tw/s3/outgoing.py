"""The producer of a reply's body, and the transport it writes to."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime


class Outgoing:
    """Passes the transport's pauses on to whoever produces the reply that is being written.

    A pull producer is asked for more when it wrote something and the transport has room again: not in every turn of the
    reactor, as twisted.web would, because ours read files in threads and have nothing to write for many turns.

    Attributes:
        blocked: whether the transport has no room.
        since: when it last had, in the clock's seconds.
    """

    __slots__ = ("_asking", "_clock", "_producer", "_pulls", "blocked", "since")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._producer: Any = None
        self._pulls = False
        self._asking = False
        self.blocked = False
        self.since = 0.0

    def register(self, producer: Any, streaming: bool) -> None:
        """Take a producer, as IConsumer does."""
        if self._producer is not None:
            raise RuntimeError("A reply has one producer at a time.")
        self._producer = producer
        self._pulls = not streaming
        if self._pulls:
            if not self.blocked:
                producer.resumeProducing()
        elif self.blocked:
            producer.pauseProducing()

    def unregister(self) -> None:
        """Forget the producer."""
        self._producer = None

    def wrote(self) -> None:
        """Something was written: a pull producer may be asked for more, in the next turn of the reactor."""
        if self._pulls and self._producer is not None and not self.blocked and not self._asking:
            self._asking = True
            self._clock.callLater(0, self._ask)

    def _ask(self) -> None:
        self._asking = False
        if self._pulls and self._producer is not None and not self.blocked:
            self._producer.resumeProducing()

    def pause(self) -> None:
        """The transport has no room."""
        if not self.blocked:
            self.blocked = True
            self.since = self._clock.seconds()
        if self._producer is not None and not self._pulls:
            self._producer.pauseProducing()

    def resume(self) -> None:
        """The transport has room."""
        self.blocked = False
        if self._producer is not None:
            self._producer.resumeProducing()

    def stop(self) -> None:
        """There is no transport any more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
