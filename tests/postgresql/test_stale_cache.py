"""A node that hears nothing and believes its cache for ever: what it still refuses, as writes read for themselves."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.api.operations import OPERATIONS
from post3tw.api.types import VersioningConfiguration
from post3tw.model.errors import AccessDenied, NoSuchBucket, ServiceUnavailable
from post3tw.model.identity import Caller, Identity
from post3tw.model.ids import IdSource
from post3tw.service.authorization import AuthorizedService
from post3tw.service.local import local_service
from post3tw.service.store import Store
from post3tw.storage.interfaces import OpenedStore
from post3tw.testing.postgresql import new_database
from tests.backends import open_postgres, started
from tests.service.stores import BytesBody

ADA, BOB = Identity("ada", "Ada", "ADAKEY"), Identity("bob", "Bob", "BOBKEY")
EVERYBODY: dict[str, Any] = {"Principal": "*", "Resource": "arn:aws:s3:::bucket/*", "Action": "s3:*"}


def policy(effect: str) -> str:
    """A policy that has the same for everybody."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, **EVERYBODY}]})


class StaleCacheTests(TestCase):
    """`here` changes buckets; `deaf` has them in its cache, and is not told."""

    timeout = 30

    async def setUp(self) -> None:  # type: ignore[override]
        """Two nodes on one database; the second has read the bucket."""
        dsn = new_database(self)
        opened, deaf = await self.node(dsn), await self.node(dsn)
        self.here, self.deaf = self.service(opened), self.service(deaf)
        deaf.space.notices._caches.clear()
        now = deaf.space.notices.seconds()
        deaf.space.notices._asked = now
        deaf.space.notices.seconds = lambda: now
        await self.call(self.here, ADA, "CreateBucket")
        await self.call(self.here, ADA, "PutBucketPolicy", policy=policy("Allow"))
        await self.call(self.deaf, BOB, "PutObject")
        self.assertTrue(deaf.index._reading._memo, "it has no cache to be wrong")

    async def node(self, dsn: str) -> OpenedStore:
        """A started store."""
        opened = open_postgres(dsn)
        for part in (opened.space, opened.index, opened.blobs):
            await started(self, part)
        return opened

    def service(self, opened: OpenedStore) -> AuthorizedService:
        """What runs operations on it."""
        return local_service(Store(opened.index, opened.blobs, IdSource(time.time), "us-east-1"))

    async def call(self, node: AuthorizedService, identity: Identity, operation: str, **members: Any) -> Any:
        """Run an operation on a node, on `bucket` and `key`."""
        known = OPERATIONS[operation]
        named = {name: name for name in ("bucket", "key") if name in known.members}
        input, caller = known.input(**named, **members), Caller(identity)
        await node.admit(caller, operation, input)
        body = (BytesBody(b"data"),) if known.body == "stream" else ()
        return await node.operations()[operation](caller, input, *body)

    async def test_policy(self) -> None:
        """What a new policy denies is not written."""
        await self.call(self.here, ADA, "PutBucketPolicy", policy=policy("Deny"))
        await self.call(self.deaf, BOB, "HeadObject")  # as nobody has told it: the cache is stale indeed
        for operation in ("PutObject", "DeleteObject", "CreateMultipartUpload"):
            await self.assertFailure(ensureDeferred(self.call(self.deaf, BOB, operation)), AccessDenied)

    async def test_no_policy(self) -> None:
        """What only a policy allowed that is gone is not written."""
        await self.call(self.here, ADA, "DeleteBucketPolicy")
        await self.assertFailure(ensureDeferred(self.call(self.deaf, BOB, "PutObject")), AccessDenied)

    async def test_versioning(self) -> None:
        """In a bucket that has versioning now, nothing is replaced."""
        enabled = VersioningConfiguration(status="Enabled")
        await self.call(self.here, ADA, "PutBucketVersioning", versioning_configuration=enabled)
        written = await self.call(self.deaf, ADA, "PutObject")
        self.assertIsNotNone(written.version_id)
        versions = await self.call(self.here, ADA, "ListObjectVersions")
        self.assertEqual(len(versions.versions), 2)

    async def test_deleted(self) -> None:
        """Nothing is written to a bucket that is gone, nor to another one that has its name now; who may write there is
        told to try again."""
        await self.call(self.here, ADA, "DeleteObject")
        await self.call(self.here, ADA, "DeleteBucket")
        await self.assertFailure(ensureDeferred(self.call(self.deaf, ADA, "PutObject")), NoSuchBucket)
        await self.call(self.here, BOB, "CreateBucket")
        await self.assertFailure(ensureDeferred(self.call(self.deaf, ADA, "PutObject")), AccessDenied)
        await self.call(self.here, BOB, "DeleteBucket")
        await self.call(self.here, ADA, "CreateBucket")
        await self.assertFailure(ensureDeferred(self.call(self.deaf, ADA, "PutObject")), ServiceUnavailable)
