"""Blobs as blocks in PostgreSQL.

Theory of operation. A blob is a row of `stored_blobs` and its bytes in `blocks`, each block but the last `block_size`
bytes long, in a column that PostgreSQL neither compresses nor reads whole when a piece of it is wanted. A block fits
into a page of the database, so that it is written there and nowhere else; what is written at a time, some MiB, goes as
one COPY, in a transaction of its own, and is read in one (`postgresql_reading.py`): between two of them neither a
transaction nor a connection is held for a slow client.

The row has no size while the blob is being written, and only a row with a size is a blob. Blocks are committed without
waiting for the disk (`synchronous_commit` off, for that transaction only, because behind a pooler a session is not ours
to change); the statement that gives the row its size waits. The log is written in order, so when that one is durable,
or has reached the standbys that the server waits for, the blocks before it have as well. But a server that crashes
while a blob is being written, or a standby that takes over, may have lost blocks which we were told are committed, and
we go on writing through new connections. So each COPY notes in `block_batches` how many it brought, and the last
statement adds them up: a blob with a hole never becomes one. Relaxed durability does not wait there either.

Deleting dooms the row, so that nobody reads the blob or finishes it any more, then deletes the notes, the blocks, some
at a time, then the row. A note cannot be without the row, and the row not be deleted while it has one. So a writer that
is still at work on a blob that the sweeper has condemned fails and leaves nothing; or it was committed behind the
deletion of the notes, then the row stays, and all begins again. What a node that died left half written needs no search
at the start: the index knows of every blob from before its first byte, and its sweeper deletes it.

When a caller is cancelled the statement goes on to its end, and only then begins what the same writer is asked next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, ClassVar, TypeVar

from attrs import define, field
from psycopg import errors
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from post3tw.model.errors import DomainError, ServiceUnavailable, StorageFailed
from post3tw.storage.blobs.postgresql_reading import Ahead, PostgresReader, open_blob
from post3tw.storage.interfaces import IBlobInventory, IBlobStore, IBlobWriter
from post3tw.storage.postgresql.connection import Connection
from post3tw.storage.postgresql.failures import DatabaseFailed
from post3tw.storage.postgresql.pool import Pool, shielded
from post3tw.storage.postgresql.statements import COPY_END, COPY_HEAD, ask, ask_and_copy, int4, int8

T = TypeVar("T")

BLOCK_SIZE = 8096
"""Bytes of a block: with what PostgreSQL writes beside them they fill a page of 8 KiB (8104 would be the most)."""

_WRITTEN_AT_ONCE = 2 * 1024 * 1024
"""Bytes that one COPY takes: the MiB that the service writes at a time, and the rest of the one before."""

_DELETED_AT_ONCE = 1024
"""Blocks that one statement deletes: short enough for any statement_timeout."""

_LISTED_AT_ONCE = 1000

_NO_WAIT = b" FROM set_config('synchronous_commit', 'off', true)"
_BEGIN = (
    b"INSERT INTO stored_blobs (id, block_size) SELECT $1::bytea, $2::integer" + _NO_WAIT + b" ON CONFLICT DO NOTHING"
)
_APPEND = (
    b"SELECT set_config('synchronous_commit', 'off', true);"
    b" INSERT INTO block_batches (blob, first, blocks) VALUES ('\\x%b', %d, %d);"
    b" COPY blocks (blob, number, data) FROM STDIN (FORMAT BINARY)"
)
_FINISH = (
    b"UPDATE stored_blobs SET size = $2::bigint%b WHERE id = $1::bytea AND size IS NULL AND NOT doomed"
    b" AND (SELECT coalesce(sum(blocks), 0) FROM block_batches WHERE blob = $1::bytea) = $3::integer"
)
_FINISH_WITH_LAST = (
    b"WITH finished AS (%b RETURNING id)"
    b" INSERT INTO blocks (blob, number, data) SELECT id, $3::integer, $4::bytea FROM finished"
)
_LIST = "SELECT id FROM stored_blobs WHERE size IS NOT NULL AND NOT doomed AND id > %s ORDER BY id LIMIT %s"
_DOOM = "UPDATE stored_blobs SET doomed = TRUE WHERE id = ANY(%s)"
_FORGET_BATCHES = "DELETE FROM block_batches WHERE blob = ANY(%s)"
_CLEAR = (
    "DELETE FROM blocks WHERE (blob, number) IN (SELECT blob, number FROM blocks WHERE blob = ANY(%s) LIMIT "
    f"{_DELETED_AT_ONCE})"
)
_REMOVE = "DELETE FROM stored_blobs WHERE id = ANY(%s)"

_log = Logger()


@implementer(IBlobStore, IBlobInventory)
@define(eq=False)
class PostgresBlobs:
    """Blobs in a database.

    Attributes:
        pool: connections for blocks; stopped with the store. One statement has one at a time.
        block_size: bytes of a block of what is written from now on; every blob remembers its own.
        durable: whether to wait for the disk at the end of a blob.
        ahead: what its readers have read ahead.
    """

    pool: Pool
    block_size: int = BLOCK_SIZE
    durable: bool = True
    ahead: Ahead = field(factory=Ahead, init=False)
    forgets_unfinished: ClassVar[bool] = False

    async def start(self) -> None:
        """See that the database answers. Its tables are made with those of the index."""
        await self.pool.run(lambda connection: connection.execute("SELECT 1 FROM stored_blobs LIMIT 0"))

    async def stop(self) -> None:
        """Let statements end, and close the connections."""
        await self.pool.stop()

    async def create(self, blob_id: bytes) -> PostgresWriter:
        """Begin a blob under an id never used before."""
        writer = PostgresWriter(self, blob_id)
        try:
            await writer.begin()
        except BaseException:
            await writer.abandon()
            raise
        return writer

    async def open(self, blob_id: bytes) -> PostgresReader:
        """Open for reading; CorruptedData when the blob is not there."""
        return await open_blob(self.pool, self.ahead, blob_id)

    async def delete(self, blob_ids: Iterable[bytes]) -> None:
        """Remove blobs; ids that are not there are no error."""
        doomed = list(blob_ids)
        if doomed:
            await self._run(_DOOM, doomed)
            while not await self._removed(doomed):
                pass

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """The ids of finished blobs, in their order, some at a time."""
        last = b""

        async def find(connection: Connection) -> list[bytes]:
            cursor = await connection.execute(_LIST.encode(), (last, _LISTED_AT_ONCE), binary=True)
            return [blob_id for (blob_id,) in await cursor.fetchall()]

        while batch := await self.pool.run(find):
            yield batch
            last = batch[-1]

    async def blob_ids(self) -> list[bytes]:
        """Every finished blob's id."""
        return [blob_id async for batch in self.batches() for blob_id in batch]

    async def _removed(self, blob_ids: list[bytes]) -> bool:
        """Delete all blocks of these, then the rows; False when a writer put some in between."""
        await self._run(_FORGET_BATCHES, blob_ids)
        while await self._run(_CLEAR, blob_ids):
            pass

        async def remove(connection: Connection) -> bool:
            try:
                await connection.execute(_REMOVE, (blob_ids,))
            except errors.ForeignKeyViolation:
                return False
            return True

        return await self.pool.run(remove)

    async def _run(self, sql: str, blob_ids: list[bytes]) -> int:
        """Run a statement about these blobs; how many rows it changed."""

        async def work(connection: Connection) -> int:
            return (await connection.execute(sql.encode(), (blob_ids,))).rowcount

        return await self.pool.run(work)


@implementer(IBlobWriter)
@define(eq=False)
class PostgresWriter:
    """A blob being written.

    `_usable` is True from the creation of the row until the blob is finished, abandoned, or a step has failed: nobody
    knows then what is there, so nothing but abandoning is left.
    """

    _store: PostgresBlobs
    _blob_id: bytes
    _rest: list[bytes] = field(factory=list, init=False, repr=False)
    """Bytes that do not fill a block yet."""
    _rest_size: int = field(default=0, init=False)
    _blocks: int = field(default=0, init=False)
    _usable: bool = field(default=False, init=False)
    _begun: bool = field(default=False, init=False)
    _abandoned: bool = field(default=False, init=False)
    _turn: DeferredLock = field(factory=DeferredLock, init=False, repr=False)

    async def begin(self) -> None:
        """Make the row."""
        await self._step(self._begin)

    async def write(self, data: bytes) -> None:
        """Append; returns when the blocks that it fills are with the database."""
        await self._step(lambda: self._append(data))

    async def finish(self) -> None:
        """Write what is left, then make the blob visible, durably."""
        await self._step(self._finish)

    async def abandon(self) -> None:
        """Forget it. What cannot be removed now is removed by the sweeper, which knows of it from the index."""
        self._abandoned = True
        await self._step(self._discard)

    # -- steps, one at a time ------------------------------------------------------------------------------------------

    async def _step(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Take a step after those before it, and to its end even if the caller is cancelled."""
        return await shielded(self._turn.run(step))

    async def _begin(self) -> None:
        if self._abandoned:
            return
        self._begun = True
        made = await self._write(_BEGIN, [self._blob_id, int4(self._store.block_size)])
        if not made:
            self._begun = False  # another's: abandoning this writer must not touch it
            raise self._failed("a blob of this id exists")
        self._usable = True

    async def _append(self, data: bytes) -> None:
        self._take()
        blocks = self._full_blocks(data)
        at_once = max(1, _WRITTEN_AT_ONCE // self._store.block_size)
        for start in range(0, len(blocks), at_once):
            await self._put(blocks[start : start + at_once])
        self._usable = True

    def _full_blocks(self, data: bytes) -> list[bytes | memoryview]:
        """What fills blocks, with the bytes that were left before; what does not is left for the next time."""
        size, view, start = self._store.block_size, memoryview(data), 0
        blocks: list[bytes | memoryview] = []
        if self._rest and self._rest_size + len(data) >= size:
            start = size - self._rest_size
            blocks.append(b"".join([*self._rest, view[:start]]))
            self._clear()
        if not self._rest:
            end = len(data) - (len(data) - start) % size
            blocks += [view[at : at + size] for at in range(start, end, size)]
            start = end
        if start < len(data):
            self._rest.append(data[start:])
            self._rest_size += len(data) - start
        return blocks

    async def _finish(self) -> None:
        self._take()
        size = self._blocks * self._store.block_size + self._rest_size
        sql = _FINISH % (b"" if self._store.durable else _NO_WAIT)
        parameters = [self._blob_id, int8(size), int4(self._blocks)]
        if self._rest:
            # In the same statement, which sees the notes as they were before it: a round trip less for most objects.
            sql = _FINISH_WITH_LAST % sql
            parameters.append(b"".join(self._rest))
        self._clear()
        if not await self._write(sql, parameters):
            raise _lost()

    async def _discard(self) -> None:
        self._usable = False
        self._clear()
        if not self._begun:
            return
        self._begun = False
        try:
            await self._store.delete([self._blob_id])
        except DomainError as error:
            _log.info("an abandoned blob is left to the sweeper: {error!r}", error=error, blob=self._blob_id.hex())
        except Exception:
            _log.failure("an abandoned blob is left to the sweeper", blob=self._blob_id.hex())

    def _clear(self) -> None:
        self._rest.clear()
        self._rest_size = 0

    async def _put(self, blocks: list[bytes | memoryview]) -> None:
        sql = _APPEND % (self._blob_id.hex().encode(), self._blocks, len(blocks))
        front = b"\0\3" + len(self._blob_id).to_bytes(4, "big") + self._blob_id + int4(4)  # three columns, the first
        rows = [COPY_HEAD]
        for number, block in enumerate(blocks, self._blocks):
            rows += (front, int4(number), int4(len(block)), block)  # type: ignore[arg-type]
        rows.append(COPY_END)
        await self._run(lambda connection: ask_and_copy(connection, sql, b"".join(rows)))
        self._blocks += len(blocks)

    async def _write(self, sql: bytes, parameters: list[bytes]) -> int:
        """Run a statement; how many rows it changed."""
        return await self._run(lambda connection: ask(connection, sql, parameters))

    async def _run(self, work: Callable[[Connection], Awaitable[Any]]) -> int:
        try:
            result = await self._store.pool.run(work)
        except DatabaseFailed as error:
            if isinstance(error.__cause__, errors.ForeignKeyViolation):
                raise _lost() from error
            raise
        return int(result.command_tuples or 0)

    def _take(self) -> None:
        """Begin a step; the writer is not usable until the step says that it worked."""
        if not self._usable:
            raise self._failed("not open for writing")
        self._usable = False

    def _failed(self, reason: str) -> StorageFailed:
        return StorageFailed(path=f"blob {self._blob_id.hex()}", reason=reason)


def _lost() -> ServiceUnavailable:
    """For a blob that its writer cannot complete: the sweeper deleted it, or the database lost a part of it. A client
    that sends it again succeeds."""
    return ServiceUnavailable("The write was interrupted. Please start it again.")
