"""SQLSTATE to our exceptions."""

from __future__ import annotations

import psycopg
from psycopg import errors
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InsufficientStorage, NoSuchKey, ServiceUnavailable, SlowDown
from post3tw.storage.postgresql.failures import DatabaseFailed, ends_connection, one_line, translated
from post3tw.storage.postgresql.line import ConnectionLost


class LineTests(SynchronousTestCase):
    """What people are told."""

    def test_several_lines(self) -> None:
        """What libpq says in several lines is one line, whose parts can be told from each other."""
        said = "Connection refused\n\tIs the server running on that host?\n"
        self.assertEqual(
            one_line(psycopg.OperationalError(said)), "Connection refused; Is the server running on that host?"
        )

    def test_nothing(self) -> None:
        """An error without a text is called by its name."""
        self.assertEqual(one_line(psycopg.OperationalError()), "OperationalError")


class TranslationTests(SynchronousTestCase):
    """What clients are told."""

    def assert_becomes(self, kind: type[Exception], *found: Exception) -> None:
        """All of these become one of that kind, with themselves as the cause."""
        for error in found:
            self.assertIs(type(translated(error)), kind, repr(error))
            self.assertIs(translated(error).__cause__, error)

    def test_disk_full(self) -> None:
        """A full disk of the database is a full disk."""
        self.assert_becomes(InsufficientStorage, errors.DiskFull())

    def test_busy(self) -> None:
        """What passes by itself is to be tried again."""
        self.assert_becomes(
            SlowDown,
            errors.TooManyConnections(),
            errors.OutOfMemory(),
            errors.QueryCanceled(),
            errors.LockNotAvailable(),
            errors.SerializationFailure(),
            errors.DeadlockDetected(),
            errors.IdleInTransactionSessionTimeout(),
        )

    def test_away(self) -> None:
        """A database that is not there, or not the primary any more, is not available."""
        self.assert_becomes(
            ServiceUnavailable,
            ConnectionLost("…"),
            psycopg.OperationalError("server closed the connection unexpectedly"),
            psycopg.InterfaceError("the connection is closed"),
            psycopg.DatabaseError("a result without SQLSTATE, as libpq makes one when the connection is gone"),
            errors.AdminShutdown(),
            errors.CrashShutdown(),
            errors.CannotConnectNow(),
            errors.ConnectionFailure(),
            errors.ReadOnlySqlTransaction(),
        )

    def test_mistakes(self) -> None:
        """All else is an internal error whose text has the SQLSTATE, for the log."""
        self.assert_becomes(
            DatabaseFailed, errors.UndefinedTable(), errors.DataCorrupted(), errors.IoError(), errors.UniqueViolation()
        )
        self.assertIn("42P01", str(translated(errors.UndefinedTable("no table"))))

    def test_others(self) -> None:
        """What does not come from the database stays what it is."""
        for error in (NoSuchKey(), ValueError("x")):
            self.assertIs(translated(error), error)

    def test_ends_connection(self) -> None:
        """A server that goes, or has become a standby, is not asked again through the same connection."""
        for ends, error in (
            (True, errors.ReadOnlySqlTransaction()),
            (True, errors.AdminShutdown()),
            (False, errors.DiskFull()),
            (False, errors.UndefinedTable()),
            (False, ValueError()),
        ):
            self.assertIs(ends_connection(error), ends)
