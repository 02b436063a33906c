"""What a page of a listing costs, in buckets of different sizes.

    python -m benchmarks listing [--small 10000] [--large 1000000] [--pages 50] [DIRECTORY]

Fills an index with a small and a large bucket of as many prefixes each, and a third one whose objects come behind as
many delete markers as the large one has keys; then lists pages of 1000 from different places. Shown are milliseconds of
CPU for a page, rows to typed answer (without HTTP and XML), and how the large bucket compares with the small one.
Ratios, not promises. A directory that was filled before is used again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet import task

from benchmarks.places import existing
from benchmarks.scene import PREFIXES
from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.identity import Admission, Caller
from post3tw.model.ids import IdSource
from post3tw.service.listing import Listing
from post3tw.service.store import Store
from post3tw.service.version_listing import VersionListing
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.storage.interfaces import ITransaction

SMALL, LARGE, MARKED = (Bucket(n, "", name, "ada", "Ada", 0, "us-east-1") for n, name in enumerate(("s", "l", "m"), 1))

_VERSION = (
    "INSERT INTO versions (bucket, key, seq, id, is_null, delete_marker, created, size, etag, owner_id, owner_name,"
    " headers, checksum) VALUES (?, ?, 1, ?, 1, ?, 1700000000000, 4096, 'd41d8cd98f00b204e9800998ecf8427e', 'ada',"
    """ 'Ada', '{"content-type":"binary/octet-stream"}', 'CRC64NVME FULL_OBJECT AAAAAAAAAAA=')"""
)
_CURRENT = (
    "INSERT INTO current (bucket, key, seq, entry, owner_id, owner_name) VALUES (?, ?, 1,"
    " '1700000000000|4096|d41d8cd98f00b204e9800998ecf8427e|STANDARD CRC64NVME FULL_OBJECT', 'ada', 'Ada')"
)


def keys(count: int) -> list[bytes]:
    """So many keys in PREFIXES prefixes."""
    return [b"p%06d/k%07d" % (number * PREFIXES // count, number) for number in range(count)]


async def fill(index: SqliteIndex, bucket: Bucket, names: list[bytes], *, markers: bool = False) -> None:
    """Add objects, or delete markers."""
    for start in range(0, len(names), 5000):
        batch = names[start : start + 5000]

        async def insert(tx: ITransaction, batch: list[bytes] = batch) -> None:
            await tx.many(_VERSION, [(bucket.id, key, os.urandom(16), int(markers)) for key in batch])
            if not markers:
                await tx.many(_CURRENT, [(bucket.id, key) for key in batch])

        await index.run(insert)


async def prepare(index: SqliteIndex, small: int, large: int) -> None:
    """Fill the buckets."""
    print(f"filling: {small} keys, {large} keys, {large} delete markers", file=sys.stderr)
    for bucket in (SMALL, LARGE, MARKED):
        await index.run(partial(create_bucket, bucket=bucket))
    await fill(index, SMALL, keys(small))
    await fill(index, LARGE, keys(large))
    await fill(index, MARKED, keys(large), markers=True)
    await fill(index, MARKED, [b"q" + key for key in keys(small)])


def places(seed: int) -> Iterator[str]:
    """Where pages begin: prefixes in no order, the same in every bucket."""
    numbers = random.Random(seed)
    while True:
        yield f"p{numbers.randrange(PREFIXES // 2 - 100):06d}"


async def page_cost(pages: int, page: Callable[[str], Awaitable[Any]]) -> float:
    """Milliseconds of CPU for a page; the best of three rounds."""
    rounds = []
    for seed in range(3):
        wanted = places(seed)
        started = time.process_time()
        for _ in range(pages):
            await page(next(wanted))
        rounds.append((time.process_time() - started) / pages * 1000)
    return min(rounds)


async def measure(store: Store, pages: int) -> None:
    """Print a line for each way of listing."""
    listing, versions = Listing(store), VersionListing(store)

    def v2(bucket: Bucket, **members: Any) -> Awaitable[types.ListObjectsV2Output]:
        caller = Caller(None, admission=Admission("ListObjectsV2", bucket))
        return listing.list_objects_v2(caller, types.ListObjectsV2Input(bucket=bucket.name, **members))

    def all_versions(bucket: Bucket, **members: Any) -> Awaitable[types.ListObjectVersionsOutput]:
        caller = Caller(None, admission=Admission("ListObjectVersions", bucket))
        return versions.list_object_versions(caller, types.ListObjectVersionsInput(bucket=bucket.name, **members))

    def first_page(bucket: Bucket, _: str) -> Awaitable[types.ListObjectsV2Output]:
        return v2(bucket)

    ways: dict[str, Callable[[Bucket, str], Awaitable[Any]]] = {
        "plain": lambda bucket, place: v2(bucket, start_after=place),
        "prefix": lambda bucket, place: v2(bucket, prefix="p0", start_after=place),
        "delimiter": lambda bucket, place: v2(bucket, delimiter="/", start_after=place),
        "prefix and delimiter": lambda bucket, place: v2(bucket, prefix=place[:5], delimiter="/"),
        "versions": lambda bucket, place: all_versions(bucket, key_marker=place),
        "versions, delimiter": lambda bucket, place: all_versions(bucket, delimiter="/", key_marker=place),
    }
    print(f"{'':24}{'small':>10}{'large':>10}{'ratio':>8}")
    for name, way in ways.items():
        small, large = [await page_cost(pages, partial(way, bucket)) for bucket in (SMALL, LARGE)]
        print(f"{name:24}{small:>7.2f} ms{large:>7.2f} ms{large / small:>8.2f}")
    small, marked = [await page_cost(pages, partial(first_page, bucket)) for bucket in (SMALL, MARKED)]
    print(f"{'behind delete markers':24}{small:>7.2f} ms{marked:>7.2f} ms{marked / small:>8.2f}")


async def run(reactor: Any, arguments: argparse.Namespace) -> None:
    """Open, fill when that is needed, measure, close."""
    with tempfile.TemporaryDirectory(prefix="post3-listing-") as temporary:
        directory = arguments.directory or temporary
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "index.sqlite")
        new = not os.path.exists(path)
        index = SqliteIndex(path, reactor, durability="relaxed")
        await index.start()
        try:
            if new:
                await prepare(index, arguments.small, arguments.large)
            await measure(Store(index, None, IdSource(time.time)), arguments.pages)  # type: ignore[arg-type]
        finally:
            await index.stop()


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks listing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("directory", type=existing, nargs="?")
    task.react(run, [parser.parse_args(arguments)])
