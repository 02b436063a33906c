"""What the database engine reports, as exceptions of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine
from typing import Any

from post3tw.model.errors import InsufficientStorage


class IndexFailed(Exception):
    """The database could not do it: an I/O error, a damaged file, a wrong statement. An internal error to clients."""


class ForeignAwait(Exception):
    """A transaction awaited something other than its `tx`: a mistake in its code."""


def translated(error: Exception) -> Exception:
    """What to raise for an exception of a transaction.

    sqlite3's become InsufficientStorage (a full disk) or IndexFailed; all others stay what they are.
    """
    if not isinstance(error, sqlite3.Error):
        return error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return InsufficientStorage()
    failure = IndexFailed(f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}")
    failure.__cause__ = error
    return failure


def foreign_await(coroutine: Coroutine[Any, Any, Any], awaited: object) -> ForeignAwait:
    """End a coroutine that awaited something strange; what to raise for it."""
    coroutine.close()
    return ForeignAwait(f"a transaction may await nothing but its tx, this one awaited {awaited!r}")
