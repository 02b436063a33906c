"""What the operations of the local store work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from post3tw.model.ids import IdSource
from post3tw.storage.interfaces import IBlobStore, IIndex
from post3tw.storage.threads import IThreads, NoThreads


def _admit() -> None:
    """There is always room."""


async def _no_pause() -> None:
    """Nobody else waits."""


@frozen
class Store:
    """An opened backend, and what every operation needs beside it.

    Attributes:
        index: rows and transactions.
        blobs: byte strings.
        ids: clock and ids.
        region: where buckets are, such as "us-east-1".
        cpu: a pool for hashing, about as many threads as cores; whoever made it starts and stops it.
        admit_write: raises InsufficientStorage while the disk is full; called before anything that takes space.
        pause: awaited between the pieces of long work on the reactor's thread, so that others get their turn; a server
            passes a zero-second timer.
    """

    index: IIndex
    blobs: IBlobStore
    ids: IdSource
    region: str = "us-east-1"
    cpu: IThreads = field(factory=NoThreads)
    admit_write: Callable[[], None] = _admit
    pause: Callable[[], Awaitable[None]] = _no_pause
