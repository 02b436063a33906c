"""The table: what our server does, alone or beside another one.

    python -m benchmarks
    python -m benchmarks --against http://127.0.0.1:7000 --access-key KEY --secret-key SECRET --pid 4711 --name other

The first starts a server of its own in a temporary directory, loads it with every cell, and prints throughput, latency,
what a request costs the server's processes in CPU, and the most memory they had. The second runs each cell on both
servers in turn (ours, theirs, then theirs, ours …), so that what disturbs the machine disturbs both, and prints the
ratios of the pairs. Three rounds; medians, with the least and the most.

The buckets that it makes on the other server, bench-…, stay there. A table with all cells takes about half an hour a
server, and 40 GB of disk; --quick is a look at it in two minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from attrs import define, field

from benchmarks.cells import Cell, Setting, catalogue, settings_of
from benchmarks.generators import LoadFailed
from benchmarks.measuring import Processes
from benchmarks.pictures import picture
from benchmarks.places import existing
from benchmarks.report import block, text
from benchmarks.results import Results, Row
from benchmarks.runs import Runner
from benchmarks.scene import MIB, Side, Stock
from benchmarks.servers import own_server, side
from benchmarks.stocking import StockFailed, stock_up
from post3tw.wire.signer import Signer


@define
class Table:
    """The rounds of a table.

    Attributes:
        sides: ours, and the other if there is one.
        runner: runs the cells.
        rows: with what is known so far.
        about: of the run.
        idle: memory of the sides before anything else.
    """

    sides: Sequence[Side]
    runner: Runner
    rows: dict[str, tuple[Cell, Row]]
    about: dict[str, str]
    idle: dict[str, float | None] = field(factory=dict)

    def prepare(self) -> None:
        """Let the servers come to rest, see what they take idle, and put the stock there."""
        stock = self.runner.stock
        cells = [cell for cell, _ in self.rows.values()]
        sizes = sorted({cell.reads for cell in cells if cell.reads})
        listed = [bucket for bucket in ("small", "large") if any(cell.bucket == bucket for cell in cells)]
        self.runner.everybody.settle()
        for one in self.sides:
            self.idle[one.name] = one.processes.resident()
        for one in self.sides:
            stock_up(one, stock, sizes, listed)

    def run(self, rounds: int) -> None:
        """Run every cell so many times on every side. A side that has no result for a cell is not asked again."""
        for number in range(1, rounds + 1):
            order = self.sides if number % 2 else list(reversed(self.sides))
            for cell, row in self.rows.values():
                for one in order:
                    if row.setting.scheme not in one.accounts:
                        continue
                    there = row.sides.setdefault(one.name, [])
                    if not row.wrong(one.name):
                        there.append(self.runner.run(cell, row.setting, one, mark_of(cell, row.setting, number)))
                lines = block(row, [one.name for one in self.sides])
                print(f"round {number}", *lines, sep="\n", file=sys.stderr, flush=True)

    def results(self) -> Results:
        """What is known so far."""
        rows = [row for _, row in self.rows.values() if any(row.sides.values())]
        return Results(self.about, [one.name for one in self.sides], self.idle, rows)


def mark_of(cell: Cell, setting: Setting, number: int) -> str:
    """The part of keys that keeps what is written apart from other runs; large objects are written over and over."""
    if cell.moved >= MIB or cell.beside is not None:
        return "large"
    return f"{cell.name}-{setting.scheme}-{setting.style}-{setting.clients}-{number}"


def about(options: argparse.Namespace) -> dict[str, str]:
    """When, where and how, for the head of the table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    software = f"Linux {platform.release()}, Python {platform.python_version()}"
    return {
        "when": datetime.now(UTC).strftime("%-d %B %Y %H:%M UTC"),
        "where": f"{os.cpu_count()} cores, {memory:.0f} GiB, {software}",
        "how": f"{options.rounds} rounds, {options.seconds:g} s a cell, {options.keys:,} keys",
    }


def listed(value: str) -> list[str]:
    """Of an option: names with commas between."""
    return [name for name in value.split(",") if name]


def counts(value: str) -> list[int]:
    """Of an option: numbers with commas between."""
    return [int(name) for name in listed(value)]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    other = parser.add_argument_group("the other server")
    other.add_argument(
        "--against", action="append", default=[], metavar="URL", help="where it listens; both http and https"
    )
    other.add_argument("--access-key", default="bench")
    other.add_argument("--secret-key", default="benchsecret")
    other.add_argument("--region", default="us-east-1")
    other.add_argument(
        "--pid", type=counts, default=[], help="its processes, commas between; without, no CPU and memory"
    )
    other.add_argument("--name", default="other")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--cells", type=listed, default=["*"], help="names or patterns; --list shows them")
    what.add_argument("--list", action="store_true", help="show the cells and stop")
    what.add_argument("--clients", type=counts, default=[1, 32])
    what.add_argument("--schemes", type=listed, default=["http", "https"])
    what.add_argument("--styles", type=listed, default=["signed", "boto3"], help="see benchmarks/signing.py")
    what.add_argument("--rounds", type=int, default=3)
    what.add_argument("--seconds", type=float, default=4.0, help="of a cell; three times that for 64 MiB")
    what.add_argument("--keys", type=int, default=6000, help="objects of 4 KiB")
    what.add_argument("--small", type=int, default=10_000, help="keys of the smaller bucket that is listed")
    what.add_argument("--large", type=int, default=1_000_000, help="keys of the larger one; 0 for none")
    what.add_argument("--quick", action="store_true", help="one short round over http with 32 clients, no large bucket")
    how = parser.add_argument_group("how")
    how.add_argument("--directory", type=existing, help="where our server has its data; default: a temporary directory")
    how.add_argument("--server-option", action="append", default=[], metavar="--X=Y", help="for our server; repeatable")
    how.add_argument("--stock", help="a name of buckets; those of an earlier table are used again")
    how.add_argument("--processes", type=int, default=0, help="of the load; default: half of the cores")
    how.add_argument("--json", type=Path, help="write the results to this file")
    how.add_argument("--picture", type=Path, help="draw them into this file, SVG")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.large = 1, min(options.seconds, 1.0), 0
        options.clients, options.schemes, options.styles = [32], ["http"], ["signed"]
    return options


def rows(options: argparse.Namespace, stock: Stock, sides: Sequence[Side]) -> dict[str, tuple[Cell, Row]]:
    """The rows that are wanted, empty, by label."""
    chosen: dict[str, tuple[Cell, Row]] = {}
    schemes = [scheme for scheme in options.schemes if any(scheme in one.accounts for one in sides)]
    for cell in catalogue(stock).values():
        if any(fnmatch(cell.name, pattern) for pattern in options.cells):
            for setting in settings_of(cell, schemes, options.styles, options.clients):
                row = Row(cell.name, cell.title, setting)
                chosen[row.label] = (cell, row)
    return chosen


def measure(options: argparse.Namespace, stock: Stock) -> Results:
    """Start our server, and run the table; what there is when it is interrupted."""
    with ExitStack() as stack:
        sides = []
        if options.against:
            signer = Signer(options.access_key, options.secret_key, options.region)
            sides.append(side(options.name, options.against, signer, options.pid))
        sides.insert(0, stack.enter_context(own_server(options.directory, options.server_option)))
        everybody = Processes([pid for one in sides for pid in one.processes.pids])
        runner = Runner(stock, options.seconds, everybody, options.processes)
        table = Table(sides, runner, rows(options, stock, sides), about(options))
        try:
            table.prepare()
            table.run(options.rounds)
        except KeyboardInterrupt:
            print("interrupted: the rounds so far", file=sys.stderr)
        return table.results()


def main(arguments: Sequence[str]) -> None:
    """The command."""
    options = parse(arguments)
    stock = Stock(options.stock or f"bench-{int(time.time())}", options.keys, options.small, options.large)
    if options.list:
        print(*(f"{cell.name:24}{cell.title}" for cell in catalogue(stock).values()), sep="\n")
        return
    for pattern in options.cells:
        if not any(fnmatch(name, pattern) for name in catalogue(stock)):
            raise SystemExit(f"--cells: no cell is called {pattern}; --list shows them")
    # Whoever ends it, by SIGTERM too or from a script, whose background processes ignore SIGINT, is shown the rounds so
    # far, and our server ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        results = measure(options, stock)
    except (StockFailed, LoadFailed, OSError, ValueError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    print(text(results))
    if options.json:
        options.json.write_text(results.to_json())
    if options.picture:
        options.picture.write_text(picture([results]))
