"""Tests of walking names: order, groups, positions, and what it costs."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.version import version_token
from post3tw.storage.index.transactions import listing
from post3tw.storage.index.transactions.listing import (
    OBJECTS,
    UPLOADS,
    VERSIONS,
    Names,
    Position,
    Relation,
    position_of_version,
    successor,
    walk,
)
from tests.storage.index.memory import MemoryIndex, now


class NamesTests(SynchronousTestCase):
    def test_successor(self) -> None:
        """The successor is the smallest string behind every string with the prefix."""
        self.assertEqual(successor(b"a/"), b"a0")
        self.assertEqual(successor(b"a\xff\xff"), b"b")
        self.assertIsNone(successor(b"\xff"))
        self.assertIsNone(successor(b""))

    def test_group_begins_behind_the_prefix(self) -> None:
        """A delimiter within the prefix makes no group."""
        names = Names(b"a/", b"/")
        self.assertIsNone(names.group(b"a/b"))
        self.assertEqual(names.group(b"a/b/c/d"), b"a/b/")

    def test_behind_a_group_and_within_it(self) -> None:
        """A marker that is a group skips it; one within a group leaves the rest of the group to be shown."""
        names = Names(b"", b"/")
        self.assertEqual(names.behind(b"a/"), Position(b"a0"))
        self.assertEqual(names.behind(b"a/b"), Position(b"a/b\0"))

    def test_behind_a_name_before_the_prefix(self) -> None:
        """A marker before the prefix does not widen the listing."""
        self.assertEqual(Names(b"b").behind(b"a"), Position(b"b"))


class WalkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.index = MemoryIndex()

    def walked(self, relation: Relation, names: Names, position: Position | None, room: int = 1000) -> list[Any]:
        """Everything from a position on, keys and groups only, stretch by stretch."""
        entries: list[Any] = []
        while position is not None:
            stretch = now(walk(self.index.tx, relation, 1, names, position, room))
            entries += [entry if isinstance(entry, bytes) else (entry[0],) for entry in stretch.entries]
            position = stretch.next
        return entries

    def test_many_stretches_lose_and_repeat_nothing(self) -> None:
        """More keys than one stretch reads come in order, each once, with and without a delimiter."""
        keys = [b"%05d" % number for number in range(1200)]
        self.index.add_objects(keys)
        expected = [(key,) for key in keys]
        self.assertEqual(self.walked(OBJECTS, Names(), Position()), expected)
        self.assertEqual(self.walked(OBJECTS, Names(b"", b"/"), Position()), expected)

    def test_many_groups(self) -> None:
        """More groups than one stretch reads come in order, each once, between keys that have none."""
        keys, expected = [], []
        for number in range(700):
            keys += [b"%04d/a" % number, b"%04d/b/c" % number, b"%04dx" % number]
            expected += [b"%04d/" % number, (b"%04dx" % number,)]
        self.index.add_objects(keys)
        self.index.add_versions((key, 1, True, False) for key in keys)
        self.index.add_uploads((key, number) for number, key in enumerate(keys))
        for relation in (OBJECTS, VERSIONS, UPLOADS):
            self.assertEqual(self.walked(relation, Names(b"", b"/"), Position()), expected)

    def test_heads_are_the_first_keys_of_groups(self) -> None:
        """The statement that jumps answers one key of each group, and every key without one."""
        self.index.add_objects([b"a", b"p/1/x", b"p/1/y", b"p/2", b"p/2/", b"p/2/z", b"p/3", b"q"])
        keys = now(listing._heads(self.index.tx, OBJECTS, 1, Names(b"p/", b"/"), b"p/", 10))
        self.assertEqual(keys, [b"p/1/x", b"p/2", b"p/2/", b"p/3"])

    def test_other_buckets_are_not_seen(self) -> None:
        """A walk stays within its bucket."""
        self.index.add_objects([b"mine"])
        self.index.add_objects([b"a", b"z"], bucket_id=2)
        self.assertEqual(self.walked(OBJECTS, Names(b"", b"/"), Position()), [(b"mine",)])
        self.assertEqual(self.walked(OBJECTS, Names(), Position()), [(b"mine",)])

    def test_versions_of_a_key_come_newest_first(self) -> None:
        """Versions of a key descend, and a walk goes on within them."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 2, False, True), (b"b", 1, False, False)])
        stretch = now(walk(self.index.tx, VERSIONS, 1, Names(), Position(), 1))
        self.assertEqual([row[:2] for row in stretch.entries], [(b"a", 2)])
        assert stretch.next is not None
        rest = now(walk(self.index.tx, VERSIONS, 1, Names(), stretch.next, 5))
        self.assertEqual([row[:2] for row in rest.entries], [(b"a", 1), (b"b", 1)])

    def test_position_of_a_version_that_is_gone(self) -> None:
        """A version's id says where to go on, also when it was deleted since."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 3, False, False)])
        gone = version_token(2, b"\0" * 16)
        position = now(position_of_version(self.index.tx, 1, b"a", gone))
        self.assertEqual(position, Position(b"a", 2))

    def test_position_of_the_null_version(self) -> None:
        """The null version is found where it is; when it is gone, its key is walked again."""
        self.index.add_versions([(b"a", 1, False, False), (b"a", 2, True, False), (b"a", 3, False, False)])
        self.assertEqual(now(position_of_version(self.index.tx, 1, b"a", "null")), Position(b"a", 2))
        self.assertEqual(now(position_of_version(self.index.tx, 1, b"b", "null")), Position(b"b"))

    def test_position_of_no_version(self) -> None:
        """What cannot be a version id has no position; a number too large for the database is no error."""
        self.assertIsNone(now(position_of_version(self.index.tx, 1, b"a", "no-such-id")))
        self.assertEqual(now(position_of_version(self.index.tx, 1, b"a", "f" * 32)), Position(b"a", (1 << 63) - 1))


class CostTests(SynchronousTestCase):
    """What a page costs does not depend on what is not on it."""

    def steps_of_page(self, relation: Relation, names: Names, groups: int, each: int) -> int:
        """The work for 50 entries of a bucket with so many groups of so many keys."""
        index = MemoryIndex()
        keys = [b"%05d/%05d" % (group, number) for group in range(groups) for number in range(each)]
        index.add_objects(keys)
        index.add_versions((key, 1, True, False) for key in keys)
        index.add_uploads((key, number) for number, key in enumerate(keys))
        return index.steps(lambda: now(walk(index.tx, relation, 1, names, Position(b"00010"), 50)))

    def test_groups_are_not_scanned(self) -> None:
        """Fifty groups of 200 keys cost as much as fifty of 20."""
        for relation in (OBJECTS, VERSIONS, UPLOADS):
            small = self.steps_of_page(relation, Names(b"", b"/"), 100, 20)
            large = self.steps_of_page(relation, Names(b"", b"/"), 100, 200)
            self.assertLessEqual(large, small * 1.1)

    def test_the_rest_of_the_bucket_is_not_scanned(self) -> None:
        """A page of a bucket costs as much as one of a bucket ten times as large."""
        for relation in (OBJECTS, VERSIONS, UPLOADS):
            small = self.steps_of_page(relation, Names(), 100, 20)
            large = self.steps_of_page(relation, Names(), 1000, 20)
            self.assertLessEqual(large, small * 1.1)

    def test_old_versions_are_not_scanned(self) -> None:
        """A key costs a grouped page no more for having thousands of versions that are not on it."""
        index = MemoryIndex()
        index.add_versions((b"a", seq, False, False) for seq in range(1, 20))
        few = index.steps(lambda: now(walk(index.tx, VERSIONS, 1, Names(b"", b"/"), Position(), 10)))
        index.add_versions((b"a", seq, False, False) for seq in range(20, 5000))
        many = index.steps(lambda: now(walk(index.tx, VERSIONS, 1, Names(b"", b"/"), Position(), 10)))
        self.assertEqual(many, few)

    def test_delete_markers_cost_nothing(self) -> None:
        """Deleted keys in front of an object do not slow its listing."""
        index = MemoryIndex()
        index.add_objects([b"z"])
        before = index.steps(lambda: now(walk(index.tx, OBJECTS, 1, Names(), Position(), 10)))
        index.add_versions((b"%06d" % number, 2, False, True) for number in range(5000))
        self.assertEqual(index.steps(lambda: now(walk(index.tx, OBJECTS, 1, Names(), Position(), 10))), before)

    def test_query_plans(self) -> None:
        """Every statement searches an index; none scans a table, none sorts."""
        index = MemoryIndex()
        statements = {
            name: value
            for name, value in vars(listing).items()
            if isinstance(value, str)
            and "WHERE" in value
            and "?" in value
            and name not in ("_VERSION", "_UPLOAD", "_HEADS")
        }
        self.assertEqual(len(statements), 9)
        for name, sql in statements.items():
            plan = index.connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()
            details = [detail for *_, detail in plan]
            tables = [line for line in details if line.startswith(("SCAN", "SEARCH")) and " head" not in line]
            for line in tables:
                if line != "SCAN CONSTANT ROW":
                    self.assertIn("SEARCH", line, name)
                    self.assertIn("bucket=?", line, name)
            self.assertFalse([line for line in details if "TEMP B-TREE" in line], name)
            self.assertTrue(tables, name)
