"""A store in PostgreSQL, put together from its parts."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from attrs import define, field

from post3tw.model.errors import InsufficientStorage
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.blobs.postgresql import PostgresBlobs
from post3tw.storage.fs import DISK_THREADS
from post3tw.storage.index.postgresql.index import PostgresIndex
from post3tw.storage.interfaces import IBlobStore, Lock, OpenedStore
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.node import Node
from post3tw.storage.postgresql.pool import Pool
from post3tw.storage.shared_directory import SharedDirectory
from post3tw.storage.threads import Threads

T = TypeVar("T")

LOCK_TIMEOUT = 10_000
"""Milliseconds for a lock that blobs wait for."""


@define(eq=False)
class WatchedIndex(PostgresIndex):
    """An index that tells its node when the database's disk is full."""

    node: Node = field(kw_only=True)

    async def run(self, transaction: Callable[[Any], Awaitable[T]], locks: Sequence[Lock] = ()) -> T:
        """See IIndex."""
        try:
            return await PostgresIndex.run(self, transaction, locks)
        except InsufficientStorage:
            self.node.found_full()
            raise


def assemble(
    reactor: Any,
    dsn: Dsn,
    *,
    data_dir: str | None,
    durable: bool,
    block_size: int,
    connections: int,
    start_timeout: float,
) -> OpenedStore:
    """A store that is not started.

    Args:
        reactor: of the server.
        dsn: where the database is.
        data_dir: where blobs are; None for in the database.
        durable: whether nothing is acknowledged that a power cut could take.
        block_size: bytes of a row of a blob in the database.
        connections: how many connections blobs may use.
        start_timeout: seconds to wait for the database.
    """
    name = f"{socket.gethostname()}-{os.urandom(6).hex()}"
    directory = None if data_dir is None else SharedDirectory(data_dir, name)
    node = Node(reactor, dsn, name, os.urandom(16).hex(), directory, start_timeout, durable)
    index = WatchedIndex(reactor, dsn, node.notices, "full" if durable else "relaxed", node=node)
    node.pools = index.pools
    blobs: IBlobStore
    if directory is None:
        # No statement_timeout: one that ends a COMMIT which waits for a standby would have it reported as done.
        pool = Pool(reactor, dsn, connections, {"lock_timeout": LOCK_TIMEOUT})
        blobs = PostgresBlobs(pool, block_size, durable)
        node.pools = (*index.pools, pool)
    else:
        blobs = _files(reactor, directory, durable)
    place = f"PostgreSQL at {dsn.place}"
    return OpenedStore(
        index=index,
        blobs=blobs,
        space=node,
        place=place if directory is None else f"{place} and {data_dir}",
        shared=True,
        leadership=node.leadership,
        obstacle=node.obstacle,
    )


def _files(reactor: Any, directory: SharedDirectory, durable: bool) -> FileBlobs:
    threads = Threads(reactor, "post3-disk", DISK_THREADS)
    return FileBlobs(directory.files, threads, directory.blobs, directory.temporary, durable)
