"""A checksum of bytes that are stored already."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.service.digests import Digests, update_lane
from post3tw.service.interfaces import IByteSource
from post3tw.service.store import Store


async def digest_of(store: Store, body: bytes | IByteSource, algorithm: ChecksumAlgorithm) -> bytes:
    """The checksum of a body, taken in from its source a frame at a time."""
    hashing = _Hashing(store, Digests((algorithm,)))
    if isinstance(body, bytes):
        hashing.digests.update(body)
    else:
        await body.deliver_to(hashing)
        if hashing.working is not None:
            await hashing.working
    return hashing.digests.results()[algorithm]


@implementer(IConsumer)
@define(eq=False)
class _Hashing:
    """Hashes what it is given in the CPU pool, and takes no more meanwhile."""

    store: Store
    digests: Digests
    producer: Any = None
    working: Deferred[None] | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember whom to pause."""
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Forget whom to pause."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """Hash a frame."""
        self.producer.pauseProducing()
        self.working = Deferred.fromCoroutine(self._update(data))

    async def _update(self, data: bytes) -> None:
        for lane in self.digests.lanes:
            await self.store.cpu.run(update_lane, lane, data)
        if self.producer is not None:
            self.producer.resumeProducing()
