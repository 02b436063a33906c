"""Bodies in: hashed on the way, and placed.

Theory of operation. A small body is collected, hashed and handed back, to be inserted by the very transaction that
makes the object exist: no thread, no file, no lease. A larger one becomes a blob. It is taken from the source frame by
frame, each hashed in the CPU pool while it is written by the blob store. One frame is in work, at most two more wait,
and the source is paused when they do. Many bodies that came to a stand would hold a frame each for as long as they are
let, so beyond a bound that all share, as answers do (see `crowd`), slices of frames are taken instead.

The sweeper has to know of every blob that can exist, so its lease row is committed before the blob is finished; and
before it is begun, unless the blob store forgets unfinished blobs by itself (`forgets_unfinished`): then the commit,
which takes as long as a frame, goes on beside the first frames. When it fails so does the body, at once.

The lease is renewed as data comes in, so a body may take as long as the protocol lets it. When anything fails (the
source, the disk, a hash, the caller who cancels) the blob is abandoned; what remains is a row that the sweeper
removes.

The limit on the size and the digests are of the bytes as the client sent them. What is placed are stored bytes: a
coding (encryption, compression) belongs between `_digest` and `_append`, and makes the size decision on what it puts
out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.model.errors import ContentSHA256Mismatch, EntityTooLarge
from post3tw.model.values import value_class
from post3tw.model.version import Placement
from post3tw.service.crowd import Share
from post3tw.service.digests import Digests, update_lane
from post3tw.service.interfaces import IByteSource
from post3tw.service.store import Store
from post3tw.storage.index.transactions import blobs as rows
from post3tw.storage.interfaces import IBlobWriter
from post3tw.wire.checksums import FRAME, frame_crc, frame_crcs

INLINE_MAX = 64 * 1024
"""Bodies up to this size are placed in the index."""

LEASE = 60 * 60 * 1000
"""Milliseconds that a blob in the making is safe from the sweeper."""

RENEW_AFTER = 15 * 60 * 1000
"""Milliseconds after which the lease is renewed."""


SLICE = 128 * 1024
"""Bytes that are taken at a time when there are many."""


@value_class
class Stored:
    """A body that was taken in, ready to be placed.

    Attributes:
        placement: where it is.
        data: the bytes that the transaction must insert; None unless they are placed in the index.
        size: bytes the client sent.
        md5: of those bytes.
        digests: the checksums that were asked for, of those bytes.
    """

    placement: Placement
    data: bytes | None
    size: int
    md5: bytes
    digests: Mapping[ChecksumAlgorithm, bytes]


async def ingest(
    store: Store,
    source: IByteSource,
    algorithms: Collection[ChecksumAlgorithm],
    *,
    max_size: int,
    inline_max: int = INLINE_MAX,
    verify: Callable[[bytes, Mapping[ChecksumAlgorithm, bytes]], None] | None = None,
) -> Stored:
    """Take a body in. The caller then runs the transaction that places it.

    Args:
        store: where to put it.
        source: the bytes; when it has a `sha256`, the body must have that.
        algorithms: the checksums to compute beside MD5.
        max_size: the most bytes to accept.
        inline_max: the most bytes to place in the index.
        verify: called with MD5 and checksums when all has come and before anything is made durable; what it raises
            leaves nothing behind.

    Raises:
        EntityTooLarge: as soon as more than `max_size` bytes are known to come.
        ContentSHA256Mismatch: the body is not the one that was signed.
        InsufficientStorage: the disk is full.
    """
    store.admit_write()
    length = source.length
    if length is not None and length > max_size:
        raise EntityTooLarge(proposed_size=length, max_size_allowed=max_size)
    sha256 = getattr(source, "sha256", None)
    wanted = set(algorithms)
    if sha256 is not None:
        wanted.add(ChecksumAlgorithm.SHA256)
    intake = _Intake(store, Digests(wanted), max_size, inline_max if length is None or length <= inline_max else 0)
    try:
        await intake.receive(source)
        digests = intake.digests.results()
        if sha256 is not None and digests[ChecksumAlgorithm.SHA256].hex() != sha256:
            raise ContentSHA256Mismatch(
                client_computed_content_sha256=sha256,
                s3_computed_content_sha256=digests[ChecksumAlgorithm.SHA256].hex(),
            )
        if verify is not None:
            verify(intake.digests.md5(), digests)
        return await intake.stored(digests)
    except BaseException:
        await intake.abandon()
        raise
    finally:
        intake.share.hold(0)


@implementer(IConsumer)
@define(eq=False)
class _Intake:
    """The consumer that the source delivers to.

    Chunks wait in `waiting` until `_drain` takes them, a frame or a slice at a time; there is no `writer` as long as
    the body is small.
    """

    store: Store
    digests: Digests
    max_size: int
    inline_max: int
    size: int = 0
    data: bytes | None = None
    waiting: deque[bytes | memoryview] = field(factory=deque)
    waiting_size: int = 0
    producer: Any = None
    paused: bool = False
    delivery: Deferred[None] | None = None
    drained: Deferred[None] | None = None
    draining: bool = False
    error: BaseException | None = None
    blob_id: bytes | None = None
    lease: Deferred[None] | None = None
    writer: IBlobWriter | None = None
    renew_at: int = 0
    crcs: bytearray = field(factory=bytearray)
    summed: int = 0
    share: Share = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.share = Share(self.store.uploads)

    # -- what the source calls ----------------------------------------------------------------------------------------

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Remember whom to pause."""
        if not streaming:
            raise ValueError("only push producers can feed an ingest")
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Forget whom to pause."""
        self.producer = None
        self.paused = False

    def write(self, data: bytes) -> None:
        """Take a chunk."""
        if self.error is not None:
            return
        self.size += len(data)
        if self.size > self.max_size:
            self._fail(EntityTooLarge(proposed_size=self.size, max_size_allowed=self.max_size))
            return
        self.waiting.append(data)
        self.waiting_size += len(data)
        if self.size <= self.inline_max:
            return
        self.share.hold(self.waiting_size)
        if not self.draining:
            if self.writer is None or self.waiting_size >= self._enough or self.store.ids.now() >= self.renew_at:
                self.drained = Deferred.fromCoroutine(self._drain_frames())
        elif self.waiting_size >= 2 * self._enough and self.producer is not None and not self.paused:
            self.paused = True
            self.producer.pauseProducing()

    # -- what `ingest` calls ------------------------------------------------------------------------------------------

    async def receive(self, source: IByteSource) -> None:
        """Let the source deliver; when this returns, everything is hashed, and in the blob or in `data`."""
        self.delivery = source.deliver_to(self)
        if self.error is not None:
            self.delivery.cancel()
        try:
            await self.delivery
        except BaseException:
            if self.error is not None:
                raise self.error from None
            raise
        if self.drained is not None:
            await self.drained
        if self.error is not None:
            raise self.error
        if self.size > self.inline_max:
            await self._drain(rest=True)
            if self.error is not None:
                raise self.error
        else:
            self.data = b"".join(self.waiting)
            self.digests.update(self.data)

    async def stored(self, digests: Mapping[ChecksumAlgorithm, bytes]) -> Stored:
        """Make the blob durable, if there is one, and say where the body is."""
        md5 = self.digests.md5()
        if self.writer is not None:
            if self.lease is not None:
                await self.lease
            await self.writer.finish()
            return Stored(Placement(self.size, blob=self.blob_id, crcs=bytes(self.crcs)), None, self.size, md5, digests)
        if not self.data:
            return Stored(Placement(0), None, 0, md5, digests)
        placement = Placement(self.size, body=self.store.ids.object_id(), crcs=frame_crcs(self.data))
        return Stored(placement, self.data, self.size, md5, digests)

    async def abandon(self) -> None:
        """Leave nothing but the lease."""
        self._fail(CancelledError())
        if self.drained is not None:
            await self.drained
        if self.lease is not None:
            self.lease.addErrback(lambda _: None)  # why the blob is abandoned, or nobody's business any more
            self.lease.cancel()
        if self.writer is not None:
            await self.writer.abandon()

    # -- frame by frame -----------------------------------------------------------------------------------------------

    async def _drain_frames(self) -> None:
        """Drain while the source delivers; what goes wrong stops the source."""
        try:
            await self._drain()
        except Exception as error:
            self._fail(error)

    @property
    def _enough(self) -> int:
        """Bytes that are worth taking while more come."""
        return FRAME if self.share.crowd.bytes < self.share.crowd.plenty else SLICE

    async def _drain(self, *, rest: bool = False) -> None:
        """Hash and place what waits, until less than enough is left, or nothing of the `rest`."""
        self.draining = True
        try:
            while self.error is None:
                await self._keep_lease()
                self.share.hold(self.waiting_size)
                if self.waiting_size < (1 if rest else self._enough):
                    return
                frame = self._take()
                if self.paused:
                    self.paused = False
                    self.producer.resumeProducing()
                hashed = self._digest(frame)
                await self._append(frame)
                for lane in hashed:
                    await lane
        finally:
            self.draining = False

    async def _keep_lease(self) -> None:
        """Begin the blob, or renew its lease when that is due."""
        now = self.store.ids.now()
        if now < self.renew_at:
            return
        self.renew_at = now + RENEW_AFTER
        if self.blob_id is not None:
            await self.store.index.run(partial(rows.renew_leases, blob_ids=[self.blob_id], lease_until=now + LEASE))
            return
        self.blob_id = self.store.ids.object_id()
        begin = partial(rows.begin_blob, blob_id=self.blob_id, now=now, lease_until=now + LEASE)
        if self.store.blobs.forgets_unfinished:
            self.lease = Deferred.fromCoroutine(self.store.index.run(begin)).addErrback(self._lease_failed)
        else:
            await self.store.index.run(begin)
        self.writer = await self.store.blobs.create(self.blob_id)

    def _lease_failed(self, failure: Failure) -> Failure:
        """Nothing more of the body is wanted; whoever waits for the lease learns it as well."""
        self._fail(failure.value or CancelledError())
        return failure

    def _take(self) -> bytes:
        """The next frame, what it lacks, or what there is of it, out of `waiting`."""
        size = min(FRAME - self.summed % FRAME, self.waiting_size)
        self.waiting_size -= size
        taken: list[bytes | memoryview] = []
        while size:
            chunk = self.waiting.popleft()
            if len(chunk) > size:
                view = memoryview(chunk)
                self.waiting.appendleft(view[size:])
                chunk = view[:size]
            taken.append(chunk)
            size -= len(chunk)
        return b"".join(taken)

    def _digest(self, data: bytes) -> list[Deferred[None]]:
        """Begin to hash bytes as the client sent them."""
        return [self.store.cpu.run(update_lane, lane, data) for lane in self.digests.lanes]

    async def _append(self, frame: bytes) -> None:
        """Append a frame of stored bytes, or a part of one, to the blob."""
        assert self.writer is not None
        if self.summed % FRAME:
            self.crcs[-4:] = frame_crc(frame, self.crcs[-4:])
        else:
            self.crcs += frame_crc(frame)
        self.summed += len(frame)
        await self.writer.write(frame)

    def _fail(self, error: BaseException) -> None:
        """Stop taking anything; the first reason counts."""
        if self.error is None:
            self.error = error
            self.waiting.clear()
            self.waiting_size = 0
            if self.delivery is not None:
                self.delivery.cancel()
