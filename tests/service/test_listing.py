"""Tests of ListObjects, ListObjectsV2 and ListObjectVersions, above all against a naive model of them."""

from __future__ import annotations

import time
from typing import Any

from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.errors import InvalidArgument
from post3tw.model.ids import IdSource
from post3tw.service.listing import Listing
from post3tw.service.paging import collect
from post3tw.service.store import Store
from post3tw.service.version_listing import VersionListing
from post3tw.storage.index.transactions.listing import OBJECTS, Names, Position
from tests.service.stores import admitted
from tests.storage.index.memory import MemoryIndex, now

BUCKET = Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1")

SPECIAL_KEYS = ["a", "a/", "a//", "a/b", "é", "%2e", "😀/x", "\U0010ffff", "a\U0010ffff", "~", "\x01", "é" * 512]
NAMES = st.one_of(st.sampled_from(SPECIAL_KEYS), st.text("a/é😀%\U0010ffff", max_size=5))
KEYS = st.lists(NAMES.filter(bool), max_size=12, unique=True)
PREFIXES = st.text("a/é😀\U0010ffff", max_size=2)
DELIMITERS = st.sampled_from(["", "/", "a", "//", "é", "a/", "\U0010ffff"])


@define
class Naive:
    """What S3 shows of these keys, worked out by looking at every one of them."""

    keys: list[str]
    prefix: str
    delimiter: str

    def entries(self, marker: str) -> list[str]:
        """Keys and, ending in the delimiter, common prefixes behind a marker."""
        shown: dict[bytes, None] = {}
        for key in sorted(key.encode() for key in self.keys):
            if not key.startswith(self.prefix.encode()):
                continue
            group = self.group(key)
            marked_group = group is not None and group == marker.encode()
            if key > marker.encode() and not marked_group:
                shown[key if group is None else group] = None
        return [name.decode() for name in shown]

    def group(self, key: bytes) -> bytes | None:
        """The common prefix of a key, if it has one."""
        rest = key[len(self.prefix.encode()) :]
        if not self.delimiter or self.delimiter.encode() not in rest:
            return None
        return self.prefix.encode() + rest.partition(self.delimiter.encode())[0] + self.delimiter.encode()


def shown(output: Any) -> list[str]:
    """Keys and common prefixes of an answer, in order."""
    names = [entry.key for entry in output.contents] + [entry.prefix for entry in output.common_prefixes]
    return sorted(names, key=str.encode)


class ListingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.index = MemoryIndex()
        self.pauses = 0
        self.store = Store(self.index, None, IdSource(time.time), pause=self.pause)  # type: ignore[arg-type]

    async def pause(self) -> None:
        """Count how often others get their turn."""
        self.pauses += 1

    def load(self, keys: list[str]) -> None:
        """Let the bucket have these keys."""
        self.index.clear()
        self.index.add_objects(key.encode() for key in keys)

    def v1(self, **members: Any) -> types.ListObjectsOutput:
        """List in the first form."""
        asked = types.ListObjectsInput(bucket="bucket", **members)
        return now(Listing(self.store).list_objects(admitted("ListObjects", BUCKET), asked))

    def v2(self, **members: Any) -> types.ListObjectsV2Output:
        """List in the second form."""
        asked = types.ListObjectsV2Input(bucket="bucket", **members)
        return now(Listing(self.store).list_objects_v2(admitted("ListObjectsV2", BUCKET), asked))

    def versions(self, **members: Any) -> types.ListObjectVersionsOutput:
        """List versions."""
        asked = types.ListObjectVersionsInput(bucket="bucket", **members)
        return now(VersionListing(self.store).list_object_versions(admitted("ListObjectVersions", BUCKET), asked))


class ModelTests(ListingCase):
    """Random buckets and requests; the answers are those of the naive model."""

    @settings(deadline=None, max_examples=150)
    @given(keys=KEYS, prefix=PREFIXES, delimiter=DELIMITERS, start=NAMES, limit=st.integers(1, 4))
    def test_second_form(self, keys: list[str], prefix: str, delimiter: str, start: str, limit: int) -> None:
        """Pages by continuation token cover everything behind start-after, each name once, and end exactly."""
        self.load(keys)
        expected = Naive(keys, prefix, delimiter).entries(start)
        token, seen = None, list[str]()
        while True:
            page = self.v2(
                prefix=prefix, delimiter=delimiter, start_after=start, max_keys=limit, continuation_token=token
            )
            names = shown(page)
            seen += names
            self.assertEqual(page.key_count, len(names))
            self.assertEqual(page.is_truncated, len(seen) < len(expected))
            token = page.next_continuation_token
            if not page.is_truncated:
                self.assertIsNone(token)
                break
            self.assertEqual(len(names), limit)
        self.assertEqual(seen, expected)

    @settings(deadline=None, max_examples=150)
    @given(keys=KEYS, prefix=PREFIXES, delimiter=DELIMITERS, marker=NAMES, limit=st.integers(1, 4))
    def test_first_form(self, keys: list[str], prefix: str, delimiter: str, marker: str, limit: int) -> None:
        """Pages by marker cover everything; NextMarker is there with a delimiter only."""
        self.load(keys)
        naive = Naive(keys, prefix, delimiter)
        expected, seen = naive.entries(marker), list[str]()
        while True:
            page = self.v1(prefix=prefix, delimiter=delimiter, marker=marker, max_keys=limit)
            names = shown(page)
            self.assertEqual(names, naive.entries(marker)[:limit])
            seen += names
            if not page.is_truncated:
                self.assertIsNone(page.next_marker)
                break
            self.assertEqual(page.next_marker, names[-1] if delimiter else None)
            marker = names[-1]
        self.assertEqual(seen, expected)

    @settings(deadline=None, max_examples=150)
    @given(
        keys=KEYS,
        prefix=PREFIXES,
        delimiter=DELIMITERS,
        marker=st.one_of(st.just(""), NAMES),
        limit=st.integers(1, 4),
        depth=st.integers(1, 3),
    )
    def test_versions(self, keys: list[str], prefix: str, delimiter: str, marker: str, limit: int, depth: int) -> None:
        """Pages by key and version markers cover every version of every key, each once, the newest marked as latest."""
        self.load([])
        self.index.add_versions((key.encode(), seq, seq == 1, seq == 2) for key in keys for seq in range(1, depth + 1))
        naive = Naive(keys, prefix, delimiter)
        expected = []
        for name in naive.entries(marker):
            grouped = name not in keys or naive.group(name.encode()) is not None
            expected += [(name, 0, False)] if grouped else [(name, s, s == depth) for s in range(depth, 0, -1)]
        seen: list[tuple[str, int, bool]] = []
        markers: dict[str, Any] = {"key_marker": marker}
        while True:
            page = self.versions(prefix=prefix, delimiter=delimiter, max_keys=limit, **markers)
            seen += self.shown_versions(page)
            self.assertEqual(page.is_truncated, len(seen) < len(expected))
            if not page.is_truncated:
                break
            markers = {"key_marker": page.next_key_marker, "version_id_marker": page.next_version_id_marker}
        self.assertEqual(seen, expected)

    def shown_versions(self, page: types.ListObjectVersionsOutput) -> list[tuple[str, int, bool]]:
        """Name, number and whether it is the latest, of versions and delete markers; 0 for common prefixes."""
        rows: list[tuple[str, int, bool]] = [(entry.prefix or "", 0, False) for entry in page.common_prefixes or ()]
        listed: list[types.ObjectVersion | types.DeleteMarkerEntry] = [*(page.versions or ())]
        for version in [*listed, *(page.delete_markers or ())]:
            token = version.version_id or ""
            seq = 1 if token == "null" else int(token[:16], 16)
            rows.append((version.key or "", seq, bool(version.is_latest)))
        return sorted(rows, key=lambda row: (row[0].encode(), -row[1]))


class ObjectListingTests(ListingCase):
    def test_an_object_is_described(self) -> None:
        """An entry has its key, date, quoted ETag, size, storage class, algorithm and type of checksum."""
        self.load(["key"])
        (entry,) = self.v2().contents or []
        self.assertEqual((entry.key, entry.etag, entry.size, entry.storage_class), ("key", '"e"', 3, "STANDARD"))
        self.assertEqual((entry.checksum_algorithm, entry.checksum_type), (["CRC64NVME"], "FULL_OBJECT"))
        assert entry.last_modified is not None
        self.assertEqual(entry.last_modified.timestamp(), 1_700_000_000)

    def test_owner(self) -> None:
        """The first form always names the owner, the second one when asked."""
        self.load(["key"])
        ada = types.Owner(id="ada", display_name="Ada")
        self.assertEqual((self.v1().contents or [])[0].owner, ada)
        self.assertIsNone((self.v2().contents or [])[0].owner)
        self.assertEqual((self.v2(fetch_owner=True).contents or [])[0].owner, ada)

    def test_what_was_asked_is_repeated(self) -> None:
        """Prefix and marker are always in the answer; an empty delimiter never is."""
        output = self.v1(delimiter="")
        self.assertEqual((output.prefix, output.marker, output.delimiter), ("", "", None))
        second = self.v2(start_after="b", prefix="a", delimiter="/", continuation_token="")
        self.assertEqual((second.start_after, second.prefix, second.delimiter), ("b", "a", "/"))
        self.assertEqual((second.continuation_token, second.name, second.max_keys), ("", "bucket", 1000))

    def test_names_are_encoded_on_request(self) -> None:
        """With encoding-type=url names are percent-encoded, slashes excepted, and a space is no plus.

        The prefix is not: clients of this form do not decode it.
        """
        self.load(["a b+/\x01", "a b+/é/c", "z"])
        output = self.v1(encoding_type="url", prefix="a b+/", delimiter="/", marker="a b+", max_keys=1)
        self.assertEqual([entry.key for entry in output.contents or ()], ["a%20b%2B/%01"])
        self.assertEqual((output.prefix, output.marker), ("a b+/", "a%20b%2B"))
        self.assertEqual((output.next_marker, output.encoding_type), ("a%20b%2B/%01", "url"))
        output = self.v1(encoding_type="url", prefix="a b+/", delimiter="/", marker="a b+/\x01")
        self.assertEqual([entry.prefix for entry in output.common_prefixes or ()], ["a%20b%2B/%C3%A9/"])

    def test_max_keys_zero(self) -> None:
        """A page of nothing is empty and not truncated."""
        self.load(["a", "b"])
        output = self.v2(max_keys=0)
        self.assertEqual((output.contents, output.is_truncated, output.max_keys), ([], False, 0))

    def test_max_keys_over_a_thousand(self) -> None:
        """No page has more than 1000 entries, and the answer says so."""
        self.load([f"{number:04}" for number in range(1001)])
        output = self.v2(max_keys=5000)
        self.assertEqual((output.key_count, output.max_keys, output.is_truncated), (1000, 1000, True))
        self.assertFalse(self.v2(max_keys=5000, continuation_token=output.next_continuation_token).is_truncated)

    def test_others_get_their_turn(self) -> None:
        """A page of 1000 in groups is read in pieces with pauses between them; a small or a plain one has none."""
        self.load([f"{number:04}" for number in range(1001)])
        self.v2(max_keys=10, delimiter="/")
        self.v2()
        self.assertEqual(self.pauses, 0)
        self.v2(delimiter="/")
        self.assertGreaterEqual(self.pauses, 1)

    def test_bad_arguments(self) -> None:
        """Negative max-keys, another encoding and tokens that are not ours are InvalidArgument."""
        for members in (
            {"max_keys": -1},
            {"max_keys": 2**31},
            {"encoding_type": "gzip"},
        ):
            self.assertRaises(InvalidArgument, self.v1, **members)
            self.assertRaises(InvalidArgument, self.v2, **members)
            self.assertRaises(InvalidArgument, self.versions, **members)
        for token in ("x", "é", "YQ==", "AWE", "AWE=\n", "a" * 3000):
            self.assertRaises(InvalidArgument, self.v2, continuation_token=token)

    def test_token_before_start_after(self) -> None:
        """A continuation token makes start-after moot."""
        self.load(["a", "b", "c"])
        token = self.v2(start_after="a", max_keys=1).next_continuation_token
        output = self.v2(start_after="a", continuation_token=token)
        self.assertEqual([entry.key for entry in output.contents or ()], ["c"])


class VersionListingTests(ListingCase):
    def test_a_bucket_without_versioning(self) -> None:
        """Objects of an unversioned bucket are null versions, each the latest."""
        self.index.add_versions([(b"a", 1, True, False)])
        (version,) = self.versions().versions or []
        self.assertEqual((version.key, version.version_id, version.is_latest, version.etag), ("a", "null", True, '"e"'))

    def test_a_delete_marker_is_the_latest(self) -> None:
        """A delete marker shows among its kind, with its owner, as the latest."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 2, False, True)])
        output = self.versions()
        (marker,) = output.delete_markers or []
        (version,) = output.versions or []
        self.assertTrue(marker.is_latest)
        self.assertFalse(version.is_latest)
        self.assertEqual(marker.owner, types.Owner(id="ada", display_name="Ada"))

    def test_what_was_shown_may_be_deleted(self) -> None:
        """Clients delete a page before they ask for the next one; what is then the newest is the latest."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 2, False, False)])
        page = self.versions(max_keys=1)
        self.index.connection.execute("DELETE FROM versions WHERE seq = 2")
        rest = self.versions(key_marker=page.next_key_marker, version_id_marker=page.next_version_id_marker)
        self.assertEqual([entry.is_latest for entry in rest.versions or ()], [True])

    def test_a_key_marker_alone(self) -> None:
        """A key marker goes on behind all versions of its key."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 2, False, False), (b"b", 1, False, False)])
        output = self.versions(key_marker="a")
        self.assertEqual([entry.key for entry in output.versions or ()], ["b"])

    def test_bad_markers(self) -> None:
        """A version marker needs a key marker, and must be one."""
        self.assertRaises(InvalidArgument, self.versions, version_id_marker="null")
        self.assertRaises(InvalidArgument, self.versions, key_marker="a", version_id_marker="")
        self.assertRaises(InvalidArgument, self.versions, key_marker="a", version_id_marker="x")


class NamesOfBytesTests(ListingCase):
    def test_names_need_no_valid_text(self) -> None:
        """Prefixes and delimiters are compared as bytes, whatever they are."""
        self.index.add_objects([b"\xf0\x9f\x98\x80/a", b"\xf0\x9f\x98\x80/b"])
        page = now(collect(self.store, OBJECTS, 1, Names(b"\xf0\x9f", b"/"), Position(b"\xf0\x9f"), 10))
        self.assertEqual(page.entries, [b"\xf0\x9f\x98\x80/"])
