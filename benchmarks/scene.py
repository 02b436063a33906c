"""Where the requests of a cell go: which server, which buckets and keys; and the bodies that are sent and expected."""

from __future__ import annotations

import random
from functools import cache

from attrs import frozen

from benchmarks.exchange import Endpoint, Request, exchange
from benchmarks.measuring import Processes
from benchmarks.signing import Account

KIB, MIB = 1 << 10, 1 << 20

PREFIXES = 2000
"""A bucket that is listed has so many, whatever its size: a page by delimiter is 1000 of them in each."""


@cache
def body_of(size: int) -> bytes:
    """A body that does not compress, the same on both sides and in every run."""
    return random.Random(size).randbytes(size)


@frozen
class Stock:
    """What lies on a server before the first cell.

    Attributes:
        name: the buckets are NAME, NAME-small and NAME-large.
        keys: objects of 4 KiB that are read, and keys that are written again and again.
        small: objects in the small bucket of those that are listed.
        large: objects in the large one; 0: there is none.
    """

    name: str
    keys: int = 6000
    small: int = 10_000
    large: int = 1_000_000

    def count(self, size: int) -> int:
        """How many objects of `size` bytes are read or written."""
        return {64 * MIB: 8, MIB: 300}.get(size, self.keys)

    def listed(self, bucket: str) -> int:
        """How many objects a bucket has that is listed: "small" or "large"."""
        return self.small if bucket == "small" else self.large


def listed_key(number: int, count: int) -> str:
    """The key of an object, by number, in a bucket of `count` that is listed."""
    return f"p{number * PREFIXES // count:06d}/k{number:08d}"


def spread_name(number: int) -> str:
    """A name below one of 97 prefixes."""
    return f"{number % 97:02d}/{number:06d}"


@frozen
class Side:
    """A server that is measured.

    Attributes:
        name: in the table.
        accounts: by scheme, http or https.
        processes: of the server.
    """

    name: str
    accounts: dict[str, Account]
    processes: Processes

    @property
    def account(self) -> Account:
        """For whatever is not measured."""
        return next(iter(self.accounts.values()))


@frozen
class Scene:
    """One run of a cell.

    Attributes:
        account: whose requests they are, and of which endpoint.
        stock: what is there.
        style: of requests with a body.
        mark: a part of the keys of what is written, which no other run has.
    """

    account: Account
    stock: Stock
    style: str
    mark: str

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""
        return self.account.endpoint

    def written(self, number: int) -> str:
        """The path of an object that this run writes."""
        return f"/{self.stock.name}/{self.mark}/{spread_name(number)}"

    def passing(self, number: int) -> str:
        """The path of an object that this run writes and deletes: all in one directory, which therefore never is empty.
        Some servers that keep objects as files fail when one deletes a directory that another is writing to."""
        return f"/{self.stock.name}/{self.mark}-passing/{number:06d}"

    def there(self, size: int, number: int) -> str:
        """The path of an object of the stock."""
        return f"/{self.stock.name}/stock/{size}/{spread_name(number)}"

    def put(self, path: str, size: int) -> Request:
        """A PUT."""
        return self.account.sending(b"PUT", path.encode(), body_of(size), self.style)

    def get(self, path: str, size: int) -> Request:
        """A GET of all of it."""
        return self.account.request(b"GET", path.encode(), expected=size)

    def head(self, path: str) -> Request:
        """A HEAD."""
        return self.account.request(b"HEAD", path.encode())

    def delete(self, path: str) -> Request:
        """A DELETE."""
        return self.account.request(b"DELETE", path.encode())

    def list(self, bucket: str, query: str) -> Request:
        """A page of 1000; `query` sorted, as it is sent."""
        return self.account.request(b"GET", f"/{self.stock.name}-{bucket}?{query}".encode())

    def answer(self, request: Request) -> bytes:
        """The body of the answer, outside of any measurement; what is no success raises ValueError."""
        answer = exchange(self.endpoint, request)
        if answer.status >= 300:
            raise ValueError(f"{answer.status} {answer.body[:300].decode(errors='replace')}")
        return answer.body
