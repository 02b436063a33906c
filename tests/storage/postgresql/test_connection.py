"""Connections of psycopg on Twisted's reactor, to a real PostgreSQL."""

from __future__ import annotations

import gc
import os
from typing import Any

import psycopg
from psycopg import pq
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from post3tw.storage.postgresql.connection import Connection, connect
from post3tw.storage.postgresql.dsn import Dsn, conninfo
from post3tw.storage.postgresql.line import ConnectionLost
from post3tw.testing.postgresql import database_of, new_database, shared_cluster


class ConnectionTests(TestCase):
    """What a connection can do, and how it ends."""

    def setUp(self) -> None:
        self.dsn = Dsn.parse(new_database(self))

    async def connected(self, **arguments: Any) -> Connection:
        """A connection, closed with the test."""
        connection = await connect(the_reactor(), self.dsn, **arguments)
        self.addCleanup(connection.drop)
        return connection

    # -- work ----------------------------------------------------------------------------------------------------------

    async def test_query(self) -> None:
        """A query with parameters gives rows."""
        connection = await self.connected()
        cursor = await connection.execute("SELECT %s::int + 1, %s::bytea", (41, b"\x00\xff"))
        self.assertEqual(await cursor.fetchall(), [(42, b"\x00\xff")])

    async def test_settings(self) -> None:
        """Settings of the session are made before anyone uses it."""
        connection = await self.connected(settings={"statement_timeout": 1234, "application_name": 'it\'s "me"'})
        cursor = await connection.execute(
            "SELECT current_setting('statement_timeout'), current_setting('application_name')"
        )
        self.assertEqual(await cursor.fetchone(), ("1234ms", 'it\'s "me"'))

    async def test_encoding(self) -> None:
        """Texts are UTF-8, although the database gives its clients another encoding."""
        name = database_of(conninfo(self.dsn.parameters))
        shared_cluster().query(f"ALTER DATABASE \"{name}\" SET client_encoding = 'LATIN1'")
        connection = await self.connected()
        cursor = await connection.execute("SELECT current_setting('client_encoding'), octet_length(%s)", ("\u20ac",))
        self.assertEqual(await cursor.fetchone(), ("UTF8", 3))

    async def test_autocommit(self) -> None:
        """Each statement is a transaction of its own until somebody says BEGIN."""
        one, other = await self.connected(), await self.connected()
        await one.execute("CREATE TABLE t (n int)")
        await one.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(await (await other.execute("SELECT n FROM t")).fetchall(), [(1,)])

    async def test_error_keeps_connection(self) -> None:
        """A wrong statement is an error of psycopg's, and the connection goes on."""
        connection = await self.connected()
        with self.assertRaises(psycopg.errors.UndefinedTable):
            await connection.execute("SELECT * FROM nothing")
        self.assertEqual(await (await connection.execute("SELECT 1")).fetchone(), (1,))

    async def test_pipeline(self) -> None:
        """Statements in pipeline mode share a round trip."""
        connection = await self.connected()
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", (n,)) for n in range(100)]
        self.assertEqual([await cursor.fetchone() for cursor in cursors], [(n,) for n in range(100)])

    async def test_large_both_ways(self) -> None:
        """Bytes that fill the socket's buffers many times travel in both directions."""
        connection = await self.connected()
        data = os.urandom(9 << 20)
        cursor = await connection.execute("SELECT %b::bytea || 'x'::bytea", (data,), binary=True)
        row = await cursor.fetchone()
        assert row is not None
        self.assertTrue(row[0] == data + b"x")

    async def test_copy_in(self) -> None:
        """COPY takes more than the socket's buffers hold."""
        connection = await self.connected()
        await connection.execute("CREATE TABLE t (line text)")
        cursor = connection.cursor()
        async with cursor.copy("COPY t FROM STDIN") as copy:
            for n in range(2000):
                await copy.write(f"{n}{'x' * 2000}\n".encode())
        self.assertEqual(
            await (await connection.execute("SELECT count(*), sum(length(line)) FROM t")).fetchone(), (2000, 4006890)
        )

    async def test_copy_out_waits_for_reader(self) -> None:
        """Rows of a COPY that nobody fetches stay with the server, and come when they are fetched."""
        connection = await self.connected()
        cursor = connection.cursor()
        count = 0
        async with cursor.copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT") as copy:
            await copy.read()
            while connection._line in the_reactor().getReaders():
                await turn()
            count = 1 + len([row async for row in copy.rows()])
        self.assertEqual(count, 20000)

    async def test_side_by_side(self) -> None:
        """While one connection waits, others work."""
        one, other = await self.connected(), await self.connected()
        await other.execute("SELECT pg_advisory_lock(1)")
        waiting = Deferred.fromCoroutine(one.execute("SELECT pg_advisory_lock(1)"))
        for n in range(20):
            self.assertEqual(await (await other.execute("SELECT %s::int", (n,))).fetchone(), (n,))
        self.assertFalse(waiting.called)
        await other.execute("SELECT pg_advisory_unlock(1)")
        await waiting

    async def test_one_user(self) -> None:
        """A second user while the first waits is an error, and the first is not disturbed."""
        connection = await self.connected()
        first = Deferred.fromCoroutine(connection.execute("SELECT 1 FROM pg_sleep(0.05)"))
        with self.assertRaises(psycopg.InterfaceError):
            await connection.execute("SELECT 2")
        self.assertEqual(await (await first).fetchone(), (1,))

    # -- the end -------------------------------------------------------------------------------------------------------

    async def test_close(self) -> None:
        """A closed connection leaves the reactor, the server, and no descriptor."""
        before = sockets()
        one, other = await connect(the_reactor(), self.dsn), await self.connected()
        told: list[str] = []
        one.on_lost = lambda: told.append("lost")
        pid = one.info.backend_pid
        await one.close()
        await one.close()
        with self.assertRaises(psycopg.OperationalError):
            await one.execute("SELECT 1")
        await until_gone(other, pid)
        other.drop()
        gc.collect()
        self.assertEqual(sockets(), before)
        self.assertEqual(told, [])

    async def test_lost_while_idle(self) -> None:
        """The end of an idle connection is noticed when it happens."""
        one, other = await self.connected(), await self.connected()
        told: Deferred[None] = Deferred()
        one.on_lost = lambda: told.callback(None)
        await other.execute("SELECT pg_terminate_backend(%s)", (one.info.backend_pid,))
        await told
        self.assertTrue(one.lost)
        self.assertTrue(one.closed)
        with self.assertRaises(psycopg.OperationalError):
            await one.execute("SELECT 1")

    async def test_lost_while_waiting(self) -> None:
        """Who waits for an answer learns that the connection has ended, from the server's own words."""
        one, other = await self.connected(), await self.connected()
        told: list[str] = []
        one.on_lost = lambda: told.append("lost")
        waiting = Deferred.fromCoroutine(one.execute("SELECT pg_sleep(60)"))
        await other.execute("SELECT pg_terminate_backend(%s)", (one.info.backend_pid,))
        with self.assertRaises(psycopg.errors.AdminShutdown):
            await waiting
        await turn()
        self.assertTrue(one.lost)
        self.assertEqual(told, ["lost"])

    async def test_closed_while_waiting(self) -> None:
        """Closing under one who waits tells him."""
        connection = await self.connected()
        waiting = Deferred.fromCoroutine(connection.execute("SELECT pg_sleep(60)"))
        connection.drop()
        with self.assertRaises(ConnectionLost):
            await waiting

    async def test_cancelled(self) -> None:
        """A cancelled call closes its connection: what the server still does of it, nobody knows."""
        connection = await self.connected()
        told: list[str] = []
        connection.on_lost = lambda: told.append("lost")
        waiting = Deferred.fromCoroutine(connection.execute("SELECT pg_sleep(60)"))
        waiting.cancel()
        with self.assertRaises(CancelledError):
            await waiting
        self.assertTrue(connection.lost)
        self.assertEqual(told, ["lost"])

    async def test_copy_given_up(self) -> None:
        """Rows of a COPY that are not wanted any more end with the connection."""
        connection = await self.connected()

        async def begin() -> None:
            async with connection.cursor().copy("COPY (SELECT generate_series(1, 100000)) TO STDOUT") as copy:
                await copy.read()
                raise LookupError

        with self.assertRaises(LookupError):
            await begin()
        self.assertTrue(connection.lost)

    async def test_no_answer(self) -> None:
        """A server that does not answer in time is given up."""
        connection = await self.connected()
        connection.answer_timeout = 0.05
        with self.assertRaisesRegex(ConnectionLost, "in time"):
            await connection.execute("SELECT pg_sleep(60)")
        self.assertTrue(connection.lost)

    async def test_timer_serves_many_answers(self) -> None:
        """The time of an answer counts from its question, not from an earlier one's."""
        connection = await self.connected()
        connection.answer_timeout = 0.6
        for _ in range(7):
            await connection.execute("SELECT pg_sleep(0.1)")
        self.assertFalse(connection.lost)

    async def test_half_transaction_is_undone(self) -> None:
        """What a closed connection had begun is undone."""
        one, other = await self.connected(), await self.connected()
        await one.execute("CREATE TABLE t (n int)")
        await one.execute("BEGIN")
        await one.execute("INSERT INTO t VALUES (1)")
        pid = one.info.backend_pid
        one.drop()
        await until_gone(other, pid)
        self.assertEqual(await (await other.execute("SELECT * FROM t")).fetchall(), [])


class ConnectingTests(TestCase):
    """Finding a host that takes us."""

    def setUp(self) -> None:
        self.dsn = Dsn.parse(new_database(self))

    async def fails(self, dsn: Dsn, timeout: float = 5.0) -> str:
        """The text of the error that connecting ends with."""
        with self.assertRaises(psycopg.OperationalError) as caught:
            await connect(the_reactor(), dsn, timeout)
        return str(caught.exception)

    async def test_refused(self) -> None:
        """Nobody listens: the text says where."""
        text = await self.fails(Dsn.parse("host=127.0.0.1 port=1 user=u password=verysecret"))
        self.assertIn("127.0.0.1", text)
        self.assertNotIn("verysecret", text)

    async def test_unknown_host(self) -> None:
        """A name that nobody knows is said so."""
        self.assertIn("nowhere.invalid", await self.fails(Dsn.parse("postgresql://u:verysecret@nowhere.invalid/db")))

    async def test_silent_host(self) -> None:
        """A host that accepts and says nothing is left after its time."""
        port = await self.listening(Protocol)
        text = await self.fails(Dsn.parse(f"host=127.0.0.1 port={port} sslmode=disable"), timeout=0.05)
        self.assertIn("no answer within 0.05 seconds", text)

    async def test_unknown_database(self) -> None:
        """The server's own words come through."""
        self.assertIn('"nothing"', await self.fails(Dsn({**self.dsn.parameters, "dbname": "nothing"})))

    async def test_second_host(self) -> None:
        """A dead host is passed over, a silent one too."""
        silent = await self.listening(Protocol)
        rest = dict(self.dsn.parameters)
        place, port = rest.pop("host"), rest.pop("port", "5432")
        hosts = {"host": f"127.0.0.1,127.0.0.1,{place}", "port": f"1,{silent},{port}", "sslmode": "disable"}
        connection = await connect(the_reactor(), Dsn({**rest, **hosts}), timeout=0.2)
        self.addCleanup(connection.drop)
        self.assertEqual(connection.info.host, place)

    async def test_all_hosts_named(self) -> None:
        """When none takes us, the text has each one's reason."""
        text = await self.fails(Dsn.parse("host=127.0.0.1,127.0.0.1 port=1,2 user=u"))
        self.assertIn("port 1 ", text)
        self.assertIn("port 2 ", text)

    async def test_session_attributes(self) -> None:
        """A server that is not what the DSN wants does not take us."""
        text = await self.fails(Dsn({**self.dsn.parameters, "target_session_attrs": "standby"}))
        self.assertIn("not in hot standby mode", text)
        connection = await connect(the_reactor(), Dsn({**self.dsn.parameters, "target_session_attrs": "read-write"}))
        self.addCleanup(connection.drop)

    async def test_cancelled(self) -> None:
        """A cancelled attempt leaves nothing in the reactor."""
        port = await self.listening(Protocol)
        connecting = Deferred.fromCoroutine(connect(the_reactor(), Dsn.parse(f"host=127.0.0.1 port={port}")))
        await turn()
        connecting.cancel()
        with self.assertRaises(CancelledError):
            await connecting

    async def test_bad_setting(self) -> None:
        """A setting the server does not know is an error, and the connection is not kept."""
        with self.assertRaises(psycopg.errors.UndefinedObject):
            await connect(the_reactor(), self.dsn, settings={"no_such_setting": 1})

    async def test_many_at_once(self) -> None:
        """Connections may be made side by side."""
        made = await gatherResults([Deferred.fromCoroutine(connect(the_reactor(), self.dsn)) for _ in range(8)])
        for connection in made:
            self.addCleanup(connection.drop)
            self.assertEqual(connection.pgconn.transaction_status, pq.TransactionStatus.IDLE)

    async def listening(self, protocol: type[Protocol]) -> int:
        """A port of the loopback where this protocol answers."""
        port = the_reactor().listenTCP(0, Factory.forProtocol(protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)


def sockets() -> set[str]:
    """The sockets that this process has open."""
    entries = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return {name for name in (os.readlink(entry) for entry in entries if os.path.lexists(entry)) if "socket:" in name}


def the_reactor() -> Any:
    """The one that trial runs."""
    from twisted.internet import reactor

    return reactor


async def turn() -> None:
    """Let the reactor look at its sockets once."""
    done: Deferred[None] = Deferred()
    the_reactor().callLater(0, done.callback, None)
    await done


async def until_gone(connection: Connection, pid: int) -> None:
    """Wait until the server has no backend of this number."""
    while await (await connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,))).fetchone():
        await turn()
