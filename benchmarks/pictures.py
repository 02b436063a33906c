"""The results as a picture: dots on a logarithmic axis, in SVG written by hand, for which no package is needed.

    python -m benchmarks picture [--clients 32] [--schemes http] [--styles signed] FILE.json … OUTPUT.svg

Beside another server, a dot is the median of the ratios of a cell, and its line goes from the least to the most of the
rounds: right of 1 we are faster. Alone, a dot is the median latency, and its line goes on to p99.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.drawing import COLOURS, Dot, Line, draw
from benchmarks.report import amount
from benchmarks.results import Results, Row


def picture(tables: Sequence[Results]) -> str:
    """Draw the results of one table, or of several, each beside another server."""
    if all(len(table.sides) == 2 for table in tables):
        names = [table.sides[1] for table in tables]
        lines = [line for line in ratio_lines(tables) if line.dots]
        ours = tables[0].sides[0]
        return draw(f"{ours}: requests a second, over those of …", ours, names, lines, middle=1.0)
    lines = latency_lines(tables[0])
    ours = tables[0].sides[0]
    return draw(f"{ours}: latency from p50 to p99, ms", ours, [], lines, middle=None)


def setting_of(row: Row) -> str:
    """How a cell was run, in words."""
    style = {"signed": "", "boto3": ", as boto3 sends"}[row.setting.style]
    return f"{row.setting.scheme}{style}, {row.setting.clients} client{'s' if row.setting.clients > 1 else ''}"


def throughput(row: Row, side: str) -> str:
    """What a side did in a second: bytes where a request moves a MiB and more, else requests."""
    rate, mebibytes = row.figure(side, "rate"), row.figure(side, "mebibytes")
    if rate is None:
        return ""
    if mebibytes is not None and mebibytes.median >= rate.median * 0.99:
        return f"{amount(mebibytes.median)} MiB/s"
    return f"{amount(rate.median)}/s"


def ratio_lines(tables: Sequence[Results]) -> list[Line]:
    """A line for each cell of the first table, with a dot for each table."""
    lines = []
    for row in tables[0].rows:
        dots = []
        for table, colour in zip(tables, COLOURS, strict=False):
            same = next((other for other in table.rows if other.label == row.label), None)
            ratio = None if same is None else same.ratio(table.sides[0], table.sides[1], "rate")
            if ratio is not None:
                dots.append(Dot(ratio.median, ratio.least, ratio.most, colour))
        lines.append(Line(row.title, setting_of(row), dots, throughput(row, tables[0].sides[0])))
    return lines


def latency_lines(table: Results) -> list[Line]:
    """A line for each cell, with the latencies of our server."""
    lines = []
    for row in table.rows:
        p50, p99 = (row.figure(table.sides[0], name) for name in ("p50", "p99"))
        if p50 is not None and p99 is not None:
            dots = [Dot(p50.median, p50.median, p99.median, COLOURS[0])]
            lines.append(Line(row.title, setting_of(row), dots, throughput(row, table.sides[0])))
    return lines


def main(arguments: Sequence[str]) -> None:
    """The command: draw what tables have written."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks picture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("clients", "schemes", "styles"):
        parser.add_argument(f"--{name}", type=lambda value: value.split(","), help="only these, commas between")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    tables = [Results.from_json(file.read_text()) for file in options.files]
    wanted = {"clients": options.clients, "scheme": options.schemes, "style": options.styles}
    for table in tables:
        for name, values in wanted.items():
            if values is not None:
                table.rows[:] = [row for row in table.rows if str(getattr(row.setting, name)) in values]
    options.output.write_text(picture(tables))
