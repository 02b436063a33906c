"""What the tests of the index on PostgreSQL share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.model.conditions import WriteConditions
from post3tw.storage.index.postgresql.index import PostgresIndex
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.testing.index_fixture import together
from post3tw.testing.postgresql import database_of, shared_cluster
from tests.storage.postgresql.databases import own_database

ANY = WriteConditions()


@define(eq=False)
class OneNode:
    """The notices of a node that has no neighbours."""

    current: bool = True
    told: list[tuple[str, str]] = field(factory=list)
    caches: list[Callable[..., None]] = field(factory=list)

    def subscribe(self, forget: Callable[..., None]) -> None:
        """See Notices."""
        self.caches.append(forget)

    def announcement(self, buckets: Collection[tuple[str, str]]) -> tuple[str, tuple[str, ...]]:
        """See Notices."""
        return "UPDATE bucket_changes SET number = number + 1", ()

    def forget(self, buckets: Iterable[tuple[str, str]]) -> None:
        """See Notices."""
        for tenant, name in buckets:
            self.told.append((tenant, name))
            for forget in self.caches:
                forget(tenant, name)


class PostgresFixture(TestCase):
    """An empty database for each test."""

    def setUp(self) -> None:
        """A new database with the schema."""
        self.dsn = own_database(self)

    def make_index(self, **options: Any) -> PostgresIndex:
        """An index in the test's database, that is not started."""
        from twisted.internet import reactor

        return PostgresIndex(reactor, Dsn.parse(self.dsn), OneNode(), **options)


class PostgresCase(PostgresFixture):
    """And shortcuts."""

    together = staticmethod(together)

    async def started(self, **options: Any) -> PostgresIndex:
        """A started index, stopped when the test ends."""
        index = self.make_index(**options)
        await index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(index.stop()))
        return index

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What somebody else finds in the database."""
        return shared_cluster().query(sql, *parameters, database=database_of(self.dsn))
