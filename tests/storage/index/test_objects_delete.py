"""Transactions on objects: deleting."""

from __future__ import annotations

from typing import Any

from post3tw.model.version import Part, Placement, version_token
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.objects import (
    Deletion,
    put_version,
)
from post3tw.storage.index.transactions.parts import insert_part
from tests.storage.index.object_case import ADA, ANY, ENABLED, NOW, SUSPENDED, ObjectsCase


class DeleteTests(ObjectsCase):
    """delete_version in the three states of versioning."""

    async def test_without_versioning(self) -> None:
        """A delete removes the object, its body, and its row in the listing."""
        await self.put(b"key", b"one")
        self.assertEqual(await self.delete(b"key"), Deletion())
        for table in ("versions", "current", "bodies"):
            self.assertEqual(await self.rows(f"SELECT 1 FROM {table}"), [], table)

    async def test_nothing_there(self) -> None:
        """Deleting what is not there succeeds, by key and by version."""
        self.assertEqual(await self.delete(b"key"), Deletion())
        self.assertEqual(await self.delete(b"key", "null"), Deletion("null"))
        token = version_token(3, b"x" * 16)
        self.assertEqual(await self.delete(b"key", token), Deletion(token))

    async def test_null_version_by_id(self) -> None:
        """Without versioning the object can be deleted as version "null"."""
        await self.put(b"key", b"one")
        self.assertEqual(await self.delete(b"key", "null"), Deletion("null"))
        self.assertIsNone(await self.find(b"key"))
        await self.check_invariants()

    async def test_enabled(self) -> None:
        """With versioning a delete adds a delete marker and keeps everything."""
        await self.switch(ENABLED)
        one = await self.put(b"key", b"one")
        deletion = await self.delete(b"key")
        self.assertTrue(deletion.delete_marker)
        latest = await self.find(b"key")
        assert latest is not None
        self.assertTrue(latest.delete_marker)
        self.assertEqual((latest.version_id, latest.seq, latest.owner), (deletion.version_id, 2, ADA))
        self.assertEqual(await self.content(b"key", one.version_id), b"one")
        await self.check_invariants()

    async def test_enabled_on_a_key_that_never_was(self) -> None:
        """With versioning a delete marker is made even where there is nothing."""
        await self.switch(ENABLED)
        deletion = await self.delete(b"key")
        self.assertTrue(deletion.delete_marker)
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 1)

    async def test_removing_the_delete_marker(self) -> None:
        """Deleting a delete marker by its id brings the object back."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        marker = await self.delete(b"key")
        self.assertEqual(await self.delete(b"key", marker.version_id), Deletion(marker.version_id, True))
        self.assertEqual(await self.content(b"key"), b"one")
        await self.check_invariants()

    async def test_removing_the_latest_promotes_the_newest_left(self) -> None:
        """When the latest version goes, the newest that is left becomes the current object."""
        await self.switch(ENABLED)
        versions = [await self.put(b"key", data) for data in (b"one", b"two", b"three")]
        await self.delete(b"key", versions[1].version_id)
        self.assertEqual(await self.content(b"key"), b"three")
        await self.check_invariants()
        self.assertEqual(await self.delete(b"key", versions[2].version_id), Deletion(versions[2].version_id))
        self.assertEqual(await self.content(b"key"), b"one")
        await self.check_invariants()

    async def test_removing_the_latest_above_a_delete_marker(self) -> None:
        """When what is left on top is a delete marker, the key leaves the listing."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        await self.delete(b"key")
        top = await self.put(b"key", b"two")
        await self.delete(b"key", top.version_id)
        self.assertEqual(await self.rows("SELECT 1 FROM current"), [])
        await self.check_invariants()

    async def test_suspended_replaces_the_null_version(self) -> None:
        """Suspended, a delete replaces the null version by a null delete marker; a second one changes nothing."""
        await self.put(b"key", b"null")
        await self.switch(ENABLED)
        kept = await self.put(b"key", b"kept")
        await self.switch(SUSPENDED)
        for _ in range(2):
            self.assertEqual(await self.delete(b"key"), Deletion("null", True))
            self.assertEqual(
                await self.rows("SELECT is_null, delete_marker FROM versions ORDER BY seq"), [(0, 0), (1, 1)]
            )
            await self.check_invariants()
        self.assertEqual(await self.delete(b"key", "null"), Deletion("null", True))
        self.assertEqual(await self.content(b"key"), b"kept")
        self.assertEqual(await self.content(b"key", kept.version_id), b"kept")
        await self.check_invariants()

    async def test_a_removed_id_stays_removed(self) -> None:
        """A new version at the number of a removed one has another id, and the old id finds nothing."""
        await self.switch(ENABLED)
        one = await self.put(b"key", b"one")
        await self.delete(b"key", one.version_id)
        two = await self.put(b"key", b"two")
        self.assertEqual(one.seq, two.seq)
        self.assertIsNone(await self.find(b"key", one.version_id))
        self.assertEqual(await self.delete(b"key", one.version_id), Deletion(one.version_id))
        self.assertEqual(await self.content(b"key"), b"two")

    async def test_parts_go_with_their_version(self) -> None:
        """Deleting an object made of parts removes the parts and lets go of their bytes."""
        owner, blob = self.store.ids.object_id(), await self.begin()
        part = Part(1, b"p" * 16, 0, 4, "etag", NOW, Placement(4, blob=blob, crcs=b"1234"))

        async def upload(tx: Any) -> None:
            await place(tx, part.id, part.placement)
            await insert_part(tx, owner, part)

        await self.run_tx(upload)
        version = self.new_version(b"", id=owner, placement=None, part_count=1, size=4)
        await self.run_tx(put_version, self.bucket.id, b"key", version, None, ANY, now=NOW)
        await self.check_invariants()
        await self.delete(b"key")
        self.assertEqual(await self.rows("SELECT 1 FROM parts"), [])
        self.assertEqual(await self.rows("SELECT id FROM blobs WHERE lease_until = ?", NOW), [(blob,)])
        await self.check_invariants()
