"""What tidies up by itself, and what removes whole buckets, leaves locked versions alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from post3tw.api import types
from post3tw.model.errors import AccessDenied, BucketNotEmpty
from post3tw.service.stale_uploads import abort_stale_uploads
from post3tw.storage.sweep import BlobSweep
from tests.service.stores import BytesBody, pattern, read_body
from tests.service.test_object_lock import DAY, NOW, LockCase

LARGE = pattern(5 << 20)
YEAR = timedelta(days=365)
LOCK = {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": NOW + YEAR}


class SweepTests(LockCase):
    """Paths on which nobody asks."""

    async def upload(self) -> None:
        """A locked object of two parts."""
        created = await self.call("CreateMultipartUpload", **LOCK)
        parts = []
        for number, data in ((1, LARGE), (2, b"end")):
            part = await self.call("UploadPart", BytesBody(data), upload_id=created.upload_id, part_number=number)
            parts.append(types.CompletedPart(part_number=number, etag=part.etag))
        listed = types.CompletedMultipartUpload(parts=parts)
        await self.call("CompleteMultipartUpload", upload_id=created.upload_id, multipart_upload=listed)

    async def tidy(self) -> None:
        """Everything that the sweeper does, twice: what is condemned goes the second time."""
        sweep = BlobSweep(self.store.index, self.store.blobs, self.store.ids, grace=0)
        for _ in range(2):
            await abort_stale_uploads(self.store, DAY.total_seconds())
            self.clock.advance(1)
            await sweep.run()

    async def content(self, **members: Any) -> bytes:
        """The bytes of the object."""
        return await read_body((await self.call("GetObject", **members)).body)

    async def test_AUZ_13_bytes_stay(self) -> None:
        """After months, deletes and overwrites the bytes of a locked version are there; once it is free they go."""
        await self.upload()
        version = (await self.call("HeadObject")).version_id
        named: dict[str, Any] = {"version_id": version, "bypass_governance_retention": True}
        await self.write()
        await self.call("DeleteObject")
        self.clock.advance((YEAR - DAY).total_seconds())
        await self.refused(AccessDenied, "DeleteObject", **named)
        await self.tidy()
        self.assertEqual(await self.content(version_id=version), LARGE + b"end")
        self.clock.advance(DAY.total_seconds())
        await self.call("DeleteObject", **named)
        await self.tidy()
        self.assertEqual(await self.rows("SELECT 1 FROM blobs"), [])

    async def test_AUZ_13_the_bucket_stays(self) -> None:
        """Not even an administrator, nor a delete marker over everything, lets it go."""
        await self.upload()
        await self.call("DeleteObject")
        await self.refused(BucketNotEmpty, "DeleteBucket")
        self.assertEqual((await self.call("ListObjectVersions")).versions[0].size, len(LARGE) + 3)
