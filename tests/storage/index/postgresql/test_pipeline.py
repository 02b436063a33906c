"""Exchanges on one connection."""

from __future__ import annotations

from collections.abc import Sequence

from post3tw.storage.index.postgresql.pipeline import Answer, StatementFailed, pipeline_on
from post3tw.storage.index.postgresql.statements import Request, request
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.pool import Pool
from tests.storage.index.postgresql.case import PostgresCase

MIB = 1 << 20


class PipelineTests(PostgresCase):
    """A connection in pipeline mode."""

    pool: Pool | None = None

    async def exchange(self, *batch: Request) -> Sequence[Answer]:
        """The answers to statements that are sent together."""

        async def work(connection: Connection) -> Sequence[Answer]:
            return await pipeline_on(connection).exchange(batch)

        if self.pool is None:
            self.pool = (await self.started(writers=1)).pools[0]
        return await self.pool.run(work)

    async def test_values(self) -> None:
        """Numbers, text, bytes and NULL come back as what they are, whatever the type of the column is."""
        sql = "SELECT CAST(? AS BIGINT), CAST(? AS INTEGER), CAST(? AS TEXT), CAST(? AS BYTEA), CAST(? AS TEXT), 1 = 1"
        [answer] = await self.exchange(request(sql, (-(1 << 62), 7, "ä", b"\0\xff", None)))
        self.assertEqual(answer.rows(), [(-(1 << 62), 7, "ä", b"\0\xff", None, True)])
        self.assertEqual(answer.first(), answer.rows()[0])

    async def test_no_rows(self) -> None:
        """Without rows there is no first one, and what is not a change has changed nothing."""
        [select, begin] = await self.exchange(request("SELECT id FROM bodies"), request("SET TIME ZONE 'UTC'"))
        self.assertEqual((select.first(), select.rows(), begin.changed), (None, [], 0))

    async def test_both_directions_at_once(self) -> None:
        """More bytes than any buffer holds, in both directions in one exchange: neither side waits for the other."""
        data = bytes(range(256)) * (MIB // 256)
        echo = request("SELECT CAST(? AS BYTEA)", (data,))
        answers = await self.exchange(*[echo] * 12)
        self.assertEqual([answer.rows() == [(data,)] for answer in answers], [True] * 12)

    async def test_failure(self) -> None:
        """Behind a statement that fails nothing is done; what stood before it, outside a transaction, neither; and the
        connection goes on."""
        insert = "INSERT INTO bodies VALUES (?, ?, ?)"
        batch = [request(insert, (name, b"", b"")) for name in (b"1", b"2", b"2", b"3")]
        [failed] = await self.together(self.exchange(*batch))
        self.assertIsInstance(failed, StatementFailed)
        self.assertEqual((failed.position, failed.error.sqlstate, len(failed.answers)), (2, "23505", 2))
        [answer] = await self.exchange(request("SELECT id FROM bodies"))
        self.assertEqual(answer.rows(), [])

    async def test_wrong_text(self) -> None:
        """A text that cannot be prepared fails as its statement, and can be corrected."""
        for _ in range(2):
            [failed] = await self.together(self.exchange(request("SELECT 1"), request("SELECT wrong")))
            self.assertEqual((failed.position, failed.error.sqlstate), (1, "42703"))
        [answer] = await self.exchange(request("SELECT 1"))
        self.assertEqual(answer.rows(), [(1,)])

    async def test_many_texts(self) -> None:
        """However many different statements there are, the server keeps only so many; the others work as well."""
        for start in range(0, 600, 200):
            batch = [request(f"SELECT {number}") for number in range(start, start + 200)]
            answers = await self.exchange(*batch, *batch)
            numbers = [answer.rows()[0][0] for answer in answers]
            self.assertEqual(numbers, [*range(start, start + 200)] * 2)
        [answer] = await self.exchange(request("SELECT COUNT(*) FROM pg_prepared_statements"))
        self.assertLessEqual(answer.rows()[0][0], 401)
