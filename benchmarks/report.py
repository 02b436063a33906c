"""The table as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Spread
from benchmarks.results import Results, Row

LIMIT = 0.9
"""A load generator that is busier than this was the limit, or near it."""

_HEADER = f"{'':32}{'':14}{'requests/s':>12}{'':>21}{'MiB/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>11}{'MiB':>7}"


def text(results: Results) -> str:
    """The whole table, a block for each cell."""
    lines = [f"{name}: {value}" for name, value in results.about.items()]
    lines += [f"{side}, idle: {amount(idle)} MiB resident" for side, idle in results.idle.items() if idle is not None]
    lines += ["", _HEADER]
    for row in results.rows:
        lines += block(row, results.sides)
    return "\n".join([*lines, "", *remarks(results)])


def block(row: Row, sides: Sequence[str]) -> list[str]:
    """The lines of a cell: each side, and, of two, their ratio."""
    lines = [side_line(row, side) for side in sides if row.sides.get(side)]
    if len(lines) == 2 and (ratio := row.ratio(sides[0], sides[1], "rate")) is not None:
        p99, cpu = (row.ratio(sides[0], sides[1], name) for name in ("p99", "cpu"))
        lines.append(
            f"{'ratio':14}{ratio.median:>12.2f}{between(ratio, 2):>21}{'':18}{of(p99, 2):>9}{of(cpu, 2):>11}".rstrip()
        )
    return [f"{row.label if not number else '':32}{line}" for number, line in enumerate(lines)]


def side_line(row: Row, side: str) -> str:
    """One side of a cell."""
    if wrong := row.wrong(side):
        return f"{side:14}  no result: {wrong[:100]}"
    rate, busy = row.figure(side, "rate"), row.figure(side, "busy")
    if rate is None:
        return f"{side:14}  no result"
    limit = "*" if busy is not None and busy.median > LIMIT else " "
    mebibytes, p50, p99, cpu, peak = (row.figure(side, name) for name in ("mebibytes", "p50", "p99", "cpu", "peak"))
    return (
        f"{side:14}{amount(rate.median):>12}{limit}{between(rate):>20}{of(mebibytes):>9}"
        f"{of(p50):>9}{of(p99):>9}{of(cpu):>11}{of(peak):>7}"
    )


def remarks(results: Results) -> list[str]:
    """What has to be said below the table."""
    said = ["Medians (least – most of the rounds); CPU of all processes of the server, user and system, a request."]
    if len(results.sides) == 2:
        said.append(
            f"Ratios: {results.sides[0]} over {results.sides[1]}, pair by pair; of p99 and CPU, less is better."
        )
    if any((busy := row.figure(side, "busy")) and busy.median > LIMIT for row in results.rows for side in row.sides):
        said.append("*: the load generator was busy for more than nine tenths of the time, so the server may do more.")
    return [*said, *growth(results)]


def growth(results: Results) -> list[str]:
    """What a request costs in the large bucket, as a multiple of the small one."""
    lines = []
    by_label = {row.label: row for row in results.rows}
    for label, large in by_label.items():
        small = by_label.get(label.replace("-large", "-small", 1))
        if small is None or small is large:
            continue
        for side in results.sides:
            name = "cpu" if large.figure(side, "cpu") else "p50"
            pair = large.figure(side, name), small.figure(side, name)
            if pair[0] is not None and pair[1] is not None and pair[1].median:
                cost = {"cpu": "CPU", "p50": "time"}[name]
                lines.append(
                    f"{label}, {side}: {pair[0].median / pair[1].median:.2f} of the {cost} in the small bucket"
                )
    return lines


def amount(value: float) -> str:
    """A number with three digits that matter, more where there are more before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def of(figure: Spread | None, digits: int | None = None) -> str:
    """The median of a figure, or a dash."""
    if figure is None:
        return "–"
    return amount(figure.median) if digits is None else f"{figure.median:.{digits}f}"


def between(figure: Spread, digits: int | None = None) -> str:
    """Least and most of a figure."""
    least, most = (amount(value) if digits is None else f"{value:.{digits}f}" for value in (figure.least, figure.most))
    return f"({least} – {most})"
