"""Several processes that serve one store together: what they share, and who does what is to be done once.

Theory of operation. `--workers N` makes a parent, which serves nothing, and N workers, which serve everything
(server/parent.py). A store is opened by every worker, and all that one of them must know of the others is here:

- the lock on the data directory is one open file that all of them inherited, so it is free when the last has ended;
- a page of memory that all of them see. It holds only what may be believed for a moment (is the disk full, how many
  connections has who); what must be right is in the index.
"""

from __future__ import annotations

import mmap
import os

from attrs import define, field
from zope.interface import implementer

from post3tw.storage.interfaces import ILeadership

_SIZE = mmap.PAGESIZE
_COUNTS = 64
"""Where the counts of the workers begin in the page, four bytes each; before that, a byte each, what is below."""

_STATE_OF_RESERVE = slice(0, 2)

MOST_WORKERS = (_SIZE - _COUNTS) // 12
"""As many as there is room for: each has three counts."""


def new_page() -> int:
    """A descriptor of memory that processes which inherit it can share; it stays as long as one of them does."""
    descriptor = os.memfd_create("post3-workers", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, _SIZE)
    return descriptor


@implementer(ILeadership)
@define(eq=False)
class Crew:
    """The workers of one server, as one of them (or their parent, whose number is -1) sees them.

    Attributes:
        count: how many there are.
        number: which of them this is, from 0; one that takes the place of a dead one has its number.
        page: a descriptor of the page, as `new_page` makes it.
        lock: a descriptor that holds the lock on the data directory; -1 when there is none.
        first: nobody opened the store before this one since the server started.
    """

    count: int
    number: int
    page: int
    lock: int = -1
    first: bool = False
    _shared: memoryview = field(init=False, repr=False)
    connections: memoryview[int] = field(init=False, repr=False)
    """How many connections each worker has."""
    accepting: memoryview[int] = field(init=False, repr=False)
    """Whether each of them takes connections."""
    requests: memoryview[int] = field(init=False, repr=False)
    """How many requests each of them is serving."""
    reserve: memoryview[int] = field(init=False, repr=False)
    """See reserve.Reserve."""

    def __attrs_post_init__(self) -> None:
        self._shared = memoryview(mmap.mmap(self.page, _SIZE))
        self.reserve = self._shared[_STATE_OF_RESERVE]
        counts = self._shared[_COUNTS : _COUNTS + 12 * self.count].cast("I")
        self.connections, self.requests, self.accepting = (
            counts[start * self.count : (start + 1) * self.count] for start in range(3)
        )

    def clear(self, number: int) -> None:
        """Nobody is the worker of this number now."""
        for counts in (self.connections, self.requests, self.accepting):
            counts[number] = 0

    @property
    def leads(self) -> bool:
        """Whether this worker does what is to be done once: the one with the number 0, who is always there again."""
        return self.number == 0
