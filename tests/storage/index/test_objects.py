"""Transactions on objects: putting, finding, tagging, and conditions."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import DeferredList, ensureDeferred

from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import (
    BlobGone,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
)
from post3tw.model.version import Description, Placement, Version, version_token
from post3tw.storage.index.transactions import buckets
from post3tw.storage.index.transactions.objects import (
    Deletion,
    put_version,
    set_tags,
)
from post3tw.storage.index.transactions.versions import require_object
from post3tw.wire.checksums import frame_crcs
from tests.service.stores import make_bucket
from tests.storage.index.object_case import ANY, ENABLED, NOW, SUSPENDED, ObjectsCase


class PutTests(ObjectsCase):
    """put_version in the three states of versioning."""

    async def test_without_versioning(self) -> None:
        """A put replaces what is there; there is one version, the null version."""
        first = await self.put(b"key", b"one")
        second = await self.put(b"key", b"two")
        self.assertTrue(first.is_null and second.is_null)
        self.assertEqual(await self.content(b"key"), b"two")
        self.assertEqual(await self.content(b"key", "null"), b"two")
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 1)
        await self.check_invariants()

    async def test_replaced_by_anything(self) -> None:
        """An inline body, an empty one and a delete marker take each other's place, and nothing of the old is left."""
        await self.put(b"key", b"inline")
        await self.put(b"key", b"")
        self.assertEqual(await self.content(b"key"), b"")
        await self.check_invariants()
        await self.put(b"key", b"inline again")
        await self.put(b"key", b"and again")
        self.assertEqual(await self.content(b"key"), b"and again")
        await self.check_invariants()
        await self.switch(ENABLED)
        await self.switch(SUSPENDED)
        await self.delete(b"key")
        self.assertIsNone(await self.content(b"key"))
        self.assertEqual(await self.rows("SELECT 1 FROM bodies"), [])
        await self.put(b"key", b"back")
        self.assertEqual(await self.content(b"key"), b"back")
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 1)
        await self.check_invariants()

    async def test_replaced_keeps_nothing(self) -> None:
        """What takes the place of a version has none of its description."""
        described = Description(headers={"content-type": "a/b"}, metadata={"m": "1"}, tags={"t": "1"}, acl="[]")
        await self.put(b"key", b"one", description=described)
        await self.put(b"key", b"two")
        found = await self.find(b"key")
        assert found is not None
        self.assertEqual(found.description, Description())

    async def test_enabled(self) -> None:
        """With versioning every put adds a version, and each can be read by its id."""
        await self.switch(ENABLED)
        versions = [await self.put(b"key", data) for data in (b"one", b"two", b"three")]
        self.assertEqual([v.seq for v in versions], [1, 2, 3])
        for version, data in zip(versions, (b"one", b"two", b"three"), strict=True):
            self.assertEqual(await self.content(b"key", version.version_id), data)
        self.assertEqual(await self.content(b"key"), b"three")
        self.assertIsNone(await self.find(b"key", "null"))
        await self.check_invariants()

    async def test_enabled_after_never(self) -> None:
        """What was written before versioning stays as the null version."""
        await self.put(b"key", b"old")
        await self.switch(ENABLED)
        new = await self.put(b"key", b"new")
        self.assertEqual(new.seq, 2)
        self.assertEqual(await self.content(b"key", "null"), b"old")
        self.assertEqual(await self.content(b"key"), b"new")
        await self.check_invariants()

    async def test_suspended(self) -> None:
        """Suspended, a put replaces the null version wherever it is, becomes the latest, and spares the others."""
        await self.put(b"key", b"null one")
        await self.switch(ENABLED)
        kept = await self.put(b"key", b"kept")
        await self.switch(SUSPENDED)
        written = await self.put(b"key", b"null two")
        self.assertEqual((written.is_null, written.seq), (True, 3))
        self.assertEqual(await self.content(b"key"), b"null two")
        self.assertEqual(await self.content(b"key", "null"), b"null two")
        self.assertEqual(await self.content(b"key", kept.version_id), b"kept")
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 2)
        await self.check_invariants()

    async def test_over_a_delete_marker(self) -> None:
        """A put after a delete brings the key back into the listing."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        await self.delete(b"key")
        self.assertEqual(await self.rows("SELECT key FROM current"), [])
        await self.put(b"key", b"two")
        self.assertEqual(await self.rows("SELECT key, seq FROM current"), [(b"key", 3)])
        await self.check_invariants()

    async def test_suspended_over_a_null_delete_marker(self) -> None:
        """A null delete marker makes way for a null version."""
        await self.switch(SUSPENDED)
        await self.delete(b"key")
        await self.put(b"key", b"one")
        self.assertEqual(await self.rows("SELECT delete_marker, is_null FROM versions"), [(0, 1)])
        await self.check_invariants()

    async def test_everything_comes_back(self) -> None:
        """A version is read as it was written."""
        description = Description(
            headers={"content-type": "text/plain"},
            metadata={"näme": "wert ☃"},
            tags={"a": "b"},
            storage_class="GLACIER",
        )
        checksum = Checksum(ChecksumAlgorithm.CRC32, "AAAAAA==")
        written = await self.put(b"key", b"data", description=description, checksum=checksum)
        found = await self.find(b"key", with_body=True)
        assert found is not None
        self.assertEqual(evolve(found, inline=None), written)
        self.assertEqual(found.inline, b"data")
        self.assertEqual(
            await self.rows("SELECT entry, owner_id FROM current"),
            [(f"{written.created}|{written.size}|{written.etag}|GLACIER CRC32 FULL_OBJECT", "ada")],
        )

    async def test_empty_body(self) -> None:
        """An object without bytes has no body anywhere."""
        await self.put(b"key", b"")
        self.assertEqual(await self.content(b"key"), b"")
        self.assertEqual(await self.rows("SELECT 1 FROM bodies"), [])

    async def test_keys_are_bytes(self) -> None:
        """Keys are compared as bytes: case, NUL and prefixes make different keys."""
        keys = [b"a", b"A", b"a\x00", b"a/", b"a/b", "é".encode(), b"a b", b"%61"]
        for key in keys:
            await self.put(key, key.hex().encode())
        for key in keys:
            self.assertEqual(await self.content(key), key.hex().encode())

    async def test_bucket_gone(self) -> None:
        """A put into a bucket that was deleted meanwhile writes nothing."""
        await self.run_tx(buckets.delete_bucket, self.bucket.id, NOW)
        await self.refuses(NoSuchBucket, self.put, b"key", b"data")
        self.assertEqual(await self.rows("SELECT 1 FROM bodies"), [])

    async def test_other_buckets_are_untouched(self) -> None:
        """The same key in two buckets is two objects."""
        other = await make_bucket(self.store, "other")
        await self.put(b"key", b"mine")
        await self.put(b"key", b"theirs", bucket=other)
        await self.delete(b"key")
        self.assertIsNone(await self.content(b"key"))
        self.assertEqual(await self.rows("SELECT bucket FROM current"), [(other.id,)])

    async def test_blob(self) -> None:
        """A blob is referred to by its version, and left to the sweeper when that is replaced."""
        blob = await self.begin()
        placement = Placement(4, blob=blob, crcs=b"1234")
        blank = self.new_version(b"", placement=placement, size=4)
        version = await self.run_tx(put_version, self.bucket.id, b"key", blank, None, ANY, now=NOW)
        self.assertEqual(version.placement, placement)
        found = await self.find(b"key")
        assert found is not None
        self.assertEqual(found.placement, placement)
        await self.check_invariants()
        await self.put(b"key", b"small", now=NOW + 5)
        self.assertEqual(await self.rows("SELECT id, lease_until FROM blobs"), [(blob, NOW + 5)])
        await self.check_invariants()

    async def test_blob_gone(self) -> None:
        """A blob that was condemned before it was placed is refused, and what was there stays."""
        await self.put(b"key", b"old")
        version = self.new_version(b"", placement=Placement(4, blob=b"b" * 16, crcs=b"1234"))
        await self.refuses(BlobGone, self.run_tx, put_version, self.bucket.id, b"key", version, None, ANY, now=NOW)
        self.assertEqual(await self.content(b"key"), b"old")
        await self.check_invariants()

    async def test_outbox(self) -> None:
        """A bucket that is subscribed to notes every change, in order; another notes none."""
        await self.put(b"key", b"unheard")
        await self.run_tx(lambda tx: tx.run("UPDATE buckets SET subscribed = 1"))
        await self.put(b"key", b"heard", now=NOW + 1)
        await self.delete(b"key", now=NOW + 2)
        await self.switch(ENABLED)
        await self.delete(b"key", now=NOW + 3)
        await self.put(b"key", b"again", now=NOW + 4)
        await self.run_tx(set_tags, self.bucket.id, b"key", None, {"a": "b"}, change_id=b"c" * 16, now=NOW + 5)
        kinds = [kind for (kind,) in await self.rows("SELECT kind FROM outbox ORDER BY created")]
        self.assertEqual(
            kinds,
            [
                "ObjectCreated:Put",
                "ObjectRemoved:Delete",
                "ObjectRemoved:DeleteMarkerCreated",
                "ObjectCreated:Put",
                "ObjectTagging:Put",
            ],
        )


class ConditionTests(ObjectsCase):
    """Conditions of writes are checked against the current object."""

    async def test_none_match(self) -> None:
        """If-None-Match: * lets only the first put through."""
        only_new = WriteConditions(if_none_match="*")
        await self.put(b"key", b"one", only_new)
        await self.refuses(PreconditionFailed, self.put, b"key", b"two", only_new)
        self.assertEqual(await self.content(b"key"), b"one")
        self.assertEqual(len(await self.rows("SELECT 1 FROM bodies")), 1)

    async def test_none_match_over_a_delete_marker(self) -> None:
        """A key whose latest version is a delete marker does not exist for conditions."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        await self.delete(b"key")
        await self.refuses(NoSuchKey, self.put, b"key", b"two", WriteConditions(if_match="*"))
        await self.put(b"key", b"two", WriteConditions(if_none_match="*"))
        self.assertEqual(await self.content(b"key"), b"two")

    async def test_match(self) -> None:
        """If-Match needs the current ETag, with or without quotes; no object at all is NoSuchKey."""
        await self.refuses(NoSuchKey, self.put, b"key", b"one", WriteConditions(if_match='"etag-of-one"'))
        await self.put(b"key", b"one")
        await self.put(b"key", b"two", WriteConditions(if_match='"etag-of-one"'))
        await self.refuses(PreconditionFailed, self.put, b"key", b"three", WriteConditions(if_match='"etag-of-one"'))
        await self.put(b"key", b"three", WriteConditions(if_match="etag-of-two"))
        self.assertEqual(await self.content(b"key"), b"three")

    async def test_match_looks_at_the_latest_version(self) -> None:
        """An older version's ETag does not match."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        await self.put(b"key", b"two")
        await self.refuses(PreconditionFailed, self.put, b"key", b"x", WriteConditions(if_match="etag-of-one"))

    async def test_delete(self) -> None:
        """A delete with a condition that does not hold deletes nothing."""
        await self.put(b"key", b"one")
        for conditions in (
            WriteConditions(if_match="other"),
            WriteConditions(if_match_size=4),
            WriteConditions(if_match_modified=NOW + 1000),
        ):
            await self.refuses(PreconditionFailed, self.delete, b"key", None, conditions)
        self.assertEqual(await self.content(b"key"), b"one")
        both = WriteConditions(if_match="etag-of-one", if_match_size=3, if_match_modified=NOW)
        await self.delete(b"key", None, both)
        self.assertIsNone(await self.find(b"key"))

    async def test_delete_of_nothing(self) -> None:
        """A key that never was fails If-Match, as on AWS, but neither of the other conditions."""
        await self.refuses(NoSuchKey, self.delete, b"key", None, WriteConditions(if_match="*"))
        self.assertEqual(await self.delete(b"key", None, WriteConditions(if_match_size=4)), Deletion())

    async def test_delete_over_a_delete_marker(self) -> None:
        """If-Match on a key that was deleted is NoSuchKey; no second delete marker is made."""
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        await self.delete(b"key")
        await self.refuses(NoSuchKey, self.delete, b"key", None, WriteConditions(if_match="*"))
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions")), 2)

    async def test_delete_of_a_version(self) -> None:
        """With a version id the conditions are about that version."""
        await self.switch(ENABLED)
        one = await self.put(b"key", b"one")
        await self.put(b"key", b"two!")
        await self.refuses(PreconditionFailed, self.delete, b"key", one.version_id, WriteConditions(if_match_size=4))
        await self.delete(b"key", one.version_id, WriteConditions(if_match="etag-of-one"))
        self.assertIsNone(await self.find(b"key", one.version_id))

    async def test_one_winner(self) -> None:
        """Of 32 puts that run at once with If-None-Match: *, exactly one is done."""
        puts = [ensureDeferred(self.put(b"key", b"%d" % n, WriteConditions(if_none_match="*"))) for n in range(32)]
        outcomes: list[tuple[bool, Any]] = await DeferredList(puts, consumeErrors=True)
        winners = [result for success, result in outcomes if success]
        self.assertEqual(len(winners), 1)
        for success, failure in outcomes:
            if not success:
                failure.trap(PreconditionFailed)
        self.assertEqual(await self.rows("SELECT etag FROM versions"), [(winners[0].etag,)])
        await self.check_invariants()


class FindTests(ObjectsCase):
    """Version ids that are not there, and the errors for it."""

    async def require(self, version_id: str | None = None) -> Version:
        """The object, or what is wrong with it."""
        version: Version = await self.store.index.read(
            lambda tx: require_object(tx, self.bucket.id, b"key", version_id)
        )
        return version

    async def test_ids_that_match_no_row(self) -> None:
        """The number and the random part of an id must both be right."""
        await self.switch(ENABLED)
        version = await self.put(b"key", b"one")
        for token in (
            version_token(2, version.id),
            version_token(1, b"x" * 16),
            version_token((1 << 64) - 1, version.id),
            version.version_id.upper(),
            version.version_id + "0",
            "",
            "nonsense",
            "null",
        ):
            self.assertIsNone(await self.find(b"key", token), token)
        self.assertIsNotNone(await self.find(b"key", version.version_id))

    async def test_null_version_has_no_other_id(self) -> None:
        """The null version is found as "null" only."""
        version = await self.put(b"key", b"one")
        self.assertIsNone(await self.find(b"key", version_token(version.seq, version.id)))

    async def test_errors(self) -> None:
        """What is not there, and delete markers, have errors of their own."""
        await self.refuses(NoSuchKey, self.require)
        await self.refuses(NoSuchVersion, self.require, "null")
        await self.switch(ENABLED)
        await self.put(b"key", b"one")
        marker = await self.delete(b"key")
        error = await self.refuses(NoSuchKey, self.require)
        self.assertEqual(error.details["delete_marker"], True)
        self.assertEqual(error.details["version_id"], marker.version_id)
        await self.refuses(MethodNotAllowed, self.require, marker.version_id)

    async def test_body_only_when_wanted(self) -> None:
        """A head touches no body."""
        await self.put(b"key", b"one")
        head, whole = await self.find(b"key"), await self.find(b"key", with_body=True)
        assert head is not None and head.placement is not None and whole is not None and whole.placement is not None
        self.assertEqual((head.inline, head.placement.crcs), (None, b""))
        self.assertEqual((whole.inline, whole.placement.crcs), (b"one", frame_crcs(b"one")))


class TagTests(ObjectsCase):
    """set_tags changes nothing but tags."""

    async def test_of_the_current_object_and_of_a_version(self) -> None:
        """Without a version id the latest version gets the tags."""
        await self.switch(ENABLED)
        one = await self.put(b"key", b"one")
        two = await self.put(b"key", b"two")
        options: dict[str, Any] = {"change_id": b"c" * 16, "now": NOW}
        changed = await self.run_tx(set_tags, self.bucket.id, b"key", None, {"a": "2"}, **options)
        self.assertEqual(changed.version_id, two.version_id)
        await self.run_tx(set_tags, self.bucket.id, b"key", one.version_id, {"a": "1"}, **options)
        found = [await self.find(b"key", v.version_id) for v in (one, two)]
        self.assertEqual([dict(v.description.tags) for v in found if v], [{"a": "1"}, {"a": "2"}])
        await self.run_tx(set_tags, self.bucket.id, b"key", None, {}, **options)
        self.assertEqual(await self.rows("SELECT tags FROM versions WHERE seq = 2"), [(None,)])

    async def test_nothing_there(self) -> None:
        """What is not there has no tags."""
        options: dict[str, Any] = {"change_id": b"c" * 16, "now": NOW}
        await self.refuses(NoSuchKey, self.run_tx, set_tags, self.bucket.id, b"key", None, {}, **options)
