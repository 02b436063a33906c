"""Which node does what is to be done once."""

from __future__ import annotations

from time import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import TestCase

from post3tw.storage.postgresql.leadership import Leadership
from post3tw.storage.postgresql.migrations import Migration
from post3tw.testing.postgresql import new_database
from tests.storage.postgresql.nodes import connected
from tests.waiting import until

LEASE = 2.5


class LeadershipTests(TestCase):
    """Two nodes on one database, with a lease of 2.5 seconds (of which the last one is left unused)."""

    timeout = 30

    async def node(self, name: str, **options: Any) -> Leadership:
        """A node that asks for the lease."""
        from twisted.internet import reactor

        node = Leadership(await connected(self, self.dsn), reactor, name, lease=LEASE, interval=0.1, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(node.stop()))
        await node.start()
        return node

    async def two_nodes(self) -> tuple[Leadership, Leadership]:
        """Two nodes, the first of which asked first."""
        from twisted.internet import reactor

        self.dsn = new_database(self)
        await Migration(await connected(self, self.dsn), reactor, "aa" * 16).run()
        return await self.node("one"), await self.node("two")

    async def test_one_leads(self) -> None:
        """Who asks first leads, and goes on leading."""
        one, two = await self.two_nodes()
        self.assertEqual((one.leads, two.leads), (True, False))
        renewed = one._until
        await until(lambda: one._until > renewed + 0.5)
        self.assertEqual((one.leads, two.leads), (True, False))

    async def test_node_stops(self) -> None:
        """A node that stops gives the lease back, and the other leads at its next request."""
        one, two = await self.two_nodes()
        await one.stop()
        self.assertFalse(one.leads)
        self.assertNotIn(("one",), await two.management.query("SELECT holder FROM leases"))
        await until(lambda: two.leads)

    async def test_node_dies(self) -> None:
        """When a node is gone, the other leads after the end of its lease, and never at the same time."""
        one, two = await self.two_nodes()
        await one.management.stop()  # as the database sees a node that died
        both = False

        def moved() -> bool:
            nonlocal both
            both = both or (one.leads and two.leads)
            return two.leads

        await until(moved)
        self.assertFalse(both)
        self.assertFalse(one.leads)

    async def test_database_away(self) -> None:
        """A leader that cannot renew its lease stops leading while the lease still lasts."""
        one, two = await self.two_nodes()
        await one.management.stop()
        await until(lambda: not one.leads)
        self.assertFalse(two.leads)

    async def test_wrong_clock(self) -> None:
        """A node whose clock is far from the database's does not lead, and says so; with the clock right it may."""
        one, two = await self.two_nodes()
        wrong = 7200.0
        await one.stop()
        await two.stop()
        with capturedLogs() as events:
            three = await self.node("three", clock=lambda: time() + wrong)
        self.assertEqual([event["log_level"] for event in events if "seconds" in event], [LogLevel.error])
        await three._ask()
        self.assertFalse(three.leads)
        wrong = -7200.0
        await three._ask()
        self.assertFalse(three.leads)
        wrong = 600.0
        await three._ask()
        self.assertTrue(three.leads)

    async def test_clock_goes_wrong(self) -> None:
        """A leader whose clock is set wrong does not lead any more, and another one does."""
        self.wrong = 0.0
        one, two = await self.two_nodes()
        await one.stop()
        await two.stop()
        three = await self.node("three", clock=lambda: time() + self.wrong)
        self.assertTrue(three.leads)
        self.wrong = 86400.0
        await until(lambda: not three.leads)
        await two.start()
        await until(lambda: two.leads)

    async def test_same_name(self) -> None:
        """A lease belongs to a node's name: the same node, started again, has it at once."""
        one, _ = await self.two_nodes()
        await one.management.stop()
        again = await self.node("one")
        self.assertTrue(again.leads)
