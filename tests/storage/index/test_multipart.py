"""Tests of the transactions on uploads and parts."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.bucket import Bucket
from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import NoSuchBucket, NoSuchUpload
from post3tw.model.identity import Owner
from post3tw.model.object_lock import Retention
from post3tw.model.version import Description, Part, Placement, Upload, Version
from post3tw.storage.index.sqlite.snapshot import ReadTransaction
from post3tw.storage.index.transactions import blobs, multipart, parts
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.index.transactions.multipart import Assembly
from tests.storage.index.memory import MemoryIndex, now

ADA = Owner("ada", "Ada")
UPLOAD = Upload(
    id=b"u" * 16,
    bucket_id=1,
    key=b"key",
    created=1000,
    owner=ADA,
    initiator=Owner("ben", "Ben"),
    description=Description(
        {"content-type": "text/plain"}, {"a": "é"}, {"t": "1"}, "GLACIER", "acl", Retention("GOVERNANCE", 5, True)
    ),
    checksum_algorithm="CRC32",
    checksum_type="COMPOSITE",
)


class UploadCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.index = MemoryIndex()
        self.tx: ReadTransaction = self.index.tx
        now(create_bucket(self.tx, Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1", object_lock=True)))
        now(multipart.create_upload(self.tx, UPLOAD))

    def put(self, number: int, *, blob: bool = False, size: int = 10) -> Part:
        """Add a part to the upload."""
        part_id = number.to_bytes(16, "big")
        placement = Placement(size, blob=part_id) if blob else Placement(size, body=part_id)
        if blob:
            now(blobs.begin_blob(self.tx, part_id, 0, 1))
            placement = evolve(placement, crcs=b"crcs")
        part = Part(number, part_id, 0, size, f"{number:032x}", 2000, placement)
        now(multipart.put_part(self.tx, 1, b"key", UPLOAD.id, part, b"x" * size, 2000))
        return part

    def complete(self, *numbers: int) -> Version:
        """Complete the upload with the parts of these numbers."""

        def assemble(upload: Upload, found: list[Part]) -> Assembly:
            kept, offset = [], 0
            for part in found:
                if part.number in numbers:
                    kept.append(evolve(part, offset=offset))
                    offset += part.size
            version = Version(
                upload.id, 0, False, False, upload.created, offset, "e-1", upload.owner, part_count=len(kept)
            )
            return Assembly(version, kept)

        return now(
            multipart.complete_upload(
                self.tx,
                1,
                b"key",
                UPLOAD.id,
                assemble,  # type: ignore[arg-type]
                WriteConditions(),
                now=3000,
            )
        )

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        (count,) = self.index.connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(count)


class UploadTests(UploadCase):
    def test_an_upload_comes_back_as_it_was(self) -> None:
        """Everything an upload says is kept."""
        self.assertEqual(now(multipart.require_upload(self.tx, 1, b"key", UPLOAD.id)), UPLOAD)

    def test_an_upload_belongs_to_its_bucket_and_key(self) -> None:
        """The id alone finds nothing."""
        for bucket_id, key in ((2, b"key"), (1, b"other")):
            self.assertRaises(
                NoSuchUpload, lambda b=bucket_id, k=key: now(multipart.require_upload(self.tx, b, k, UPLOAD.id))
            )

    def test_a_bucket_must_exist(self) -> None:
        """No upload begins in a bucket that is gone."""
        self.assertRaises(NoSuchBucket, lambda: now(multipart.create_upload(self.tx, evolve(UPLOAD, bucket_id=9))))

    def test_abort_lets_everything_go(self) -> None:
        """Rows of upload, parts, bodies and references go; the blob is the sweeper's."""
        self.put(1)
        self.put(2, blob=True)
        now(multipart.abort_upload(self.tx, 1, b"key", UPLOAD.id, 4000))
        for table in ("uploads", "parts", "bodies", "blob_references"):
            self.assertEqual(self.rows(table), 0, table)
        self.assertEqual(self.rows("blobs WHERE lease_until = 4000"), 1)

    def test_stale_uploads_are_the_oldest(self) -> None:
        """Uploads begun before a time come oldest first, as many as asked for."""
        for number, created in ((1, 900), (2, 800), (3, 2000)):
            now(multipart.create_upload(self.tx, evolve(UPLOAD, id=bytes([number]) * 16, created=created)))
        stale = now(multipart.stale_uploads(self.tx, 1500, 2))
        self.assertEqual([upload.created for upload in stale], [800, 900])
        self.assertEqual(len(now(multipart.stale_uploads(self.tx, 1500, 10))), 3)


class CompleteTests(UploadCase):
    def test_the_parts_become_the_versions(self) -> None:
        """The version has the upload's id, so the parts are its own, each at its offset."""
        for number in (1, 5, 9):
            self.put(number, size=10 * number)
        version = self.complete(1, 5, 9)
        self.assertEqual((version.id, version.seq, version.is_null, version.part_count), (UPLOAD.id, 1, True, 3))
        found = now(parts.list_parts(self.tx, version.id))
        self.assertEqual(
            [(part.number, part.offset, part.size) for part in found], [(1, 0, 10), (5, 10, 50), (9, 60, 90)]
        )
        self.assertEqual(self.rows("uploads"), 0)
        self.assertEqual(self.rows("current"), 1)

    def test_unlisted_parts_are_let_go(self) -> None:
        """What Complete does not list is deleted with its bytes."""
        self.put(1)
        self.put(2, blob=True)
        self.complete(1)
        self.assertEqual((self.rows("parts"), self.rows("blob_references")), (1, 0))

    def test_a_repetition_finds_the_version(self) -> None:
        """Complete of an upload that became a version answers that version."""
        self.put(1)
        version = self.complete(1)
        self.assertEqual(self.complete(1), version)
        self.assertEqual(self.rows("versions"), 1)

    def test_an_id_that_never_was(self) -> None:
        """Without upload and without version there is nothing to complete."""
        now(multipart.abort_upload(self.tx, 1, b"key", UPLOAD.id, 0))
        self.assertRaises(NoSuchUpload, self.complete, 1)


class PartsTests(UploadCase):
    def setUp(self) -> None:
        super().setUp()
        for number in (2, 4, 6):
            self.put(number, blob=number == 4)
        self.put(7, size=0)
        self.complete(2, 4, 6, 7)

    def between(self, first: int, last: int, **members: int) -> list[int]:
        """The numbers of the parts that overlap a range."""
        return [part.number for part in now(parts.parts_between(self.tx, UPLOAD.id, first, last, **members))]

    def test_parts_between(self) -> None:
        """The parts that hold a byte of a range, in order, without the empty one."""
        self.assertEqual(self.between(0, 29), [2, 4, 6])
        self.assertEqual(self.between(9, 10), [2, 4])
        self.assertEqual(self.between(10, 19), [4])
        self.assertEqual(self.between(29, 29), [6])
        self.assertEqual(self.between(30, 99), [])

    def test_parts_between_in_batches(self) -> None:
        """A limit and the last number walk through a long range."""
        self.assertEqual(self.between(0, 29, limit=2), [2, 4])
        self.assertEqual(self.between(0, 29, limit=2, after_number=4), [6])

    def test_a_numbered_part(self) -> None:
        """A part is found by its number, with the CRCs of its blob."""
        part = now(parts.part_numbered(self.tx, UPLOAD.id, 4))
        assert part is not None
        self.assertEqual((part.offset, part.placement.crcs), (10, b"crcs"))
        self.assertIsNone(now(parts.part_numbered(self.tx, UPLOAD.id, 3)))

    def test_copied_parts_share_their_bytes(self) -> None:
        """A copy refers to the same blobs, has inline bytes of its own, and outlives the original."""
        copy = b"c" * 16
        now(parts.copy_parts(self.tx, UPLOAD.id, copy, 5000))
        self.assertEqual((self.rows("blobs"), self.rows("blob_references"), self.rows("bodies")), (1, 2, 6))
        now(parts.release_parts(self.tx, UPLOAD.id, 6000))
        found = now(parts.list_parts(self.tx, copy))
        self.assertEqual([(part.number, part.offset) for part in found], [(2, 0), (4, 10), (6, 20), (7, 30)])
        body = found[0].placement.body
        assert body is not None
        self.assertEqual(now(blobs.load_body(self.tx, body))[1], b"x" * 10)
        self.assertEqual(self.rows("blobs WHERE lease_until IS NULL"), 1)

    def test_derived_ids(self) -> None:
        """The id of a copied part follows from its owner and its number, and from nothing else."""
        ids = {parts.derived_part_id(owner, number) for owner in (b"a" * 16, b"b" * 16) for number in (1, 256)}
        self.assertEqual(len(ids), 4)
        self.assertEqual({len(part_id) for part_id in ids}, {16})
