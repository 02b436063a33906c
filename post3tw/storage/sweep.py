"""Removing what nobody refers to.

Theory of operation. A blob whose lease has passed and that no row refers to is condemned, in a transaction of the
index; from then on no reference to it can be taken. Its bytes stay for a grace period, because a reader that looked
its row up before may still open it. Then the bytes are deleted, and after them the row: a crash in between only
repeats the deletion, and no bytes are ever left without a row that knows of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from attrs import frozen

from post3tw.model.ids import IdSource
from post3tw.storage.index.transactions import blobs as rows
from post3tw.storage.interfaces import IBlobStore, IIndex


def _nobody_copies() -> AbstractContextManager[bool]:
    return nullcontext(True)


@frozen
class BlobSweep:
    """Removes blobs that nobody refers to.

    Attributes:
        index: rows of blobs.
        blobs: their bytes.
        ids: the clock.
        grace: milliseconds from being condemned until the bytes go.
        batch: how many blobs one transaction deals with.
        removing: a context in which bytes may be removed, if what it gives is true; a backup keeps them.
    """

    index: IIndex
    blobs: IBlobStore
    ids: IdSource
    grace: int = 60 * 60 * 1000
    batch: int = 500
    removing: Callable[[], AbstractContextManager[bool]] = _nobody_copies

    async def run(self, grace: int | None = None) -> int:
        """Condemn, delete and forget everything that is due. Returns how many blobs were deleted.

        Args:
            grace: another grace period than usual, because space is wanted.
        """
        await self._condemn()
        return await self._delete(self.grace if grace is None else grace)

    async def _condemn(self) -> None:
        condemn = partial(rows.condemn, now=self.ids.now(), limit=self.batch)
        while await self.index.run(condemn) == self.batch:
            pass

    async def _delete(self, grace: int) -> int:
        find = partial(rows.condemned_before, time=self.ids.now() - grace, limit=self.batch)
        deleted = 0
        while doomed := await self.index.read(find):
            with self.removing() as allowed:
                if not allowed:
                    break
                await self.blobs.delete(doomed)
            await self.index.run(partial(rows.forget, blob_ids=doomed))
            deleted += len(doomed)
        return deleted
