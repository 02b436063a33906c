"""CopyObject and RenameObject: the same bytes under another name, and every rule about it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import partial
from itertools import product
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from zope.interface import implementer

from post3tw.api import types
from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidRequest,
    InvalidStorageClass,
    InvalidTag,
    KeyTooLong,
    NoSuchKey,
    NoSuchVersion,
    NotImplementedHere,
    OperationAborted,
    PreconditionFailed,
)
from post3tw.model.version import version_token
from post3tw.service.copying import Copying
from post3tw.service.objects import MAX_PUT
from post3tw.storage.interfaces import IIndex
from post3tw.wire.checksums import encode, new
from tests.service.object_case import ENABLED, MIB, NEVER, START, SUSPENDED, ObjectCase
from tests.service.stores import admitted, make_bucket

NOW = datetime.fromtimestamp(START, UTC)
EARLIER = datetime.fromtimestamp(START - 1, UTC)
BIG = b"0123456789abcdef" * (2 * MIB // 16) + b"end"


def checksum(algorithm: ChecksumAlgorithm, data: bytes) -> str:
    """The checksum as clients see it."""
    hasher = new(algorithm)
    hasher.update(data)
    return encode(hasher.digest())


class CopyTests(ObjectCase):
    """What a copy is."""

    async def test_bytes(self) -> None:
        """Bodies of every placement are copied, and outlive their source."""
        for data in (b"", b"inline", BIG):
            put = await self.put("source", data)
            copied = (await self.copy("source", "copy")).copy_object_result
            assert copied is not None
            self.assertEqual((copied.etag, copied.last_modified), (put.etag, NOW))
            self.assertEqual(copied.checksum_crc64nvme, put.checksum_crc64nvme)
            await self.delete("source")
            self.assertTrue((await self.get("copy")).body == data)

    async def test_names(self) -> None:
        """Keys in x-amz-copy-source are percent-encoded."""
        await self.put("a b+ä%?&.txt", b"data")
        await self.copy("a%20b%2B%C3%A4%25%3F%26.txt", "copy")
        self.assertEqual((await self.get("copy")).body, b"data")
        await self.fails(InvalidArgument, self.copy("%ff", "copy"))
        await self.fails(KeyTooLong, self.copy("x" * 1025, "copy"))

    async def test_another_bucket(self) -> None:
        """A copy may come from another bucket."""
        other = await make_bucket(self.store, "other")
        await self.put("key", b"theirs", bucket=other)
        await self.copy("key", "copy", source_bucket=other)
        self.assertEqual((await self.get("copy")).body, b"theirs")

    async def test_needs_admission_to_the_source(self) -> None:
        """Nothing is read from a bucket that the caller was not admitted to."""
        await self.put("key")
        input = types.CopyObjectInput(key="copy", copy_source="bucket/key")
        await self.fails(AccessDenied, self.copying.copy_object(admitted("CopyObject", self.bucket), input))

    async def test_description_is_copied(self) -> None:
        """Headers, metadata and tags come along; the storage class does not, and what the request says is ignored."""
        await self.put("key", content_type="text/plain", metadata={"a": "1"}, tagging="t=1", storage_class="GLACIER")
        await self.copy("key", "copy", content_type="ignored", metadata={"b": "2"}, tagging="t=2")
        head = await self.head("copy")
        self.assertEqual((head.content_type, head.metadata, head.tag_count), ("text/plain", {"a": "1"}, 1))
        self.assertIsNone(head.storage_class)

    async def test_description_is_replaced(self) -> None:
        """With REPLACE the copy has what the request says, tags by a directive of their own."""
        await self.put("key", content_type="text/plain", metadata={"a": "1"}, tagging="t=1&u=1")
        await self.copy(
            "key", "copy", metadata_directive="REPLACE", cache_control="no-cache", storage_class="STANDARD_IA"
        )
        head = await self.head("copy")
        self.assertEqual(
            (head.content_type, head.cache_control, head.metadata), ("binary/octet-stream", "no-cache", None)
        )
        self.assertEqual((head.tag_count, head.storage_class), (2, "STANDARD_IA"))
        await self.copy("key", "copy", tagging_directive="REPLACE", tagging="t=1")
        self.assertEqual((await self.head("copy")).tag_count, 1)
        await self.copy("key", "copy", tagging_directive="REPLACE")
        self.assertEqual((await self.head("copy")).tag_count, None)

    async def test_bad_input(self) -> None:
        """What S3 does not take is refused and nothing is copied."""
        await self.put("key")
        for error, members in (
            (InvalidArgument, {"metadata_directive": "MOVE"}),
            (InvalidArgument, {"tagging_directive": "MOVE"}),
            (InvalidStorageClass, {"storage_class": "COLD"}),
            (InvalidTag, {"tagging_directive": "REPLACE", "tagging": "a=1&a=2"}),
            (InvalidRequest, {"checksum_algorithm": "MD6"}),
        ):
            given: dict[str, Any] = members
            await self.fails(error, self.copy("key", "copy", **given))
        await self.fails(NoSuchKey, self.copy("missing", "copy"))
        await self.fails(NoSuchKey, self.get("copy"))

    async def test_onto_itself(self) -> None:
        """A copy onto itself must change metadata or storage class."""
        await self.put("key", b"data", metadata={"a": "1"})
        for members in ({}, {"metadata_directive": "COPY"}, {"tagging_directive": "REPLACE"}):
            given: dict[str, Any] = members
            await self.fails(InvalidRequest, self.copy("key", "key", **given))
        await self.fails(InvalidRequest, self.copy("key?versionId=null", "key"))
        await self.copy("key", "key", metadata_directive="REPLACE", metadata={"b": "2"})
        got = await self.get("key")
        self.assertEqual((got.body, got.metadata), (b"data", {"b": "2"}))
        await self.copy("key", "key", storage_class="STANDARD_IA")
        self.assertEqual((await self.get("key")).storage_class, "STANDARD_IA")
        self.assertEqual(len(await self.rows("SELECT 1 FROM bodies")), 1)

    async def test_size_limit(self) -> None:
        """A source over 5 GiB has to be copied in parts."""
        await self.put("key")
        await self.store.index.run(lambda tx: tx.run("UPDATE versions SET size = ?", MAX_PUT + 1))
        await self.fails(InvalidRequest, self.copy("key", "copy"))

    async def test_conditions_on_the_source(self) -> None:
        """Every condition that does not hold is PreconditionFailed."""
        etag = (await self.put("key")).etag
        for members in (
            {"copy_source_if_match": '"x"'},
            {"copy_source_if_none_match": etag},
            {"copy_source_if_modified_since": NOW},
            {"copy_source_if_unmodified_since": EARLIER},
            {"copy_source_if_none_match": etag, "copy_source_if_modified_since": EARLIER},
        ):
            failing: dict[str, Any] = members
            await self.fails(PreconditionFailed, self.copy("key", "copy", **failing))
        for members in (
            {"copy_source_if_match": etag, "copy_source_if_unmodified_since": EARLIER},
            {"copy_source_if_none_match": '"x"'},
            {"copy_source_if_modified_since": EARLIER},
        ):
            holding: dict[str, Any] = members
            await self.copy("key", "copy", **holding)

    async def test_conditions_on_the_target(self) -> None:
        """A copy replaces only what the conditions allow."""
        await self.put("key", b"new")
        await self.copy("key", "copy", if_none_match="*")
        await self.fails(PreconditionFailed, self.copy("key", "copy", if_none_match="*"))
        etag = (await self.put("copy", b"old")).etag
        await self.fails(PreconditionFailed, self.copy("key", "copy", if_match='"x"'))
        await self.copy("key", "copy", if_match=etag)
        self.assertEqual((await self.get("copy")).body, b"new")

    async def test_one_winner(self) -> None:
        """Of 32 copies at once with If-None-Match: *, one is made."""
        await self.put("key")
        copies = [ensureDeferred(self.copy("key", "copy", if_none_match="*")) for _ in range(32)]
        outcomes = await DeferredList(copies, consumeErrors=True)
        self.assertEqual([success for success, _ in outcomes].count(True), 1)

    async def test_checksum(self) -> None:
        """The checksum is kept, or computed anew by the algorithm that is asked for."""
        for data in (b"", b"inline", BIG):
            await self.put("key", data, checksum_sha1=checksum(ChecksumAlgorithm.SHA1, data))
            for algorithm in ChecksumAlgorithm:
                result = (await self.copy("key", "copy", checksum_algorithm=algorithm.value)).copy_object_result
                shown = getattr(result, f"checksum_{algorithm.value.lower()}")
                self.assertEqual(shown, checksum(algorithm, data))
            head = await self.head("copy", checksum_mode="ENABLED")
            self.assertEqual(head.checksum_sha256, checksum(ChecksumAlgorithm.SHA256, data))
            self.assertIsNone(head.checksum_sha1)

    async def test_parts(self) -> None:
        """The copy of an object made of parts has its ETag and its parts, and the same bytes."""
        parts = {1: BIG, 2: b"tail"}
        source = await self.put_parts("key", parts)
        await self.copy("key", "copy", checksum_algorithm="SHA256")
        await self.delete("key")
        got = await self.get("copy", checksum_mode="ENABLED")
        self.assertTrue(got.body == BIG + b"tail")
        self.assertEqual(got.etag, f'"{source.etag}"')
        self.assertEqual(got.checksum_sha256, checksum(ChecksumAlgorithm.SHA256, BIG + b"tail"))
        second = await self.get("copy", part_number=2)
        self.assertEqual((second.body, second.parts_count), (b"tail", 2))

    async def test_source_that_changes_meanwhile(self) -> None:
        """When the source is overwritten while it is copied, the copy begins again; in the end it gives up."""
        await self.put("key", b"0")
        busy = Copying(evolve(self.store, index=_Overwriting(self.store.index, partial(self.put, "key"), 2)))
        caller = admitted("CopyObject", self.bucket, self.bucket)
        input = types.CopyObjectInput(key="copy", copy_source="bucket/key")
        await busy.copy_object(caller, input)
        self.assertEqual((await self.get("copy")).body, b"2")
        busy = Copying(evolve(self.store, index=_Overwriting(self.store.index, partial(self.put, "key"), 3)))
        await self.fails(OperationAborted, busy.copy_object(caller, input))


@implementer(IIndex)
class _Overwriting:
    """An index before whose first `times` writes somebody else overwrites the source."""

    def __init__(self, index: IIndex, overwrite: Any, times: int) -> None:
        self.index, self.overwrite, self.times, self.done = index, overwrite, times, 0

    async def start(self) -> None:
        """The real one is started."""

    async def stop(self) -> None:
        """The real one is stopped."""

    async def read(self, transaction: Any) -> Any:
        """As it is."""
        return await self.index.read(transaction)

    async def run(self, transaction: Any, locks: Any = ()) -> Any:
        """Somebody is faster."""
        if self.done < self.times:
            self.done += 1
            await self.overwrite(b"%d" % self.done)
        return await self.index.run(transaction, locks)


class VersionedCopyTests(ObjectCase):
    """Copies from and into buckets in every state of versioning."""

    async def test_matrix(self) -> None:
        """From each state to each: the right bytes arrive, and version ids are shown where there are any."""
        for source_state, target_state in product((NEVER, ENABLED, SUSPENDED), repeat=2):
            names = f"{source_state.name}-{target_state.name}".lower()
            source = await make_bucket(self.store, f"from-{names}", source_state)
            target = await make_bucket(self.store, f"to-{names}", target_state)
            put = await self.put("key", names.encode(), bucket=source)
            await self.put("copy", b"before", bucket=target)
            copied = await self.copy("key", "copy", source_bucket=source, target_bucket=target)
            shown = {NEVER: None, SUSPENDED: "null", ENABLED: put.version_id}[source_state]
            self.assertEqual(copied.copy_source_version_id, shown, names)
            self.assertEqual(copied.version_id is not None, target_state is ENABLED, names)
            got = await self.objects.get_object(admitted("GetObject", target), types.GetObjectInput(key="copy"))
            self.assertEqual(got.body, names.encode())
            rows = await self.rows("SELECT 1 FROM versions WHERE bucket = ?", target.id)
            self.assertEqual(len(rows), 2 if target_state is ENABLED else 1, names)

    async def test_of_a_version(self) -> None:
        """An older version can be copied, also onto its own key, which restores it."""
        await self.switch(ENABLED)
        one = (await self.put("key", b"one")).version_id
        await self.put("key", b"two")
        copied = await self.copy(f"key?versionId={one}", "copy")
        self.assertEqual(copied.copy_source_version_id, one)
        self.assertEqual((await self.get("copy")).body, b"one")
        restored = await self.copy(f"key?versionId={one}", "key")
        self.assertEqual((await self.get("key")).body, b"one")
        self.assertNotEqual(restored.version_id, one)
        self.assertEqual(len(await self.rows("SELECT 1 FROM versions WHERE key = ?", b"key")), 3)

    async def test_of_the_null_version(self) -> None:
        """The null version is copied by its name."""
        await self.put("key", b"null")
        await self.switch(ENABLED)
        await self.put("key", b"one")
        await self.copy("key?versionId=null", "copy")
        self.assertEqual((await self.get("copy")).body, b"null")

    async def test_what_cannot_be_copied(self) -> None:
        """Delete markers and versions that are not there."""
        await self.switch(ENABLED)
        await self.put("key")
        marker = (await self.delete("key")).version_id
        await self.fails(NoSuchKey, self.copy("key", "copy"))
        await self.fails(InvalidRequest, self.copy(f"key?versionId={marker}", "copy"))
        await self.fails(NoSuchVersion, self.copy(f"key?versionId={version_token(9, b'x' * 16)}", "copy"))
        await self.fails(InvalidArgument, self.copy("key?versionId=nonsense", "copy"))


class RenameTests(ObjectCase):
    """RenameObject."""

    async def rename(self, source: str, key: str, **members: Any) -> types.RenameObjectOutput:
        """Rename in the bucket."""
        return await self.copying.rename_object(
            admitted("RenameObject", self.bucket), types.RenameObjectInput(key=key, rename_source=source, **members)
        )

    async def test_renames(self) -> None:
        """The object keeps everything, its date too, under another key."""
        put = await self.put("old", BIG, metadata={"a": "1"}, tagging="t=1")
        self.clock.advance(60)
        await self.rename("old", "new", client_token="token")
        got = await self.get("new")
        self.assertTrue(got.body == BIG)
        self.assertEqual((got.etag, got.last_modified, got.metadata, got.tag_count), (put.etag, NOW, {"a": "1"}, 1))
        await self.fails(NoSuchKey, self.get("old"))

    async def test_encoded_source(self) -> None:
        """The source is percent-encoded, with or without a slash before it."""
        await self.put("a b+ä", b"1")
        await self.rename("a%20b+%C3%A4", "second")
        await self.rename("/second", "third")
        self.assertEqual((await self.get("third")).body, b"1")

    async def test_conditions(self) -> None:
        """Conditions on both ends are kept."""
        etag = (await self.put("old", b"old")).etag
        await self.put("new", b"new")
        for members in (
            {"destination_if_none_match": "*"},
            {"destination_if_match": etag},
            {"source_if_match": '"x"'},
            {"source_if_none_match": "*"},
            {"source_if_modified_since": NOW},
            {"source_if_unmodified_since": EARLIER},
        ):
            given: dict[str, Any] = members
            await self.fails(PreconditionFailed, self.rename("old", "new", **given))
        self.assertEqual((await self.get("new")).body, b"new")
        await self.rename("old", "new", source_if_match=etag)
        self.assertEqual((await self.get("new")).body, b"old")

    async def test_what_cannot_be_renamed(self) -> None:
        """What is not there, and anything in a bucket that has versions."""
        await self.fails(NoSuchKey, self.rename("old", "new"))
        await self.put("old")
        await self.switch(ENABLED)
        await self.fails(NotImplementedHere, self.rename("old", "new"))

    async def test_one_winner(self) -> None:
        """Of several renames of one object at once, one is done."""
        await self.put("old", b"data")
        renames: list[Deferred[Any]] = [ensureDeferred(self.rename("old", f"new{n}")) for n in range(8)]
        outcomes = await DeferredList(renames, consumeErrors=True)
        winners = [n for n, (success, _) in enumerate(outcomes) if success]
        self.assertEqual(len(winners), 1)
        self.assertEqual((await self.get(f"new{winners[0]}")).body, b"data")
        self.assertEqual((await self.head(f"new{winners[0]}")).etag, f'"{hashlib.md5(b"data").hexdigest()}"')
