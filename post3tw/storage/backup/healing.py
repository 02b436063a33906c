"""Bringing damaged bytes back from a backup: only what the checksums in the store itself prove to be them.

A blob is put in the place of the damaged one: a copy is made beside it, verified and synced, the damaged one gets a
name in DATA/lost besides its own, and one rename gives that to the copy. Whatever ends this, the name has the damaged
bytes or the whole ones, and the same command goes on. The bytes of an inline body are put into its row, when the row
has the checksums still. The rows that say what exists are never taken from a backup: they may be
older.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from attrs import evolve, frozen

from post3tw.model.errors import CorruptedData
from post3tw.model.version import Placement
from post3tw.storage.backup.blobs import BlobCopy, Needed
from post3tw.storage.backup.layout import INDEX, Backup
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.frames import verify_all
from post3tw.storage.index.sqlite.inspection import Inspection, inspected
from post3tw.storage.index.transactions.blobs import load_body
from post3tw.storage.integrity.subjects import Directory
from post3tw.storage.integrity.walk import Held
from post3tw.storage.interfaces import ITransaction


@frozen
class Healer:
    """A store, and a backup to heal it from.

    Attributes:
        subject: the store, which is ours alone.
        backup: of the same store, or of one that it was copied from.
        snapshots: the indexes of the backup, the newest first.
    """

    subject: Directory
    backup: Backup
    snapshots: list[Inspection]

    async def heal(self, held: Held) -> bool:
        """Bring back what was found damaged; whether the backup had it."""
        placement = held.placement
        if placement.body is not None:
            return await self._heal_body(placement, placement.body)
        if placement.blob is None or held.recorded != placement.size:
            return False
        store = self.subject.blobs
        place = FileBlobs(store.files, store.threads, store.directory, store.temporary, named_last=True, replaces=True)
        copy = BlobCopy(self.backup.blobs, None, lambda done: None)
        blob = Needed(placement.blob, placement.size, placement.crcs)
        try:
            await copy.copy(blob)  # nowhere: to see that it is whole before anything is done
        except CorruptedData:
            return False
        self.subject.keep_lost(blob.blob_id)
        await evolve(copy, target=place).copy(blob)
        return True

    async def _heal_body(self, placement: Placement, body_id: bytes) -> bool:
        try:
            crcs, _ = self.subject.read(partial(load_body, body_id=body_id))
        except CorruptedData:
            return False
        for snapshot in self.snapshots:
            try:
                _, data = snapshot.read(partial(load_body, body_id=body_id))
                verify_all(Placement(placement.size, body=body_id, crcs=crcs), data)
            except CorruptedData:
                continue
            self.subject.change(partial(_put_back, body_id=body_id, data=data))
            return True
        return False


@contextmanager
def healer(subject: Directory, path: str) -> Iterator[Healer]:
    """A healer from a backup, as long as it is read.

    Raises:
        StoreRefused: it is no backup, or somebody is at work on it.
    """
    backup = Backup(path)
    with backup.read(), ExitStack() as opened:
        indexes = [backup.snapshot(name, INDEX) for name in reversed(backup.snapshots())]
        yield Healer(subject, backup, [opened.enter_context(inspected(index, older=True)) for index in indexes])


async def _put_back(tx: ITransaction, body_id: bytes, data: bytes) -> Any:
    await tx.write("UPDATE bodies SET data = ? WHERE id = ?", data, body_id)
