"""A store in PostgreSQL, put together from its parts."""

from __future__ import annotations

import os
import socket
from typing import Any

from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.blobs.postgresql import PostgresBlobs
from post3tw.storage.fs import DISK_THREADS
from post3tw.storage.index.postgresql.index import LOCK_TIMEOUT, PostgresIndex
from post3tw.storage.interfaces import IBlobStore, OpenedStore
from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.node import Node
from post3tw.storage.postgresql.pool import Pool
from post3tw.storage.shared_directory import SharedDirectory
from post3tw.storage.threads import Threads


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
    index = PostgresIndex(reactor, dsn, node.notices, "full" if durable else "relaxed")
    blobs: IBlobStore
    if directory is None:
        # No statement_timeout: one that ends a COMMIT which waits for a standby would have it reported as done.
        pool = Pool(reactor, dsn, connections, {"lock_timeout": int(LOCK_TIMEOUT * 1000)})
        blobs = PostgresBlobs(pool, block_size, durable)
        node.watch(*index.pools, pool)
    else:
        threads = Threads(reactor, "post3-disk", DISK_THREADS)
        blobs = FileBlobs(directory.files, threads, directory.blobs, directory.temporary, durable)
        node.watch(*index.pools)
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
