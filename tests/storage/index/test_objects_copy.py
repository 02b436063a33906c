"""Transactions on objects: copying and renaming share or move bytes and lose none."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from post3tw.model.conditions import ReadConditions, WriteConditions
from post3tw.model.errors import (
    NoSuchKey,
    NotImplementedHere,
    OperationAborted,
    PreconditionFailed,
)
from post3tw.model.version import Description, Part, Placement, Version
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.objects import (
    copy_version,
    put_version,
    rename,
)
from post3tw.storage.index.transactions.parts import insert_part, list_parts
from post3tw.wire.checksums import frame_crcs
from tests.storage.index.object_case import ANY, ENABLED, NOW, SUSPENDED, ObjectsCase


class CopyTests(ObjectsCase):
    """copy_version shares bytes."""

    async def copy(
        self, source: Version, target: bytes, source_key: bytes = b"key", conditions: WriteConditions = ANY
    ) -> Version:
        """Copy inside the bucket."""
        version = self.new_version(b"", size=source.size, etag=source.etag, part_count=source.part_count)
        copied: Version = await self.run_tx(
            copy_version,
            self.bucket.id,
            source_key,
            source,
            self.bucket.id,
            target,
            version,
            conditions,
            now=NOW,
        )
        return copied

    async def test_inline(self) -> None:
        """The copy of an inline body has a body of its own, so that either can go."""
        source = await self.put(b"key", b"data")
        await self.copy(source, b"copy")
        await self.delete(b"key")
        self.assertEqual(await self.content(b"copy"), b"data")
        await self.check_invariants()

    async def test_empty(self) -> None:
        """An object without bytes can be copied."""
        source = await self.put(b"key", b"")
        await self.copy(source, b"copy")
        self.assertEqual(await self.content(b"copy"), b"")

    async def test_onto_itself(self) -> None:
        """A copy onto itself keeps the bytes while it replaces the version."""
        source = await self.put(b"key", b"data")
        await self.copy(source, b"key")
        self.assertEqual(await self.content(b"key"), b"data")
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 1)
        await self.check_invariants()

    async def test_blob(self) -> None:
        """Two versions share a blob; it stays until both are gone."""
        blob = await self.begin()
        version = self.new_version(b"", placement=Placement(4, blob=blob, crcs=b"1234"), size=4)
        source = await self.run_tx(put_version, self.bucket.id, b"key", version, None, ANY, now=NOW)
        await self.copy(source, b"copy")
        await self.check_invariants()
        await self.delete(b"key")
        await self.check_invariants()
        self.assertEqual(await self.rows("SELECT lease_until FROM blobs"), [(None,)])
        await self.delete(b"copy")
        self.assertEqual(await self.rows("SELECT lease_until FROM blobs"), [(NOW,)])
        await self.check_invariants()

    async def test_parts(self) -> None:
        """The copy of an object made of parts has parts of its own over the same bytes."""
        blob, owner, inline = await self.begin(), self.store.ids.object_id(), self.store.ids.object_id()
        parts = [
            Part(1, b"1" * 16, 0, 4, "e1", NOW, Placement(4, blob=blob, crcs=b"1234")),
            Part(3, b"3" * 16, 4, 2, "e3", NOW, Placement(2, body=inline, crcs=frame_crcs(b"ab"))),
        ]

        async def upload(tx: Any) -> None:
            for part in parts:
                await place(tx, part.id, part.placement, b"ab")
                await insert_part(tx, owner, part)

        await self.run_tx(upload)
        version = self.new_version(b"", id=owner, placement=None, part_count=2, size=6)
        source = await self.run_tx(put_version, self.bucket.id, b"key", version, None, ANY, now=NOW)
        copied = await self.copy(source, b"copy")
        await self.delete(b"key")
        await self.check_invariants()
        found = await self.store.index.read(lambda tx: list_parts(tx, copied.id))
        self.assertEqual([(p.number, p.offset, p.size, p.etag) for p in found], [(1, 0, 4, "e1"), (3, 4, 2, "e3")])
        self.assertEqual(found[0].placement.blob, blob)
        await self.delete(b"copy")
        self.assertEqual(await self.rows("SELECT 1 FROM bodies"), [])
        await self.check_invariants()

    async def test_source_gone(self) -> None:
        """A source that was replaced since it was read is not copied."""
        source = await self.put(b"key", b"old")
        await self.put(b"key", b"new")
        await self.refuses(OperationAborted, self.copy, source, b"copy")
        self.assertIsNone(await self.find(b"copy"))

    async def test_conditions_on_the_target(self) -> None:
        """The conditions of a copy are about what it would replace."""
        source = await self.put(b"key", b"one")
        await self.put(b"copy", b"two")
        await self.refuses(
            PreconditionFailed, self.copy, source, b"copy", conditions=WriteConditions(if_none_match="*")
        )
        await self.copy(source, b"copy", conditions=WriteConditions(if_match="etag-of-two"))
        self.assertEqual(await self.content(b"copy"), b"one")


class RenameTests(ObjectsCase):
    """rename moves an object to another key."""

    async def rename(
        self,
        source: bytes,
        target: bytes,
        source_conditions: ReadConditions = ReadConditions(),  # noqa: B008 - frozen
        target_conditions: WriteConditions = ANY,
    ) -> None:
        """Rename in the bucket."""
        await self.run_tx(
            rename,
            self.bucket.id,
            source,
            target,
            source_conditions,
            target_conditions,
            change_ids=(b"1" * 16, b"2" * 16),
            now=NOW,
        )

    async def test_moves_everything(self) -> None:
        """The object is at its new key as it was, and no longer at the old one."""
        written = await self.put(b"old", b"data", description=Description(tags={"a": "b"}))
        await self.rename(b"old", b"new")
        self.assertIsNone(await self.find(b"old"))
        self.assertEqual(await self.find(b"new"), evolve(written, placement=(await self.found(b"new")).placement))
        self.assertEqual(await self.content(b"new"), b"data")
        await self.check_invariants()

    async def found(self, key: bytes) -> Version:
        """A version that is there."""
        version = await self.find(key)
        assert version is not None
        return version

    async def test_replaces_the_target(self) -> None:
        """What was at the new key is gone, bytes and all."""
        await self.put(b"old", b"data")
        await self.put(b"new", b"replaced")
        await self.rename(b"old", b"new")
        self.assertEqual(await self.content(b"new"), b"data")
        self.assertEqual(len(await self.rows("SELECT 1 FROM bodies")), 1)
        await self.check_invariants()

    async def test_onto_itself(self) -> None:
        """A rename to the same key changes nothing."""
        await self.put(b"old", b"data")
        await self.rename(b"old", b"old")
        self.assertEqual(await self.content(b"old"), b"data")
        await self.check_invariants()

    async def test_conditions(self) -> None:
        """Conditions on source and target keep everything where it is."""
        await self.put(b"old", b"data")
        await self.put(b"new", b"kept")
        await self.refuses(
            PreconditionFailed, self.rename, b"old", b"new", target_conditions=WriteConditions(if_none_match="*")
        )
        for conditions in (ReadConditions(if_match="x"), ReadConditions(if_modified_since=NOW)):
            await self.refuses(PreconditionFailed, self.rename, b"old", b"new", conditions)
        self.assertEqual(await self.content(b"new"), b"kept")
        await self.rename(b"old", b"new", ReadConditions(if_match="etag-of-data"))
        self.assertEqual(await self.content(b"new"), b"data")

    async def test_nothing_to_rename(self) -> None:
        """A source that is not there is NoSuchKey."""
        await self.refuses(NoSuchKey, self.rename, b"old", b"new")

    async def test_versions_do_not_move(self) -> None:
        """A bucket that has or had versioning refuses."""
        await self.put(b"old", b"data")
        for versioning in (ENABLED, SUSPENDED):
            await self.switch(versioning)
            await self.refuses(NotImplementedHere, self.rename, b"old", b"new")
