"""A real store in a temporary directory, callers that were admitted, and bodies: what tests of operations work with."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.identity import Admission, Caller, Identity
from post3tw.model.ids import IdSource
from post3tw.service.interfaces import IByteSource, IRequestBody
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.buckets import create_bucket, set_versioning
from post3tw.storage.interfaces import OpenedStore
from post3tw.storage.threads import NoThreads
from tests.backends import ON_POSTGRES, new_postgres_store, started

OWNER = Identity("ada", "Ada", "ADAKEY")


async def make_store(
    test: TestCase,
    *,
    region: str = "us-east-1",
    seconds: Callable[[], float] = time.time,
    files: bool = False,
) -> Store:
    """A started store that stops after the test, on the backend that POST3_TEST_BACKEND names. It does not sync:
    nothing here is about power cuts. With `files` its blobs are files on every backend."""
    opened = await new_postgres_store(test) if ON_POSTGRES else OpenedStore(await _files_index(test), None)
    if files or not ON_POSTGRES:
        opened = evolve(opened, blobs=await _file_blobs(test))
    return Store(opened.index, opened.blobs, IdSource(seconds), region)


async def _files_index(test: TestCase) -> SqliteIndex:
    from twisted.internet import reactor

    return await started(test, SqliteIndex(test.mktemp(), reactor, durability="relaxed"))


async def _file_blobs(test: TestCase) -> FileBlobs:
    directory, temporary = (os.path.join(test.mktemp(), name) for name in ("blobs", "tmp"))
    os.makedirs(directory)
    os.makedirs(temporary)
    return await started(test, FileBlobs(Files(), NoThreads(), directory, temporary, durable=False))


async def make_bucket(store: Store, name: str = "bucket", versioning: Versioning = Versioning.NEVER) -> Bucket:
    """A bucket of OWNER's."""
    bucket = Bucket(
        id=store.ids.bucket_id(),
        tenant="",
        name=name,
        owner_id=OWNER.user_id,
        owner_name=OWNER.display_name,
        created=store.ids.now(),
        region=store.region,
        versioning=versioning,
    )
    await store.index.run(lambda tx: create_bucket(tx, bucket))
    return bucket


async def switch_versioning(store: Store, bucket: Bucket, versioning: Versioning) -> Bucket:
    """The bucket in another state of versioning."""
    await store.index.run(lambda tx: set_versioning(tx, bucket.id, versioning))
    return evolve(bucket, versioning=versioning)


def admitted(operation: str, bucket: Bucket, source: Bucket | None = None, identity: Identity | None = OWNER) -> Caller:
    """A caller who may run one operation on a bucket."""
    return Caller(identity, admission=Admission(operation, bucket, source))


@implementer(IRequestBody, IPushProducer)
@define(eq=False)
class BytesBody:
    """A body that is there already, delivered in chunks."""

    data: bytes = b""
    sha256: str | None = None
    trailers: Mapping[str, str] = field(factory=dict)
    chunk: int = 100_000
    declared: bool = True
    _consumer: IConsumer | None = field(default=None, init=False)
    _position: int = field(default=0, init=False)
    _paused: bool = field(default=False, init=False)
    _done: Deferred[None] = field(factory=Deferred, init=False)

    @property
    def length(self) -> int | None:
        """How many bytes come, when the body says so beforehand."""
        return len(self.data) if self.declared else None

    @property
    def trailer_names(self) -> tuple[str, ...]:
        """The names of the trailers."""
        return tuple(self.trailers)

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """Write everything."""
        self._consumer = consumer
        consumer.registerProducer(self, True)
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Write no more for now."""
        self._paused = True

    def stopProducing(self) -> None:
        """Nobody wants it any more."""
        self._consumer = None

    def resumeProducing(self) -> None:
        """Write on."""
        self._paused = False
        consumer = self._consumer
        while consumer is not None and not self._paused and self._position < len(self.data):
            chunk = self.data[self._position : self._position + self.chunk]
            self._position += len(chunk)
            consumer.write(chunk)
        if consumer is not None and not self._paused and self._position >= len(self.data):
            self._consumer = None
            consumer.unregisterProducer()
            self._done.callback(None)


@implementer(IConsumer)
@define(eq=False)
class Collector:
    """Takes in whatever comes."""

    data: bytearray = field(factory=bytearray)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """A producer begins."""

    def unregisterProducer(self) -> None:
        """A producer ends."""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.data += data


async def read_body(body: bytes | IByteSource) -> bytes:
    """All bytes of an answer's body."""
    if isinstance(body, bytes):
        return body
    collector = Collector()
    await body.deliver_to(collector)
    return bytes(collector.data)


def pattern(size: int) -> bytes:
    """Bytes that are different everywhere."""
    block = hashlib.sha512(b"pattern").digest()
    return b"".join(i.to_bytes(8, "big") + block[:56] for i in range(size // 64 + 1))[:size]
