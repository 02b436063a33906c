"""The contract of an index, on PostgreSQL."""

from __future__ import annotations

from typing import Any

from post3tw.testing.index_contract import IndexContract
from tests.storage.index.postgresql.case import PostgresFixture


class PostgresContractTests(PostgresFixture, IndexContract):
    """The contract, on PostgreSQL."""

    make_index: Any = PostgresFixture.make_index
