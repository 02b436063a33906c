"""A service small enough to see through: objects in a dict, and operations that do what tests ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from post3tw.api import types
from post3tw.model.errors import AccessDenied, ContentSHA256Mismatch, NoSuchKey
from post3tw.model.identity import Admission, Caller, Identity
from post3tw.service.identities import Credential
from post3tw.service.interfaces import IAuthorizedS3Service, IByteSource, IRequestBody, Method


@implementer(IConsumer)
class Collector:
    """Takes a body; `producer` can be paused, as a slow disk does."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.data += data


@implementer(IByteSource)
class Source:
    """A reply's body that comes in pieces, each when the test says so."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.cancelled = False
        self.delivering: Deferred[None] | None = None
        self.consumer: Any = None

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        self.consumer = consumer

        def cancel(_: Deferred[None]) -> None:
            self.cancelled = True

        self.delivering = Deferred(cancel)
        return self.delivering

    def end(self) -> None:
        """All is written."""
        assert self.delivering is not None
        self.delivering.callback(None)


@implementer(IByteSource)
class Pieces:
    """A reply's body from a pull producer: `count` pieces of one size. `asked` is how many were asked for so far."""

    def __init__(self, piece: bytes, count: int) -> None:
        self.length = len(piece) * count
        self.asked = 0
        self.stopped = False
        self._piece = piece
        self._count = count
        self._done: Deferred[None] = Deferred()
        self._consumer: Any = None

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        self._consumer = consumer
        consumer.registerProducer(self, False)  # type: ignore[arg-type]
        return self._done

    def resumeProducing(self) -> None:
        self.asked += 1
        if self.asked > self._count:
            self._consumer.unregisterProducer()
            self._done.callback(None)
        else:
            self._consumer.write(self._piece)

    def stopProducing(self) -> None:
        self.stopped = True


@implementer(IAuthorizedS3Service)
class MemoryService:
    """Objects in `objects`, by bucket and key. Nobody who is anonymous may do anything unless `public`.

    What tests set in `instead`, by operation, runs in place of the operation.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.inputs: list[Any] = []
        self.callers: list[Caller] = []
        self.admitted: list[str] = []
        self.public = False
        self.instead: dict[str, Method] = {}
        self.before_admission: Callable[[], Deferred[None]] = lambda: succeed(None)

    def answer_get(self, body: IByteSource, length: int) -> None:
        """From now on GetObject answers with this body."""

        async def get(caller: Caller, input: Any) -> types.GetObjectOutput:
            return types.GetObjectOutput(body=body, content_length=length)

        self.instead["GetObject"] = get

    def operations(self) -> Mapping[str, Method]:
        methods: dict[str, Method] = {
            "GetObject": self.get_object,
            "HeadObject": self.head_object,
            "PutObject": self.put_object,
            "UploadPart": self.upload_part,
            "CopyObject": self.copy_object,
            "DeleteObject": self.delete_object,
            "DeleteObjects": self.delete_objects,
            "CompleteMultipartUpload": self.complete_multipart_upload,
            "PutBucketTagging": self.put_bucket_tagging,
            "ListBuckets": self.list_buckets,
            "CreateBucket": self.create_bucket,
        }
        return {name: self._replaceable(name, method) for name, method in methods.items()}

    def _replaceable(self, name: str, method: Method) -> Method:
        async def run(caller: Caller, input: Any, *body: IRequestBody) -> Any:
            assert caller.admission is not None
            self.callers.append(caller)
            self.inputs.append(input)
            return await self.instead.get(name, method)(caller, input, *body)

        return run

    async def admit(self, caller: Caller, operation: str, input: Any) -> None:
        await self.before_admission()
        if caller.identity is None and not self.public:
            raise AccessDenied()
        self.admitted.append(operation)
        caller.admission = Admission(operation)

    def _found(self, input: Any) -> bytes:
        data = self.objects.get((input.bucket, input.key))
        if data is None:
            raise NoSuchKey(key=input.key)
        return data

    async def get_object(self, caller: Caller, input: types.GetObjectInput) -> types.GetObjectOutput:
        data = self._found(input)
        return types.GetObjectOutput(body=data, content_length=len(data), etag=_etag(data), accept_ranges="bytes")

    async def head_object(self, caller: Caller, input: types.HeadObjectInput) -> types.HeadObjectOutput:
        data = self._found(input)
        return types.HeadObjectOutput(content_length=len(data), etag=_etag(data))

    async def put_object(
        self, caller: Caller, input: types.PutObjectInput, body: IRequestBody
    ) -> types.PutObjectOutput:
        data = await taken(body)
        assert input.bucket is not None and input.key is not None
        self.objects[input.bucket, input.key] = data
        return types.PutObjectOutput(etag=_etag(data))

    async def upload_part(
        self, caller: Caller, input: types.UploadPartInput, body: IRequestBody
    ) -> types.UploadPartOutput:
        data = await taken(body)
        assert input.bucket is not None and input.key is not None
        self.objects[input.bucket, input.key] = data
        return types.UploadPartOutput(etag=_etag(data))

    async def copy_object(self, caller: Caller, input: types.CopyObjectInput) -> types.CopyObjectOutput:
        assert input.bucket is not None and input.key is not None
        self.objects[input.bucket, input.key] = b"copied"
        return types.CopyObjectOutput(copy_object_result=types.CopyObjectResult(etag=_etag(b"copied")))

    async def delete_object(self, caller: Caller, input: types.DeleteObjectInput) -> types.DeleteObjectOutput:
        assert input.bucket is not None and input.key is not None
        self.objects.pop((input.bucket, input.key), None)
        return types.DeleteObjectOutput()

    async def delete_objects(self, caller: Caller, input: types.DeleteObjectsInput) -> types.DeleteObjectsOutput:
        return types.DeleteObjectsOutput()

    async def complete_multipart_upload(
        self, caller: Caller, input: types.CompleteMultipartUploadInput
    ) -> types.CompleteMultipartUploadOutput:
        return types.CompleteMultipartUploadOutput(etag='"e"')

    async def put_bucket_tagging(
        self, caller: Caller, input: types.PutBucketTaggingInput
    ) -> types.PutBucketTaggingOutput:
        return types.PutBucketTaggingOutput()

    async def list_buckets(self, caller: Caller, input: types.ListBucketsInput) -> types.ListBucketsOutput:
        return types.ListBucketsOutput()

    async def create_bucket(self, caller: Caller, input: types.CreateBucketInput) -> types.CreateBucketOutput:
        return types.CreateBucketOutput(location=f"/{input.bucket}")


async def taken(body: IRequestBody) -> bytes:
    """A whole body, its SHA-256 checked as ingestion does."""
    collector = Collector()
    await body.deliver_to(collector)
    data = bytes(collector.data)
    if body.sha256 is not None and hashlib.sha256(data).hexdigest() != body.sha256:
        raise ContentSHA256Mismatch()
    return data


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


ALICE = Credential(Identity("alice-id", "Alice", "ALICEKEY"), "alice-secret")
LOCKED_OUT = Credential(Identity("bob-id", "Bob", "BOBKEY"), "bob-secret", disabled=True)


CAROL = Credential(Identity("carol-id", "Carol", "CAROLKEY", tenant="acme"), "carol-secret")


class Users:
    """Three users: one is disabled, one of another tenant."""

    def credential(self, access_key: str) -> Credential | None:
        return {"ALICEKEY": ALICE, "BOBKEY": LOCKED_OUT, "CAROLKEY": CAROL}.get(access_key)
