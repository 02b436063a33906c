"""What GET and HEAD answer: conditions, ranges, parts, and headers chosen by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from post3tw.api import types
from post3tw.model.errors import (
    InvalidArgument,
    InvalidPart,
    InvalidRange,
    InvalidRequest,
    NotModified,
    OperationAborted,
    PreconditionFailed,
)
from post3tw.service import objects
from post3tw.service.representations import Selection, first_parts
from post3tw.service.store import Store
from post3tw.storage.index.transactions.parts import PartWithBody
from tests.service.object_case import MIB, START, ObjectCase
from tests.service.stores import admitted, pattern, read_body

HALF_PAST = datetime.fromtimestamp(START, UTC)
EARLIER = datetime.fromtimestamp(START - 1, UTC)


class ConditionalReadTests(ObjectCase):
    """If-Match and its relatives on GET and HEAD."""

    async def test_what_holds(self) -> None:
        """A condition that holds changes nothing."""
        etag = (await self.put("key")).etag
        for members in (
            {"if_match": etag},
            {"if_match": "*"},
            {"if_none_match": '"x"'},
            {"if_modified_since": EARLIER},
            {"if_unmodified_since": HALF_PAST},
            {"if_match": etag, "if_unmodified_since": EARLIER},
            {"if_none_match": '"x"', "if_modified_since": HALF_PAST},
        ):
            self.assertEqual((await self.get("key", **members)).body, b"data", members)

    async def test_what_does_not(self) -> None:
        """A failed precondition is 412, nothing new is 304 with the validators."""
        etag = (await self.put("key", cache_control="no-cache")).etag
        await self.fails(PreconditionFailed, self.get("key", if_match='"x"'))
        await self.fails(PreconditionFailed, self.head("key", if_unmodified_since=EARLIER))
        for members in ({"if_none_match": etag}, {"if_none_match": "*"}, {"if_modified_since": HALF_PAST}):
            error = await self.fails(NotModified, self.get("key", **members))
            self.assertEqual(f'"{error.details["etag"]}"', etag)
            self.assertEqual(error.details["last_modified"], HALF_PAST)
            self.assertEqual(error.details["cache_control"], "no-cache")
            self.assertIsNone(error.details["version_id"])


class RangeTests(ObjectCase):
    """Parts of objects, at the limits of frames."""

    async def test_around_frames(self) -> None:
        """Every range around the limits of frames of a large object is exact."""
        size = 2 * MIB + 100
        data = pattern(size)
        await self.put("key", data)
        edges = (0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB - 1, 2 * MIB, size - 1)
        for first in edges:
            for last in edges:
                if first > last:
                    continue
                got = await self.get("key", range=f"bytes={first}-{last}")
                self.assertTrue(got.body == data[first : last + 1], (first, last))
                self.assertEqual(got.content_range, f"bytes {first}-{last}/{size}")
                self.assertEqual(got.content_length, last - first + 1)

    async def test_forms(self) -> None:
        """Open and suffix ranges, and ranges past the end, are cut to what is there."""
        await self.put("key", b"0123456789")
        for text, body, shown in (
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=-3", b"789", "bytes 7-9/10"),
            ("bytes=-99", b"0123456789", "bytes 0-9/10"),
            ("bytes=8-99999999999999999999999", b"89", "bytes 8-9/10"),
        ):
            got = await self.get("key", range=text)
            self.assertEqual((got.body, got.content_range), (body, shown))
            head = await self.head("key", range=text)
            self.assertEqual((head.content_length, head.content_range), (len(body), shown))

    async def test_what_is_no_range(self) -> None:
        """A header that S3 does not take as a range is ignored."""
        await self.put("key", b"0123456789")
        for text in ("bytes=5-2", "chapters=1-2", "bytes=0-1,3-4", "nonsense"):
            got = await self.get("key", range=text)
            self.assertEqual((got.body, got.content_range), (b"0123456789", None))

    async def test_unsatisfiable(self) -> None:
        """A range past the end, or of an empty object, is InvalidRange."""
        await self.put("key", b"0123456789")
        await self.put("empty", b"")
        await self.fails(InvalidRange, self.get("key", range="bytes=10-"))
        await self.fails(InvalidRange, self.get("key", range="bytes=-0"))
        await self.fails(InvalidRange, self.get("empty", range="bytes=0-0"))

    async def test_conditions_come_first(self) -> None:
        """A condition that fails is told before a range that does."""
        await self.put("key", b"0123456789")
        await self.fails(PreconditionFailed, self.get("key", range="bytes=10-", if_match='"x"'))

    async def test_parts(self) -> None:
        """Ranges across the parts of an object, and the parts by number, are exact."""
        parts = {1: pattern(MIB + 10), 2: b"tiny", 5: pattern(100)}
        whole = b"".join(parts.values())
        version = await self.put_parts("key", parts)
        self.assertTrue((await self.get("key")).body == whole)
        edges = (0, MIB, MIB + 9, MIB + 10, MIB + 13, MIB + 14, len(whole) - 1)
        for first in edges:
            for last in edges:
                if first <= last:
                    got = await self.get("key", range=f"bytes={first}-{last}")
                    self.assertTrue(got.body == whole[first : last + 1], (first, last))
        offset = 0
        for number, data in parts.items():
            got = await self.get("key", part_number=number)
            self.assertTrue(got.body == data)
            self.assertEqual(got.content_range, f"bytes {offset}-{offset + len(data) - 1}/{len(whole)}")
            self.assertEqual((got.parts_count, got.etag), (3, f'"{version.etag}"'))
            self.assertEqual((await self.head("key", part_number=number)).content_length, len(data))
            offset += len(data)
        await self.fails(InvalidPart, self.get("key", part_number=6))

    async def test_deleted_while_it_is_read(self) -> None:
        """An object that is overwritten while it is sent is sent as it was, also a last part that is in the index."""
        parts = {1: b"x" * 100, 2: b"y" * 100, 3: b"z"}
        await self.put_parts("key", parts)
        caller = admitted("GetObject", self.bucket)
        output = await self.objects.get_object(caller, types.GetObjectInput(key="key"))
        await self.put_parts("key", {1: b"z" * 200})
        self.assertEqual(await read_body(output.body), b"".join(parts.values()))

    async def test_many_parts_deleted_while_they_are_read(self) -> None:
        """One of more parts than are looked up at once ends with an error, never short or mixed."""
        await self.put_parts("key", dict.fromkeys(range(1, 102), b"x"))
        caller = admitted("GetObject", self.bucket)
        output = await self.objects.get_object(caller, types.GetObjectInput(key="key"))
        await self.put_parts("key", {1: b"z" * 101})
        await self.fails(OperationAborted, read_body(output.body))

    async def test_overwritten_before_its_parts_were_read(self) -> None:
        """What is answered then is the new object; a conflict, when that happens each time."""
        await self.put_parts("key", {1: b"old"})
        times = 1

        async def overwritten(store: Store, selection: Selection) -> Sequence[PartWithBody]:
            nonlocal times
            if times:
                times -= 1
                await self.put_parts("key", {1: b"the new"})
            return await first_parts(store, selection)

        self.patch(objects, "first_parts", overwritten)
        self.assertEqual((await self.get("key")).body, b"the new")
        times = objects.LOOKS
        await self.fails(OperationAborted, self.get("key"))

    async def test_empty_part(self) -> None:
        """A part without bytes is an empty answer."""
        await self.put_parts("key", {1: b"data", 2: b""})
        got = await self.get("key", part_number=2)
        self.assertEqual((got.body, got.content_length, got.content_range, got.parts_count), (b"", 0, None, 2))
        self.assertEqual((await self.get("key")).body, b"data")

    async def test_part_of_a_plain_object(self) -> None:
        """A plain object has one part, which is all of it; it does not say how many."""
        await self.put("key", b"data")
        got = await self.get("key", part_number=1)
        self.assertEqual((got.body, got.content_range, got.parts_count), (b"data", "bytes 0-3/4", None))
        await self.fails(InvalidPart, self.get("key", part_number=2))
        for number in (0, -1, 10_001):
            await self.fails(InvalidArgument, self.get("key", part_number=number))
        await self.fails(InvalidRequest, self.get("key", part_number=1, range="bytes=0-1"))


class OverrideTests(ObjectCase):
    """The response-* parameters."""

    async def test_overrides(self) -> None:
        """Each replaces a header of the answer, on GET and on HEAD."""
        await self.put("key", content_type="text/plain", expires="Fri, 24 May 2030 00:00:00 GMT")
        members: dict[str, Any] = {
            "response_cache_control": "no-store",
            "response_content_disposition": 'attachment; filename="ä.txt"',
            "response_content_encoding": "br",
            "response_content_language": "fr",
            "response_content_type": "text/html",
            "response_expires": HALF_PAST,
        }
        for output in (await self.get("key", **members), await self.head("key", **members)):
            self.assertEqual(output.cache_control, "no-store")
            self.assertEqual(output.content_disposition, 'attachment; filename="ä.txt"')
            self.assertEqual(output.content_encoding, "br")
            self.assertEqual(output.content_language, "fr")
            self.assertEqual(output.content_type, "text/html")
            self.assertEqual(output.expires, "Tue, 14 Nov 2023 22:13:20 GMT")

    async def test_no_new_headers(self) -> None:
        """A value that would end its header is refused."""
        await self.put("key")
        for value in ("a\r\nb: c", "a\nb", "a\x00"):
            await self.fails(InvalidArgument, self.get("key", response_content_type=value))

    async def test_anonymous(self) -> None:
        """Who does not sign cannot choose headers."""
        await self.put("key")
        await self.fails(InvalidRequest, self.get("key", identity=None, response_content_type="text/html"))
        self.assertEqual((await self.get("key", identity=None)).body, b"data")
