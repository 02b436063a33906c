"""Puts on a server what the cells read: objects of three sizes, and the buckets that are listed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from benchmarks.exchange import Request, exchange
from benchmarks.generators import Generators
from benchmarks.scene import Scene, Side, Stock, listed_key

CLIENTS = 32


class StockFailed(Exception):
    """The server did not take it. The text says what it answered."""


@frozen
class ListedPuts(Sequence[Request]):
    """PUTs of the empty objects of a bucket that is listed, signed while they are sent: a million would not fit.

    Attributes:
        numbers: of the objects.
    """

    scene: Scene
    bucket: str
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int | slice) -> Request | ListedPuts:  # type: ignore[override]
        if isinstance(index, slice):
            return ListedPuts(self.scene, self.bucket, self.numbers[index])
        return self._put(self.numbers[index])

    def __iter__(self) -> Iterator[Request]:
        return map(self._put, self.numbers)

    def _put(self, number: int) -> Request:
        stock = self.scene.stock
        key = listed_key(number, stock.listed(self.bucket))
        return self.scene.account.sending(b"PUT", f"/{stock.name}-{self.bucket}/{key}".encode(), b"")


def stock_up(side: Side, stock: Stock, sizes: Iterable[int], listed: Iterable[str]) -> None:
    """Make the buckets, and put what is missing.

    Args:
        side: the server.
        stock: what is to be there.
        sizes: of the objects that are read.
        listed: "small" and "large", those of the buckets that are wanted.

    Raises:
        StockFailed: the server refuses.
    """
    scene = Scene(side.account, stock, "signed", "stock")
    make_bucket(scene, stock.name)
    for size in sizes:
        put_all(side, [scene.put(scene.there(size, number), size) for number in range(stock.count(size))])
    for bucket in listed:
        count = stock.listed(bucket)
        make_bucket(scene, f"{stock.name}-{bucket}")
        last = scene.head(f"/{stock.name}-{bucket}/{listed_key(count - 1, count)}")
        if exchange(scene.endpoint, last).status == 404:
            rate = put_all(side, ListedPuts(scene, bucket, range(count)))
            print(f"{side.name}: {count:,} keys put, {rate:,.0f} a second", file=sys.stderr)


def make_bucket(scene: Scene, name: str) -> None:
    """Make a bucket, if it is not there."""
    answer = exchange(scene.endpoint, scene.account.sending(b"PUT", f"/{name}".encode(), b""))
    if answer.status not in (200, 409):
        raise StockFailed(f"bucket {name}: {answer.status} {answer.body[:300].decode(errors='replace')}")


def put_all(side: Side, requests: Sequence[Request]) -> float:
    """Send each once; how many were answered in a second."""
    began = time.monotonic()
    with Generators(side.account.endpoint, requests, min(CLIENTS, len(requests)), 86400, once=True) as load:
        load.go()
        loaded = load.finish()
    if loaded.bad:
        raise StockFailed(f"{side.name}: {loaded.bad} of {len(requests)} requests: {loaded.first}")
    return len(requests) / (time.monotonic() - began)
