"""Tags and attributes of objects."""

from __future__ import annotations

import hashlib
from typing import Any

from post3tw.api import types
from post3tw.model.errors import (
    InvalidArgument,
    InvalidTag,
    MalformedXML,
    MethodNotAllowed,
    NoSuchKey,
    NoSuchVersion,
)
from post3tw.model.version import version_token
from tests.service.object_case import ENABLED, ObjectCase
from tests.service.stores import admitted

ABSENT = version_token(9, b"x" * 16)
ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


class TaggingTests(ObjectCase):
    """GetObjectTagging, PutObjectTagging, DeleteObjectTagging."""

    async def tags(self, key: str, version_id: str | None = None) -> dict[str | None, str | None]:
        """The tags of an object."""
        output = await self.tagging.get_object_tagging(
            admitted("GetObjectTagging", self.bucket), types.GetObjectTaggingInput(key=key, version_id=version_id)
        )
        return {tag.key: tag.value for tag in output.tag_set or ()}

    async def tag(self, key: str, tags: dict[str, str], version_id: str | None = None) -> types.PutObjectTaggingOutput:
        """Replace the tags of an object."""
        tagging = types.Tagging(tag_set=[types.Tag(key=k, value=v) for k, v in tags.items()])
        return await self.tagging.put_object_tagging(
            admitted("PutObjectTagging", self.bucket),
            types.PutObjectTaggingInput(key=key, version_id=version_id, tagging=tagging),
        )

    async def untag(self, key: str) -> types.DeleteObjectTaggingOutput:
        """Remove the tags of an object."""
        return await self.tagging.delete_object_tagging(
            admitted("DeleteObjectTagging", self.bucket), types.DeleteObjectTaggingInput(key=key)
        )

    async def test_replace_and_remove(self) -> None:
        """Tags from the header can be read, replaced and removed; nothing else of the object changes."""
        put = await self.put("key", tagging="a=1&b=")
        self.assertEqual(await self.tags("key"), {"a": "1", "b": ""})
        await self.tag("key", {"c": "x y+z"})
        self.assertEqual(await self.tags("key"), {"c": "x y+z"})
        self.assertEqual((await self.head("key")).tag_count, 1)
        await self.untag("key")
        self.assertEqual(await self.tags("key"), {})
        head = await self.head("key")
        self.assertEqual((head.tag_count, head.etag), (None, put.etag))

    async def test_order(self) -> None:
        """Tags come in the order of their keys, however they were sent."""
        await self.put("key", tagging="b=1&a&c=2")
        self.assertEqual(list(await self.tags("key")), ["a", "b", "c"])

    async def test_of_versions(self) -> None:
        """Each version has tags of its own; the answer names the version."""
        await self.switch(ENABLED)
        one = (await self.put("key", tagging="v=1")).version_id
        two = (await self.put("key")).version_id
        self.assertEqual((await self.tag("key", {"v": "2"})).version_id, two)
        self.assertEqual(await self.tags("key", one), {"v": "1"})
        self.assertEqual((await self.untag("key")).version_id, two)
        self.assertEqual(await self.tags("key", one), {"v": "1"})

    async def test_limits(self) -> None:
        """Ten tags are taken, eleven are not, and the old ones stay."""
        await self.put("key", tagging="a=1")
        await self.fails(InvalidTag, self.tag("key", {str(n): "" for n in range(11)}))
        await self.fails(InvalidTag, self.tag("key", {"k" * 129: ""}))
        self.assertEqual(await self.tags("key"), {"a": "1"})
        await self.tag("key", {str(n): "" for n in range(10)})
        self.assertEqual(len(await self.tags("key")), 10)

    async def test_nothing_to_tag(self) -> None:
        """What is not there has no tags, and a delete marker takes none."""
        await self.fails(NoSuchKey, self.tags("key"))
        await self.fails(NoSuchKey, self.tag("key", {}))
        await self.fails(NoSuchKey, self.untag("key"))
        await self.put("key")
        await self.fails(NoSuchVersion, self.tags("key", ABSENT))
        await self.fails(InvalidArgument, self.tags("key", "nonsense"))
        await self.switch(ENABLED)
        marker = (await self.delete("key")).version_id
        await self.fails(MethodNotAllowed, self.tag("key", {}, marker))
        caller = admitted("PutObjectTagging", self.bucket)
        await self.fails(MalformedXML, self.tagging.put_object_tagging(caller, types.PutObjectTaggingInput(key="key")))


class AttributesTests(ObjectCase):
    """GetObjectAttributes."""

    async def about(self, key: str, wanted: list[str] | None = None, **members: Any) -> types.GetObjectAttributesOutput:
        """The attributes of an object."""
        return await self.attributes.get_object_attributes(
            admitted("GetObjectAttributes", self.bucket),
            types.GetObjectAttributesInput(key=key, object_attributes=ALL if wanted is None else wanted, **members),
        )

    async def test_all(self) -> None:
        """Everything about a plain object; the ETag has no quotes."""
        put = await self.put("key", b"data", storage_class="GLACIER")
        output = await self.about("key")
        self.assertEqual(output.etag, hashlib.md5(b"data").hexdigest())
        assert output.checksum is not None
        self.assertEqual(output.checksum.checksum_crc64nvme, put.checksum_crc64nvme)
        self.assertEqual(output.checksum.checksum_type, "FULL_OBJECT")
        self.assertEqual((output.storage_class, output.object_size), ("GLACIER", 4))
        self.assertIsNone(output.object_parts)
        self.assertIsNone(output.version_id)

    async def test_only_what_is_asked_for(self) -> None:
        """What is not named is not answered."""
        await self.put("key")
        output = await self.about("key", ["ObjectSize"])
        self.assertEqual(output.object_size, 4)
        for member in ("etag", "checksum", "storage_class"):
            self.assertIsNone(getattr(output, member))

    async def test_unknown(self) -> None:
        """An attribute that S3 does not have, or none, is InvalidArgument."""
        await self.put("key")
        await self.fails(InvalidArgument, self.about("key", ["ETag", "Colour"]))
        await self.fails(InvalidArgument, self.about("key", []))

    async def test_parts(self) -> None:
        """The parts of an object come in pages, under their numbers."""
        await self.put_parts("key", {n: b"x" * n for n in (1, 2, 4, 7)})
        output = (await self.about("key")).object_parts
        assert output is not None and output.parts is not None
        self.assertEqual([(p.part_number, p.size) for p in output.parts], [(1, 1), (2, 2), (4, 4), (7, 7)])
        self.assertEqual((output.total_parts_count, output.is_truncated, output.max_parts), (4, False, 1000))
        page = (await self.about("key", max_parts=2, part_number_marker=1)).object_parts
        assert page is not None and page.parts is not None
        self.assertEqual([p.part_number for p in page.parts], [2, 4])
        self.assertEqual((page.is_truncated, page.next_part_number_marker, page.part_number_marker), (True, 4, 1))
        last = (await self.about("key", max_parts=2, part_number_marker=4)).object_parts
        assert last is not None and last.parts is not None
        self.assertEqual(([p.part_number for p in last.parts], last.is_truncated), ([7], False))

    async def test_pages_of_parts_end(self) -> None:
        """Who asks for no parts is not sent for more; a marker may lie behind all parts."""
        await self.put_parts("key", {1: b"x"})
        for members in ({"max_parts": 0}, {"part_number_marker": 2**31 - 1}):
            asked: dict[str, Any] = members
            output = (await self.about("key", **asked)).object_parts
            assert output is not None
            self.assertEqual((output.parts, output.is_truncated, output.total_parts_count), ([], False, 1))
        await self.fails(InvalidArgument, self.about("key", max_parts=-1))

    async def test_versions(self) -> None:
        """A version can be named; delete markers have no attributes."""
        await self.switch(ENABLED)
        one = (await self.put("key", b"1")).version_id
        await self.put("key", b"22")
        self.assertEqual((await self.about("key", version_id=one)).object_size, 1)
        self.assertEqual((await self.about("key")).object_size, 2)
        marker = (await self.delete("key")).version_id
        await self.fails(NoSuchKey, self.about("key"))
        await self.fails(MethodNotAllowed, self.about("key", version_id=marker))
