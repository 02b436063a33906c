"""The garbage collector of a process that does nothing but serve.

Requests leave no reference cycles behind, so the collector finds nothing. Left alone it looks every few dozen requests,
which made a tenth of what a small PUT cost, and now and then at all modules, classes and tables: a pass of 50 ms, in
which nobody was served.
"""

from __future__ import annotations

import gc

_OBJECTS = 20_000
"""So many more objects than before make it look: a few hundred requests at the same time do."""


def calm_collector() -> None:
    """Take what exists by now for good, and look at the rest less often. For when everything is started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
