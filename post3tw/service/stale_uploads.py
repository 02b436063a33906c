"""Uploads that nobody finishes: their parts take space until somebody aborts them."""

from __future__ import annotations

from functools import partial

from post3tw.model.errors import NoSuchUpload
from post3tw.service.store import Store
from post3tw.storage.index.transactions.multipart import abort_upload, stale_uploads
from post3tw.storage.interfaces import Lock

DEFAULT_AGE = 7 * 24 * 60 * 60
"""Seconds after which an upload is aborted, unless configured otherwise."""

_AT_ONCE = 100


async def abort_stale_uploads(store: Store, older_than: float = DEFAULT_AGE) -> int:
    """Abort every upload that was begun more than `older_than` seconds ago; 0 means never. A task for the sweeper.

    Returns:
        How many were aborted.
    """
    aborted = 0
    if older_than == 0:
        return aborted
    before = store.ids.now() - int(older_than * 1000)
    while stale := await store.index.read(partial(stale_uploads, before=before, limit=_AT_ONCE)):
        for upload in stale:
            try:
                await store.index.run(
                    partial(
                        abort_upload,
                        bucket_id=upload.bucket_id,
                        key=upload.key,
                        upload_id=upload.id,
                        now=store.ids.now(),
                    ),
                    (Lock(upload.bucket_id), Lock(upload.bucket_id, upload.key)),
                )
                aborted += 1
            except NoSuchUpload:
                continue  # completed or aborted meanwhile
    return aborted
