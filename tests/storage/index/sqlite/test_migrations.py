"""Making, migrating and refusing database files."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.sqlite.migrations import refuse_foreign, schema_scripts
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.interfaces import ITransaction, StoreRefused
from post3tw.testing.index_fixture import bucket

NEXT = """-- The schema of a later release: a column; with a comment; and 'semicolons'.
ALTER TABLE buckets ADD COLUMN quota INTEGER DEFAULT 7;
CREATE TABLE quotas (owner_id TEXT PRIMARY KEY);
"""


class SchemaScriptsTests(SynchronousTestCase):
    """The scripts of this release."""

    def test_consecutive(self) -> None:
        """Scripts are numbered from 1 without a gap, and each can be run after the one before."""
        scripts = schema_scripts()
        self.assertEqual(sorted(scripts), list(range(1, len(scripts) + 1)))
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        for number in sorted(scripts):
            connection.executescript(scripts[number])


class MigrationTests(TestCase):
    """Starting an index on what is there."""

    def setUp(self) -> None:
        """A new path for each test."""
        self.path = self.mktemp()
        self.scripts = schema_scripts()
        self.version = max(self.scripts)
        self.later = {**self.scripts, self.version + 1: NEXT}

    async def started(self, scripts: dict[int, str]) -> SqliteIndex:
        """An index with these scripts, stopped when the test ends."""
        from twisted.internet import reactor

        index = SqliteIndex(self.path, reactor, scripts=scripts)
        await index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(index.stop()))
        return index

    async def refused(self, scripts: dict[int, str]) -> str:
        """Why an index with these scripts does not start."""
        try:
            await self.started(scripts)
        except StoreRefused as refusal:
            return str(refusal)
        raise self.failureException("not refused")

    def files(self) -> dict[str, bytes]:
        """Everything on disk that belongs to the index, but for SQLite's shared memory."""
        directory, name = os.path.split(self.path)
        found = {}
        for entry in os.listdir(directory):
            if entry.startswith(name) and not entry.endswith("-shm"):
                with open(os.path.join(directory, entry), "rb") as file:
                    found[entry] = file.read()
        return found

    def stored(self, name: str) -> Any:
        """A value of the table `store`, read by somebody else."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute("SELECT value FROM store WHERE name = ?", (name,)).fetchone()
        finally:
            connection.close()

    async def test_first_start(self) -> None:
        """A first start makes the newest schema and gives the store an id, which stays."""
        index = await self.started(self.later)
        await index.stop()
        made = self.stored("store_id")
        self.assertEqual(len(made[0]), 32)
        self.assertEqual(self.stored("schema_version"), (str(self.version + 1),))
        await self.started(self.later)
        self.assertEqual(self.stored("store_id"), made)

    async def test_older_is_migrated(self) -> None:
        """An older schema is brought up to date with its rows kept."""
        index = await self.started(self.scripts)
        await index.run(lambda tx: create_bucket(tx, bucket()))
        await index.stop()
        index = await self.started(self.later)
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket())
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT quota FROM buckets")), [(7,)])
        self.assertEqual(self.stored("schema_version"), (str(self.version + 1),))

    async def test_object_acls(self) -> None:
        """Schema 2 finds the buckets in which somebody else than the bucket's owner owns a version."""
        index = await self.started({1: self.scripts[1]})

        async def fill(tx: ITransaction) -> None:
            for number, owner in ((1, "ada"), (2, "eve")):
                await tx.run(
                    "INSERT INTO buckets (id, tenant, name, owner_id, owner_name, created, region)"
                    " VALUES (?, '', ?, 'ada', 'Ada', 0, '')",
                    number,
                    f"bucket-{number}",
                )
                await tx.run(
                    "INSERT INTO versions (bucket, key, seq, id, is_null, delete_marker, created, size, etag, owner_id,"
                    " owner_name) VALUES (?, ?, 1, ?, 1, 0, 0, 0, '', ?, '')",
                    number,
                    b"key",
                    bytes(16),
                    owner,
                )

        await index.run(fill)
        await index.stop()
        index = await self.started(self.scripts)
        found = [await index.read(partial(find_bucket, tenant="", name=f"bucket-{number}")) for number in (1, 2)]
        self.assertEqual([bucket is not None and bucket.object_acls for bucket in found], [False, True])

    async def test_entries(self) -> None:
        """Schema 4 puts what listings show of an object into one text, whether or not it has a checksum."""
        index = await self.started({number: self.scripts[number] for number in (1, 2, 3)})
        columns = "bucket, key, seq, created, size, etag, owner_id, owner_name, storage_class, checksum"

        async def fill(tx: ITransaction) -> None:
            for key, storage_class, checksum in ((b"a", "STANDARD", None), (b"b", "GLACIER", "CRC32 FULL_OBJECT")):
                values = (1, key, 3, 1000, 4, "0f-2", "ada", "Ada", storage_class, checksum)
                await tx.run(f"INSERT INTO current ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)

        await index.run(fill)
        await index.stop()
        index = await self.started(self.scripts)
        self.assertEqual(
            await index.read(lambda tx: tx.all("SELECT * FROM current ORDER BY key")),
            [
                (1, b"a", 3, "1000|4|0f-2|STANDARD", "ada", "Ada"),
                (1, b"b", 3, "1000|4|0f-2|GLACIER CRC32 FULL_OBJECT", "ada", "Ada"),
            ],
        )

    async def test_failed_migration(self) -> None:
        """A migration that fails half-way is refused and leaves the older schema, which the older release opens."""
        index = await self.started(self.scripts)
        await index.stop()
        refusal = await self.refused({**self.scripts, self.version + 1: NEXT + "CREATE TABLE buckets (id);"})
        self.assertIn("already exists", refusal)
        index = await self.started(self.scripts)
        columns = await index.read(lambda tx: tx.all("PRAGMA table_info(buckets)"))
        self.assertNotIn("quota", [column[1] for column in columns])

    async def test_newer_is_refused(self) -> None:
        """A newer schema is refused in one line that names both versions, and not a byte is changed."""
        index = await self.started(self.later)
        await index.stop()
        before = self.files()
        refusal = await self.refused(self.scripts)
        self.assertEqual(
            refusal,
            f"{self.path} has schema {self.version + 1}, written by a newer release; "
            f"this one knows schemas up to {self.version}",
        )
        self.assertEqual(self.files(), before)

    async def test_newer_in_the_log_is_refused(self) -> None:
        """A newer schema that is only in the log of a process that was killed is seen, and refused untouched."""
        index = await self.started(self.scripts)
        await index.stop()
        index = await self.started(self.later)
        killed = self.files()
        await index.stop()
        directory = os.path.dirname(self.path)
        for name, content in killed.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
        self.assertIn(f"has schema {self.version + 1}", await self.refused(self.scripts))
        self.assertEqual(self.files(), killed)

    async def test_newer_beside_a_journal_is_refused(self) -> None:
        """A rollback journal beside it, which a first start may leave, hides nothing: a newer schema is refused."""
        index = await self.started(self.later)
        await index.stop()
        before = self.files()
        with open(self.path + "-journal", "wb") as file:
            file.write(bytes(512))
        self.assertIn(f"has schema {self.version + 1}", await self.refused(self.scripts))
        self.assertEqual(self.files()[os.path.basename(self.path)], before[os.path.basename(self.path)])

    async def test_cut_off_first_start(self) -> None:
        """A first start that was cut off before the schema is taken up where it ended."""
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        index = await self.started(self.scripts)
        await index.run(lambda tx: create_bucket(tx, bucket()))
        self.assertEqual(self.stored("schema_version"), (str(self.version),))

    async def test_empty_file(self) -> None:
        """An empty file is a first start."""
        with open(self.path, "wb"):
            pass
        await self.started(self.scripts)
        self.assertEqual(self.stored("schema_version"), (str(self.version),))

    async def test_no_database(self) -> None:
        """A file that is no database is refused and stays as it is."""
        with open(self.path, "wb") as file:
            file.write(b"my novel, first chapter\n" * 1000)
        before = self.files()
        self.assertIn("cannot be read as an index", await self.refused(self.scripts))
        self.assertEqual(self.files(), before)

    async def test_another_database(self) -> None:
        """A database of somebody else is refused and stays as it is."""
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE store (name TEXT, value TEXT)")
        connection.commit()
        connection.close()
        before = self.files()
        self.assertIn("not an index of post3tw", await self.refused(self.scripts))
        self.assertEqual(self.files(), before)

    async def test_directory_missing(self) -> None:
        """A path that cannot be opened is refused, in one line."""
        self.path = os.path.join(self.path, "none", "index.sqlite")
        self.assertEqual(len((await self.refused(self.scripts)).splitlines()), 1)

    def test_looking_leaves_no_trace(self) -> None:
        """Looking at a file makes none beside it."""
        connection = sqlite3.connect(self.path)
        connection.executescript("PRAGMA journal_mode = WAL;" + self.scripts[1])
        connection.execute("INSERT INTO store VALUES ('schema_version', '1')")
        connection.commit()
        connection.close()
        before = os.listdir(os.path.dirname(self.path))
        refuse_foreign(self.path, 1)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), before)
