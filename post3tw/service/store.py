"""What the operations of the local store work with."""

from __future__ import annotations

from attrs import frozen

from post3tw.model.ids import IdSource
from post3tw.storage.interfaces import IBlobStore, IIndex


@frozen
class Store:
    """An opened backend, and what every operation needs beside it.

    Attributes:
        index: rows and transactions.
        blobs: byte strings.
        ids: clock and ids.
        region: where buckets are, such as "us-east-1".
    """

    index: IIndex
    blobs: IBlobStore
    ids: IdSource
    region: str = "us-east-1"
