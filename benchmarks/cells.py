"""What is measured: the cells of the table, each with its requests and the proof that they do what they say.

Before a cell runs, a few requests prove that the server does what is measured: an object must read back as it was sent,
a page must have its thousand entries. Some servers store the framing of aws-chunked, or ignore a delimiter, and would
look fast.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable

from attrs import frozen

from benchmarks.exchange import Request, exchange
from benchmarks.scene import KIB, MIB, PREFIXES, Scene, Stock, body_of
from benchmarks.upload import PART, PARTS

TRAIL = 256
"""A DELETE follows its PUT at this distance, so that it finds the object."""

STARTS = [random.Random(number).randrange(PREFIXES // 2 - 100) for number in range(500)]
"""Prefixes at which pages begin, in no order; behind each there are a thousand and more."""

_in_prefix = re.compile(rb"p(\d{6})/").search


@frozen
class Cell:
    """A row of the table, for each setting.

    Attributes:
        name: on the command line.
        title: for people.
        requests: what is sent, again and again; None: one upload in parts.
        prove: raises ValueError when the server does something else.
        moved: bytes of bodies that a request moves.
        sends: it sends bodies, so the style matters.
        most: clients, at most.
        just: clients, exactly, whatever was asked for.
        stretch: it runs so many times as long as others.
        reads: the size of the objects that must be there.
        bucket: of those that are listed, the one that must be there.
        beside: what four other clients send meanwhile.
    """

    name: str
    title: str
    requests: Callable[[Scene], list[Request]] | None
    prove: Callable[[Scene], None]
    moved: int = 0
    sends: bool = False
    most: int = 100_000
    just: int = 0
    stretch: int = 1
    reads: int = 0
    bucket: str = ""
    beside: Callable[[Scene], list[Request]] | None = None


@frozen
class Setting:
    """How a cell is run."""

    scheme: str
    style: str
    clients: int


def settings_of(cell: Cell, schemes: Iterable[str], styles: Iterable[str], clients: Iterable[int]) -> list[Setting]:
    """The settings that make a difference for a cell, each once, in order."""
    styles = list(styles) if cell.sends else ["signed"]
    counts = [cell.just] if cell.just else [min(count, cell.most) for count in clients]
    made = [Setting(scheme, style, count) for scheme in schemes for style in styles for count in counts]
    return list(dict.fromkeys(made))


def puts(size: int) -> Callable[[Scene], list[Request]]:
    """PUTs of so many bytes, each to a key of its own."""
    return lambda scene: [scene.put(scene.written(n), size) for n in range(scene.stock.count(size))]


def gets(size: int) -> Callable[[Scene], list[Request]]:
    """GETs of the stock."""
    return lambda scene: [scene.get(scene.there(size, n), size) for n in range(scene.stock.count(size))]


def heads(scene: Scene) -> list[Request]:
    """HEADs of the stock."""
    return [scene.head(scene.there(4 * KIB, n)) for n in range(scene.stock.keys)]


def ranges(scene: Scene) -> list[Request]:
    """1000 bytes from the middle of each."""
    header = [(b"range", b"bytes=1000-1999")]
    paths = [scene.there(4 * KIB, n).encode() for n in range(scene.stock.keys)]
    return [scene.account.request(b"GET", path, header, expected=1000) for path in paths]


def puts_and_deletes(scene: Scene) -> list[Request]:
    """A PUT and a DELETE in turn."""
    made = []
    for n in range(scene.stock.keys):
        made.append(scene.put(scene.passing(n), 4 * KIB))
        made.append(scene.delete(scene.passing((n - TRAIL) % scene.stock.keys)))
    return made


def mixed(scene: Scene) -> list[Request]:
    """45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE, shuffled; what is read is never deleted, what is deleted was put."""
    numbers = random.Random(20)
    made: list[Request] = []
    put: list[tuple[int, str]] = []
    deleted = 0
    while len(made) < scene.stock.keys:
        kinds = ["get"] * 9 + ["head"] * 6 + ["put"] * 3 + ["delete"] * 2
        numbers.shuffle(kinds)
        for kind in kinds:
            there = scene.there(4 * KIB, numbers.randrange(scene.stock.keys))
            if kind == "put":
                put.append((len(made), scene.passing(len(put))))
                made.append(scene.put(put[-1][1], 4 * KIB))
            elif kind == "delete" and put and put[deleted][0] < len(made) - TRAIL:
                made.append(scene.delete(put[deleted][1]))
                deleted += 1
            elif kind == "head":
                made.append(scene.head(there))
            else:
                made.append(scene.get(there, 4 * KIB))
    return made


def pages(bucket: str, query: str) -> Callable[[Scene], list[Request]]:
    """Pages of 1000 that begin at prefixes in no order."""

    def make(scene: Scene) -> list[Request]:
        return [scene.list(bucket, query.replace("START", f"p{start:06d}")) for start in STARTS]

    return make


def puts_among(bucket: str) -> Callable[[Scene], list[Request]]:
    """PUTs everywhere among the keys of a bucket that has many already."""

    def make(scene: Scene) -> list[Request]:
        numbers = random.Random(PREFIXES)
        names = [f"p{numbers.randrange(PREFIXES):06d}/x{n:06d}" for n in range(scene.stock.keys)]
        return [scene.put(f"/{scene.stock.name}-{bucket}/{name}", 4 * KIB) for name in names]

    return make


def is_page(bucket: str, query: str, mark: bytes) -> Callable[[Scene], None]:
    """A page has a thousand entries, and begins where it was asked to."""
    return lambda scene: check_page(scene.answer(pages(bucket, query)(scene)[0]), mark, STARTS[0])


def check_page(page: bytes, mark: bytes, start: int) -> None:
    """Look at an answer; ValueError when it is not a page of 1000 `mark`s from the prefix of that number."""
    if (count := page.count(mark)) != 1000:
        raise ValueError(f"a page has {count} entries, not 1000")
    first = _in_prefix(page)
    if first is None or int(first[1]) != start:
        raise ValueError("a page does not begin where it was asked to")


def is_object(size: int) -> Callable[[Scene], None]:
    """An object of the stock is what was put there."""
    return lambda scene: same(scene.answer(gets(size)(scene)[0]), body_of(size))


def is_range(scene: Scene) -> None:
    """A range is that range."""
    same(scene.answer(ranges(scene)[0]), body_of(4 * KIB)[1000:2000])


def is_there(scene: Scene) -> None:
    """There is something to ask for."""
    scene.answer(heads(scene)[0])


def stores(size: int) -> Callable[[Scene], None]:
    """What is put reads back as it was sent, and is gone when it was deleted."""

    def prove(scene: Scene) -> None:
        path = scene.written(0)
        scene.answer(scene.put(path, size))
        same(scene.answer(scene.get(path, size)), body_of(size))
        scene.answer(scene.delete(path))
        if exchange(scene.endpoint, scene.get(path, size)).status != 404:
            raise ValueError("a deleted object is there")

    return prove


def same(found: bytes, sent: bytes) -> None:
    """Compare bodies; ValueError when they differ."""
    if found != sent:
        raise ValueError(f"{len(found)} bytes that are not the {len(sent)} that were put")


def _listings(bucket: str, size: str) -> Iterable[Cell]:
    ways = [
        ("flat", "list-type=2&max-keys=1000&start-after=START", b"<Key>", ""),
        ("prefix", "list-type=2&max-keys=1000&prefix=p0&start-after=START", b"<Key>", " by prefix"),
        (
            "delimiter",
            "delimiter=%2F&list-type=2&max-keys=1000&start-after=START",
            b"<CommonPrefixes>",
            " by delimiter",
        ),
    ]
    for way, query, mark, title in ways:
        yield Cell(
            f"list-{way}-{bucket}",
            f"LIST 1000{title}, {size} keys",
            pages(bucket, query),
            is_page(bucket, query, mark),
            bucket=bucket,
        )


def _small() -> Iterable[Cell]:
    size = 4 * KIB
    yield Cell("put-4k", "PUT 4 KiB", puts(size), stores(size), size, sends=True)
    yield Cell("get-4k", "GET 4 KiB", gets(size), is_object(size), size, reads=size)
    yield Cell("head-4k", "HEAD", heads, is_there, reads=size)
    yield Cell("range-4k", "GET range of 4 KiB", ranges, is_range, 1000, reads=size)
    yield Cell("put-delete-4k", "PUT and DELETE 4 KiB", puts_and_deletes, stores(size), size // 2, sends=True)
    yield Cell(
        "mix-4k",
        "mix of 4 KiB",
        mixed,
        stores(size),
        size * 6 // 10,
        sends=True,
        reads=size,
    )
    yield Cell("get-4k-1000", "GET 4 KiB, 1000 clients", gets(size), is_object(size), size, just=1000, reads=size)


def _large() -> Iterable[Cell]:
    size = 64 * MIB
    yield Cell("put-1m", "PUT 1 MiB", puts(MIB), stores(MIB), MIB, sends=True)
    yield Cell("get-1m", "GET 1 MiB", gets(MIB), is_object(MIB), MIB, reads=MIB)
    yield Cell("put-64m", "PUT 64 MiB", puts(size), stores(size), size, sends=True, most=4, stretch=3)
    yield Cell("get-64m", "GET 64 MiB", gets(size), is_object(size), size, most=4, stretch=3, reads=size)
    yield Cell("upload-1g", "upload of 1 GiB in parts", None, stores(PART), PARTS * PART, sends=True, most=10)
    beside = "GET 4 KiB while 4 others PUT 64 MiB"
    yield Cell(
        "get-4k-beside", beside, gets(4 * KIB), is_object(4 * KIB), 4 * KIB, beside=puts(size), stretch=2, reads=4 * KIB
    )


def _in_buckets(bucket: str, size: str) -> Iterable[Cell]:
    among = puts_among(bucket)
    yield Cell(f"put-4k-{bucket}", f"PUT 4 KiB among {size} keys", among, stores(4 * KIB), 4 * KIB, True, bucket=bucket)
    yield from _listings(bucket, size)


def catalogue(stock: Stock) -> dict[str, Cell]:
    """All cells by name, in the order in which they run: listings last, because some servers go on walking through
    their directories when the client has left."""
    cells = [*_small(), *_large(), *_in_buckets("small", f"{stock.small:,}")]
    if stock.large:
        cells += _in_buckets("large", f"{stock.large:,}")
    return {cell.name: cell for cell in cells}
