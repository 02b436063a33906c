"""The garbage collector, and the memory, of a process that does nothing but serve.

Requests leave no reference cycles behind, so the collector finds nothing. Left alone it looks every few dozen requests,
which made a tenth of what a small PUT cost, and now and then at all modules, classes and tables: a pass of 50 ms, in
which nobody was served.

malloc gives memory at the end of its heap back to the system as soon as it is more than 128 KiB. A page of a listing
takes 1.2 MiB for its columns and its text, a large body a MiB a frame; given back after each and taken again for the
next, that is 300 page faults, a sixth of what the page costs, and a seventh of a PUT of 1 MiB.
"""

from __future__ import annotations

import gc

_OBJECTS = 20_000
"""So many more objects than before make it look: a few hundred requests at the same time do."""


_KEPT = 16 * 1024 * 1024
"""Bytes. glibc lets twice as much lie at the end of its heap as the largest block that it has ever mapped and unmapped
(mallopt(3), M_MMAP_THRESHOLD); what another libc makes of it does no harm."""


def keep_memory() -> None:
    """Keep what was freed for what comes next."""
    bytes(_KEPT)


def calm_collector() -> None:
    """Take what exists by now for good, and look at the rest less often. For when everything is started."""
    keep_memory()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
