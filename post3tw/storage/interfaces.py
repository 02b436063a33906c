"""What a backend provides: an index of rows and a store of blobs.

A local store writes bytes first, as a blob nobody can see, and then runs one index transaction that makes them exist.
What no row refers to is garbage, and the sweeper removes it. Crash safety, versions, copies without copying and
multipart completion without concatenation all follow from that order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from attrs import frozen
from zope.interface import Attribute, Interface

from post3tw.model.values import value_class

T = TypeVar("T")


@value_class
class Lock:
    """What a write transaction must hold: a bucket, shared by writers of keys and exclusive for DeleteBucket and bucket
    configuration; or one key of it. Locks of a whole group are taken in the order of (bucket, key), None first."""

    bucket_id: int
    key: bytes | None = None
    exclusive: bool = False


class ITransaction(Interface):
    """The database as a transaction sees it. SQL is the part that SQLite and PostgreSQL share, with `?` placeholders;
    parameters are int, str, bytes or None. A transaction awaits nothing but these."""

    memo = Attribute(
        "dict[Hashable, Any] | None: what reading transactions keep for each other as long as all of them see the same "
        "state; None for one that writes"
    )

    async def one(sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """The first row, or None."""

    async def all(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows."""

    async def joined(sql: str, *parameters: object) -> tuple[bytes, str]:
        """All rows of a SELECT of `key`, UTF-8 without 0xff, and `entry`, text: the keys joined by 0xff, the entries by
        a bar; both empty when there are none. That is one row for the database and for us."""

    async def run(sql: str, *parameters: object) -> int:
        """Run a statement that returns no rows; the number of rows it changed."""

    async def write(sql: str, *parameters: object) -> None:
        """The same for those who do not ask for the number: an index may do it later, in order with the others, before
        the next question is answered and before the commit. Over a network that saves a round trip."""

    async def many(sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each tuple of parameters, as `write`."""


Transaction = Callable[[ITransaction], Awaitable[T]]
"""`async def f(tx)`: pure but for `tx` (ids and times are bound from outside), because it may be run again; it raises
its domain errors before its first write."""


class IIndex(Interface):
    """Rows and transactions. Implementations run the same transactions on another SQL database."""

    async def start() -> None:
        """Open, migrate when the schema is older, refuse (StoreRefused) when it is newer."""

    async def stop() -> None:
        """Finish what was accepted, then close."""

    async def run(transaction: Transaction[T], locks: Sequence[Lock] = ()) -> T:
        """Run a writing transaction. Returns when it is committed, durably unless durability is relaxed.

        A domain error raised by the transaction undoes it alone, not the others of its group. A full disk raises
        InsufficientStorage.
        """

    async def read(transaction: Transaction[T]) -> T:
        """Run a reading transaction on the state that was last committed."""


class IBlobWriter(Interface):
    """One blob being written. Not visible to anyone before `finish`."""

    async def write(data: bytes) -> None:
        """Append. One call at a time; large buffers (about 1 MiB) are best. Raises InsufficientStorage on a full
        disk."""

    async def finish() -> None:
        """Make it durable: when this returns, bytes and name survive a power cut (unless durability is relaxed)."""

    async def abandon() -> None:
        """Forget it, at any point; never raises."""


class IBlobReader(Interface):
    """One blob being read. Bytes stay readable while a reader is open, or reading raises; they never change."""

    async def read(offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`; CorruptedData when they are not there."""

    def close() -> None:
        """Let go; safe to call twice."""


class IBlobStore(Interface):
    """Immutable byte strings under 16-byte ids that we make. Knows no buckets, keys, frames or checksums."""

    forgets_unfinished = Attribute(
        "bool: of what was not finished nothing is left when the store is opened again, so that a blob may be begun"
        " while the index does not know of it yet"
    )

    async def start() -> None:
        """Open; clear what an earlier process left half written."""

    async def stop() -> None:
        """Close."""

    async def create(blob_id: bytes) -> IBlobWriter:
        """Begin a blob under an id never used before."""

    async def open(blob_id: bytes) -> IBlobReader:
        """Open for reading; CorruptedData when the blob is not there."""

    async def delete(blob_ids: Iterable[bytes]) -> None:
        """Remove blobs; ids that are not there are no error. The only caller is the sweeper."""


class IBlobInventory(Interface):
    """Optional: a blob store that can list what it holds (for fsck and tests)."""

    def batches() -> AsyncIterator[list[bytes]]:
        """The ids of finished blobs, some at a time, in any order: those that are there from begin to end, each once,
        and perhaps others."""

    async def blob_ids() -> list[bytes]:
        """Every finished blob's id."""


class ISpace(Interface):
    """Where a store is: that it belongs to this process alone, and whether there is room in it."""

    async def start() -> None:
        """Take possession, before index and blobs are started. StoreRefused when another process has it."""

    async def stop() -> None:
        """Let go, after both were stopped."""

    full = Attribute("bool: whether there is no room, so that writes are refused")

    def admit_write() -> None:
        """Called before anything that takes space; raises InsufficientStorage while there is none."""

    async def recover() -> None:
        """Look whether space has returned; called every few seconds."""


class IKeepsBlobs(Interface):
    """Optional: a space whose blobs somebody may be copying, and then none is removed."""

    def removing() -> AbstractContextManager[bool]:
        """A context in which blobs may be removed, if what it gives is true."""


class IMeasured(Interface):
    """Optional: an index, a blob store or a space that keeps numbers worth watching."""

    def readings() -> Mapping[str, Callable[[], float]]:
        """Names of post3tw.metrics.readings to functions that give the number now."""


class ILeadership(Interface):
    """Which of several nodes does what is to be done once."""

    leads = Attribute("bool: whether this node does; two may, for a moment, so what they do has to bear it")


class StoreRefused(Exception):
    """The store cannot be opened as it is (another process has it, a newer schema, wrong options). The text is one
    clear line for the person who started the server."""


@frozen
class OpenedStore:
    """What a local backend opens to.

    Attributes:
        index: an IIndex.
        blobs: an IBlobStore.
        space: an ISpace; None where somebody else looks after it.
        place: where objects are, for people; "" for the data directory.
        shared: several nodes may open it at a time. They must agree on the root key, so it is given, never made.
        leadership: an ILeadership, when others have it open too; the timers of the server run while it leads.
        obstacle: why requests cannot be served now, None while they can: what readiness says.
    """

    index: Any
    blobs: Any
    space: Any = None
    place: str = ""
    shared: bool = False
    leadership: Any = None
    obstacle: Callable[[], str | None] | None = None


class IBackend(Interface):
    """A plugin chosen by `--backend NAME`, found through twisted.plugin."""

    name = Attribute("str: what stands after --backend")
    description = Attribute("str: one line for --help")

    def options() -> Sequence[tuple[str, str | None, str]]:
        """The backend's own options: (long name without dashes, default, help). Each also has its POST3_* variable."""

    def open(options: Mapping[str, Any], reactor: Any) -> Any:
        """Make, but do not start, an OpenedStore, or a provider of IAuthorizedS3Service.

        `options` holds the backend's own options as text, and `data_dir`, `durability` ("full" or "relaxed"), `reserve`
        (bytes), `environ` (the environment, for variables that are not ours alone), `crew` (a crew.Crew where several
        workers of one server open the store, each in its process; else None).

        Raises:
            StoreRefused: the options make no sense.
        """

    possess = Attribute(
        "Optional: a function of the same options (without crew) that is called in the parent of several workers,"
        " before the first of them opens the store. It takes possession of the store for all of them and returns a"
        " descriptor that they inherit, or -1; StoreRefused when somebody else has it. A backend without it is never"
        " opened by more than one process of a server."
    )
