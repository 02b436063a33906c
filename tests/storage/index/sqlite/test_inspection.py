"""Looking into an index from outside."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from functools import partial

from twisted.trial.unittest import TestCase

from post3tw.model.bucket import Bucket
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.sqlite.inspection import inspected
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.interfaces import ITransaction, StoreRefused
from tests.backends import started

FIND = partial(find_bucket, tenant="", name="bucket")

ELSEWHERE = """
import sys
from functools import partial
from post3tw.storage.index.sqlite.inspection import inspected
from post3tw.storage.index.transactions.buckets import find_bucket
with inspected(sys.argv[1]) as index:
    print(index.read(partial(find_bucket, tenant="", name="bucket")).owner_id)
"""


class InspectionTests(TestCase):
    """An index with one bucket."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it."""
        from twisted.internet import reactor

        self.path = self.mktemp()
        self.index = await started(self, SqliteIndex(self.path, reactor))
        await self.index.run(lambda tx: create_bucket(tx, Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1")))

    async def test_beside_a_server(self) -> None:
        """What was committed is seen, as it was when the look began, and the server can write on."""
        with inspected(self.path) as inspection:
            self.assertIsNotNone(inspection.read(FIND))
            await self.index.run(lambda tx: tx.run("DELETE FROM buckets"))
            self.assertIsNotNone(inspection.read(FIND))
        with inspected(self.path) as inspection:
            self.assertIsNone(inspection.read(FIND))

    def test_from_another_process(self) -> None:
        """A process of its own sees what is only in the log as yet."""
        command = [sys.executable, "-c", ELSEWHERE, os.path.abspath(self.path)]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)
        self.assertEqual((found.stdout, found.stderr), ("ada\n", ""))

    async def test_without_a_server(self) -> None:
        """A directory without a server is not changed, not even by files that go again: it may be read-only."""
        await self.index.stop()
        os.chmod(self.path, 0o400)
        before = os.stat(os.path.dirname(os.path.abspath(self.path))).st_mtime_ns
        with inspected(self.path) as inspection:
            self.assertIsNotNone(inspection.read(FIND))
        self.assertEqual(os.stat(os.path.dirname(os.path.abspath(self.path))).st_mtime_ns, before)
        os.chmod(self.path, 0o600)
        await self.index.start()

    def test_writing(self) -> None:
        """Nothing can be written."""

        async def write(tx: ITransaction) -> int:
            return await tx.run("DELETE FROM buckets")

        with self.assertRaises(StoreRefused), inspected(self.path) as inspection:
            inspection.read(write)

    def test_refused(self) -> None:
        """What is missing, no database, another program's, or of another schema is refused."""
        for name, prepare in (
            ("there is no index", []),
            ("is a SQLite database, but not an index", ["CREATE TABLE t (a)"]),
            ("has schema 1;", ["CREATE TABLE store (name, value)", "CREATE TABLE versions (a)",
                               "INSERT INTO store VALUES ('schema_version', '1')"]),
        ):  # fmt: skip
            path = self.mktemp()
            if prepare:
                connection = sqlite3.connect(path)
                for statement in prepare:
                    connection.execute(statement)
                connection.commit()
                connection.close()
            self._assert_refused(name, path)
        with open(path, "wb") as file:
            file.write(b"no database" * 1000)
        self._assert_refused("cannot be read as an index", path)

    def _assert_refused(self, reason: str, path: str) -> None:
        def look() -> None:
            with inspected(path):
                pass

        error = self.assertRaises(StoreRefused, look)
        self.assertIn(reason, str(error))
