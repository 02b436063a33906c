"""What the tests of transactions on objects share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from post3tw.model.bucket import Bucket, Versioning
from post3tw.model.conditions import WriteConditions
from post3tw.model.identity import Owner
from post3tw.model.version import Placement, Version
from post3tw.storage.index.transactions.blobs import begin_blob
from post3tw.storage.index.transactions.objects import (
    Deletion,
    delete_version,
    put_version,
)
from post3tw.storage.index.transactions.versions import find_version
from post3tw.wire.checksums import frame_crcs
from tests.service.stores import make_bucket, make_store, switch_versioning

ADA = Owner("ada", "Ada")
NOW = 1_000_000
ANY = WriteConditions()
NEVER, ENABLED, SUSPENDED = Versioning.NEVER, Versioning.ENABLED, Versioning.SUSPENDED


class ObjectsCase(TestCase):
    """A store with one bucket, and the transactions as short methods."""

    async def setUp(self) -> None:  # type: ignore[override]
        """An empty bucket without versioning."""
        self.store = await make_store(self)
        self.bucket = await make_bucket(self.store)

    async def run_tx(self, function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        """Run a writing transaction."""
        return await self.store.index.run(lambda tx: function(tx, *arguments, **options))

    async def refuses(
        self, error: type[Exception], function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any
    ) -> Any:
        """Check that a call fails so, and return the error."""
        return await self.assertFailure(ensureDeferred(function(*arguments, **options)), error)  # type: ignore[arg-type]

    async def switch(self, versioning: Versioning) -> None:
        """Change the versioning of the bucket."""
        self.bucket = await switch_versioning(self.store, self.bucket, versioning)

    def new_version(self, data: bytes, **changes: Any) -> Version:
        """A version with an inline body, as a service makes one."""
        placement = Placement(len(data))
        if data:
            placement = Placement(len(data), body=self.store.ids.object_id(), crcs=frame_crcs(data))
        version = Version(
            id=self.store.ids.object_id(),
            seq=0,
            is_null=False,
            delete_marker=False,
            created=NOW,
            size=len(data),
            etag=f"etag-of-{data.decode()}",
            owner=ADA,
            placement=placement,
        )
        return evolve(version, **changes)

    async def put(
        self,
        key: bytes,
        data: bytes,
        conditions: WriteConditions = ANY,
        bucket: Bucket | None = None,
        now: int = NOW,
        **changes: Any,
    ) -> Version:
        """Put an inline body."""
        version = self.new_version(data, **changes)
        bucket_id = (bucket or self.bucket).id
        written: Version = await self.run_tx(put_version, bucket_id, key, version, data, conditions, now=now)
        return written

    async def delete(
        self, key: bytes, version_id: str | None = None, conditions: WriteConditions = ANY, **options: Any
    ) -> Deletion:
        """Delete a key or a version."""
        options = {"now": NOW, "owner": ADA, "new_id": self.store.ids.object_id()} | options
        deletion: Deletion = await self.run_tx(delete_version, self.bucket.id, key, version_id, conditions, **options)
        return deletion

    async def find(self, key: bytes, version_id: str | None = None, **options: Any) -> Version | None:
        """A version, or None."""
        version: Version | None = await self.store.index.read(
            lambda tx: find_version(tx, self.bucket.id, key, version_id, **options)
        )
        return version

    async def content(self, key: bytes, version_id: str | None = None) -> bytes | None:
        """The inline bytes of a version; None when there is no such object."""
        version = await self.find(key, version_id, with_body=True)
        if version is None or version.delete_marker:
            return None
        return version.inline or b""

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What is in the database."""
        found: list[tuple[Any, ...]] = await self.store.index.read(lambda tx: tx.all(sql, *parameters))
        return found

    async def check_invariants(self) -> None:
        """`current` repeats the latest objects; every inline body has an owner, every reference a blob and a holder."""
        latest = await self.rows(
            "SELECT bucket, key, seq, size || '|' || etag FROM versions v WHERE delete_marker = 0 AND seq ="
            " (SELECT MAX(seq) FROM versions w WHERE w.bucket = v.bucket AND w.key = v.key) ORDER BY bucket, key"
        )
        current = await self.rows("SELECT bucket, key, seq, entry FROM current ORDER BY bucket, key")
        self.assertEqual([(*row[:3], "|".join(row[3].split("|")[1:3])) for row in current], latest)
        owned = await self.rows(
            "SELECT body FROM versions WHERE body IS NOT NULL UNION ALL"
            " SELECT body FROM parts WHERE body IS NOT NULL ORDER BY 1"
        )
        self.assertEqual(await self.rows("SELECT id FROM bodies ORDER BY id"), owned)
        referring = await self.rows(
            "SELECT blob, id FROM versions WHERE blob IS NOT NULL UNION ALL"
            " SELECT blob, id FROM parts WHERE blob IS NOT NULL ORDER BY 1, 2"
        )
        references = await self.rows("SELECT blob, holder FROM blob_references ORDER BY blob, holder")
        self.assertEqual(references, referring)
        live = await self.rows("SELECT id FROM blobs WHERE lease_until IS NULL ORDER BY id")
        self.assertEqual(live, sorted({(blob,) for blob, _ in references}))

    async def begin(self) -> bytes:
        """A blob that was written and waits to be placed."""
        blob_id = self.store.ids.object_id()
        await self.run_tx(begin_blob, blob_id, NOW, NOW + 1000)
        return blob_id
