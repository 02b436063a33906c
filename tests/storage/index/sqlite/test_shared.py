"""An index that several processes have open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.sqlite.turns import TurnsOfProcesses
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.interfaces import ITransaction
from post3tw.testing.index_fixture import bucket

ROOT = Path(__file__).parents[4]
ANOTHER = """
import sqlite3, sys
from post3tw.storage.index.sqlite.turns import TurnsOfProcesses
turns = TurnsOfProcesses(sys.argv[1])
turns.open()
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "sql":
        connection = sqlite3.connect(sys.argv[2], isolation_level=None, timeout=10)
        connection.execute(rest)
        connection.close()
        print("done", flush=True)
    else:
        print(getattr(turns, word)(), flush=True)
"""


class Another:
    """Another process, which does what it is told."""

    def __init__(self, turns: str, database: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ANOTHER, turns, database],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, words: str) -> None:
        """Have it begin something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """What came of it."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, words: str) -> str:
        """Have it do something."""
        self.begin(words)
        return self.answer()

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class TurnsTests(SynchronousTestCase):
    """Whose turn it is."""

    def setUp(self) -> None:
        path = self.mktemp()
        self.ours = TurnsOfProcesses(path)
        self.ours.open()
        self.addCleanup(self.ours.close)
        self.others = [Another(path) for _ in range(2)]
        for other in self.others:
            self.addCleanup(other.kill)

    def test_one_at_a_time(self) -> None:
        """Who has the turn has it alone, until it is given back."""
        self.assertTrue(self.ours.take_at_once())
        self.assertEqual(self.others[0].do("take_at_once"), "False")
        self.ours.give_back()
        self.assertEqual(self.others[0].do("take_at_once"), "True")
        self.assertFalse(self.ours.take_at_once())
        self.others[0].do("give_back")
        self.assertTrue(self.ours.take_at_once())

    def test_who_waits_is_next(self) -> None:
        """Who gives the turn back does not get it again before the one who waits."""
        first, second = self.others
        self.assertEqual(first.do("take_at_once"), "True")
        second.begin("take")
        while not self.someone_waits():
            pass
        first.do("give_back")
        self.assertEqual(first.do("take_at_once"), "False")
        self.assertEqual(second.answer(), "None")
        second.do("give_back")
        self.assertEqual(first.do("take_at_once"), "True")

    def someone_waits(self) -> bool:
        """Whether the first of the two locks is taken."""
        if self.ours._try(0):
            self.ours._unlock(0)
            return False
        return True

    def test_death(self) -> None:
        """Who dies has no turn any more, and who waits gets it."""
        first, second = self.others
        self.assertEqual(first.do("take_at_once"), "True")
        second.begin("take")
        first.kill()
        self.assertEqual(second.answer(), "None")

    def test_copying(self) -> None:
        """One process at a time copies the log, whoever writes."""
        self.assertTrue(self.ours.begin_copying())
        self.assertEqual(self.others[0].do("begin_copying"), "False")
        self.assertEqual(self.others[0].do("take_at_once"), "True")
        self.ours.end_copying()
        self.assertEqual(self.others[0].do("begin_copying"), "True")


class SharedIndexTests(TestCase):
    """The index, beside a process that writes to the same file."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        from twisted.internet import reactor

        self.path = self.mktemp()
        self.index = SqliteIndex(self.path, reactor, shared=True)
        await self.index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.index.stop()))
        self.other = Another(f"{self.path}-turns", self.path)
        self.addCleanup(self.other.kill)
        await self.index.run(lambda tx: create_bucket(tx, bucket()))

    async def names(self) -> list[str]:
        """What there is, by reads that follow each other at once."""

        async def read(tx: ITransaction) -> list[str]:
            return [name for (name,) in await tx.all("SELECT name FROM buckets ORDER BY name")]

        return await self.index.read(read)

    async def test_seen_at_once(self) -> None:
        """What another process has committed is seen by the next read, and so is what it took away."""
        for _ in range(20):
            self.assertEqual(await self.names(), ["bucket-1"])
            self.other.do("sql UPDATE buckets SET name = 'renamed', generation = generation + 1")
            self.assertEqual(await self.names(), ["renamed"])
            self.assertIsNone(await self.index.read(lambda tx: find_bucket(tx, "", "bucket-1")))
            self.other.do("sql UPDATE buckets SET name = 'bucket-1'")
            self.assertIsNotNone(await self.index.read(lambda tx: find_bucket(tx, "", "bucket-1")))

    async def test_waits_for_the_turn(self) -> None:
        """While another process has the turn reads go on, writes wait, and all that wait are one commit."""
        commits = self.index.commits
        self.assertEqual(self.other.do("take_at_once"), "True")
        writes = [
            Deferred.fromCoroutine(self.index.run(lambda tx, n=n: create_bucket(tx, bucket(n))))  # type: ignore[misc]
            for n in range(2, 12)
        ]
        self.assertEqual(await self.names(), ["bucket-1"])
        for _ in range(10):
            await self.turn()
        self.assertEqual([write.called for write in writes], [False] * 10)
        self.assertEqual(await self.names(), ["bucket-1"])
        self.other.do("give_back")
        for write in writes:
            await write
        self.assertEqual(self.index.commits - commits, 1)
        self.assertEqual(len(await self.names()), 11)
        self.assertEqual(self.other.do("take_at_once"), "True")

    async def test_error_gives_the_turn_back(self) -> None:
        """A transaction that fails, or writes nothing, or fails after it has written, keeps nobody waiting."""

        async def fail(tx: ITransaction) -> None:
            raise KeyError("no")

        async def fail_late(tx: ITransaction) -> None:
            await tx.write("UPDATE buckets SET name = 'lost'")
            raise KeyError("late")

        for transaction in (fail, fail_late):
            await self.assertFailure(Deferred.fromCoroutine(self.index.run(transaction)), KeyError)
            while self.other.do("take_at_once") != "True":  # in vain only until the thread of the index is done
                await self.turn()
            self.other.do("give_back")
        self.assertEqual(await self.names(), ["bucket-1"])

    async def test_snapshot_is_let_go(self) -> None:
        """Who only looked once does not keep another process from beginning the log anew."""
        await self.names()
        self.other.do("sql UPDATE buckets SET generation = generation + 1")
        await self.names()
        while os.path.getsize(f"{self.path}-wal"):
            await self.turn()
            self.other.do("sql PRAGMA wal_checkpoint(TRUNCATE)")

    async def turn(self) -> None:
        """A turn of the reactor."""
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        await deferLater(reactor, 0)
