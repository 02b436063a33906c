"""What PostgreSQL reports, as exceptions of ours.

The five characters of SQLSTATE decide (PostgreSQL documentation, appendix A); texts are for the log, in whatever
language the server speaks. What will pass by itself is a SlowDown or a ServiceUnavailable, which every S3 client tries
again; a full disk is InsufficientStorage; what is left is a mistake of ours or a damaged database.
"""

from __future__ import annotations

from psycopg import DatabaseError, Error, InterfaceError, OperationalError

from post3tw.model.errors import InsufficientStorage, ServiceUnavailable, SlowDown

RETRYABLE = frozenset({"40001", "40P01"})
"""A transaction lost a race against another (serialization_failure, deadlock_detected): run again, it may win."""

READ_ONLY = "25006"
"""A write came to a standby: the primary is another host now, and connections to this one are of no use."""

_FULL = frozenset({"53100"})  # disk_full
_BUSY = frozenset(
    {
        *RETRYABLE,
        "53000",  # insufficient_resources
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "53400",  # configuration_limit_exceeded
        "55P03",  # lock_not_available: lock_timeout
        "57014",  # query_canceled: statement_timeout
        "25P03",  # idle_in_transaction_session_timeout: the reactor was away for long
        "25P04",  # transaction_timeout, from PostgreSQL 17
    }
)
_AWAY = frozenset({READ_ONLY, "57P01", "57P02", "57P03", "57P05"})  # shut down, crashed, starting, idle for too long

UNAVAILABLE = "The database does not answer."


class DatabaseFailed(Exception):
    """The database could not do it: an I/O error, a damaged table, a wrong statement. An internal error to clients."""


def one_line(error: BaseException | None) -> str:
    """What libpq says in several lines, for the log and for people: in one."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip()) or type(error).__name__


def translated(error: Exception) -> Exception:
    """What to raise for an exception that came from using the database.

    psycopg's become InsufficientStorage, SlowDown, ServiceUnavailable or DatabaseFailed, with itself as the cause; all
    others stay what they are. What was asked may have happened when the answer is ServiceUnavailable.
    """
    if not isinstance(error, Error):
        return error
    failure: Exception
    state = error.sqlstate or ""
    if state in _FULL:
        failure = InsufficientStorage()
    elif state in _BUSY:
        failure = SlowDown()
    elif state in _AWAY or state.startswith("08") or (not state and isinstance(error, OperationalError)):
        failure = ServiceUnavailable(UNAVAILABLE)
    elif not state and (isinstance(error, InterfaceError) or type(error) is DatabaseError):
        # A connection that was closed before it was asked (its end was told to whoever asked last); and a result that
        # libpq makes by itself when the server is gone, which has no SQLSTATE and therefore no class of its own.
        failure = ServiceUnavailable(UNAVAILABLE)
    else:
        failure = DatabaseFailed(f"{state or type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def ends_connection(error: BaseException) -> bool:
    """Whether a connection should not be used after this error, although it is open."""
    return isinstance(error, Error) and (error.sqlstate or "") in _AWAY
