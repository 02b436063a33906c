"""What nodes hear of each other's changes of buckets."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.management import Management
from post3tw.storage.postgresql.migrations import Migration
from post3tw.storage.postgresql.notices import BELIEF, Notices, watched
from post3tw.testing.postgresql import new_database, shared_cluster
from tests.storage.postgresql.nodes import connected
from tests.waiting import until

PID = "SELECT pg_backend_pid()"


class Deaf(Management):
    """A connection to a database that knows no LISTEN."""

    async def listen(self, channel: str, notified: Callable[[str], None]) -> None:
        """Refused by the server's parser."""
        await self.execute("HEARKEN")


class WatchedTests(SynchronousTestCase):
    """Which statements change buckets."""

    def test_changes(self) -> None:
        """Updates and deletions of buckets are watched: they return whose bucket it was."""
        for sql in ("UPDATE buckets SET versioning = ? WHERE id = ?", "DELETE FROM buckets WHERE id = ?"):
            self.assertEqual(watched(sql), sql + " RETURNING tenant, name")
        self.assertIsNotNone(watched("\n  update  buckets\nSET region = ''"))

    def test_others(self) -> None:
        """Reading, making a bucket (nobody caches its absence) and other tables are not watched."""
        for sql in (
            "SELECT generation FROM buckets WHERE id = ?",
            "INSERT INTO buckets (id) VALUES (?)",
            "UPDATE bucket_documents SET body = ?",
            "DELETE FROM versions WHERE bucket = ?",
        ):
            self.assertIsNone(watched(sql))

    def test_returning(self) -> None:
        """A statement that returns something else would hide what changed."""
        self.assertRaises(ValueError, watched, "DELETE FROM buckets WHERE id = ? RETURNING id")


class NumberTests(SynchronousTestCase):
    """What the number of a notice says."""

    def setUp(self) -> None:
        self.notices = Notices(Management(None, Dsn({})), None)
        self.told: list[tuple[str | None, str]] = []
        self.notices.subscribe(lambda tenant, name="": self.told.append((tenant, name)))

    def hear(self, number: int) -> list[tuple[str | None, str]]:
        """What is forgotten when a notice about a bucket comes."""
        self.told.clear()
        self.notices._notified(f'{number} [["","photos"]]')
        return self.told

    def test_first(self) -> None:
        """Before any number is known, everything is forgotten; the next one names what."""
        self.assertEqual(self.hear(7), [(None, "")])
        self.assertEqual(self.hear(8), [("", "photos")])

    def test_lost(self) -> None:
        """A number was left out: what it was about is not known."""
        self.hear(7)
        self.assertEqual(self.hear(9), [(None, "")])
        self.assertEqual(self.hear(10), [("", "photos")])

    def test_known(self) -> None:
        """A number that a poll has seen is no news."""
        self.hear(7)
        self.assertEqual(self.hear(7), [])

    def test_another_server(self) -> None:
        """After a failover that lost commits, the same numbers may mean other things."""
        self.hear(7)
        self.notices._reconnected()
        self.assertEqual(self.hear(8), [(None, "")])


class Node:
    """A node that hears, and remembers what it was told to forget."""

    def __init__(self, management: Management) -> None:
        from twisted.internet import reactor

        self.management = management
        self.notices = Notices(management, reactor)
        self.told: list[tuple[str | None, str]] = []
        self.notices.subscribe(lambda tenant, name="": self.told.append((tenant, name)))

    async def change(self, *buckets: tuple[str, str], quietly: bool = False) -> None:
        """Commit a transaction that changed buckets; `quietly` as if its NOTIFY got lost."""
        sql, parameters = self.notices.announcement(buckets)
        if quietly:
            sql, parameters = "UPDATE bucket_changes SET number = number + 1", ()
        await self.management.execute(sql.replace("?", "%s"), *parameters)


class HearingTests(TestCase):
    """Two nodes on one database."""

    timeout = 30

    async def node(self) -> Node:
        """Another node, which has heard nothing yet."""
        node = Node(await connected(self, self.dsn))
        await node.notices.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(node.notices.stop()))
        await until(lambda: node.notices.current)
        node.told.clear()
        return node

    async def two_nodes(self) -> tuple[Node, Node]:
        """Two nodes on a database with the schema."""
        from twisted.internet import reactor

        self.dsn = new_database(self)
        await Migration(await connected(self, self.dsn), reactor, "aa" * 16).run()
        return await self.node(), await self.node()

    async def test_named(self) -> None:
        """What one node changed is what the other forgets, by name, whatever the names are."""
        one, other = await self.two_nodes()
        await one.change(("", "photos"), ("tenant'", "a.b"))
        await until(lambda: len(other.told) > 0)
        self.assertEqual(sorted(other.told), [("", "photos"), ("tenant'", "a.b")])
        self.assertEqual((other.notices.heard, other.notices.forgotten), (1, 1))

    async def test_undone(self) -> None:
        """A transaction that is undone is not heard of."""
        one, other = await self.two_nodes()

        async def fail(cursor: object) -> None:
            sql, parameters = one.notices.announcement([("", "photos")])
            await cursor.execute(sql.replace("?", "%s"), parameters)  # type: ignore[attr-defined]
            raise KeyError

        with self.assertRaises(KeyError):
            await one.management.transaction(fail)
        await one.change(("", "music"))
        await until(lambda: len(other.told) > 0)
        self.assertEqual(other.told, [("", "music")])

    async def test_many(self) -> None:
        """More names than a NOTIFY holds make everybody forget everything."""
        one, other = await self.two_nodes()
        await one.change(*(("tenant", f"bucket-{number:056}") for number in range(256)))
        await until(lambda: len(other.told) > 0)
        self.assertEqual(other.told, [(None, "")])

    async def test_lost_notice(self) -> None:
        """A change whose NOTIFY is lost is found within the time for which caches are believed, or they are not."""
        one, other = await self.two_nodes()
        await one.change(quietly=True)
        changed = other.notices.seconds()
        believed_too_long = False

        def told() -> bool:
            nonlocal believed_too_long
            late = other.notices.seconds() > changed + BELIEF
            believed_too_long = believed_too_long or (late and not other.told and other.notices.current)
            return bool(other.told)

        await until(told)
        self.assertFalse(believed_too_long)
        self.assertEqual(other.told, [(None, "")])

    async def test_gap(self) -> None:
        """A notice that is not the next one means that others were lost."""
        one, other = await self.two_nodes()
        await one.change(quietly=True)
        await one.change(("", "photos"))
        await until(lambda: len(other.told) > 0)
        self.assertEqual(other.told[0], (None, ""))

    async def test_reconnection(self) -> None:
        """A node that lost its connection forgets everything, and hears again."""
        one, other = await self.two_nodes()
        shared_cluster().query("SELECT pg_terminate_backend(%s)", (await other.management.query(PID))[0][0])
        await until(lambda: (None, "") in other.told)
        await one.change(("", "photos"))
        await until(lambda: ("", "photos") in other.told)

    async def test_own_commit(self) -> None:
        """What a node committed itself it forgets before it answers; who fills a cache can tell."""
        node, _ = await self.two_nodes()
        epoch = node.notices.epoch
        node.notices.forget([("", "photos")])
        self.assertEqual(node.told, [("", "photos")])
        self.assertNotEqual(node.notices.epoch, epoch)

    async def test_without_notify(self) -> None:
        """On a database that knows no LISTEN, changes are found by polling."""
        from twisted.internet import reactor

        one, _ = await self.two_nodes()
        management = Deaf(reactor, Dsn.parse(self.dsn))
        await management.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(management.stop()))
        deaf = Node(management)
        await deaf.notices.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(deaf.notices.stop()))
        self.assertEqual(deaf.notices.announcement([("", "photos")])[1], ())
        await until(lambda: deaf.notices.current)
        deaf.told.clear()
        await one.change(("", "photos"))
        await until(lambda: len(deaf.told) > 0)
        self.assertEqual(deaf.told, [(None, "")])

    async def test_belief(self) -> None:
        """Caches are believed for a limited time after the question that confirmed them, by a clock of its own."""
        node, _ = await self.two_nodes()
        clock = Clock()
        node = Node(node.management)
        node.notices.seconds = clock.seconds
        await node.notices.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(node.notices.stop()))
        await until(lambda: node.notices.current)
        await node.management.stop()
        clock.advance(BELIEF)
        self.assertTrue(node.notices.current)
        clock.advance(0.01)
        self.assertFalse(node.notices.current)

    async def test_number_is_gone(self) -> None:
        """When somebody emptied the table, nothing is believed, and the log says why, until it is there again."""
        node, _ = await self.two_nodes()
        await node.management.execute("DELETE FROM bucket_changes")
        await until(lambda: not node.notices.current)
        self.assertTrue(self.flushLoggedErrors(ValueError))
        await node.management.execute("INSERT INTO bucket_changes VALUES (1)")
        await until(lambda: node.notices.current)
        self.flushLoggedErrors(ValueError)

    async def test_away(self) -> None:
        """While the database does not answer, caches are believed no longer than that."""
        node, _ = await self.two_nodes()
        await node.management.stop()
        await until(lambda: not node.notices.current)

    def test_payload(self) -> None:
        """Names travel as JSON: whatever a tenant is called, it can be read again."""
        notices = Notices(Management(None, Dsn({})), None)
        notices._channel = "post3_aa"
        _, (channel, names) = notices.announcement([("ténant\n", "b"), ("", "a")])
        self.assertEqual((channel, json.loads(names)), ("post3_aa", [["", "a"], ["ténant\n", "b"]]))
