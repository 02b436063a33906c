"""A data directory with objects in it, and nobody at work on it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.api import types
from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.ids import IdSource
from post3tw.service.copying import Copying
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.threads import NoThreads
from post3tw.testing.blob_fixture import noise
from tests.service.stores import BytesBody, admitted, make_bucket, read_body

LARGE = noise(2_500_000)


class DirectoryCase(TestCase):
    """Makes the directory `self.path` with one object of each kind."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it, and stop."""
        self.path = Path(self.mktemp())
        await self.at_work(self.fill)

    async def at_work(self, task: Any) -> Any:
        """Do something with a store that is open on the directory."""
        from twisted.internet import reactor

        for directory in (self.path, self.path / "blobs", self.path / "tmp"):
            directory.mkdir(exist_ok=True)
        index = SqliteIndex(str(self.path / "index.sqlite3"), reactor, durability="relaxed")
        blobs = FileBlobs(Files(), NoThreads(), str(self.path / "blobs"), str(self.path / "tmp"), durable=False)
        await index.start()
        await blobs.start()
        try:
            return await task(Store(index, blobs, IdSource(reactor.seconds)))
        finally:
            await blobs.stop()
            await index.stop()

    async def fill(self, store: Store) -> None:
        """Objects inline and in blobs, old versions, a delete marker, copies, parts of an upload."""
        bucket = await make_bucket(store, versioning=Versioning.ENABLED)
        for key, data in (("small", b"old"), ("small", b"new"), ("large", LARGE), ("empty", b""), ("gone", b"gone")):
            await self.put(store, bucket, key, data)
        await Objects(store).delete_object(admitted("DeleteObject", bucket), types.DeleteObjectInput(key="gone"))
        copied = types.CopyObjectInput(key="copy", copy_source="bucket/large")
        await Copying(store).copy_object(admitted("CopyObject", bucket, bucket), copied)
        multipart = Multipart(store)
        for key in ("parts", "upload"):
            create = types.CreateMultipartUploadInput(key=key)
            made = await multipart.create_multipart_upload(admitted("CreateMultipartUpload", bucket), create)
            parts = []
            for number, data in ((1, noise(5 << 20)), (2, noise(100))):
                part = types.UploadPartInput(key=key, upload_id=made.upload_id, part_number=number)
                put = await multipart.upload_part(admitted("UploadPart", bucket), part, BytesBody(data))
                parts.append(types.CompletedPart(part_number=number, etag=put.etag))
            if key == "parts":
                complete = types.CompleteMultipartUploadInput(
                    key=key,
                    upload_id=made.upload_id,
                    multipart_upload=types.CompletedMultipartUpload(parts=parts),
                )
                await multipart.complete_multipart_upload(admitted("CompleteMultipartUpload", bucket), complete)

    async def put(self, store: Store, bucket: Bucket, key: str, data: bytes) -> None:
        """PutObject."""
        await Objects(store).put_object(admitted("PutObject", bucket), types.PutObjectInput(key=key), BytesBody(data))

    async def get(self, key: str) -> bytes:
        """GetObject."""

        async def ask(store: Store) -> bytes:
            bucket = await store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
            assert bucket is not None
            found = await Objects(store).get_object(admitted("GetObject", bucket), types.GetObjectInput(key=key))
            return await read_body(found.body)

        body: bytes = await self.at_work(ask)
        return body

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Do something to the index that nobody should."""
        with closing(sqlite3.connect(self.path / "index.sqlite3", isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def blob_of(self, key: str) -> Path:
        """The file of an object's blob."""
        ((blob,),) = self.sql("SELECT blob FROM versions WHERE key = ?", key.encode())
        name: str = blob.hex()
        return self.path / "blobs" / name[6:8] / name

    def cleanup(self, call: Any) -> None:
        """Run a coroutine function at the end."""
        self.addCleanup(lambda: Deferred.fromCoroutine(call()))


def tree(path: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {
        os.path.relpath(os.path.join(where, name), path): Path(where, name).read_bytes()
        for where, _, names in os.walk(path)
        for name in names
    }
