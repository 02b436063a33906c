"""Tests of post3tw.storage.integrity.scrub."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.logger import LogLevel, capturedLogs, formatEvent

from post3tw.api import types
from post3tw.model.errors import CorruptedData, ServiceUnavailable
from post3tw.service.multipart import Multipart
from post3tw.storage.index.transactions.damage import known_damage
from post3tw.storage.integrity.scrub import SLICE, Scrub
from post3tw.testing.blob_fixture import noise
from tests.service.object_case import ENABLED, MIB, ObjectCase
from tests.service.stores import BytesBody, admitted
from tests.storage.integrity.damaging import flip_blob, flip_body

DAY = 86_400_000


def said(events: Any) -> list[str | None]:
    """Lines of the log about damage."""
    return [formatEvent(event) for event in events if event["log_level"] is LogLevel.error]


class ScrubTests(ObjectCase):
    """Tests of Scrub, at a time that passes when it pauses."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A scrub that is due."""
        await super().setUp()
        self.pauses: list[float] = []
        self.scrub = self.new_scrub()
        await self.scrub.run()
        self.clock.advance(7 * 86_400)

    def new_scrub(self, rate: float = 1 << 40) -> Scrub:
        """A scrub as another process would have it."""

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            self.clock.advance(seconds)

        store = self.store
        return Scrub(store.index, store.blobs, store.ids, rate, 7 * DAY, self.clock.seconds, pause)

    async def damaged(self) -> list[tuple[bytes, str, int]]:
        """Key, version and part of what is known to be damaged."""
        found = await self.store.index.read(known_damage)
        return sorted((damage.key, damage.version_id, damage.part) for damage in found)

    async def body_of(self, key: str) -> bytes:
        """The id of an object's inline body."""
        rows = await self.rows("SELECT body FROM versions WHERE key = ?", key.encode())
        return bytes(rows[0][0])

    async def blob_of(self, key: str) -> bytes:
        """The id of an object's blob."""
        rows = await self.rows("SELECT blob FROM versions WHERE key = ?", key.encode())
        return bytes(rows[0][0])

    # -- finding -------------------------------------------------------------------------------------------------------

    async def test_nothing_wrong(self) -> None:
        """All that has bytes is read: inline and in blobs, old versions, parts of objects and of uploads; a blob that
        several have only once."""
        await self.switch(ENABLED)
        for data in (b"old", b"new"):
            await self.put("small", data)
        await self.put("large", noise(2 * MIB + 1))
        await self.copy("large", "copy")
        await self.put("empty", b"")
        await self.delete("deleted")
        await self.put_parts("parts", {1: noise(10), 2: noise(100)})
        await self.put_part("upload", noise(70_000))
        await self.scrub.run()
        self.assertEqual(self.scrub.verified, 3 + 3 + 2 * MIB + 1 + 110 + 70_000)
        self.assertEqual((self.scrub.objects, self.scrub.found), (6, 0))

    async def put_part(self, key: str, data: bytes) -> None:
        """A part of an upload that is not completed."""
        multipart = Multipart(self.store)
        created = await multipart.create_multipart_upload(
            admitted("CreateMultipartUpload", self.bucket), types.CreateMultipartUploadInput(key=key)
        )
        asked = types.UploadPartInput(key=key, upload_id=created.upload_id, part_number=3)
        await multipart.upload_part(admitted("UploadPart", self.bucket), asked, BytesBody(data))

    async def test_flipped_bits(self) -> None:
        """A bit that flipped is found wherever it is, said once in the log with the name of the object, and known until
        the object is written anew or deleted."""
        for key, data in (("a", noise(100)), ("b", noise(3 * MIB)), ("c\n", noise(50)), ("d", noise(90_000))):
            await self.put(key, data)
        await flip_body(self.store, await self.body_of("a"), 99)
        await flip_blob(self.store, await self.blob_of("b"), 2 * MIB + 7)
        await flip_body(self.store, await self.body_of("c\n"), 0)
        await self.scrub.run()
        self.assertEqual(await self.damaged(), [(b"a", "null", 0), (b"b", "null", 0), (b"c\n", "null", 0)])
        self.assertEqual((self.scrub.found, self.scrub.damaged), (3, 3))
        await self.put("a", b"new")
        await self.delete("c\n")
        await self.scrub.run()
        self.assertEqual((await self.damaged(), self.scrub.damaged), ([(b"b", "null", 0)], 1))
        self.assertEqual((await self.get("a")).body, b"new")

    async def test_reads(self) -> None:
        """Whatever is read of damaged bytes is an error, also through a copy; of other MiB of the object it is what was
        written, and what is known without the bytes is known."""
        data = noise(3 * MIB)
        await self.put("large", data)
        await self.put("small", data[:100])
        await flip_blob(self.store, await self.blob_of("large"), MIB + 5)
        await flip_body(self.store, await self.body_of("small"), 50)
        await self.copy("large", "copy of large")
        await self.copy("small", "copy of small")
        for key in ("large", "small", "copy of large", "copy of small"):
            first = MIB if "large" in key else 0
            await self.fails(CorruptedData, self.get(key))
            await self.fails(CorruptedData, self.get(key, range=f"bytes={first}-{first + 9}"))
            self.assertEqual((await self.head(key)).content_length, len(data) if first else 100)
        for first in (0, 2 * MIB):
            found = await self.get("copy of large", range=f"bytes={first}-{first + 99}")
            self.assertEqual(found.body, data[first : first + 100])

    async def test_away(self) -> None:
        """A store that cannot be asked just now is no failure; the next look finds what is due."""
        await self.put("key", noise(100))
        with mock.patch.object(type(self.store.index), "read", side_effect=ServiceUnavailable):
            await self.scrub.run()
        await self.scrub.run()
        self.assertEqual(self.scrub.objects, 1)

    async def test_log(self) -> None:
        """The line in the log names bucket, key and version, with nothing in it that a terminal would obey."""
        await self.put("c\x1b[2J", noise(70_000))
        await flip_blob(self.store, await self.blob_of("c\x1b[2J"), 5)
        with capturedLogs() as events:
            await self.scrub.run()
        name = "s3://bucket/c\\x1b[2J?versionId=null"
        self.assertEqual(said(events), [f"Damaged: {name} does not match its checksum in MiB 0"])

    async def test_missing(self) -> None:
        """Bytes that are not there are damage: of a body, of a blob, and of a blob that the index has forgotten."""
        for key in ("body", "blob", "row"):
            await self.put(key, noise(100 if key == "body" else 100_000))
        body, blob, row = await self.body_of("body"), await self.blob_of("blob"), await self.blob_of("row")
        await self.store.blobs.delete([blob])

        async def lose(tx: Any) -> None:
            await tx.write("DELETE FROM bodies WHERE id = ?", body)
            await tx.write("DELETE FROM blobs WHERE id = ?", row)

        await self.store.index.run(lose)
        await self.scrub.run()
        self.assertEqual(await self.damaged(), [(b"blob", "null", 0), (b"body", "null", 0), (b"row", "null", 0)])
        for key in ("body", "blob", "row"):
            self.assertEqual((await self.head(key)).content_length, 100 if key == "body" else 100_000)
            await self.fails(CorruptedData, self.get(key))
            await self.put(key, b"written anew")
            self.assertEqual((await self.get(key)).body, b"written anew")

    async def test_part(self) -> None:
        """The part is named, of an object and of an upload."""
        await self.put_parts("parts", {1: noise(60), 2: noise(100_000)})
        await self.put_part("upload", noise(70_000))
        for (blob,) in await self.rows("SELECT blob FROM parts WHERE blob IS NOT NULL"):
            await flip_blob(self.store, bytes(blob), 1)
        await self.scrub.run()
        self.assertEqual(await self.damaged(), [(b"parts", "null", 2), (b"upload", "", 3)])

    async def test_healed(self) -> None:
        """What a whole round finds in order again is forgotten; what it finds again is not said again."""
        for key in ("a", "b"):
            await self.put(key, noise(100))
            await flip_body(self.store, await self.body_of(key), 0)
        with capturedLogs() as events:
            await self.scrub.run()
            await flip_body(self.store, await self.body_of("a"), 0)
            self.clock.advance(7 * 86_400)
            await self.scrub.run()
        self.assertEqual(await self.damaged(), [(b"b", "null", 0)])
        self.assertEqual((len(said(events)), self.scrub.found), (2, 3))

    # -- pace ----------------------------------------------------------------------------------------------------------

    async def test_interval(self) -> None:
        """A store that was never scrubbed waits for one interval, and so does one whose round is over."""
        await self.put("key", noise(100))
        self.assertEqual(self.scrub.objects, 0)
        for objects in (1, 2):
            await self.scrub.run()
            await self.scrub.run()
            self.assertEqual(self.scrub.objects, objects)
            self.clock.advance(7 * 86_400)

    async def test_rate(self) -> None:
        """No more is read than the rate allows."""
        await self.put("key", noise(10 * MIB))
        scrub, began = self.new_scrub(rate=MIB), self.clock.seconds()
        await scrub.run()
        self.assertAlmostEqual(self.clock.seconds() - began, 10, delta=0.1)
        self.assertLess(max(self.pauses), 1.1)

    async def test_restart(self) -> None:
        """A round goes on where it was after a restart, or on another node, and ends there."""
        for number in range(30):
            await self.put(f"key{number:02}", noise(MIB // 2, number))
        await flip_blob(self.store, await self.blob_of("key29"), 1)
        scrubs = []
        for _ in range(3):
            scrubs.append(self.new_scrub(rate=MIB))
            await scrubs[-1].run()
        self.assertEqual(sum(scrub.objects for scrub in scrubs), 30)
        self.assertGreater(scrubs[0].verified, (SLICE - 2) * MIB)
        self.assertGreater(scrubs[1].objects, 0)
        self.assertEqual(await self.damaged(), [(b"key29", "null", 0)])

    async def test_empty_objects(self) -> None:
        """Many objects without bytes are no reason to keep everybody waiting."""
        for number in range(250):
            await self.put(f"{number}", b"")
        scrub = self.new_scrub(rate=100_000)
        await scrub.run()
        self.assertGreater(sum(self.pauses), 2)
