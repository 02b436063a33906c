"""How much all answers that are being sent hold in memory together.

A frame is verified whole, so it is read whole, and normally it goes to the connection whole, while the next one is
read: up to two frames for each answer. Clients that ask for much and take nothing would turn that into gigabytes. So
answers count what they hold. Beyond a first bound they read nothing ahead. Beyond a second one they keep no more than
the first slice of a frame that they have verified, and the checksums of the others, which are read again one by one as
the connection takes them: hardly any memory, and no byte unverified. Uploads that come to a stand are the same the
other way round (see `ingest`).

The bounds are for a server. Each of its workers has its part of them, as connections are spread evenly.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import DeferredSemaphore

from post3tw.wire.checksums import FRAME

PLENTY = 48 << 20
"""Bytes that all answers hold together up to which frames are sent whole; two thirds of it, up to which they are read
ahead."""
MUCH = 64 << 20
"""Bytes of all large bodies together that may be in memory while each is taken in by whole frames."""
LEAST = 16 << 20
"""What a worker has of either bound, however many there are: each has memory of its own (`server.sizing`)."""
SLICE = 64 << 10
"""Bytes that an answer gives its connection at a time when there are many."""
AT_ONCE = 4
"""Frames that are read at a time for slices: those that were read and wait for their turn are memory as well."""


@define(eq=False)
class Crowd:
    """All answers that are being sent, or all bodies that are taken in, by one process.

    Attributes:
        plenty: from so many bytes on there are too many for whole frames.
        bytes: what they hold together.
        turns: taken by whoever reads a frame for a slice of it.
    """

    plenty: int = PLENTY
    bytes: int = field(default=0, init=False)
    turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE), init=False)

    @classmethod
    def of_worker(cls, plenty: int, workers: int) -> Crowd:
        """The crowd of one worker of several, which have so much of it together."""
        return cls(max(plenty // workers, LEAST))


@define(eq=False)
class Share:
    """What one of them holds.

    Attributes:
        crowd: it and the others.
        size: bytes that the next read may keep of a frame.
    """

    crowd: Crowd
    size: int = field(default=FRAME, init=False)
    _held: int = field(default=0, init=False)

    @property
    def reads_ahead(self) -> bool:
        """Whether the next frame may be read while this one is being sent."""
        return self.crowd.bytes * 3 < self.crowd.plenty * 2

    def hold(self, count: int) -> None:
        """Say how many bytes are held now."""
        self.crowd.bytes += count - self._held
        self._held = count

    def reserve(self, given: int) -> None:
        """Say that a frame is about to be read, while the connection has so many bytes."""
        self.hold(given)
        self.size = FRAME if self.crowd.bytes < self.crowd.plenty else SLICE
        self.hold(given + self.size)
