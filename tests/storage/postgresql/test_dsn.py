"""Connection strings."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.postgresql.dsn import Dsn, conninfo

URL = "postgresql://me:s%40cret@one:5433,two:5434/objects?sslmode=verify-full&target_session_attrs=read-write"


class DsnTests(SynchronousTestCase):
    """What is read from a connection string."""

    def setUp(self) -> None:
        for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE"):
            self.patch_environment(name, None)

    def patch_environment(self, name: str, value: str | None) -> None:
        """Set or remove a variable for this test."""
        before = os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value

        def restore() -> None:
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before

        self.addCleanup(restore)

    def test_url(self) -> None:
        """A URL is read as libpq reads it."""
        parameters = Dsn.parse(URL).parameters
        self.assertEqual(parameters["user"], "me")
        self.assertEqual(parameters["password"], "s@cret")
        self.assertEqual((parameters["host"], parameters["port"]), ("one,two", "5433,5434"))
        self.assertEqual((parameters["dbname"], parameters["sslmode"]), ("objects", "verify-full"))

    def test_pairs(self) -> None:
        """So is a list of key=value, with quotes."""
        parameters = Dsn.parse("host=/run/pg dbname=objects password='a b'").parameters
        self.assertEqual((parameters["host"], parameters["password"]), ("/run/pg", "a b"))

    def test_application_name(self) -> None:
        """Sessions have our name unless the DSN gives them one."""
        self.assertEqual(Dsn.parse("host=a").parameters["application_name"], "post3tw")
        self.assertEqual(Dsn.parse("host=a application_name=mine").parameters["application_name"], "mine")

    def test_encoding(self) -> None:
        """Texts are UTF-8, whatever the DSN asks for."""
        self.assertEqual(Dsn.parse("host=a").parameters["client_encoding"], "UTF8")
        self.assertEqual(Dsn.parse("host=a client_encoding=latin1").parameters["client_encoding"], "UTF8")

    def test_environment(self) -> None:
        """Hosts and ports come from libpq's variables where the DSN has none."""
        self.patch_environment("PGHOST", "there")
        self.patch_environment("PGPORT", "77")
        self.assertEqual(Dsn.parse("").place, "there:77")
        self.assertEqual(Dsn.parse("host=here port=5").place, "here:5")

    def test_attempts(self) -> None:
        """Several hosts are as many attempts, in their order, each with its port and all the rest."""
        attempts = Dsn.parse(URL).attempts()
        self.assertEqual([(one["host"], one["port"]) for one in attempts], [("one", "5433"), ("two", "5434")])
        self.assertEqual({one["target_session_attrs"] for one in attempts}, {"read-write"})

    def test_one_port_for_all(self) -> None:
        """One port is every host's."""
        attempts = Dsn.parse("host=one,two,three port=6").attempts()
        self.assertEqual([one["port"] for one in attempts], ["6", "6", "6"])

    def test_addresses(self) -> None:
        """Addresses go with their hosts' names, or stand alone."""
        attempts = Dsn.parse("host=one,two hostaddr=127.0.0.1,127.0.0.2").attempts()
        self.assertEqual([one["hostaddr"] for one in attempts], ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(len(Dsn.parse("hostaddr=127.0.0.1,127.0.0.2").attempts()), 2)

    def test_prefer_standby(self) -> None:
        """`prefer-standby` asks every host for a standby before any of them for whatever it is."""
        attempts = Dsn.parse("host=one,two target_session_attrs=prefer-standby").attempts()
        wanted = [(one["host"], one["target_session_attrs"]) for one in attempts]
        self.assertEqual(wanted, [("one", "standby"), ("two", "standby"), ("one", "any"), ("two", "any")])

    def test_mismatched_lists(self) -> None:
        """Hosts, addresses and ports that do not fit each other are refused."""
        for text in ("host=one,two port=1,2,3", "host=one,two hostaddr=127.0.0.1"):
            with self.assertRaises(StoreRefused):
                Dsn.parse(text)

    def test_conninfo(self) -> None:
        """libpq gets back what it read, secrets included."""
        self.assertEqual(Dsn.parse(conninfo(Dsn.parse(URL).parameters)).parameters, Dsn.parse(URL).parameters)


class SecretTests(SynchronousTestCase):
    """A password is shown to nobody."""

    def test_repr(self) -> None:
        """Neither repr nor place has more than where the database is."""
        dsn = Dsn.parse(URL)
        self.assertEqual(repr(dsn), "Dsn(one:5433,two:5434/objects)")
        self.assertEqual(dsn.place, "one:5433,two:5434/objects")

    def test_unreadable(self) -> None:
        """What cannot be read is not quoted: the piece that is wrong can be the password."""
        for text in (
            "postgresql://me:hushhush@host:port/db",
            "postgresql://me:hush/hush@host/db",
            "postgresql://me:12/hush@host/db",
            "postgresql://me:hush@hush@host/db",
            "postgresql://me:hush%zzhush@host/db",
            "host=a password=xx hush",
            "host=a hush=hush",
            "hush",
        ):
            with self.assertRaises(StoreRefused) as caught:
                Dsn.parse(text)
            self.assertNotIn("hush", str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)
            self.assertTrue(caught.exception.__context__ is None or caught.exception.__suppress_context__)
