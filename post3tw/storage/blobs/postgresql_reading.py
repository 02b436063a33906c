"""Reading blobs that are blocks in PostgreSQL.

Theory of operation. Opening asks for the row of the blob, and a blob of a MiB or less comes with the answer, because it
will be read next and whole. Anything else is asked for in statements of their own, which name the blocks that a range
lies in, or the piece of one; between them nothing of the database is held.

Reads that follow each other closely are looked ahead, so that the database works while the bytes before are being sent:
after the second one range more, after the fourth two. A client that is slower than the database gains nothing by it, so
a pause ends the sequence; and there are `_AHEAD` such ranges in all for all readers, which bounds the memory.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from post3tw.model.errors import CorruptedData, StorageFailed
from post3tw.storage.interfaces import IBlobReader
from post3tw.storage.postgresql.pool import Pool
from post3tw.storage.postgresql.statements import ask, int4, number

_SMALL = 1024 * 1024
"""Bytes of a blob that comes with the answer to opening it, at most: what the service reads at a time."""

_AHEAD = 32
"""Ranges that are read before they are asked for, in the whole store; about a MiB each."""

_PAUSE = 0.1
"""Seconds between two reads that show a slow client: less than 10 MiB a second."""

_FIND = (
    b"SELECT s.size, s.block_size, b.data FROM stored_blobs s"
    b" LEFT JOIN blocks b ON b.blob = s.id AND s.size <= $2::integer"
    b" WHERE s.id = $1::bytea AND s.size IS NOT NULL AND NOT s.doomed ORDER BY b.number"
)
_WHOLE = b"SELECT data FROM blocks WHERE blob = $1::bytea AND number = $2::integer"
_PIECE = (
    b"SELECT substring(data FROM $3::integer FOR $4::integer) FROM blocks"
    b" WHERE blob = $1::bytea AND number = $2::integer"
)
_SEVERAL = (
    b"SELECT data FROM blocks WHERE blob = $1::bytea AND number BETWEEN $2::integer AND $3::integer ORDER BY number"
)


@define(eq=False)
class Ahead:
    """What all readers of a store have read ahead.

    Attributes:
        ranges: how many ranges were read, or are being read, that nobody has asked for yet.
    """

    ranges: int = 0


async def open_blob(pool: Pool, ahead: Ahead, blob_id: bytes) -> PostgresReader:
    """A reader of a finished blob.

    Raises:
        CorruptedData: there is no such blob.
    """
    found = await pool.run(lambda connection: ask(connection, _FIND, [blob_id, int4(_SMALL)]))
    if not found.ntuples:
        raise CorruptedData(blob=blob_id.hex())
    size, block_size = number(found.get_value(0, 0)), number(found.get_value(0, 1))
    small = b"".join([found.get_value(row, 2) or b"" for row in range(found.ntuples)])
    # Where some of it is missing, what is there may still be read.
    return PostgresReader(pool, ahead, blob_id, size, block_size, small if len(small) == size else None)


@implementer(IBlobReader)
@define(eq=False)
class PostgresReader:
    """A blob being read. It holds nothing of the database between reads."""

    _pool: Pool
    _budget: Ahead
    _blob_id: bytes
    _size: int
    _block_size: int
    _small: bytes | None = field(repr=False)
    """The whole blob, when it came with the answer to opening it: most are read at once, and whole."""
    _closed: bool = field(default=False, init=False)
    _next: int = field(default=0, init=False)
    """Where the next read begins if it follows the last."""
    _row: int = field(default=0, init=False)
    """How many reads have followed each other closely."""
    _returned: float = field(default=0.0, init=False)
    """When the last read returned."""
    _ahead: dict[tuple[int, int], Deferred[bytes]] = field(factory=dict, init=False, repr=False)

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`; CorruptedData when they are not there."""
        if self._closed:
            raise StorageFailed(path=f"blob {self._blob_id.hex()}", reason="closed")
        if offset + length > self._size:
            raise CorruptedData(blob=self._blob_id.hex())
        if not length:
            return b""
        if self._small is not None:
            return self._small if length == self._size else self._small[offset : offset + length]
        clock = self._pool.reactor
        follows = offset == self._next and clock.seconds() - self._returned < _PAUSE
        self._row = self._row + 1 if follows else 1
        self._next = offset + length
        known = self._ahead.pop((offset, length), None)
        if known is None:
            self._forget()
            known = Deferred.fromCoroutine(self._fetch(offset, length))
        else:
            self._budget.ranges -= 1
        self._look_ahead(length)
        data = await known
        self._returned = clock.seconds()
        return data

    def close(self) -> None:
        """Let go."""
        self._closed = True
        self._small = None
        self._forget()

    def _look_ahead(self, length: int) -> None:
        """Begin to read what will be asked for next, if all goes on like this."""
        start = self._next
        for _ in range(min(self._row // 2, 2)):
            wanted = min(length, self._size - start)
            if wanted <= 0:
                return
            if (start, wanted) not in self._ahead:
                if self._budget.ranges >= _AHEAD or self._pool.waiting:
                    return
                self._budget.ranges += 1
                self._ahead[start, wanted] = Deferred.fromCoroutine(self._fetch(start, wanted))
            start += wanted

    def _forget(self) -> None:
        """Drop what was read ahead."""
        self._budget.ranges -= len(self._ahead)
        for fetched in self._ahead.values():
            fetched.addErrback(lambda _: None)  # nobody asked, so nobody has to know
            fetched.cancel()
        self._ahead.clear()

    async def _fetch(self, offset: int, length: int) -> bytes:
        size = self._block_size
        first, last = offset // size, (offset + length - 1) // size
        start, there = offset - first * size, min((last + 1) * size, self._size) - first * size
        if first != last:
            sql, parameters = _SEVERAL, [self._blob_id, int4(first), int4(last)]
        elif length == there:
            sql, parameters = _WHOLE, [self._blob_id, int4(first)]
        else:
            sql, parameters = _PIECE, [self._blob_id, int4(first), int4(start + 1), int4(length)]
            start, there = 0, length
        rows = await self._pool.run(lambda connection: ask(connection, sql, parameters))
        blocks = [rows.get_value(row, 0) or b"" for row in range(rows.ntuples)]
        data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        if len(data) != there or rows.ntuples != last - first + 1:
            raise CorruptedData(blob=self._blob_id.hex())
        return data if length == there else data[start : start + length]
