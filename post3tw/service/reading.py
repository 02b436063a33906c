"""Bodies out: read frame by frame, verified, with back-pressure.

Theory of operation. What is to be sent is a sequence of pieces: ranges of placed bytes, one for a plain object, many
for one that was uploaded in parts. The pieces are read one after the other in whole frames, each verified before any
byte of it is written, so that a wrong byte is never sent: a frame that fails ends the flow, before the first byte as
an error, later as a connection that is dropped. While a frame is being sent the next one is read, and no more than
that; less, when many answers are being sent to clients that do not take them (see `crowd`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from post3tw.model.errors import ClientGone
from post3tw.model.values import value_class
from post3tw.model.version import Placement
from post3tw.service.crowd import SLICE, Share
from post3tw.service.interfaces import IByteSource
from post3tw.service.store import Store
from post3tw.storage.frames import covering, frame_size, part_of_frame, verify_again, verify_all, verify_frame
from post3tw.storage.index.transactions import blobs as rows
from post3tw.storage.interfaces import IBlobReader
from post3tw.wire.checksums import FRAME, frame_crcs

T = TypeVar("T")


@value_class
class Piece:
    """`length` bytes from `first` of something placed. `inline` holds the whole of an inline body when it was read with
    its row; otherwise it is read when its turn comes."""

    placement: Placement
    first: int
    length: int
    inline: bytes | None = field(default=None, repr=False)


async def open_pieces(store: Store, pieces: Sequence[Piece]) -> bytes | IByteSource:
    """The body of an answer: bytes when it is all in one inline piece, else a source.

    Raises:
        CorruptedData: the inline piece does not match its checksums.
    """
    pieces = [piece for piece in pieces if piece.length]
    if not pieces:
        return b""
    if len(pieces) == 1 and pieces[0].placement.body is not None:
        return await _read_inline(store, pieces[0])
    return stream_pieces(store, _each(pieces), sum(piece.length for piece in pieces))


def stream_pieces(store: Store, pieces: AsyncIterator[Piece], length: int) -> IByteSource:
    """A source of `length` bytes made of pieces that are looked up while they are sent, for objects of many parts."""
    share = Share(store.crowd)
    return PieceSource(length, _frames(store, pieces, share), share)


async def _each(pieces: Sequence[Piece]) -> AsyncIterator[Piece]:
    for piece in pieces:
        yield piece


async def _frames(store: Store, pieces: AsyncIterator[Piece], share: Share) -> AsyncGenerator[bytes, None]:
    """The bytes of the pieces in order, verified, at most a frame or `share.size` at a time. One blob is open at a
    time."""
    async for piece in pieces:
        placement = piece.placement
        if placement.blob is None:
            yield await _read_inline(store, piece)
            continue
        reader = await store.blobs.open(placement.blob)
        try:
            for number in covering(piece.first, piece.length):
                kept = [await _frame(reader, piece, number, share)]  # what is popped is held no longer by us
                size = len(kept[0])
                if size <= share.size:
                    yield kept.pop()
                    continue
                sums = frame_crcs(kept[0], SLICE)
                kept = [kept[0][:SLICE]]
                yield kept.pop()
                first = max(piece.first, number * FRAME)
                for at in range(SLICE, size, SLICE):
                    kept.append(await reader.read(first + at, min(SLICE, size - at)))
                    verify_again(placement, number, kept[0], sums[at // SLICE * 4 : at // SLICE * 4 + 4])
                    yield kept.pop()
        finally:
            reader.close()


async def _frame(reader: IBlobReader, piece: Piece, number: int, share: Share) -> bytes:
    """The bytes of a frame that belong to a piece, once the whole of it is verified; in turn, if most of them will be
    thrown away."""
    sliced = share.size < FRAME
    if sliced:
        await share.crowd.turns.acquire()
    try:
        data = await reader.read(number * FRAME, frame_size(piece.placement, number))
        verify_frame(piece.placement, number, data)
    finally:
        if sliced:
            share.crowd.turns.release()
    return part_of_frame(data, number, piece.first, piece.length)


async def _read_inline(store: Store, piece: Piece) -> bytes:
    placement, data = piece.placement, piece.inline
    if data is None:
        found: tuple[bytes, bytes] = await store.index.read(partial(rows.load_body, body_id=placement.body or b""))
        crcs, data = found
        placement = evolve(placement, crcs=crcs)
    return inline_bytes(placement, data, piece.first, piece.length)


def inline_bytes(placement: Placement, data: bytes, first: int, length: int) -> bytes:
    """`length` bytes from `first` of an inline body that was read with its row. Raises CorruptedData."""
    verify_all(placement, data)
    return data if length == placement.size else data[first : first + length]


@implementer(IByteSource, IPushProducer)
@define(eq=False)
class PieceSource:
    """Frames that flow to a consumer, once.

    Attributes:
        length: how many bytes will come.
    """

    length: int
    _frames: AsyncGenerator[bytes, None]
    _share: Share
    _resumed: Deferred[None] | None = field(default=None, init=False)
    _waiting: Deferred[Any] | None = field(default=None, init=False)
    _stopped: Exception | None = field(default=None, init=False)

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IByteSource. Nothing is written before the first frame is read and found good.

        The Deferred fails with CorruptedData or StorageFailed, or with ClientGone when the consumer said stopProducing.
        """
        done: Deferred[None] = Deferred(lambda _: self._stop(CancelledError()))
        flow = Deferred.fromCoroutine(self._flow(consumer))
        flow.addBoth(lambda result: None if done.called else done.callback(result))
        return done

    def pauseProducing(self) -> None:
        """Write nothing more for now."""
        if self._resumed is None:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        """Go on."""
        if self._resumed is not None:
            resumed, self._resumed = self._resumed, None
            resumed.callback(None)

    def stopProducing(self) -> None:
        """Give up: nobody is there any more."""
        self._stop(ClientGone())

    async def _flow(self, consumer: IConsumer) -> None:
        ahead = self._read(0)
        try:
            consumer.registerProducer(self, True)
            while (frame := await self._wait(ahead)) is not None:
                await self._room()
                if self._share.reads_ahead:
                    ahead = self._read(len(frame))
                    consumer.write(frame)
                    del frame
                    continue
                self._share.hold(len(frame))
                consumer.write(frame)
                del frame
                await self._room()
                ahead = self._read(0)
        finally:
            self._share.hold(0)
            if not isinstance(self._stopped, ClientGone):
                consumer.unregisterProducer()
            ahead.addBoth(lambda _: None)  # nor is a frame kept that was read in vain
            if not ahead.called:  # when it is, this may be running inside its callbacks, and must not wait for it
                ahead.cancel()
                await ahead
            await self._frames.aclose()

    async def _room(self) -> None:
        """Wait until the consumer takes more."""
        if self._resumed is not None:
            await self._wait(self._resumed)

    def _read(self, given: int) -> Deferred[bytes | None]:
        """Begin to read the next frame, while the consumer has so many bytes; None comes after the last."""
        self._share.reserve(given)

        async def read() -> bytes | None:
            try:
                # Not anext(frames, None): CPython 3.11 takes a tuple, which something it waits for answers with,
                # for several arguments.
                return await anext(self._frames)
            except StopAsyncIteration:
                return None

        return Deferred.fromCoroutine(read())

    async def _wait(self, event: Deferred[T]) -> T:
        """Wait for an event, or for the order to stop."""
        if self._stopped is None:
            self._waiting = event
            try:
                return await event
            except CancelledError:
                pass  # `_stop` cancels what is waited for; its own reason is raised below
            finally:
                self._waiting = None
        raise self._stopped or CancelledError()

    def _stop(self, error: Exception) -> None:
        if self._stopped is None:
            self._stopped = error
            if self._waiting is not None:
                self._waiting.cancel()
