"""Values of the model survive the way into a row and back."""

from __future__ import annotations

import sqlite3

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.checksum import Checksum, ChecksumAlgorithm, ChecksumType
from post3tw.model.identity import Owner
from post3tw.model.object_lock import Retention
from post3tw.model.version import Description, Part, Placement, Upload, Version
from post3tw.storage.index import rows
from post3tw.storage.index.sqlite.migrations import schema_scripts

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
INTEGER = st.integers(0, (1 << 63) - 1)
ID = st.binary(min_size=16, max_size=16)
MAPPING = st.dictionaries(TEXT, TEXT, max_size=4)

owners = st.builds(Owner, TEXT, TEXT)
checksums = st.builds(
    Checksum,
    st.sampled_from(ChecksumAlgorithm),
    st.from_regex(r"[A-Za-z0-9+/=]+(-\d+)?", fullmatch=True),
    st.sampled_from(ChecksumType),
)
retentions = st.one_of(
    st.builds(Retention, st.sampled_from(["GOVERNANCE", "COMPLIANCE"]), INTEGER, st.booleans()),
    st.builds(Retention, legal_hold=st.booleans()),
)
descriptions = st.builds(Description, MAPPING, MAPPING, MAPPING, TEXT, st.none() | TEXT, retentions)


@st.composite
def placements(draw: st.DrawFn, size: int) -> Placement:
    """Bytes in the index, in a blob, or none."""
    crcs, coding = draw(st.binary(max_size=8)), draw(st.none() | TEXT)
    where = draw(st.sampled_from(["body", "blob", "nowhere"]))
    if where == "nowhere":
        return Placement(size, coding=coding)
    return Placement(size, **{where: draw(ID)}, crcs=crcs, coding=coding)


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """Objects with bytes, objects of parts, and delete markers."""
    kind, size = draw(st.sampled_from(["bytes", "parts", "marker"])), draw(INTEGER)
    return Version(
        id=draw(ID),
        seq=draw(INTEGER),
        is_null=draw(st.booleans()),
        delete_marker=kind == "marker",
        created=draw(INTEGER),
        size=size,
        etag=draw(TEXT),
        owner=draw(owners),
        description=draw(descriptions),
        checksum=draw(st.none() | checksums),
        placement=draw(placements(size)) if kind == "bytes" else None,
        part_count=draw(st.integers(1, 10_000)) if kind == "parts" else None,
    )


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """Parts of any kind of bytes."""
    size = draw(INTEGER)
    return Part(
        draw(st.integers(1, 10_000)),
        draw(ID),
        draw(INTEGER),
        size,
        draw(TEXT),
        draw(INTEGER),
        draw(placements(size)),
        draw(st.none() | checksums),
    )


class RowTests(SynchronousTestCase):
    """Round trips through the real schema."""

    def setUp(self) -> None:
        """A database in memory."""
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        for _, script in sorted(schema_scripts().items()):
            self.connection.executescript(script)

    def inserted(
        self, sql: str, values: tuple[object, ...], select: str, placement: Placement | None = None
    ) -> rows.Row:
        """The row that `select` gives after inserting these values, and the bytes of a placement, into empty tables."""
        for table in ("buckets", "versions", "bodies", "blobs", "uploads", "parts"):
            self.connection.execute(f"DELETE FROM {table}")
        self.connection.execute(sql, values)
        if placement is not None and placement.body is not None:
            self.connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (placement.body, placement.crcs, b"bytes"))
        if placement is not None and placement.blob is not None:
            self.connection.execute(
                "INSERT INTO blobs (id, crcs, created) VALUES (?, ?, 0)", (placement.blob, placement.crcs)
            )
        row: rows.Row = self.connection.execute(select).fetchone()
        return row

    @settings(deadline=None)
    @given(
        st.builds(
            Bucket,
            INTEGER,
            TEXT,
            TEXT,
            TEXT,
            TEXT,
            INTEGER,
            TEXT,
            st.sampled_from(Versioning),
            st.booleans(),
            INTEGER,
            st.booleans(),
        )
    )
    def test_bucket(self, bucket: Bucket) -> None:
        """A bucket comes back as it was."""
        select = f"SELECT {rows.BUCKET_COLUMNS} FROM buckets k"
        row = self.inserted(rows.INSERT_BUCKET, rows.bucket_values(bucket), select)
        self.assertEqual(rows.bucket_from_row(row), bucket)

    @settings(deadline=None)
    @given(versions(), INTEGER, st.binary(max_size=1024))
    def test_version(self, version: Version, bucket_id: int, key: bytes) -> None:
        """A version comes back as it was, but for the CRCs of an inline body; columns behind are the caller's."""
        select = f"SELECT {rows.VERSION_COLUMNS}, v.bucket, v.key FROM {rows.FROM_VERSIONS}"
        values = rows.version_values(bucket_id, key, version)
        row = self.inserted(rows.INSERT_VERSION, values, select, version.placement)
        expected = version
        if version.placement is not None and version.placement.body is not None:
            expected = evolve(version, placement=evolve(version.placement, crcs=b""))
        self.assertEqual(rows.version_from_row(row), expected)
        self.assertEqual(row[-2:], (bucket_id, key))

    @settings(deadline=None)
    @given(versions())
    def test_version_with_body(self, version: Version) -> None:
        """With its body a version comes back with all CRCs, and with its bytes when they are inline."""
        select = f"SELECT {rows.VERSION_COLUMNS_WITH_BODY} FROM {rows.FROM_VERSIONS_WITH_BODY}"
        values = rows.version_values(1, b"key", version)
        row = self.inserted(rows.INSERT_VERSION, values, select, version.placement)
        inline = version.placement is not None and version.placement.body is not None
        self.assertEqual(rows.version_from_row(row), evolve(version, inline=b"bytes" if inline else None))

    @settings(deadline=None)
    @given(st.builds(Upload, ID, INTEGER, st.binary(), INTEGER, owners, owners, descriptions, st.none() | TEXT, TEXT))
    def test_upload(self, upload: Upload) -> None:
        """An upload comes back as it was."""
        select = f"SELECT {rows.UPLOAD_COLUMNS} FROM uploads u"
        row = self.inserted(rows.INSERT_UPLOAD, rows.upload_values(upload), select)
        self.assertEqual(rows.upload_from_row(row), upload)

    @settings(deadline=None)
    @given(parts(), ID)
    def test_part(self, part: Part, owner: bytes) -> None:
        """A part comes back as it was, but for the CRCs of an inline one."""
        select = f"SELECT {rows.PART_COLUMNS} FROM {rows.FROM_PARTS}"
        row = self.inserted(rows.INSERT_PART, rows.part_values(owner, part), select, part.placement)
        expected = part
        if part.placement.body is not None:
            expected = evolve(part, placement=evolve(part.placement, crcs=b""))
        self.assertEqual(rows.part_from_row(row), expected)

    def test_columns(self) -> None:
        """Mappings are compact JSON or NULL, checksums three words."""
        self.assertEqual(rows.mapping_to_text({"a": "é", "b": '"'}), '{"a":"\\u00e9","b":"\\""}')
        self.assertIsNone(rows.mapping_to_text({}))
        checksum = Checksum(ChecksumAlgorithm.SHA256, "AAAA-2", ChecksumType.COMPOSITE)
        self.assertEqual(rows.checksum_to_text(checksum), "SHA256 COMPOSITE AAAA-2")

    def test_shared_mappings_are_read_only(self) -> None:
        """Mappings of rows are shared between objects, so nobody can change them."""
        mapping = rows.mapping_from_text('{"a":"b"}')
        with self.assertRaises(TypeError):
            mapping["a"] = "c"  # type: ignore[index]
