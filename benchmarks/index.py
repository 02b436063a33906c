"""What the index does in a second: durable small writes, point reads, and both at once.

    python -m benchmarks index [--clients 32] [--seconds 3] [--switch-interval 0.0005] [--durability full]
        [--backend fs | postgres] [DIRECTORY]

Each client runs the transaction of a PUT of 4 KiB to a new key, one after the other on the reactor. `reads` are GETs of
such objects with their bytes. In the last line they compete: readers keep the reactor busy, which shows what is left to
the writers. Ratios, not promises; DIRECTORY should be on the disk that matters. With `postgres` a server is started
there, which works on the same cores; the CPU is that of this process alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet import task
from twisted.internet.defer import ensureDeferred, gatherResults

from benchmarks.places import existing
from post3tw.model.bucket import Bucket
from post3tw.model.checksum import Checksum, ChecksumAlgorithm
from post3tw.model.conditions import WriteConditions
from post3tw.model.identity import Owner
from post3tw.model.ids import IdSource
from post3tw.model.version import Description, Placement, Version
from post3tw.storage.backends import find_backend
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.index.transactions.objects import put_version
from post3tw.storage.index.transactions.versions import require_object
from post3tw.storage.interfaces import ITransaction, Lock, OpenedStore
from post3tw.testing.postgresql import Cluster

BUCKET = Bucket(1, "", "bench", "owner", "Owner", 0, "us-east-1")
BODY = os.urandom(4096)
OWNER = Owner("owner", "Owner")
DESCRIPTION = Description({"content-type": "application/octet-stream"})
CHECKSUM = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAAAAAAAAA=")

ANY = WriteConditions()


def put(key: bytes, object_id: bytes, now: int) -> Callable[[ITransaction], Awaitable[Version]]:
    """The transaction of a PUT of 4 KiB."""
    placement = Placement(len(BODY), body=object_id, crcs=b"\0\0\0\0")
    version = Version(object_id, 0, False, False, now, len(BODY), "0" * 32, OWNER, DESCRIPTION, CHECKSUM, placement)
    return partial(put_version, bucket_id=BUCKET.id, key=key, version=version, data=BODY, conditions=ANY, now=now)


def get(key: bytes) -> Callable[[ITransaction], Awaitable[Version]]:
    """The transaction of a GET of a small object."""
    return partial(require_object, bucket_id=BUCKET.id, key=key, with_body=True)


@define
class Load:
    """Clients that write, and clients that read, until the time is over."""

    reactor: Any
    index: Any
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
            key = object_id[::-1].hex().encode()
            locks = (Lock(BUCKET.id), Lock(BUCKET.id, key))
            await self.index.run(put(key, object_id, self.ids.now()), locks)
            self.keys.append(key)
            self.written += 1

    async def reads(self) -> None:
        """Read objects, a few in each turn of the reactor."""
        while time.perf_counter() < self.until:
            for _ in range(10):
                await self.index.read(get(self.keys[(self.read * 7919) % len(self.keys)]))
                self.read += 1
            await task.deferLater(self.reactor, 0)


async def measure(reactor: Any, options: argparse.Namespace, opened: OpenedStore) -> None:
    """Run the three loads."""
    index = opened.index
    await opened.space.start()
    await index.start()
    await index.run(lambda tx: create_bucket(tx, BUCKET))
    load = Load(reactor, index, IdSource(time.time), options.seconds)
    await load.run("writes", options.clients, 0)
    await load.run("reads", 0, options.clients)
    await load.run("both", options.clients, options.clients)
    await index.stop()
    await opened.space.stop()


def opened_in(reactor: Any, options: argparse.Namespace, directory: str, **further: str) -> OpenedStore:
    """The backend, not started."""
    backend = find_backend(options.backend)
    values: dict[str, Any] = {name.replace("-", "_"): default for name, default, _ in backend.options()}
    values |= {"data_dir": directory, "durability": options.durability, "reserve": 0, "environ": {}, **further}
    opened: OpenedStore = backend.open(values, reactor)
    return opened


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks index", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "directory", type=existing, nargs="?", help="where to make the index; default: a temporary directory"
    )
    parser.add_argument("--backend", choices=("fs", "postgres"), default="fs")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--switch-interval", type=float, default=0.0005)
    parser.add_argument("--durability", choices=("full", "relaxed"), default="full")
    options = parser.parse_args(arguments)
    sys.setswitchinterval(options.switch_interval)
    task.react(run, [options])


async def run(reactor: Any, options: argparse.Namespace) -> None:
    """Measure in a directory, or a PostgreSQL, of its own."""
    if options.backend == "postgres":
        place = None if options.directory is None else Path(options.directory)
        with Cluster(durable=True, place=place) as cluster:
            await measure(reactor, options, opened_in(reactor, options, "", dsn=cluster.create_database()))
    else:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            await measure(reactor, options, opened_in(reactor, options, directory))
