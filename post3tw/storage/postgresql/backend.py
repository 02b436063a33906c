"""The `postgres` backend: everything in a PostgreSQL database, or all but the bytes of large objects.

Only standard modules and our own interfaces are imported here: the options are listed on every start, also where the
packages of the `postgres` extra are missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from zope.interface import implementer

from post3tw.model.quantities import parse_duration, parse_size
from post3tw.storage.crew import Crew
from post3tw.storage.interfaces import IBackend, OpenedStore, StoreRefused

if TYPE_CHECKING:
    from post3tw.storage.postgresql.dsn import Dsn

T = TypeVar("T")

BLOCK_SIZES = (4 << 10, 16 << 20)
"""Smallest and largest block, in bytes. Some of them are in memory for each large object on its way."""

CONNECTIONS = (2, 1000)
"""Fewest and most connections for blocks."""

_PLACES = ("postgres", "files")


@implementer(IBackend)
class PostgresBackend:
    """Any number of nodes in front of one database."""

    name = "postgres"
    description = "PostgreSQL, shared by any number of nodes."

    def options(self) -> Sequence[tuple[str, str | None, str]]:
        """See IBackend."""
        return (
            (
                "dsn",
                "",
                "The database, postgresql://USER@HOST:PORT/NAME?… or host=… dbname=…; DATABASE_URL if it is not given."
                " A command line can be read by everybody on the machine: give a password in a variable or ~/.pgpass.",
            ),
            (
                "blobs",
                "postgres",
                "Where the bytes of larger objects are: postgres, or files in --data-dir, which all nodes must see.",
            ),
            (
                "block-size",
                "8096",
                "Larger objects are kept in the database in rows of this size; these fill a page of it.",
            ),
            (
                "connections",
                "8",
                "Connections of a node to the database for larger objects; up to 9 more are for everything else.",
            ),
            ("start-timeout", "30s", "How long to wait at start until the database answers."),
        )

    def open(self, options: Mapping[str, Any], reactor: Any) -> OpenedStore:
        """See IBackend."""
        blobs = options["blobs"]
        if blobs not in _PLACES:
            raise StoreRefused(f"--blobs: {blobs!r} is neither postgres nor files")
        block_size = _parsed(options, "block-size", parse_size, BLOCK_SIZES)
        connections = _parsed(options, "connections", _count, CONNECTIONS)
        crew: Crew | None = options.get("crew")
        if crew is not None:  # each worker is a node of its own, but they are started with one number for all
            connections = max(CONNECTIONS[0], connections // crew.count)
        start_timeout = _parsed(options, "start-timeout", parse_duration)
        try:
            from post3tw.storage.postgresql.assembly import assemble
        except ImportError as error:  # before the DSN is read, which needs them too
            raise StoreRefused(
                f"backend postgres needs further packages, pip install 'post3tw[postgres]' ({error})"
            ) from None
        return assemble(
            reactor,
            _dsn(options),
            data_dir=str(options["data_dir"]) if blobs == "files" else None,
            durable=options["durability"] == "full",
            block_size=block_size,
            connections=connections,
            start_timeout=start_timeout,
        )

    def possess(self, options: Mapping[str, Any]) -> int:
        """See IBackend: everybody may have it."""
        return -1


def _dsn(options: Mapping[str, Any]) -> Dsn:
    from post3tw.storage.postgresql.dsn import Dsn

    environ = options.get("environ", os.environ)
    text = options["dsn"] or environ.get("DATABASE_URL", "")
    if not text and not any(environ.get(name) for name in ("PGHOST", "PGDATABASE", "PGSERVICE")):
        raise StoreRefused("which database? Give --dsn postgresql://USER@HOST/NAME, or set POST3_DSN or DATABASE_URL")
    return Dsn.parse(text)


def _count(value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _parsed(
    options: Mapping[str, Any], name: str, parse: Callable[[Any], T], limits: tuple[Any, Any] | None = None
) -> T:
    try:
        value = parse(options[name.replace("-", "_")])
    except ValueError as error:
        raise StoreRefused(f"--{name}: {error}") from None
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise StoreRefused(f"--{name}: {options[name.replace('-', '_')]} is not within {limits[0]} and {limits[1]}")
    return value
