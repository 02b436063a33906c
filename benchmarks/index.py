"""What the SQLite index does in a second: durable small writes, point reads, and both at once.

    python benchmarks/index.py [--clients 32] [--seconds 3] [--switch-interval 0.0005] [--durability full] [DIRECTORY]

Each client runs transactions shaped like a PUT of 4 KiB (read the bucket, read the current version, insert the body,
the version and the current key) one after the other on the reactor. `reads` are GETs of such objects with their bytes.
In the last line they compete: readers keep the reactor busy, which shows what is left to the writers. Ratios, not
promises; DIRECTORY should be on the disk that matters.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field
from twisted.internet import task
from twisted.internet.defer import ensureDeferred, gatherResults

from post3tw.model.bucket import Bucket
from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.identity import Owner
from post3tw.model.ids import IdSource
from post3tw.model.version import Description, Placement, Version
from post3tw.storage.index import rows
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.blobs import place
from post3tw.storage.index.transactions.buckets import create_bucket, require_bucket
from post3tw.storage.interfaces import ITransaction

BUCKET = Bucket(1, "", "bench", "owner", "Owner", 0, "us-east-1")
BODY = os.urandom(4096)
OWNER = Owner("owner", "Owner")
DESCRIPTION = Description({"content-type": "application/octet-stream"})
CHECKSUM = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAAAAAAAAA=")

_LATEST = (
    f"SELECT {rows.VERSION_COLUMNS_WITH_BODY} FROM {rows.FROM_VERSIONS_WITH_BODY}"
    " WHERE v.bucket = ? AND v.key = ? ORDER BY v.seq DESC LIMIT 1"
)
_SEQ = "SELECT seq FROM versions WHERE bucket = ? AND key = ? ORDER BY seq DESC LIMIT 1"
_CURRENT = (
    "INSERT INTO current (bucket, key, seq, created, size, etag, owner_id, owner_name, storage_class, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET seq = excluded.seq,"
    " created = excluded.created, size = excluded.size, etag = excluded.etag, checksum = excluded.checksum"
)


def put(key: bytes, object_id: bytes, now: int) -> Callable[[ITransaction], Awaitable[None]]:
    """A transaction like that of a PUT of 4 KiB."""

    async def transaction(tx: ITransaction) -> None:
        await require_bucket(tx, BUCKET.id)
        latest = await tx.one(_SEQ, BUCKET.id, key)
        seq = 1 if latest is None else latest[0] + 1
        placement = Placement(len(BODY), body=object_id, crcs=b"\0\0\0\0")
        await place(tx, object_id, placement, BODY)
        version = Version(
            object_id, seq, False, False, now, len(BODY), "0" * 32, OWNER, DESCRIPTION, CHECKSUM, placement
        )
        await tx.run(rows.INSERT_VERSION, *rows.version_values(BUCKET.id, key, version))
        await tx.run(_CURRENT, BUCKET.id, key, seq, now, len(BODY), "0" * 32, "owner", "Owner", "STANDARD", "CRC64NVME")

    return transaction


def get(key: bytes) -> Callable[[ITransaction], Awaitable[Version | None]]:
    """A transaction like that of a GET of a small object."""

    async def transaction(tx: ITransaction) -> Version | None:
        row = await tx.one(_LATEST, BUCKET.id, key)
        return None if row is None else rows.version_from_row(row)

    return transaction


@define
class Load:
    """Clients that write, and clients that read, until the time is over."""

    reactor: Any
    index: SqliteIndex
    ids: IdSource
    seconds: float
    written: int = 0
    read: int = 0
    until: float = 0.0
    keys: list[bytes] = field(factory=list)

    async def run(self, title: str, writers: int, readers: int) -> None:
        """Run the clients and print what they did."""
        self.written = self.read = 0
        commits, began, cpu = self.index.commits, time.perf_counter(), time.process_time()
        self.until = began + self.seconds
        clients = [self.write() for _ in range(writers)] + [self.reads() for _ in range(readers)]
        await gatherResults([ensureDeferred(client) for client in clients])
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        commits = self.index.commits - commits
        sys.stdout.write(
            f"{title:8} {self.written / took:9,.0f} writes/s in groups of {self.written / max(commits, 1):5.1f}"
            f" {self.read / took:9,.0f} reads/s   {cpu / (self.written + self.read) * 1e6:5.1f} us CPU each\n"
        )

    async def write(self) -> None:
        """Write one new object after the other."""
        while time.perf_counter() < self.until:
            object_id = self.ids.object_id()
            key = object_id[::-1]
            await self.index.run(put(key, object_id, self.ids.now()))
            self.keys.append(key)
            self.written += 1

    async def reads(self) -> None:
        """Read objects, a few in each turn of the reactor."""
        while time.perf_counter() < self.until:
            for _ in range(10):
                await self.index.read(get(self.keys[(self.read * 7919) % len(self.keys)]))
                self.read += 1
            await task.deferLater(self.reactor, 0)


async def measure(reactor: Any, options: argparse.Namespace, directory: str) -> None:
    """Run the three loads."""
    index = SqliteIndex(os.path.join(directory, "index.sqlite"), reactor, options.durability)
    await index.start()
    await index.run(lambda tx: create_bucket(tx, BUCKET))
    load = Load(reactor, index, IdSource(time.time), options.seconds)
    await load.run("writes", options.clients, 0)
    await load.run("reads", 0, options.clients)
    await load.run("both", options.clients, options.clients)
    await index.stop()


async def main(reactor: Any) -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", help="where to make the index; default: a temporary directory")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--switch-interval", type=float, default=0.0005)
    parser.add_argument("--durability", choices=("full", "relaxed"), default="full")
    options = parser.parse_args()
    sys.setswitchinterval(options.switch_interval)
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        await measure(reactor, options, directory)


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
