"""Lists and owners of versions, and what the bucket's row says of them."""

from __future__ import annotations

from typing import Any

from post3tw.model.errors import NoSuchKey
from post3tw.model.identity import Owner
from post3tw.model.version import Description
from post3tw.storage.index.transactions.buckets import require_bucket
from post3tw.storage.index.transactions.objects import copy_version, set_acl
from tests.storage.index.object_case import ANY, ENABLED, NOW, ObjectsCase

CHANGE: dict[str, Any] = {"change_id": b"c" * 16, "now": NOW}
STRANGER = Owner("stranger", "Stranger")


class AclTests(ObjectsCase):
    """set_acl, and the flag `object_acls`."""

    async def noted(self) -> bool:
        """What the bucket's row says."""
        found = await self.run_tx(require_bucket, self.bucket.id)
        return bool(found.object_acls)

    async def test_of_the_current_object_and_of_a_version(self) -> None:
        """Without a version id the latest version gets the list; nothing else of it changes."""
        await self.switch(ENABLED)
        one = await self.put(b"key", b"one")
        await self.put(b"key", b"two")
        await self.run_tx(set_acl, self.bucket.id, b"key", None, "[2]", **CHANGE)
        await self.run_tx(set_acl, self.bucket.id, b"key", one.version_id, "[1]", **CHANGE)
        self.assertEqual(await self.rows("SELECT seq, acl FROM versions ORDER BY seq"), [(1, "[1]"), (2, "[2]")])
        changed = await self.run_tx(set_acl, self.bucket.id, b"key", one.version_id, None, **CHANGE)
        self.assertEqual((changed.id, changed.etag, changed.owner), (one.id, one.etag, one.owner))
        self.assertEqual(await self.rows("SELECT seq, acl FROM versions ORDER BY seq"), [(1, None), (2, "[2]")])

    async def test_noted(self) -> None:
        """A list, or another owner than the bucket's, is noted with whatever brings it; private objects are not."""
        await self.put(b"key", b"data")
        await self.run_tx(set_acl, self.bucket.id, b"key", None, None, **CHANGE)
        self.assertFalse(await self.noted())
        await self.run_tx(set_acl, self.bucket.id, b"key", None, "[]", **CHANGE)
        self.assertTrue(await self.noted())

    async def test_noted_of_what_is_written(self) -> None:
        """A put with a list is noted."""
        await self.put(b"key", b"data", description=Description(acl="[]"))
        self.assertTrue(await self.noted())

    async def test_noted_of_another_owner(self) -> None:
        """A put by somebody else is noted."""
        await self.put(b"key", b"data", owner=STRANGER)
        self.assertTrue(await self.noted())

    async def test_noted_of_copies(self) -> None:
        """A copy that somebody else makes is noted."""
        source = await self.put(b"key", b"data")
        copy = self.new_version(b"data", owner=STRANGER)
        await self.run_tx(copy_version, self.bucket.id, b"key", source, self.bucket.id, b"copy", copy, ANY, now=NOW)
        self.assertTrue(await self.noted())

    async def test_nothing_there(self) -> None:
        """What is not there has no list, and nothing is noted."""
        await self.refuses(NoSuchKey, self.run_tx, set_acl, self.bucket.id, b"key", None, "[]", **CHANGE)
        self.assertFalse(await self.noted())
