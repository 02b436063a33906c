"""What is done every now and then: on each node for its own disk, on one of them for all."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import define

from post3tw.service.stale_uploads import abort_stale_uploads
from post3tw.service.store import Store
from post3tw.service.sweeper import Sweeper, Task
from post3tw.storage.integrity.scrub import Scrub
from post3tw.storage.interfaces import ILeadership, ISpace, OpenedStore
from post3tw.storage.sweep import BlobSweep

SPACE_INTERVAL = 5.0
"""Seconds between two looks whether a full disk has space again."""

FULL_DISK_GRACE = 60_000
"""Milliseconds that unreferenced blobs stay for the sake of readers while the disk is full."""

SWEEP_INTERVAL = 300.0
"""Seconds between two rounds of the sweeper."""

SCRUB_INTERVAL = 2.0
"""Seconds between two looks whether the scrub has something to do."""


def timers(
    opened: OpenedStore,
    store: Store,
    sweep: CountedSweep,
    stale_uploads: int,
    reactor: Any,
    scrub: Scrub | None = None,
) -> list[Sweeper]:
    """The timers of a store, not started.

    Args:
        opened: the store.
        store: the same, as operations see it.
        sweep: of its blobs.
        stale_uploads: seconds after which an upload that nobody completes is aborted.
        reactor: for time.
        scrub: of all that is stored; it has a timer of its own, as a round of it takes long.
    """
    made = []
    tasks: dict[str, Task]
    if opened.space is not None:
        tasks = {"look for space": partial(sweep.make_space, opened.space)}
        if opened.leadership is not None and not opened.shared:  # workers of one server have one disk, nodes their own
            tasks = {name: partial(while_leading, opened.leadership, task) for name, task in tasks.items()}
        made.append(Sweeper(reactor, SPACE_INTERVAL, tasks))
    tasks = {
        "abort stale uploads": partial(abort_stale_uploads, store, stale_uploads),
        "remove unreferenced blobs": sweep.run,
    }
    rounds = [(SWEEP_INTERVAL, tasks)]
    if scrub is not None:
        rounds.append((SCRUB_INTERVAL, {"scrub": scrub.run}))
    for interval, tasks in rounds:
        if opened.leadership is not None:
            tasks = {name: partial(while_leading, opened.leadership, task) for name, task in tasks.items()}
        made.append(Sweeper(reactor, interval, tasks))
    return made


async def while_leading(leadership: ILeadership, task: Task) -> None:
    """A task of a timer that one of several nodes does."""
    if leadership.leads:
        await task()


@define
class CountedSweep:
    """A sweep that remembers how many blobs it removed."""

    sweep: BlobSweep
    removed: int = 0

    async def run(self) -> None:
        """Remove what is due."""
        self.removed += await self.sweep.run()

    async def make_space(self, space: ISpace) -> None:
        """On a full disk, remove what was deleted a little while ago, and look whether that made space."""
        if space.full:
            self.removed += await self.sweep.run(min(self.sweep.grace, FULL_DISK_GRACE))
        await space.recover()
