"""The documents of the admitted bucket: what its owner has configured, one document of each kind.

Writing one raises the bucket's generation, so that every admission that rested on the former state is decided again
(see `Store.change`).
"""

from __future__ import annotations

from functools import partial

from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.store import Store
from post3tw.storage.index.transactions import documents
from post3tw.storage.interfaces import Lock


async def read_document(store: Store, caller: Caller, kind: str) -> bytes | None:
    """The bucket's document of this kind, None when there is none."""
    bucket = admitted_bucket(caller)
    return await store.index.read(partial(documents.get_document, bucket_id=bucket.id, kind=kind))


async def put_document(store: Store, caller: Caller, kind: str, body: bytes) -> None:
    """Write a document, replacing the one of its kind.

    Raises:
        InsufficientStorage: the disk is full.
        What Store.change raises.
    """
    bucket = admitted_bucket(caller)
    store.admit_write()
    change = partial(documents.put_document, bucket_id=bucket.id, kind=kind, body=body)
    await store.change(caller, change, [Lock(bucket.id, exclusive=True)])


async def delete_document(store: Store, caller: Caller, kind: str) -> None:
    """Delete the document of this kind, also when there is none.

    Raises:
        What Store.change raises.
    """
    bucket = admitted_bucket(caller)
    change = partial(documents.delete_document, bucket_id=bucket.id, kind=kind)
    await store.change(caller, change, [Lock(bucket.id, exclusive=True)])
