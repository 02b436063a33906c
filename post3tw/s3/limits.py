"""How much of everything one client, and all of them together, may have."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

from attrs import frozen


@frozen
class Tally:
    """How many there are of something that is limited.

    Attributes:
        own: how many in this process, as the only element.
        everywhere: how many in each process of the server; `own` is part of it, be it in memory that all of them see.
    """

    own: MutableSequence[int] | memoryview[int]
    everywhere: Sequence[int] | memoryview[int]


def tally_of_one() -> Tally:
    """For a server that is one process."""
    own = [0]
    return Tally(own, own)


@frozen
class Limits:
    """Bounds of the HTTP side. Times are seconds, sizes bytes.

    Attributes:
        head_timeout: a request's head must be complete this long after its first byte.
        body_timeout: the window in which a body must keep its minimum rate; what falls behind is a RequestTimeout.
        body_rate: bytes a second that a body must average over each window.
        idle_timeout: an idle connection is closed after this; so is one whose client takes no byte of its answer.
        max_connections: more connections than this are told 503 SlowDown.
        own_connections: and likewise more than this to one process of a server.
        max_requests: more requests at the same time than this are told 503 SlowDown.
        head_size: request line and headers together.
        head_fields: how many headers.
        drain_size: how much of a body that nobody wants is read and thrown away, so that its sender sees the answer.
        drain_time: for how long.
        document_size: the largest XML or JSON body.
    """

    head_timeout: float = 30.0
    body_timeout: float = 30.0
    body_rate: int = 1024
    idle_timeout: float = 120.0
    max_connections: int = 16384
    own_connections: int = 1 << 30
    max_requests: int = 2048
    head_size: int = 16384
    head_fields: int = 500
    drain_size: int = 1024 * 1024
    drain_time: float = 5.0
    document_size: int = 2 * 1024 * 1024
