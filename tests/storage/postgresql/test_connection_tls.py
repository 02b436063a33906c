"""Connections of psycopg on Twisted's reactor, through TLS."""

from __future__ import annotations

import os
from functools import cache

import psycopg
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from post3tw.storage.postgresql.connection import Connection, connect
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.testing.postgresql import Cluster
from tests.storage.postgresql.test_connection import the_reactor


@cache
def cluster() -> Cluster:
    """A server that talks TLS only; it goes with this process."""
    return Cluster(tls=True).start()


class TlsTests(TestCase):
    """What OpenSSL keeps to itself must not be waited for at the socket."""

    async def connected(self, **options: str) -> Connection:
        """A connection whose server has shown the certificate that we trust."""
        trusted = {"sslmode": "verify-full", "sslrootcert": str(cluster().certificate)}
        connection = await connect(the_reactor(), Dsn.parse(cluster().tcp_dsn(**trusted | options)))
        self.addCleanup(connection.drop)
        return connection

    async def test_encrypted(self) -> None:
        """The connection is encrypted."""
        connection = await self.connected()
        self.assertTrue(connection.pgconn.ssl_in_use)
        cursor = await connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        self.assertEqual(await cursor.fetchone(), (True,))

    async def test_every_size(self) -> None:
        """Answers of any size arrive whole, whatever records they were cut into."""
        connection = await self.connected()
        sizes = [
            *range(0, 200, 7),
            *(base + n for base in (8192, 16_384, 32_768, 65_536, 1 << 20) for n in (-40, -1, 0, 9)),
        ]
        for size in sizes:
            cursor = await connection.execute("SELECT repeat('x', %s)", (size,))
            row = await cursor.fetchone()
            assert row is not None
            self.assertEqual(len(row[0]), size)

    async def test_large_both_ways(self) -> None:
        """Bytes that fill the socket's buffers many times travel in both directions."""
        connection = await self.connected()
        data = os.urandom(5 << 20)
        row = await (await connection.execute("SELECT %b::bytea || 'x'::bytea", (data,), binary=True)).fetchone()
        assert row is not None
        self.assertTrue(row[0] == data + b"x")

    async def test_pipelines_side_by_side(self) -> None:
        """Pipelines of several connections run at the same time."""

        async def sums(n: int) -> list[int]:
            connection = await self.connected()
            async with connection.pipeline():
                cursors = [await connection.execute("SELECT %s::int + %s", (n, i)) for i in range(300)]
            rows = [await cursor.fetchone() for cursor in cursors]
            return [row[0] for row in rows if row is not None]

        found = await gatherResults([Deferred.fromCoroutine(sums(n)) for n in range(4)])
        self.assertEqual(found, [[n + i for i in range(300)] for n in range(4)])

    async def test_lost_while_idle(self) -> None:
        """The end of an idle connection is noticed here too."""
        one, other = await self.connected(), await self.connected()
        told: Deferred[None] = Deferred()
        one.on_lost = lambda: told.callback(None)
        await other.execute("SELECT pg_terminate_backend(%s)", (one.info.backend_pid,))
        await told
        self.assertTrue(one.lost)

    async def test_host_name(self) -> None:
        """The reactor resolves a host's name, its addresses are tried in turn, the certificate is checked for it."""
        connection = await self.connected(host="localhost")
        self.assertEqual(connection.info.host, "localhost")
        with self.assertRaisesRegex(psycopg.OperationalError, "does not match host name"):
            await self.connected(host="other.test", hostaddr="127.0.0.1")

    async def test_unknown_certificate(self) -> None:
        """A server with a certificate that nobody signed for us is not talked to, and no password is sent."""
        with self.assertRaisesRegex(psycopg.OperationalError, "certificate") as caught:
            await self.connected(sslrootcert="/dev/null")
        self.assertNotIn(cluster().password, str(caught.exception))

    async def test_plain_is_refused(self) -> None:
        """A server that wants TLS says so to who comes without."""
        with self.assertRaisesRegex(psycopg.OperationalError, "no encryption"):
            await self.connected(sslmode="disable")
