"""Reading transactions: what they share, what they see, and what they may remember."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.errors import NoSuchKey
from post3tw.storage.index.postgresql import reads
from post3tw.storage.index.postgresql.index import PostgresIndex
from post3tw.storage.index.postgresql.pipeline import Pipeline
from post3tw.storage.index.transactions.buckets import create_bucket, delete_bucket, find_bucket, set_versioning
from post3tw.storage.index.transactions.documents import put_document
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.storage.postgresql.failures import DatabaseFailed
from post3tw.testing.index_fixture import NOW, bucket
from tests.storage.index.postgresql.case import OneNode, PostgresCase

find = partial(find_bucket, tenant="", name="bucket-1")


async def ask(tx: ITransaction, sql: str) -> Any:
    """Ask one question."""
    return await tx.one(sql)


async def store(tx: ITransaction, name: bytes) -> None:
    """Store a body."""
    await tx.write("INSERT INTO bodies VALUES (?, ?, ?)", name, b"", b"")


class ReadsTests(PostgresCase):
    """Reads on one node."""

    async def with_bucket(self) -> PostgresIndex:
        """A started index with a bucket."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        return index

    async def counted(self, *calls: Any) -> tuple[list[Any], int]:
        """Outcomes, and how many exchanges they took."""
        before = Pipeline.all_exchanges
        outcomes = await self.together(*calls)
        return outcomes, Pipeline.all_exchanges - before

    # -- single questions ----------------------------------------------------------------------------------------------

    async def test_one_exchange_for_many(self) -> None:
        """Reads of the same turn of the reactor that ask once are one exchange."""
        index = await self.started()
        outcomes, exchanges = await self.counted(*(index.read(partial(ask, sql=f"SELECT {n}")) for n in range(40)))
        self.assertEqual((outcomes, exchanges), ([(n,) for n in range(40)], 1))

    async def test_one_fails(self) -> None:
        """A question that fails is answered with its error; those behind it in the exchange are asked again."""
        index = await self.started()
        texts = ["SELECT 1", "SELECT 1 / 0", "SELECT 2", "NO SQL", "SELECT 3"]
        outcomes = await self.together(*(index.read(partial(ask, sql=text)) for text in texts))
        self.assertEqual(outcomes[::2], [(1,), (2,), (3,)])
        self.assertEqual([type(outcome) for outcome in outcomes[1::2]], [DatabaseFailed] * 2)

    async def test_cancelled(self) -> None:
        """A reader that leaves costs its neighbours nothing."""
        index = await self.started()
        first, second = (Deferred.fromCoroutine(index.read(lambda tx: tx.one("SELECT 7"))) for _ in range(2))
        first.cancel()
        await self.assertFailure(first, CancelledError)
        self.assertEqual(await second, (7,))

    async def test_error_of_the_transaction(self) -> None:
        """What a transaction raises after its answer reaches its caller alone."""
        index = await self.with_bucket()
        missing = index.read(partial(require_object, bucket_id=1, key=b"none"))
        outcomes = await self.together(missing, index.read(find))
        self.assertIsInstance(outcomes[0], NoSuchKey)
        self.assertEqual(outcomes[1], bucket())

    async def test_read_your_write(self) -> None:
        """What was committed is seen by every read that begins afterwards, on whichever connection it is."""
        index = await self.started()
        for n in range(20):
            await index.run(partial(store, name=b"%d" % n))
            counts = await self.together(
                *(index.read(lambda tx: tx.one("SELECT COUNT(*) FROM bodies")) for _ in range(6))
            )
            self.assertEqual(counts, [(n + 1,)] * 6)

    # -- several questions ---------------------------------------------------------------------------------------------

    async def test_one_state(self) -> None:
        """A transaction that asks twice sees one state, whatever is committed between its questions."""
        index = await self.with_bucket()

        async def twice(tx: ITransaction) -> tuple[Any, Any]:
            first = await tx.one("SELECT versioning FROM buckets")
            self.query("UPDATE buckets SET versioning = versioning || 'x'")
            return first, await tx.one("SELECT versioning FROM buckets")

        for _ in range(2):
            first, second = await index.read(twice)
            self.assertEqual(first, second)

    async def test_begun_in_vain_once(self) -> None:
        """Code that asks twice is run again the first time, and begun in a transaction from then on."""
        index = await self.started()
        started = 0

        async def twice(tx: ITransaction) -> None:
            nonlocal started
            started += 1
            await tx.one("SELECT 1")
            await tx.one("SELECT 2")

        for _ in range(3):
            await index.read(twice)
        self.assertEqual((started, index._reading.repeated), (4, 1))

    async def test_writes_are_refused(self) -> None:
        """A read cannot write, neither at its first question nor later, nor when it does not wait for it."""
        index = await self.started()
        insert = ("INSERT INTO bodies VALUES (?, ?, ?)", b"1", b"", b"")

        async def later(tx: ITransaction) -> None:
            await tx.one("SELECT 1")
            await tx.run(*insert)

        calls = [
            lambda tx: tx.run(*insert),
            lambda tx: tx.write(*insert),
            lambda tx: tx.many(insert[0], [insert[1:]]),
            later,
        ]
        outcomes = await self.together(*(index.read(call) for call in calls), index.read(lambda tx: tx.one("SELECT 1")))
        self.assertEqual([type(outcome) for outcome in outcomes], [DatabaseFailed] * 4 + [tuple])
        self.assertEqual(self.query("SELECT COUNT(*) FROM bodies"), [(0,)])

    # -- the memo ------------------------------------------------------------------------------------------------------

    async def test_bucket_is_remembered(self) -> None:
        """A bucket that was found once is not asked for again, so that a GET of an object is one statement."""
        index = await self.with_bucket()
        self.assertEqual(await self.counted(index.read(find)), ([bucket()], 1))
        self.assertEqual(await self.counted(index.read(find)), ([bucket()], 0))

        async def get(tx: ITransaction) -> Bucket | None:
            found = await find(tx)
            await tx.one("SELECT 1 FROM versions WHERE bucket = ? AND key = ?", 1, b"key")
            return found

        self.assertEqual(await self.counted(index.read(get)), ([bucket()], 1))

    async def test_changes_are_seen(self) -> None:
        """After each change of a bucket on this node, the next read finds it as it is."""
        index = await self.with_bucket()
        found = [await index.read(find)]
        for change in (
            partial(set_versioning, bucket_id=1, versioning=Versioning.ENABLED),
            partial(put_document, bucket_id=1, kind="policy", body=b"{}"),
            partial(delete_bucket, bucket_id=1, now=NOW),
        ):
            await index.run(change, [Lock(1, exclusive=True)])
            found.append(await index.read(find))
        states = [None if one is None else (one.versioning, one.generation) for one in found]
        self.assertEqual(states, [(Versioning.NEVER, 1), (Versioning.ENABLED, 2), (Versioning.ENABLED, 3), None])

    async def test_old_answers_are_not_remembered(self) -> None:
        """What was read before a notice and arrives after it is used once, and not kept."""
        index = await self.with_bucket()

        async def slow(tx: ITransaction) -> Bucket | None:
            found = await find(tx)
            assert isinstance(index.notices, OneNode)
            index.notices.forget([("", "bucket-1")])  # as if the notice came before the answer
            return found

        async def slower(tx: ITransaction) -> Bucket | None:
            assert isinstance(index.notices, OneNode)
            index.notices.forget([("", "bucket-1")])
            return await find(tx)

        for read in (slow, slower):
            await index.read(read)
            self.query("UPDATE buckets SET generation = generation + 1")
            found = await index.read(find)
            assert found is not None
            self.assertEqual([(found.generation,)], self.query("SELECT generation FROM buckets"))
            index._reading._forget()

    async def test_no_notices_no_memo(self) -> None:
        """While notices cannot be relied on, every read asks the database."""
        index = await self.with_bucket()
        assert isinstance(index.notices, OneNode)
        await index.read(find)
        index.notices.current = False
        self.query("UPDATE buckets SET versioning = 'Enabled'")
        self.assertEqual((await index.read(find)), bucket(versioning=Versioning.ENABLED))

    async def test_memo_is_bounded(self) -> None:
        """However many buckets there are, only so many are kept."""
        self.patch(reads, "MEMO_LIMIT", 10)
        index = await self.started()
        for n in range(1, 31):
            await index.run(partial(create_bucket, bucket=bucket(n)))
            await index.read(partial(find_bucket, tenant="", name=f"bucket-{n}"))
        self.assertLessEqual(len(index._reading._memo), 11)
