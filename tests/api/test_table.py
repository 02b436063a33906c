"""Tables are lists: what is made of them does not show that their entries were never objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import documents_out, types
from post3tw.api.table import Dates, Digits, Few, Quoted, Table, put_list
from post3tw.wire.dates import from_millis

_CHECKSUMS = {None: None, "CRC32": ["CRC32"], "SHA256": ["SHA256"]}
_OWNERS = {None: None, "ada": types.Owner(id="ada", display_name="A & Co"), "bob": types.Owner(id="bob")}
_TEXT = st.text(st.sampled_from('ab/ "&<\0\n\xe9\uffff'))
_MILLIS = st.integers(min_value=0, max_value=4_000_000_000_000)

_ROWS = st.lists(
    st.tuples(_TEXT, _MILLIS, _TEXT, st.integers(0), st.sampled_from(list(_CHECKSUMS)), st.sampled_from(list(_OWNERS)))
)


def _table(rows: list[tuple[Any, ...]], *, as_text: bool = False) -> Table[types.Object]:
    keys, millis, etags, sizes, checksums, owners = zip(*rows, strict=True) if rows else ((),) * 6
    return Table(
        types.Object,
        {
            "key": keys,
            "last_modified": Dates(list(map(str, millis)) if as_text else millis),
            "etag": Quoted(etags) if as_text else [f'"{etag}"' for etag in etags],
            "size": Digits(list(map(str, sizes))) if as_text else sizes,
            "checksum_algorithm": Few(checksums, _CHECKSUMS),
            "owner": Few(owners, _OWNERS),
            "storage_class": Few([0] * len(rows), {0: "STANDARD"}),
        },
    )


def _written(entries: Any, shape: Any = documents_out.OBJECT) -> str:
    parts: list[str] = []
    put_list("Contents", entries, shape, parts.append)
    return "".join(parts)


class TableTests(SynchronousTestCase):
    """Reading a table, and writing it."""

    @given(_ROWS)
    def test_written_as_its_entries_are(self, rows: list[tuple[Any, ...]]) -> None:
        """The XML of a table is that of the objects that it stands for."""
        table = _table(rows)
        self.assertEqual(_written(table), _written(list(table)))

    @given(_ROWS)
    def test_columns_of_text(self, rows: list[tuple[Any, ...]]) -> None:
        """Dates, numbers and what stands in quotes may be kept as the text that an index has."""
        table, as_text = _table(rows), _table(rows, as_text=True)
        self.assertEqual(list(as_text), list(table))
        self.assertEqual(_written(as_text), _written(table))

    def test_a_sequence_of_objects(self) -> None:
        """Entries can be counted, got at, cut out and gone through."""
        table = _table([("a", 1000, "x", 1, None, None), ("b", 2000, "y", 2, "CRC32", "ada")])
        second = types.Object(
            key="b",
            last_modified=from_millis(2000),
            etag='"y"',
            size=2,
            checksum_algorithm=["CRC32"],
            owner=_OWNERS["ada"],
            storage_class="STANDARD",
        )
        self.assertEqual(len(table), 2)
        self.assertEqual(table[1], second)
        self.assertEqual(table[-1:], [second])
        self.assertEqual([entry.key for entry in table], ["a", "b"])

    def test_truths(self) -> None:
        """Booleans are words."""
        table = Table(types.DeleteMarkerEntry, {"key": ["a", "a"], "is_latest": [True, False]})
        written = _written(table, documents_out.DELETE_MARKER_ENTRY)
        self.assertIn("<IsLatest>true</IsLatest></Contents><Contents><Key>a</Key><IsLatest>false</IsLatest>", written)

    def test_all_alike(self) -> None:
        """A table whose entries differ in nothing has as many of them."""
        table = Table(types.Object, {"storage_class": Few([1, 1], {1: "GLACIER"})})
        self.assertEqual(_written(table), 2 * "<Contents><StorageClass>GLACIER</StorageClass></Contents>")

    def test_a_column_of_structures(self) -> None:
        """What is no plain text needs a column of few values."""
        table = Table(types.Object, {"owner": [types.Owner(id="ada")]})
        self.assertRaises(TypeError, _written, table)
