"""The same statement of several members of a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.version import Placement
from post3tw.storage.index.postgresql import group
from post3tw.storage.index.postgresql.pipeline import Pipeline
from post3tw.storage.index.postgresql.statements import Request, request, statement_of
from post3tw.storage.index.postgresql.together import form_of, joined
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.index.transactions.objects import delete_version, put_version
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import ITransaction, Lock
from post3tw.testing.index_fixture import NOW, OWNER, bucket, object_id, version
from tests.storage.index.postgresql.case import ANY, PostgresCase

BYTEA, BIGINT, TEXT = 17, 20, 25


def form_text(sql: str, *types: int) -> str | None:
    """How a statement is written for several, when its parameters are of these types."""
    statement = statement_of(sql)
    statement.types = types
    form = form_of(statement)
    return None if form is None else form.statement.text.decode()


class FormTests(SynchronousTestCase):
    """Texts and parameters."""

    def test_insert(self) -> None:
        """Rows come from the arrays; what follows them stays."""
        self.assertEqual(
            form_text("INSERT INTO a (x, y) VALUES (?, ?) ON CONFLICT (x) DO NOTHING", BIGINT, TEXT),
            "INSERT INTO a (x, y) SELECT m.p1, m.p2 FROM unnest($1::BIGINT[], $2::TEXT[]) AS m (p1, p2)"
            "  ON CONFLICT (x) DO NOTHING",
        )

    def test_one_key(self) -> None:
        """Changes of the row of a key find it by the arrays."""
        self.assertEqual(
            form_text("UPDATE a SET x = ? WHERE bucket = ? AND key = ?", TEXT, BIGINT, BYTEA),
            "UPDATE a SET x = m.p1 FROM unnest($1::TEXT[], $2::BIGINT[], $3::BYTEA[]) AS m (p1, p2, p3)"
            " WHERE bucket = m.p2 AND key = m.p3",
        )
        self.assertEqual(
            form_text("DELETE FROM a WHERE bucket = ? AND key = ?", BIGINT, BYTEA),
            "DELETE FROM a USING unnest($1::BIGINT[], $2::BYTEA[]) AS m (p1, p2) WHERE bucket = m.p1 AND key = m.p2",
        )

    def test_question(self) -> None:
        """A question is asked for each row of the arrays, and says whose the answer is."""
        self.assertEqual(
            form_text("SELECT x FROM a WHERE bucket = ? AND key = ?", BIGINT, BYTEA),
            "SELECT q.*, m.n FROM unnest($1::BIGINT[], $2::BYTEA[]) WITH ORDINALITY AS m (p1, p2, n)"
            " CROSS JOIN LATERAL (SELECT x FROM a WHERE bucket = m.p1 AND key = m.p2) AS q",
        )

    def test_not_joined(self) -> None:
        """Whatever might mean something else, or has a type that we do not know, stays as it is."""
        for sql in (
            "INSERT INTO b (x) SELECT ?",
            "INSERT INTO b (x) VALUES (?) ON CONFLICT (x) DO UPDATE SET x = ?",
            "UPDATE b SET x = ? WHERE id = ?",
            "SELECT x FROM b WHERE bucket = ? AND key = ? LIMIT ?",
            "SELECT x FROM b WHERE id = ?",
            "UPDATE buckets SET generation = ?",
        ):
            self.assertIsNone(form_text(sql, BIGINT, BIGINT), sql)
        self.assertIsNone(form_text("INSERT INTO b (x) VALUES (?)", 3802))
        self.assertIsNone(form_of(statement_of("INSERT INTO b (y) VALUES (?)")), "no server told its types yet")

    def test_arrays(self) -> None:
        """Arrays as PostgreSQL has them, with NULLs, of equal and of different elements."""
        sql = "INSERT INTO c (x, y, z) VALUES (?, ?, ?)"
        self.assertIsNotNone(form_text(sql, BIGINT, BYTEA, TEXT))
        form = form_of(statement_of(sql))
        assert form is not None
        made = joined(form, [request(sql, (1, b"", None)), request(sql, (None, b"a\0", None))])
        head = b"\0\0\0\1\0\0\0\1\0\0\0%b\0\0\0\2\0\0\0\1"
        self.assertEqual(made.formats, (0, 1, 1))
        self.assertEqual(
            made.values,
            (b"{1,NULL}", head % b"\x11" + b"\0\0\0\0\0\0\0\2a\0", head % b"\x19" + b"\xff" * 8),
        )


def put(number: int, seq: int = 0) -> Callable[[ITransaction], Awaitable[Any]]:
    """Store an object of its own size, with bytes of its own."""
    size = number + 1
    made = version(number + 1000 * seq, Placement(size, object_id(number + 1000 * seq), crcs=b"\1"))
    return partial(put_version, bucket_id=1, key=_key(number), version=made, data=b"%d" % size, conditions=ANY, now=NOW)


def _key(number: int) -> bytes:
    return b"key-%d" % number


def _locks(number: int) -> tuple[Lock, Lock]:
    return Lock(1), Lock(1, _key(number))


class JoinedTests(PostgresCase):
    """In a database."""

    def setUp(self) -> None:
        """Note what is sent."""
        super().setUp()
        self.sent: list[int] = []
        exchange = Pipeline.exchange

        async def noted(pipeline: Pipeline, batch: list[Request]) -> Any:
            self.sent.append(len(batch))
            return await exchange(pipeline, batch)

        self.patch(Pipeline, "exchange", noted)

    async def test_put_over_and_delete(self) -> None:
        """However many objects are written or deleted together, that is as many statements as for one; each is as if
        it had come alone."""
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        await index.run(put(100), _locks(100))  # the server tells the types
        await index.run(put(100, 1), _locks(100))
        for seq in (1, 2):
            self.sent.clear()
            await self.together(*(index.run(put(n, seq), _locks(n)) for n in range(40)))
            self.assertLessEqual(sum(self.sent), 9)
            for n in range(40):
                found = await index.read(partial(require_object, bucket_id=1, key=_key(n), with_body=True))
                self.assertEqual((found.id, found.inline), (object_id(n + 1000 * seq), b"%d" % (n + 1)))
        delete = partial(delete_version, version_id=None, conditions=ANY, new_id=b"", owner=OWNER, now=NOW)
        await self.together(*(index.run(partial(delete, bucket_id=1, key=_key(n)), _locks(n)) for n in range(0, 80, 2)))
        left = sorted(_key(n) for n in [*range(1, 40, 2), 100])
        self.assertEqual([key for (key,) in self.query("SELECT key FROM current ORDER BY key")], left)
        self.assertEqual(self.query("SELECT count(*) FROM versions"), [(21,)])
        self.assertEqual(self.query("SELECT count(*) FROM bodies"), [(21,)])

    async def test_more_than_one_statement_takes(self) -> None:
        """Where there are too many for one statement, there is another."""
        self.patch(group, "JOINED_LIMIT", 3)
        index = await self.started()
        await index.run(partial(create_bucket, bucket=bucket()))
        for seq in (1, 2):
            await self.together(*(index.run(put(n, seq), _locks(n)) for n in range(8)))
        self.assertEqual(self.query("SELECT count(*), min(seq), max(seq) FROM versions"), [(8, 2, 2)])
        self.assertEqual(
            self.query("SELECT v.key, b.data FROM versions v JOIN bodies b ON b.id = v.body ORDER BY 1"),
            [(_key(n), b"%d" % (n + 1)) for n in range(8)],
        )

    async def test_order_of_a_member(self) -> None:
        """What one member writes first is written first, also when another one writes in another order."""
        index = await self.started()
        insert, clear = "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)", "DELETE FROM bodies WHERE id = ?"

        async def write_and_delete(tx: ITransaction, name: bytes) -> None:
            await tx.write(insert, name, b"", b"")
            await tx.write(clear, name)

        async def delete_and_write(tx: ITransaction, name: bytes) -> None:
            await tx.write(clear, name)
            await tx.many(insert, [(name, b"", b""), (name + name, b"", b"")])

        for name in (b"warm", b"a"):
            await self.together(
                index.run(partial(write_and_delete, name=name + b"1")),
                index.run(partial(delete_and_write, name=name + b"2")),
                index.run(partial(write_and_delete, name=name + b"3")),
            )
        self.assertEqual(
            self.query("SELECT id FROM bodies ORDER BY id"), [(b"a2",), (b"a2a2",), (b"warm2",), (b"warm2warm2",)]
        )

    async def test_one_of_them_fails(self) -> None:
        """When the statement of several fails, those go one by one that show whose fault it is; it costs nobody else
        more than another attempt."""
        index = await self.started()
        insert = "INSERT INTO bodies (id, crcs, data) VALUES (?, ?, ?)"

        async def store(tx: ITransaction, name: bytes) -> None:
            await tx.write(insert, name, b"", b"")

        await index.run(partial(store, name=b"there"))
        names = [b"a", b"b", b"there", b"c"]
        outcomes = await self.together(*(index.run(partial(store, name=name)) for name in names))
        self.assertEqual([outcome is None for outcome in outcomes], [True, True, False, True])
        self.assertIn("23505", str(outcomes[2]))
        self.assertEqual(self.query("SELECT id FROM bodies ORDER BY id"), [(b"a",), (b"b",), (b"c",), (b"there",)])
