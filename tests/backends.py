"""Which backend the suites run on: POST3_TEST_BACKEND is `fs`, the default, or `postgres`. And how many workers their
servers have: POST3_TEST_WORKERS, by default 1.

The suites are the same. A test of something that only one of them has says so with `only_on`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.storage.backends import find_backend
from post3tw.storage.interfaces import OpenedStore
from post3tw.testing.postgresql import shared_cluster
from post3tw.testing.server import RunningServer
from tests.storage.postgresql.databases import empty_database

BACKEND = os.environ.get("POST3_TEST_BACKEND", "fs")
WORKERS = int(os.environ.get("POST3_TEST_WORKERS", "1"))
ON_POSTGRES = BACKEND == "postgres"

Part = TypeVar("Part")


def only_on(backend: str, reason: str) -> Any:
    """A decorator of test cases and tests that are skipped on another backend."""

    def mark(test: Any) -> Any:
        if backend != BACKEND:
            test.skip = f"only on {backend}: {reason}"
        return test

    return mark


def open_postgres(dsn: str, **options: Any) -> OpenedStore:
    """A store in a database, not started."""
    from twisted.internet import reactor

    backend = find_backend("postgres")
    values: dict[str, Any] = {name.replace("-", "_"): default for name, default, _ in backend.options()}
    values |= {"data_dir": "", "durability": "relaxed", "reserve": 0, "environ": {}, "dsn": dsn, **options}
    opened: OpenedStore = backend.open(values, reactor)
    return opened


def stop(part: Any) -> Deferred[None]:
    """Stop an index, a blob store or a space."""
    return Deferred.fromCoroutine(part.stop())


def new_server(options: Sequence[str] = (), *, backend: str = BACKEND, **attributes: Any) -> RunningServer:
    """A server, not started, with nothing in it; on PostgreSQL in a database that goes with this process."""
    attributes = {"workers": WORKERS, **attributes}
    if backend != "postgres":
        return RunningServer(options=options, **attributes)
    environment = {"DATABASE_URL": shared_cluster().create_database()}
    return RunningServer(options=("--backend=postgres", *options), environment=environment, **attributes)


async def started(test: TestCase, part: Part) -> Part:
    """The part, which runs until the end of the test."""
    test.addCleanup(stop, part)
    await part.start()  # type: ignore[attr-defined]
    return part


async def new_postgres_store(test: TestCase) -> OpenedStore:
    """A started store in an empty database."""
    opened = open_postgres(empty_database(test))
    for part in (opened.space, opened.index, opened.blobs):
        await started(test, part)
    return opened
