"""The contract of an index, on PostgreSQL."""

from __future__ import annotations

from typing import Any

from post3tw.testing.index_contract import IndexContract
from tests.storage.index.postgresql.case import PostgresFixture
from tests.storage.postgresql.databases import empty_database


class PostgresContractTests(PostgresFixture, IndexContract):
    """The contract, on PostgreSQL."""

    make_index: Any = PostgresFixture.make_index

    def setUp(self) -> None:
        """An empty database."""
        self.dsn = empty_database(self)
