"""A flame graph of stacks that a sampling profiler collected.

    py-spy record --format raw --output stacks.txt --pid PID
    python -m benchmarks flames stacks.txt dataReceived > graph.svg

Each line of the input is a stack, outermost frame first, `;` between frames, and how often it was seen. Of each stack
what lies above the first frame with the given word in it is shown; stacks without it are left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from attrs import define, field

WIDTH, ROW, LEAST = 1200.0, 17, 0.4
"""Pixels: of the picture, of a row, and of the narrowest box that is drawn."""

_COLOURS = {"post3tw/": "#e8a05c", "<attrs": "#e8c95c", "twisted/": "#8fb8de"}
_PLACE = re.compile(r"\((.*?)(?::\d+)?\)$")


@define
class Frame:
    """A function as it was called from one place: how often it was seen there, and what it called."""

    seen: int = 0
    calls: dict[str, Frame] = field(factory=dict)

    def add(self, names: Iterable[str], count: int) -> None:
        """Count a stack that goes on from here."""
        frame = self
        frame.seen += count
        for name in names:
            frame = frame.calls.setdefault(name, Frame())
            frame.seen += count

    @property
    def depth(self) -> int:
        """Rows above this one."""
        return 1 + max((frame.depth for frame in self.calls.values()), default=0)


def read_stacks(lines: Iterable[str], word: str) -> Frame:
    """The tree of all stacks, from the first frame that has the word."""
    root = Frame()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        names = [_PLACE.sub(r"(\1)", name) for name in stack.split(";")]
        start = next((place for place, name in enumerate(names) if word in name), None)
        if start is not None:
            root.add(names[start:], int(count))
    return root


def _boxes(frame: Frame, left: float, row: int, scale: float) -> Iterator[tuple[str, int, float, int]]:
    for name, called in sorted(frame.calls.items()):
        if called.seen * scale >= LEAST:
            yield name, called.seen, left, row
            yield from _boxes(called, left, row + 1, scale)
        left += called.seen * scale


def picture(root: Frame) -> str:
    """The graph as SVG: callers below, the width of a box is its share of the time."""
    height, scale = root.depth * ROW, WIDTH / max(root.seen, 1)
    drawn = []
    for name, seen, left, row in _boxes(root, 0.0, 0, scale):
        width, top = seen * scale, height - (row + 1) * ROW
        colour = next((colour for part, colour in _COLOURS.items() if part in name), "#c9c9c9")
        text = name if len(name) * 6.2 < width else name.partition(" ")[0]
        shown = escape(text) if len(text) * 6.2 < width else ""
        drawn.append(
            f'<g><title>{escape(name)}: {100 * seen / root.seen:.1f} %</title><rect x="{left:.1f}" y="{top}"'
            f' width="{max(width - 0.3, 0.2):.1f}" height="{ROW - 1}" fill="{colour}"/>'
            f'<text x="{left + 2:.1f}" y="{top + 12}">{shown}</text></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height}" font-family="monospace"'
        f' font-size="10">\n{chr(10).join(drawn)}\n</svg>\n'
    )


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks flames", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stacks", type=Path)
    parser.add_argument("word")
    options = parser.parse_args(arguments)
    with options.stacks.open(encoding="utf-8") as stacks:
        sys.stdout.write(picture(read_stacks(stacks, options.word)))
