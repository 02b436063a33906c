"""What the parts of the index contract share: a started index, and a few values to put into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from post3tw.model.bucket import Bucket
from post3tw.model.identity import Owner
from post3tw.model.version import Description, Part, Placement, Upload, Version
from post3tw.storage.index import rows
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.interfaces import IIndex, ITransaction

if TYPE_CHECKING:

    class _Base(TestCase, ABC):
        """What a contract can count on; only a subclass of it is a TestCase, so that the contract itself is not run."""

else:
    _Base = ABC

T = TypeVar("T")

NOW = 1_700_000_000_000
OWNER = Owner("owner-1", "Owner One")


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """Start all calls in one turn of the reactor; their results, or the exceptions they raised."""

    async def outcome(call: Awaitable[Any]) -> Any:
        try:
            return await call
        except Exception as error:
            return error

    return await gatherResults([Deferred.fromCoroutine(outcome(call)) for call in calls])


def object_id(number: int) -> bytes:
    """A 16-byte id, rising with its number."""
    return number.to_bytes(16, "big")


def bucket(number: int = 1, name: str = "", **attributes: Any) -> Bucket:
    """A bucket of OWNER."""
    values: dict[str, Any] = {"tenant": "", "owner_id": OWNER.id, "owner_name": OWNER.display_name, "created": NOW}
    values |= {"region": "us-east-1", **attributes}
    return Bucket(id=number, name=name or f"bucket-{number}", **values)


def version(number: int, placement: Placement | None = None, **attributes: Any) -> Version:
    """A version whose id is `object_id(number)`."""
    values: dict[str, Any] = {"seq": 1, "is_null": False, "delete_marker": False, "created": NOW, "size": 0}
    values |= {"etag": "e" * 32, "owner": OWNER, "placement": placement, **attributes}
    return Version(id=object_id(number), **values)


def upload(number: int, bucket_id: int = 1, key: bytes = b"key") -> Upload:
    """An upload of OWNER whose id is `object_id(number)`."""
    return Upload(object_id(number), bucket_id, key, NOW, OWNER, OWNER, Description())


def part(number: int, placement: Placement, part_id: bytes) -> Part:
    """A part with these bytes."""
    return Part(number, part_id, 0, placement.size, "e" * 32, NOW, placement)


class IndexFixture(_Base):
    """A started index for each test that asks for one."""

    @abstractmethod
    def make_index(self) -> IIndex:
        """An index that is not started yet. Called again in the same test, after the first was stopped, it answers one
        with the same rows; in another test the index is empty."""

    async def started(self) -> IIndex:
        """A started index, stopped when the test ends."""
        index = self.make_index()
        await index.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(index.stop()))
        return index

    async def with_bucket(self, **attributes: Any) -> IIndex:
        """A started index that holds `bucket(1, **attributes)`."""
        index = await self.started()
        await index.run(lambda tx: create_bucket(tx, bucket(**attributes)))
        return index

    async def value(self, index: IIndex, sql: str, *parameters: object) -> Any:
        """The first column of the first row; None when there is no row."""

        async def first(tx: ITransaction) -> Any:
            row = await tx.one(sql, *parameters)
            return None if row is None else row[0]

        return await index.read(first)

    async def do(self, index: IIndex, transaction: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        """Run a transaction with arguments."""
        return await index.run(lambda tx: transaction(tx, *arguments, **options))

    async def add_version(self, index: IIndex, key: bytes, made: Version, bucket_id: int = 1) -> None:
        """Insert a version as it is."""
        await self.do(index, _insert, rows.INSERT_VERSION, rows.version_values(bucket_id, key, made))

    async def add_part(self, index: IIndex, owner: bytes, made: Part, data: bytes | None = None) -> None:
        """Insert a part, its bytes and its references."""

        async def both(tx: ITransaction) -> None:
            await place(tx, made.id, made.placement, data)
            await tx.run(rows.INSERT_PART, *rows.part_values(owner, made))

        await index.run(both)

    async def add_upload(self, index: IIndex, made: Upload) -> None:
        """Insert an upload."""
        await self.do(index, _insert, rows.INSERT_UPLOAD, rows.upload_values(made))


async def _insert(tx: ITransaction, sql: str, values: tuple[object, ...]) -> None:
    await tx.run(sql, *values)
