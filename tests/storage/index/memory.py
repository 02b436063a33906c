"""The schema in a SQLite database in memory, where transactions run at once: for tests of queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from post3tw.storage.index.sqlite.migrations import schema_scripts
from post3tw.storage.index.sqlite.snapshot import ReadTransaction
from post3tw.storage.interfaces import ITransaction

T = TypeVar("T")

_CURRENT = (
    "INSERT INTO current (bucket, key, seq, entry, owner_id, owner_name)"
    " VALUES (?, ?, 1, '1700000000000|3|e|STANDARD CRC64NVME FULL_OBJECT', 'ada', 'Ada')"
)
_VERSION = (
    "INSERT INTO versions (bucket, key, seq, id, is_null, delete_marker, created, size, etag, owner_id, owner_name)"
    " VALUES (?, ?, ?, ?, ?, ?, 1700000000000, 3, 'e', 'ada', 'Ada')"
)
_UPLOAD = (
    "INSERT INTO uploads (id, bucket, key, created, owner_id, owner_name, initiator_id, initiator_name, storage_class)"
    " VALUES (?, ?, ?, 1700000000000, 'ada', 'Ada', 'ada', 'Ada', 'STANDARD')"
)


def now(awaitable: Awaitable[T]) -> T:
    """The result of something that waits for nothing."""
    assert isinstance(awaitable, Coroutine)
    try:
        awaitable.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class MemoryIndex:
    """As much of IIndex as reading needs, and rows without the transactions that would make them."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for _, script in sorted(schema_scripts().items()):
            self.connection.executescript(script)
        self.tx = ReadTransaction(self.connection)

    async def read(self, transaction: Callable[[ITransaction], Awaitable[T]]) -> T:
        """See IIndex."""
        return await transaction(self.tx)

    def clear(self) -> None:
        """Empty the tables that are listed."""
        for table in ("current", "versions", "uploads"):
            self.connection.execute(f"DELETE FROM {table}")

    def add_objects(self, keys: Iterable[bytes], bucket_id: int = 1) -> None:
        """Add current objects."""
        self.connection.execute("BEGIN")
        self.connection.executemany(_CURRENT, [(bucket_id, key) for key in keys])
        self.connection.execute("COMMIT")

    def add_versions(self, versions: Iterable[tuple[bytes, int, bool, bool]], bucket_id: int = 1) -> None:
        """Add versions: key, seq, whether it is the null version, whether it is a delete marker."""
        self.connection.executemany(
            _VERSION,
            [(bucket_id, key, seq, seq.to_bytes(16, "big"), null, marker) for key, seq, null, marker in versions],
        )

    def add_uploads(self, uploads: Iterable[tuple[bytes, int]], bucket_id: int = 1) -> None:
        """Add uploads: key and a number that makes the id."""
        self.connection.executemany(_UPLOAD, [(number.to_bytes(16, "big"), bucket_id, key) for key, number in uploads])

    def steps(self, run: Callable[[], Any]) -> int:
        """How many steps of its virtual machine SQLite needs for something: a measure of work without a clock."""
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        self.connection.set_progress_handler(step, 1)
        try:
            run()
        finally:
            self.connection.set_progress_handler(None, 1)
        return count
