"""Tests of what becomes of uploads that nobody finishes."""

from __future__ import annotations

from post3tw.model.errors import (
    NoSuchUpload,
)
from post3tw.service.stale_uploads import abort_stale_uploads
from tests.service.multipart_case import MultipartCase


class StaleUploadTests(MultipartCase):
    """abort_stale_uploads."""

    async def test_stale_uploads(self) -> None:
        """Uploads older than the limit are aborted, younger ones stay; 0 is never."""
        await self.start()
        old = await self.create("old")
        await self.put(old, 1, b"x", "old")
        self.time += 100
        young = await self.create("young")
        self.assertEqual(await abort_stale_uploads(self.store, 0), 0)
        self.assertEqual(await abort_stale_uploads(self.store, 200), 0)
        self.time += 50
        self.assertEqual(await abort_stale_uploads(self.store, 100), 1)
        await self.fails(NoSuchUpload, self.put(old, 2, b"x", "old"))
        await self.put(young, 1, b"x", "young")
