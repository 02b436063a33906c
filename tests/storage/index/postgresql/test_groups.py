"""Groups of writing transactions: what they share, and what happens when one spoils them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from post3tw.model.bucket import Versioning
from post3tw.model.errors import NoSuchBucket, PreconditionFailed
from post3tw.model.version import Placement
from post3tw.storage.index.postgresql import group_commit
from post3tw.storage.index.postgresql.group_commit import KEYS_LIMIT
from post3tw.storage.index.postgresql.pipeline import Pipeline
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.buckets import create_bucket, require_bucket, set_versioning
from post3tw.storage.index.transactions.objects import put_version
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.testing.index_fixture import NOW, bucket, object_id, version
from tests.storage.index.postgresql.case import ANY, OneNode, PostgresCase

ANY_STATE = Versioning.SUSPENDED


def store(number: int) -> Callable[[ITransaction], Awaitable[None]]:
    """A transaction that stores an inline body and asks nothing."""
    return partial(place, holder=object_id(number), placement=Placement(1, object_id(number), crcs=b""), data=b"x")


async def store_then_fail(tx: ITransaction) -> None:
    """A transaction that fails after it has written."""
    await tx.run("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", b"spoilt", b"", b"")
    raise PreconditionFailed(condition="If-Match")


class GroupTests(PostgresCase):
    """Groups on one node."""

    def numbers(self) -> list[int]:
        """The numbers of the bodies that are there."""
        return [int.from_bytes(body, "big") for (body,) in self.query("SELECT id FROM bodies ORDER BY id")]

    async def counted(self, *calls: Any) -> tuple[list[Any], int]:
        """Outcomes, and how many exchanges they took."""
        before = Pipeline.all_exchanges
        outcomes = await self.together(*calls)
        return outcomes, Pipeline.all_exchanges - before

    # -- what is shared ------------------------------------------------------------------------------------------------

    async def test_one_commit_for_many(self) -> None:
        """Transactions that come in the same turn of the reactor are one exchange and one commit, if none asks."""
        index = await self.started()
        outcomes, exchanges = await self.counted(*(index.run(store(n)) for n in range(40)))
        self.assertEqual(outcomes, [None] * 40)
        self.assertEqual((exchanges, index._writing.commits), (1, 1))
        self.assertEqual(self.numbers(), list(range(40)))

    async def test_exchanges_of_a_put(self) -> None:
        """A PUT is two exchanges, one that asks and one that writes and commits; 40 of them are two as well."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))

        def put(n: int) -> Awaitable[Any]:
            made, key = version(n, Placement(1, object_id(n), crcs=b"")), b"key-%d" % n
            put = partial(put_version, bucket_id=1, key=key, version=made, data=b"x", conditions=ANY, now=NOW)
            return index.run(put, (Lock(1), Lock(1, key)))

        for puts in ([put(0)], [put(n) for n in range(1, 41)]):
            _, exchanges = await self.counted(*puts)
            self.assertEqual(exchanges, 2)
        self.assertEqual(self.query("SELECT COUNT(*), MAX(seq) FROM versions"), [(41, 1)])

    async def test_one_question_of_many(self) -> None:
        """What members ask in the same step, and is the same, is asked once, and each gets its answer."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        outcomes = await self.together(*(index.run(partial(require_bucket, bucket_id=n % 2)) for n in range(10)))
        self.assertEqual([type(outcome) for outcome in outcomes[::2]], [NoSuchBucket] * 5)
        self.assertEqual(outcomes[1::2], [bucket()] * 5)

    async def test_groups_under_way(self) -> None:
        """No more groups are formed than there are connections for them: who waits can still join the next one."""
        self.patch(group_commit, "GROUP_LIMIT", 1)
        index = await self.started(writers=1)
        seen: list[int] = []

        async def look(tx: ITransaction) -> None:
            await tx.one("SELECT 1")
            seen.append(index._writing._under_way)

        calls = [Deferred.fromCoroutine(index.run(look)) for _ in range(4)]
        index._writing._begin()  # as a group does that ends before the end of this turn
        for call in calls:
            await call
        self.assertEqual(seen, [1] * 4)

    async def test_keys_in_turn(self) -> None:
        """Transactions on the same key are in different groups, in the order in which they came."""
        index = await self.started()
        order: list[int] = []

        async def note(tx: ITransaction, number: int) -> None:
            await tx.one("SELECT 1")
            order.append(number)

        calls = [index.run(partial(note, number=n), [Lock(1, b"key")]) for n in range(6)]
        calls += [index.run(partial(note, number=100), [Lock(1, b"other")])]
        await self.together(*calls)
        self.assertEqual([number for number in order if number < 100], list(range(6)))
        self.assertEqual(order.index(100), 1, "another key need not wait")

    async def test_nobody_is_overtaken(self) -> None:
        """Who waits for a whole bucket comes before those who want to share it and came later."""
        index = await self.started()
        order: list[str] = []

        async def note(tx: ITransaction, name: str) -> None:
            await tx.one("SELECT 1")
            order.append(name)

        locks: Sequence[Sequence[Lock]] = [[Lock(1)], [Lock(1, exclusive=True)], [Lock(1)], [Lock(2)]]
        names = ["shares", "alone", "later", "elsewhere"]
        await self.together(*(index.run(partial(note, name=n), held) for n, held in zip(names, locks, strict=True)))
        self.assertEqual(order, ["shares", "elsewhere", "alone", "later"])

    async def test_large_ones_are_alone(self) -> None:
        """A transaction of many keys shares a group with nobody, who would have to wait for all its steps."""
        index = await self.started()
        keys = [Lock(1, b"%d" % n) for n in range(KEYS_LIMIT + 1)]
        await self.together(index.run(store(1)), index.run(store(2), keys), index.run(store(3)))
        self.assertEqual(index._writing.commits, 2)

    # -- what spoils ---------------------------------------------------------------------------------------------------

    async def test_refusal_before_writing(self) -> None:
        """A member that fails before it wrote costs the others nothing, even if it failed behind an unsent write."""
        index = await self.started()

        async def refuse(tx: ITransaction) -> None:
            await tx.write("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", b"unsent", b"", b"")
            raise PreconditionFailed(condition="If-Match")

        outcomes = await self.together(index.run(store(1)), index.run(refuse), index.run(store(2)))
        self.assertEqual([type(outcome) for outcome in outcomes], [type(None), PreconditionFailed, type(None)])
        self.assertEqual((index._writing.commits, index._writing.reruns), (1, 0))
        self.assertEqual(self.numbers(), [1, 2])

    async def test_spoiled_by_one(self) -> None:
        """When one member fails after it wrote, the others run once more together, and it alone."""
        index = await self.started()
        outcomes = await self.together(*(index.run(store(n)) for n in range(5)), index.run(store_then_fail))
        self.assertEqual(outcomes[:5], [None] * 5)
        self.assertIsInstance(outcomes[5], PreconditionFailed)
        self.assertEqual((index._writing.commits, index._writing.reruns), (1, 6))
        self.assertEqual(self.numbers(), list(range(5)))

    async def test_spoiled_by_two(self) -> None:
        """When the rest fails as well, each runs alone: no number of failures costs more than two attempts."""
        index = await self.started()
        calls = [*(index.run(store(n)) for n in range(5)), index.run(store_then_fail), index.run(store_then_fail)]
        outcomes = await self.together(*calls)
        self.assertEqual(outcomes[:5], [None] * 5)
        self.assertEqual([type(outcome) for outcome in outcomes[5:]], [PreconditionFailed] * 2)
        self.assertEqual((index._writing.commits, index._writing.reruns), (5, 7 + 6))
        self.assertEqual(self.numbers(), list(range(5)))

    async def test_lost_race(self) -> None:
        """A transaction that met what another node wrote at the same moment runs again, and finds it."""
        index = await self.started()
        attempts = 0

        async def create(tx: ITransaction) -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 1:  # somebody else is faster, and not visible to what this one asked
                self.query("INSERT INTO bodies VALUES (%s, '', '')", object_id(1))
                await tx.write("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", object_id(1), b"", b"")

        await index.run(create)
        self.assertEqual(attempts, 2)

    async def test_hopeless_race(self) -> None:
        """What loses every time is given up after a few attempts."""
        index = await self.started()
        await index.run(store(1))
        [error] = await self.together(index.run(store(1)))
        self.assertIn("23505", str(error))
        self.assertEqual(index._writing.reruns, 4)
        await index.run(store(2))
        self.assertEqual(self.numbers(), [1, 2])

    # -- callers that go -----------------------------------------------------------------------------------------------

    async def test_cancelled_while_waiting_for_a_lock(self) -> None:
        """A caller that leaves while its transaction waits behind another takes it away, and those behind it go on."""
        index = await self.started()
        locks = [Lock(1, b"key")]
        first, second, third = (Deferred.fromCoroutine(index.run(store(n), locks)) for n in (1, 2, 3))
        second.cancel()
        await self.assertFailure(second, CancelledError)
        await first
        await third
        self.assertEqual(self.numbers(), [1, 3])

    # -- what others are told ------------------------------------------------------------------------------------------

    async def test_told(self) -> None:
        """A changed bucket is announced in the transaction that changed it, and forgotten here before the answer."""
        index = await self.started()
        notices = index.notices
        assert isinstance(notices, OneNode)
        await self.together(*(index.run(partial(create_bucket, bucket=bucket(n))) for n in (1, 2)))
        self.assertEqual(notices.told, [], "nobody remembers buckets that are not there")
        await self.together(*(index.run(partial(set_versioning, bucket_id=n, versioning=ANY_STATE)) for n in (1, 2)))
        self.assertEqual(sorted(notices.told), [("", "bucket-1"), ("", "bucket-2")])
        self.assertEqual(self.query("SELECT number FROM bucket_changes"), [(1,)])

    async def test_not_told(self) -> None:
        """A change that is undone is not announced."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))

        async def undone(tx: ITransaction) -> None:
            await set_versioning(tx, 1, ANY_STATE)
            await tx.one("SELECT 1")
            raise PreconditionFailed(condition="If-Match")

        await self.together(index.run(undone))
        assert isinstance(index.notices, OneNode)
        self.assertEqual((index.notices.told, self.query("SELECT number FROM bucket_changes")), ([], [(0,)]))
