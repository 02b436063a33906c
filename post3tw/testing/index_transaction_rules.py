"""The part of the index contract about transactions: what becomes visible, what is undone, what outlives a restart."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from post3tw.model.bucket import Bucket
from post3tw.model.errors import BucketAlreadyOwnedByYou, PreconditionFailed, ServiceUnavailable
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.index.transactions.documents import get_document, put_document
from post3tw.storage.interfaces import IIndex, ITransaction, Lock
from post3tw.testing.index_fixture import IndexFixture, bucket, together


async def _create_then_fail(tx: ITransaction, made: Bucket) -> None:
    await create_bucket(tx, made)
    raise PreconditionFailed(condition="If-Match")


async def _add(tx: ITransaction, kind: str, amount: int) -> int:
    """Add to the number that a document holds; its new value."""
    before = await get_document(tx, 1, kind)
    value = int(before or b"0") + amount
    await put_document(tx, 1, kind, b"%d" % value)
    return value


class TransactionRules(IndexFixture):
    """Rules of `run`, `read`, `start` and `stop`."""

    together = staticmethod(together)

    async def test_provides(self) -> None:
        """The index provides IIndex."""
        verifyObject(IIndex, self.make_index())

    async def test_value(self) -> None:
        """`run` and `read` return what the transaction returns."""
        index = await self.started()

        async def answer(tx: ITransaction) -> str:
            return "answer"

        self.assertEqual([await index.run(answer), await index.read(answer)], ["answer", "answer"])

    async def test_visible_after_run(self) -> None:
        """What `run` wrote is there for the next `read`."""
        index = await self.started()
        await self.do(index, create_bucket, bucket())
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket())

    async def test_joined(self) -> None:
        """Rows of a key and a text come joined, in their order, in `run` and in `read`; none are empty."""
        index = await self.started()
        rows = [(b"a\0", "1|2"), (b"b|", ""), ("\N{GRINNING FACE}".encode(), "x")]

        async def fill(tx: ITransaction) -> None:
            insert = "INSERT INTO current (bucket, key, seq, entry, owner_id, owner_name) VALUES (1, ?, 1, ?, '', '')"
            await tx.many(insert, [rows[number] for number in (2, 0, 1)])

        async def joined(tx: ITransaction) -> list[tuple[bytes, str]]:
            sql = "SELECT key, entry FROM current WHERE bucket = ? ORDER BY key LIMIT ?"
            return [await tx.joined(sql, 1, 10), await tx.joined(sql, 1, 2), await tx.joined(sql, 2, 10)]

        await index.run(fill)
        expected = [
            (b"a\0\xffb|\xff\xf0\x9f\x98\x80", "1|2||x"),
            (b"a\0\xffb|", "1|2|"),
            (b"", ""),
        ]
        self.assertEqual([await index.run(joined), await index.read(joined)], [expected, expected])

    async def test_error_reaches_the_caller(self) -> None:
        """An exception of the transaction is raised by `run` and by `read`, as it is."""
        index = await self.started()
        error = PreconditionFailed(condition="If-Match")

        async def fail(tx: ITransaction) -> None:
            raise error

        self.assertEqual(await self.together(index.run(fail), index.read(fail)), [error, error])

    async def test_failure_is_undone(self) -> None:
        """A transaction that raises after a write leaves nothing."""
        index = await self.started()
        [error] = await self.together(self.do(index, _create_then_fail, bucket()))
        self.assertIsInstance(error, PreconditionFailed)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM buckets"), 0)

    async def test_failure_is_undone_alone(self) -> None:
        """A transaction that raises after a write takes nobody with it who ran at the same time."""
        index = await self.started()
        outcomes = await self.together(
            self.do(index, create_bucket, bucket(1)),
            self.do(index, _create_then_fail, bucket(2)),
            self.do(index, create_bucket, bucket(3)),
        )
        self.assertEqual([type(outcome) for outcome in outcomes], [type(None), PreconditionFailed, type(None)])
        found = await index.read(lambda tx: tx.all("SELECT id FROM buckets ORDER BY id"))
        self.assertEqual(found, [(1,), (3,)])

    async def test_refusal_among_writes(self) -> None:
        """A transaction that raises before any write takes nobody with it either."""
        index = await self.with_bucket()
        outcomes = await self.together(
            self.do(index, create_bucket, bucket(2)),
            self.do(index, create_bucket, bucket(9, name="bucket-1")),
            self.do(index, create_bucket, bucket(3)),
        )
        self.assertIsInstance(outcomes[1], BucketAlreadyOwnedByYou)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM buckets"), 3)

    async def test_many_at_once(self) -> None:
        """A hundred transactions at the same time all commit, each with its own answer."""
        index = await self.with_bucket()
        answers = await self.together(*(self.do(index, _add, f"n{n}", n) for n in range(100)))
        self.assertEqual(answers, list(range(100)))
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bucket_documents"), 100)

    async def test_no_lost_update(self) -> None:
        """Transactions that run at the same time see each other's writes, in some order."""
        index = await self.with_bucket()
        exclusive = [Lock(1, exclusive=True)]
        answers = await self.together(*(index.run(lambda tx: _add(tx, "sum", 1), exclusive) for _ in range(50)))
        self.assertEqual(sorted(answers), list(range(1, 51)))

    async def test_one_winner(self) -> None:
        """Of many that create the same bucket at the same time, one does and all others are told that it exists."""
        index = await self.started()
        outcomes = await self.together(*(self.do(index, create_bucket, bucket(n, name="same")) for n in range(32)))
        self.assertEqual(outcomes.count(None), 1)
        self.assertEqual(sum(isinstance(outcome, BucketAlreadyOwnedByYou) for outcome in outcomes), 31)

    async def test_locks(self) -> None:
        """Locks of buckets and keys, shared and exclusive, are accepted in any order and held by many in turn."""
        index = await self.with_bucket()
        locks = [Lock(2, exclusive=True), Lock(1, b"key"), Lock(1), Lock(1, b"a", exclusive=True)]
        answers = await self.together(*(index.run(lambda tx: _add(tx, "sum", 1), locks) for _ in range(5)))
        self.assertEqual(sorted(answers), [1, 2, 3, 4, 5])

    async def test_read_is_one_state(self) -> None:
        """All statements of a read see the same commit, while others write."""
        index = await self.with_bucket()

        async def move(tx: ITransaction) -> None:
            await _add(tx, "left", 1)
            await _add(tx, "right", -1)

        async def total(tx: ITransaction) -> int:
            documents = [await get_document(tx, 1, "left"), await get_document(tx, 1, "right")]
            return sum(int(body) for body in documents if body is not None)

        calls = [call for _ in range(20) for call in (index.run(move), index.read(total))]
        self.assertEqual(set(await self.together(*calls)), {None, 0})

    async def test_read_does_not_write(self) -> None:
        """A read that tries to write fails, and nothing is written."""
        index = await self.started()
        [error] = await self.together(index.read(lambda tx: create_bucket(tx, bucket())))
        self.assertIsInstance(error, Exception)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM buckets"), 0)

    async def test_foreign_await(self) -> None:
        """A transaction that awaits anything but its `tx` fails, undone, and the index goes on."""
        index = await self.started()

        async def strange(tx: ITransaction) -> None:
            await create_bucket(tx, bucket(1))
            await Deferred()

        outcomes = await self.together(index.run(strange), self.do(index, create_bucket, bucket(2)))
        self.assertIsInstance(outcomes[0], Exception)
        self.assertIsNone(outcomes[1])
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM buckets")), [(2,)])

    async def test_foreign_await_in_read(self) -> None:
        """A read that awaits anything but its `tx` fails, and the index goes on."""
        index = await self.started()

        async def strange(tx: ITransaction) -> None:
            await Deferred()

        [error] = await self.together(index.read(strange))
        self.assertIsInstance(error, Exception)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM buckets"), 0)

    async def test_broken_constraint(self) -> None:
        """A statement that violates a constraint fails its transaction alone."""
        index = await self.started()

        async def twice(tx: ITransaction) -> None:
            await tx.run("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", b"1", b"", b"")
            await tx.run("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", b"1", b"", b"")

        outcomes = await self.together(index.run(twice), self.do(index, create_bucket, bucket()))
        self.assertIsInstance(outcomes[0], Exception)
        self.assertIsNone(outcomes[1])
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bodies"), 0)

    async def test_wrong_statement(self) -> None:
        """A statement that is no SQL fails its transaction, and the index goes on."""
        index = await self.started()
        outcomes = await self.together(
            index.run(lambda tx: tx.run("NOT SQL")), index.read(lambda tx: tx.one("NOT SQL either"))
        )
        self.assertEqual([isinstance(outcome, Exception) for outcome in outcomes], [True, True])
        await self.do(index, create_bucket, bucket())

    async def test_statements(self) -> None:
        """`one` answers a row or None, `all` a list, `run` the number of changed rows, `many` runs for each tuple."""
        index = await self.started()
        row = "SELECT crcs, data FROM bodies WHERE id = ?"

        async def statements(tx: ITransaction) -> list[Any]:
            await tx.many(
                "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", [(b"%04d" % n, b"c", b"d") for n in range(1000)]
            )
            changed = await tx.run("UPDATE bodies SET crcs = ? WHERE id < ?", b"x", b"0003")
            rows = await tx.all("SELECT id, crcs FROM bodies ORDER BY id LIMIT 4")
            return [changed, rows, await tx.one(row, b"0999"), await tx.one(row, b"none")]

        changed, rows, one, none = await index.run(statements)
        self.assertEqual(changed, 3)
        self.assertEqual(rows, [(b"0000", b"x"), (b"0001", b"x"), (b"0002", b"x"), (b"0003", b"c")])
        self.assertEqual((one, none), ((b"c", b"d"), None))

    async def test_write(self) -> None:
        """What `write` and `many` did, in their order, is there for the next question, and committed with the rest."""
        index = await self.started()

        async def overwrite(tx: ITransaction) -> Any:
            await tx.write("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", b"1", b"", b"first")
            await tx.many("UPDATE bodies SET data = ? WHERE id = ?", [(b"second", b"1"), (b"third", b"1")])
            found = await tx.one("SELECT data FROM bodies WHERE id = ?", b"1")
            await tx.write("UPDATE bodies SET data = ? WHERE id = ?", b"last", b"1")
            return found

        self.assertEqual(await index.run(overwrite), (b"third",))
        self.assertEqual(await self.value(index, "SELECT data FROM bodies"), b"last")

    async def test_write_is_undone(self) -> None:
        """What `write` did goes with a transaction that raises afterwards, wherever it had got to."""
        index = await self.started()

        async def fail(tx: ITransaction, name: bytes, *, ask: bool) -> None:
            await tx.write("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", name, b"", b"")
            if ask:
                await tx.one("SELECT 1")
            raise PreconditionFailed(condition="If-Match")

        outcomes = await self.together(self.do(index, fail, b"1", ask=True), self.do(index, fail, b"2", ask=False))
        self.assertEqual([type(outcome) for outcome in outcomes], [PreconditionFailed] * 2)
        self.assertEqual(await self.value(index, "SELECT COUNT(*) FROM bodies"), 0)

    async def test_order_of_bytes(self) -> None:
        """Keys are ordered as bytes."""
        index = await self.started()
        keys = ["a\U0001f600".encode(), b"a/", b"a", b"a\x00b", b"B", "a\uffff".encode(), b"a!", b"\x01"]

        async def store(tx: ITransaction) -> None:
            await tx.many("INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", [(key, b"", b"") for key in keys])

        await index.run(store)
        found = await index.read(lambda tx: tx.all("SELECT id FROM bodies ORDER BY id"))
        self.assertEqual([key for (key,) in found], sorted(keys))

    async def test_types(self) -> None:
        """63-bit integers, any text, any bytes and NULL come back as they went in."""
        index = await self.started()
        made = bucket((1 << 63) - 1, name="émoji \U0001f600 ''\"", region="")
        await self.do(index, create_bucket, made)
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", made.name)), made)
        values = ("INSERT INTO blobs (id, crcs, created, size) VALUES (?, ?, ?, ?)", b"\x00\xff" * 8, b"", 0, None)
        await index.run(lambda tx: tx.run(*values))
        self.assertEqual(
            await index.read(lambda tx: tx.one("SELECT id, crcs, created, size, lease_until FROM blobs")),
            (b"\x00\xff" * 8, b"", 0, None, None),
        )

    async def test_cancelled_before_it_began(self) -> None:
        """A transaction whose caller is gone before it began leaves nothing, and its neighbours are committed."""
        index = await self.started()
        first = Deferred.fromCoroutine(self.do(index, create_bucket, bucket(1)))
        second = Deferred.fromCoroutine(self.do(index, create_bucket, bucket(2)))
        first.cancel()
        await self.assertFailure(first, CancelledError)
        await second
        self.assertEqual(await index.read(lambda tx: tx.all("SELECT id FROM buckets")), [(2,)])

    async def test_cancelled_after_it_began(self) -> None:
        """A transaction that has begun is not cancelled any more: its caller learns what came of it."""
        index = await self.started()
        call: Deferred[str]

        async def cancelled(tx: ITransaction) -> str:
            call.cancel()
            await create_bucket(tx, bucket())
            return "done"

        call = Deferred.fromCoroutine(index.run(cancelled))
        self.assertEqual(await call, "done")
        self.assertEqual(await index.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket())

    async def test_restart_keeps(self) -> None:
        """An index that was stopped and started again holds what was committed."""
        index = await self.with_bucket()
        await self.do(index, put_document, 1, "policy", b"{}")
        await index.stop()
        again = await self.started()
        self.assertEqual(await again.read(lambda tx: find_bucket(tx, "", "bucket-1")), bucket(generation=2))
        self.assertEqual(await again.read(lambda tx: get_document(tx, 1, "policy")), b"{}")

    async def test_stop_finishes(self) -> None:
        """`stop` returns when everything accepted before it is committed and answered."""
        index = await self.started()
        running = [Deferred.fromCoroutine(self.do(index, create_bucket, bucket(n))) for n in range(20)]
        await index.stop()
        self.assertEqual([self.successResultOf(call) for call in running], [None] * 20)
        again = await self.started()
        self.assertEqual(await self.value(again, "SELECT COUNT(*) FROM buckets"), 20)

    async def test_stopped(self) -> None:
        """A stopped index refuses to run and to read, and can be stopped again."""
        index = await self.started()
        await index.stop()
        outcomes = await self.together(
            self.do(index, create_bucket, bucket()), index.read(lambda tx: find_bucket(tx, "", "b"))
        )
        self.assertEqual([type(outcome) for outcome in outcomes], [ServiceUnavailable, ServiceUnavailable])
        await index.stop()
