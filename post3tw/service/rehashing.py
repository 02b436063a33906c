"""A checksum of bytes that are stored already."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.service.interfaces import IByteSource
from post3tw.service.store import Store
from post3tw.wire.checksums import Hasher, new


async def digest_of(store: Store, body: bytes | IByteSource, algorithm: ChecksumAlgorithm) -> bytes:
    """The checksum of a body, taken in from its source a frame at a time."""
    hasher = new(algorithm)
    if isinstance(body, bytes):
        hasher.update(body)
    else:
        hashing = _Hashing(store, hasher)
        await body.deliver_to(hashing)
        if hashing.working is not None:
            await hashing.working
    return hasher.digest()


@implementer(IConsumer)
@define(eq=False)
class _Hashing:
    """Hashes what it is given in the CPU pool, and takes no more meanwhile."""

    store: Store
    hasher: Hasher
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
        await self.store.cpu.run(self.hasher.update, data)
        if self.producer is not None:
            self.producer.resumeProducing()
