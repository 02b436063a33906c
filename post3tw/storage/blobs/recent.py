"""Which of the blobs that were just written the system keeps in memory.

What is written stays in the system's cache until the memory is wanted. A server that takes in much fills all memory
with it after a while, although hardly any of it is read, and each page of new memory is dearer than one that was just
given back (docs/decisions/0005). So what was written last stays, up to a bound, for whoever reads what he has just
written; what is older and was not read is forgotten, and its pages are the next blob's. A blob that is read stays as
long as the system likes.
"""

from __future__ import annotations

import os
from threading import Lock

from attrs import define, field

_PART_OF_MEMORY = 64


def recent_bytes(processes: int) -> int:
    """How much each of so many processes may leave in memory: a sixty-fourth of what the machine has, together."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (_PART_OF_MEMORY * processes)


@define(eq=False)
class Recent:
    """Blobs that were written and not read since, oldest first.

    Attributes:
        limit: bytes that they may have together.
        size: how many they have.
    """

    limit: int
    size: int = field(default=0, init=False)
    _sizes: dict[str, int] = field(factory=dict, init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def add(self, path: str, size: int) -> None:
        """A blob was written."""
        with self._lock:
            self._sizes[path] = size
            self.size += size

    def drop(self, path: str) -> None:
        """It was read, or removed."""
        if path in self._sizes:
            with self._lock:
                self.size -= self._sizes.pop(path, 0)

    def overdue(self) -> list[str]:
        """Those that are too many; they are not in here any more."""
        found: list[str] = []
        if self.size > self.limit:
            with self._lock:
                while self.size > self.limit and self._sizes:
                    path = next(iter(self._sizes))
                    self.size -= self._sizes.pop(path)
                    found.append(path)
        return found
