"""DeleteObject and DeleteObjects in every state of versioning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from post3tw.api import types
from post3tw.model.errors import InvalidArgument, MalformedXML, NoSuchBucket, NoSuchKey, PreconditionFailed
from post3tw.model.version import version_token
from post3tw.storage.index.transactions.buckets import delete_bucket
from tests.service.object_case import ENABLED, START, SUSPENDED, ObjectCase
from tests.service.stores import admitted

NOW = datetime.fromtimestamp(START, UTC)
LATER = datetime.fromtimestamp(START + 1, UTC)
ABSENT = version_token(9, b"x" * 16)


class DeleteTests(ObjectCase):
    """One key at a time."""

    def shown(self, output: types.DeleteObjectOutput) -> tuple[bool | None, str | None]:
        """What the answer says."""
        return output.delete_marker, output.version_id

    async def test_without_versioning(self) -> None:
        """The object is gone, and the answer says nothing more; deleting again is the same."""
        await self.put("key")
        for _ in range(2):
            self.assertEqual(self.shown(await self.delete("key")), (None, None))
            await self.fails(NoSuchKey, self.get("key"))

    async def test_enabled(self) -> None:
        """A delete marker is made and named; removing it by its id brings the object back."""
        await self.switch(ENABLED)
        one = (await self.put("key", b"one")).version_id
        is_marker, marker = self.shown(await self.delete("key"))
        self.assertEqual(is_marker, True)
        error = await self.fails(NoSuchKey, self.get("key"))
        self.assertEqual((error.details["delete_marker"], error.details["version_id"]), (True, marker))
        self.assertEqual((await self.get("key", version_id=one)).body, b"one")
        self.assertEqual(self.shown(await self.delete("key", version_id=marker)), (True, marker))
        self.assertEqual((await self.get("key")).body, b"one")
        self.assertEqual(self.shown(await self.delete("key", version_id=one)), (None, one))
        await self.fails(NoSuchKey, self.get("key"))

    async def test_suspended(self) -> None:
        """The null version is replaced by a null delete marker."""
        await self.put("key", b"null")
        await self.switch(SUSPENDED)
        self.assertEqual(self.shown(await self.delete("key")), (True, "null"))
        self.assertEqual(self.shown(await self.delete("key", version_id="null")), (True, "null"))
        self.assertEqual(await self.rows("SELECT 1 FROM versions"), [])

    async def test_version_ids(self) -> None:
        """An id that is not there is deleted already; one that cannot be is InvalidArgument."""
        await self.put("key")
        self.assertEqual(self.shown(await self.delete("key", version_id=ABSENT)), (None, ABSENT))
        await self.fails(InvalidArgument, self.delete("key", version_id="nonsense"))
        self.assertEqual((await self.get("key")).body, b"data")

    async def test_conditions(self) -> None:
        """ETag, size and time must be those of the object."""
        etag = (await self.put("key")).etag
        for members in (
            {"if_match": '"x"'},
            {"if_match_size": 5},
            {"if_match_last_modified_time": LATER},
            {"if_match": etag, "if_match_size": 5},
        ):
            await self.fails(PreconditionFailed, self.delete("key", **members))
        await self.delete("key", if_match=etag, if_match_size=4, if_match_last_modified_time=NOW)
        await self.fails(NoSuchKey, self.delete("key", if_match="*"))


class DeleteObjectsTests(ObjectCase):
    """Many keys at a time."""

    async def delete_all(self, *entries: Any, quiet: bool | None = None) -> types.DeleteObjectsOutput:
        """DeleteObjects of keys, or of ObjectIdentifiers."""
        objects = [entry if not isinstance(entry, str) else types.ObjectIdentifier(key=entry) for entry in entries]
        return await self.objects.delete_objects(
            admitted("DeleteObjects", self.bucket),
            types.DeleteObjectsInput(delete=types.Delete(objects=objects, quiet=quiet)),
        )

    def deleted(self, output: types.DeleteObjectsOutput) -> list[str | None]:
        """The keys that the answer lists."""
        return [entry.key for entry in output.deleted or ()]

    def errors(self, output: types.DeleteObjectsOutput) -> list[tuple[str | None, str | None]]:
        """The keys that failed, and how."""
        return [(entry.key, entry.code) for entry in output.errors or ()]

    async def test_keys(self) -> None:
        """What is there is deleted, what is not counts as deleted; order is kept."""
        for key in ("a", "b", "c"):
            await self.put(key)
        output = await self.delete_all("b", "missing", "a", "b")
        self.assertEqual(self.deleted(output), ["b", "missing", "a", "b"])
        self.assertEqual(self.errors(output), [])
        self.assertEqual(await self.rows("SELECT key FROM current"), [(b"c",)])

    async def test_quiet(self) -> None:
        """A quiet answer lists errors only."""
        await self.put("a")
        output = await self.delete_all("a", "x" * 1025, quiet=True)
        self.assertEqual(self.deleted(output), [])
        self.assertEqual(self.errors(output), [("x" * 1025, "KeyTooLongError")])

    async def test_limits(self) -> None:
        """1000 entries are taken, in several transactions; 1001, none, and one without a key are not."""
        for n in (0, 249, 250, 999):
            await self.put(f"key{n}")
        output = await self.delete_all(*(f"key{n}" for n in range(1000)))
        self.assertEqual(len(self.deleted(output)), 1000)
        self.assertEqual(await self.rows("SELECT 1 FROM versions"), [])
        await self.fails(MalformedXML, self.delete_all(*(f"key{n}" for n in range(1001))))
        await self.fails(MalformedXML, self.delete_all())
        await self.fails(MalformedXML, self.delete_all("a", ""))
        caller = admitted("DeleteObjects", self.bucket)
        await self.fails(MalformedXML, self.objects.delete_objects(caller, types.DeleteObjectsInput()))

    async def test_versions(self) -> None:
        """Delete markers that are made and versions that are removed are told apart."""
        await self.switch(ENABLED)
        one = (await self.put("key", b"one")).version_id
        made = (await self.delete_all("key")).deleted or []
        self.assertEqual((made[0].delete_marker, made[0].version_id), (True, None))
        marker = made[0].delete_marker_version_id
        assert marker is not None
        removed = (
            await self.delete_all(
                types.ObjectIdentifier(key="key", version_id=one),
                types.ObjectIdentifier(key="key", version_id=marker),
                types.ObjectIdentifier(key="key", version_id=ABSENT),
            )
        ).deleted or []
        self.assertEqual([entry.version_id for entry in removed], [one, marker, ABSENT])
        self.assertEqual([entry.delete_marker for entry in removed], [None, True, None])
        self.assertEqual([entry.delete_marker_version_id for entry in removed], [None, marker, None])
        self.assertEqual(await self.rows("SELECT 1 FROM versions"), [])

    async def test_bad_version_id(self) -> None:
        """An id that cannot be fails for its entry only."""
        await self.put("a")
        output = await self.delete_all(types.ObjectIdentifier(key="a", version_id="nonsense"), "a")
        self.assertEqual(self.errors(output), [("a", "NoSuchVersion")])
        self.assertEqual(self.deleted(output), ["a"])

    async def test_conditions(self) -> None:
        """Each entry has conditions of its own, and one that fails spares the others."""
        etag = (await self.put("a")).etag
        for key in ("b", "c", "d"):
            await self.put(key)
        output = await self.delete_all(
            types.ObjectIdentifier(key="a", etag=etag),
            types.ObjectIdentifier(key="b", etag='"x"'),
            types.ObjectIdentifier(key="c", size=5),
            types.ObjectIdentifier(key="d", last_modified_time=LATER),
            types.ObjectIdentifier(key="missing", etag='"x"'),
            types.ObjectIdentifier(key="missing", size=5),
        )
        self.assertEqual(self.deleted(output), ["a", "missing"])
        failed = "PreconditionFailed"
        self.assertEqual(self.errors(output), [("b", failed), ("c", failed), ("d", failed), ("missing", "NoSuchKey")])
        self.assertEqual(await self.rows("SELECT key FROM current"), [(b"b",), (b"c",), (b"d",)])

    async def test_locked(self) -> None:
        """A locked version is AccessDenied for its entry."""
        await self.put("a")
        await self.put("b")
        await self.store.index.run(lambda tx: tx.run("UPDATE versions SET legal_hold = 1 WHERE key = ?", b"a"))
        output = await self.delete_all("a", "b")
        self.assertEqual(self.errors(output), [("a", "AccessDenied")])
        self.assertEqual(self.deleted(output), ["b"])

    async def test_what_is_not_about_one_entry(self) -> None:
        """An error of the whole request is not hidden in an entry."""
        bucket_id = self.bucket.id
        await self.store.index.run(lambda tx: delete_bucket(tx, bucket_id, 0))
        await self.fails(NoSuchBucket, self.delete_all("a", "b"))
