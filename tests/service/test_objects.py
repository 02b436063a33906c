"""PutObject, GetObject, HeadObject on a real store: what comes back is what was put."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime

from twisted.internet.defer import DeferredList, ensureDeferred

from post3tw.api import types
from post3tw.model.errors import (
    BadDigest,
    ContentSHA256Mismatch,
    CorruptedData,
    EntityTooLarge,
    InvalidArgument,
    InvalidDigest,
    InvalidStorageClass,
    InvalidTag,
    KeyTooLong,
    MetadataTooLarge,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
)
from post3tw.model.identity import Identity
from post3tw.model.version import version_token
from post3tw.service.objects import MAX_PUT
from post3tw.storage.index.transactions.buckets import delete_bucket
from tests.service.object_case import ENABLED, MIB, START, SUSPENDED, ObjectCase
from tests.service.stores import BytesBody, admitted, pattern

HALF_PAST = datetime.fromtimestamp(START, UTC)


class RoundTripTests(ObjectCase):
    """Bodies of every kind of size, and everything that is said about them."""

    async def test_sizes(self) -> None:
        """Empty, inline and blob bodies come back whole, around every limit."""
        for size in (0, 1, 4096, 64 * 1024, 64 * 1024 + 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7):
            data = pattern(size)
            put = await self.put("key", data)
            self.assertEqual(put.etag, f'"{hashlib.md5(data).hexdigest()}"')
            got = await self.get("key")
            self.assertTrue(got.body == data, size)
            self.assertEqual((got.content_length, got.etag, got.content_range), (size, put.etag, None))

    async def test_undeclared_length(self) -> None:
        """A body whose length is not known beforehand is stored as well."""
        for size in (0, 10, MIB + 1):
            await self.put("key", body=BytesBody(pattern(size), declared=False))
            self.assertTrue((await self.get("key")).body == pattern(size))

    async def test_description(self) -> None:
        """Standard headers, metadata, storage class and the number of tags come back with GET and HEAD."""
        await self.put(
            "key",
            content_type="text/plain",
            cache_control="no-cache",
            content_disposition="inline",
            content_encoding="gzip",
            content_language="de",
            expires="Fri, 24 May 2030 00:00:00 GMT",
            metadata={"Name": "wert ☃"},
            tagging="a=1&b=x%20y",
            storage_class="STANDARD_IA",
        )
        for output in (await self.get("key"), await self.head("key")):
            self.assertEqual(output.content_type, "text/plain")
            self.assertEqual(output.cache_control, "no-cache")
            self.assertEqual(output.content_disposition, "inline")
            self.assertEqual(output.content_encoding, "gzip")
            self.assertEqual(output.content_language, "de")
            self.assertEqual(output.expires, "Fri, 24 May 2030 00:00:00 GMT")
            self.assertEqual(output.metadata, {"name": "wert ☃"})
            self.assertEqual(output.tag_count, 2)
            self.assertEqual(output.storage_class, "STANDARD_IA")
            self.assertEqual(output.accept_ranges, "bytes")
            self.assertEqual(output.last_modified, HALF_PAST)
            self.assertEqual(output.content_length, 4)

    async def test_what_was_not_said(self) -> None:
        """An object without a description has the default type, and nothing else."""
        await self.put("key", storage_class="STANDARD", metadata={})
        output = await self.head("key")
        self.assertEqual(output.content_type, "binary/octet-stream")
        for member in ("content_encoding", "metadata", "tag_count", "storage_class", "version_id", "parts_count"):
            self.assertIsNone(getattr(output, member), member)

    async def test_keys_are_opaque(self) -> None:
        """Keys that look like paths, and control characters, are kept as they are."""
        keys = ["..", "../x", "/x", "//x", "a/../b", "a//b", "a\x00b", "a\x7f\n", "☃", "a" * 1024, "%2F"]
        for key in keys:
            await self.put(key, key.encode())
        for key in keys:
            self.assertEqual((await self.get(key)).body, key.encode())

    async def test_bad_input(self) -> None:
        """What S3 does not take is refused with its own error, and nothing is stored."""
        await self.fails(KeyTooLong, self.put("ä" * 513))
        await self.fails(MetadataTooLarge, self.put("key", metadata={"a": "x" * 2048}))
        await self.fails(InvalidStorageClass, self.put("key", storage_class="COLD"))
        await self.fails(InvalidTag, self.put("key", tagging="a=1&a=2"))
        await self.fails(InvalidDigest, self.put("key", content_md5="abc"))
        await self.fails(EntityTooLarge, self.put("key", body=_Endless()))
        self.assertEqual(await self.rows("SELECT 1 FROM versions UNION ALL SELECT 1 FROM bodies"), [])

    async def test_metadata_limit(self) -> None:
        """2048 bytes of names and values are taken."""
        await self.put("key", metadata={"a": "x" * 2047})
        self.assertEqual((await self.head("key")).metadata, {"a": "x" * 2047})

    async def test_overwrite(self) -> None:
        """The last put wins, whatever was there before."""
        for data in (pattern(10), pattern(2 * MIB), pattern(100)):
            await self.put("key", data, metadata={"size": str(len(data))})
            got = await self.get("key")
            self.assertTrue(got.body == data)
            self.assertEqual(got.metadata, {"size": str(len(data))})

    async def test_owner(self) -> None:
        """An object belongs to who wrote it; what nobody wrote belongs to the owner of the bucket."""
        for identity, owner in ((Identity("bob", "Bob", "BOBKEY"), "bob"), (None, "ada")):
            caller = admitted("PutObject", self.bucket, identity=identity)
            await self.objects.put_object(caller, types.PutObjectInput(key="key"), BytesBody())
            self.assertEqual(await self.rows("SELECT owner_id FROM current"), [(owner,)])

    async def test_bucket_deleted_meanwhile(self) -> None:
        """The bucket is looked at again when the object is made."""
        bucket_id = self.bucket.id
        await self.store.index.run(lambda tx: delete_bucket(tx, bucket_id, 0))
        await self.fails(NoSuchBucket, self.put("key"))

    async def test_damaged_bytes_are_not_sent(self) -> None:
        """An inline body that changed on disk is CorruptedData, not an answer."""
        await self.put("key", b"data")
        await self.store.index.run(lambda tx: tx.run("UPDATE bodies SET data = ?", b"dbta"))
        await self.fails(CorruptedData, self.get("key"))


class _Endless(BytesBody):
    """A body that declares more than S3 takes."""

    @property
    def length(self) -> int:
        return MAX_PUT + 1


class IntegrityTests(ObjectCase):
    """What the client says about the bytes must be true before anything is visible."""

    async def test_content_md5(self) -> None:
        """Content-MD5 is compared with the body."""
        good = b64encode(hashlib.md5(b"data").digest()).decode()
        await self.put("key", b"data", content_md5=good)
        error = await self.fails(BadDigest, self.put("key", b"dat_", content_md5=good))
        self.assertEqual(error.details["expected_digest"], good)
        self.assertEqual((await self.get("key")).body, b"data")

    async def test_sha256_of_the_payload(self) -> None:
        """The signed SHA-256 is compared with the body."""
        digest = hashlib.sha256(b"data").hexdigest()
        await self.put("key", body=BytesBody(b"data", sha256=digest))
        await self.fails(ContentSHA256Mismatch, self.put("new", body=BytesBody(b"dat_", sha256=digest)))
        await self.fails(NoSuchKey, self.get("new"))

    async def test_conditional_put_fails_before_the_body(self) -> None:
        """A condition that does not hold is told before a byte is read."""
        await self.put("key")
        body = BytesBody(b"new")
        await self.fails(PreconditionFailed, self.put("key", body=body, if_none_match="*"))
        self.assertEqual(body._position, 0)
        await self.fails(NoSuchKey, self.put("other", if_match='"x"'))

    async def test_if_match(self) -> None:
        """If-Match compares with the current ETag."""
        etag = (await self.put("key", b"one")).etag
        await self.put("key", b"two", if_match=etag)
        await self.fails(PreconditionFailed, self.put("key", b"three", if_match=etag))
        self.assertEqual((await self.get("key")).body, b"two")

    async def test_if_none_match(self) -> None:
        """If-None-Match may name the ETag that must not be there any more."""
        etag = (await self.put("key", b"one")).etag
        await self.fails(PreconditionFailed, self.put("key", b"two", if_none_match=etag))
        await self.put("key", b"two", if_none_match='"x"')
        await self.put("key", b"three", if_none_match=etag)
        self.assertEqual((await self.get("key")).body, b"three")

    async def test_one_winner(self) -> None:
        """Of 32 puts at once with If-None-Match: *, one is stored and 31 fail."""
        puts = [ensureDeferred(self.put("key", b"%d" % n, if_none_match="*")) for n in range(32)]
        outcomes = await DeferredList(puts, consumeErrors=True)
        self.assertEqual([success for success, _ in outcomes].count(True), 1)
        winner = next(n for n, (success, _) in enumerate(outcomes) if success)
        self.assertEqual((await self.get("key")).body, b"%d" % winner)
        self.assertEqual(len(await self.rows("SELECT 1 FROM bodies")), 1)

    async def test_compare_and_swap(self) -> None:
        """Of 16 puts at once with the same If-Match, one is stored."""
        etag = (await self.put("key", b"first")).etag
        puts = [ensureDeferred(self.put("key", b"%d" % n, if_match=etag)) for n in range(16)]
        outcomes = await DeferredList(puts, consumeErrors=True)
        self.assertEqual([success for success, _ in outcomes].count(True), 1)


class VersionTests(ObjectCase):
    """What versions are called, and which one is read."""

    async def test_ids_in_answers(self) -> None:
        """A version id is shown once a bucket has versioning; the null version's only when it is read."""
        self.assertIsNone((await self.put("key", b"0")).version_id)
        self.assertIsNone((await self.get("key")).version_id)
        await self.switch(ENABLED)
        self.assertEqual((await self.get("key")).version_id, "null")
        one = (await self.put("key", b"1")).version_id
        assert one is not None
        self.assertEqual((await self.head("key")).version_id, one)
        await self.switch(SUSPENDED)
        self.assertIsNone((await self.put("key", b"2")).version_id)
        self.assertEqual((await self.get("key")).version_id, "null")
        self.assertEqual((await self.get("key", version_id=one)).body, b"1")

    async def test_version_that_is_not_there(self) -> None:
        """An id that could exist is NoSuchVersion, any other InvalidArgument."""
        await self.put("key")
        await self.fails(NoSuchVersion, self.get("key", version_id=version_token(1, b"x" * 16)))
        await self.fails(NoSuchVersion, self.get("other", version_id="null"))
        for nonsense in ("", "x", "../../etc", "ä" * 32, "F" * 32):
            await self.fails(InvalidArgument, self.get("key", version_id=nonsense))
