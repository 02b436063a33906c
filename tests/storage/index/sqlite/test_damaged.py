"""An index with a page that is no page any more: what does not need that page goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from post3tw.storage.index.sqlite.failures import IndexFailed
from post3tw.storage.index.sqlite.index import PAGE_SIZE, SqliteIndex


class DamagedTests(TestCase):
    """The table of uploads cannot be read."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Damage it, and start."""
        from twisted.internet import reactor

        path = self.mktemp()
        self.index = SqliteIndex(path, reactor, durability="relaxed")
        await self.index.start()
        await self.index.stop()
        with closing(sqlite3.connect(path)) as connection:
            find = "SELECT rootpage FROM sqlite_master WHERE name = 'uploads'"
            (page,) = connection.execute(find).fetchone()
        with open(path, "r+b") as file:
            file.seek((page - 1) * PAGE_SIZE)
            file.write(bytes(PAGE_SIZE))
        await self.index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.index.stop()))

    async def uploads(self, tx: Any) -> Any:
        """A transaction that meets the damage."""
        return await tx.one("SELECT count(owner_id) FROM uploads")

    async def write(self, tx: Any, number: int) -> int:
        """One that does not."""
        await tx.write("INSERT INTO store (name, value) VALUES (?, '')", str(number))
        return number

    async def test_read(self) -> None:
        """A read that meets the damage fails, and keeps nobody from reading and writing afterwards."""
        for number in range(3):
            with self.assertRaises(IndexFailed):
                await self.index.read(self.uploads)
            self.assertEqual(await self.index.run(partial(self.write, number=number)), number)
            find = partial(self.stored, number=number)
            self.assertEqual(await self.index.read(find), ("",))

    async def stored(self, tx: Any, number: int) -> Any:
        """What `write` wrote."""
        return await tx.one("SELECT value FROM store WHERE name = ?", str(number))

    async def test_write(self) -> None:
        """A write that meets the damage fails alone, not with those that share its commit."""
        calls: list[Deferred[Any]] = []
        for number in range(6):
            transaction: Any = self.uploads if number == 3 else partial(self.write, number=number)
            calls.append(Deferred.fromCoroutine(self.index.run(transaction)))
        failed = self.assertFailure(calls.pop(3), IndexFailed)
        self.assertEqual(await gatherResults(calls), [0, 1, 2, 4, 5])
        await failed
