"""Drawing in SVG: lines of dots with ranges, on a logarithmic axis. Knows nothing of what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby

from attrs import frozen

COLOURS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#0891b2")
_LEFT, _RIGHT, _TOP, _WIDTH = 430, 110, 84, 1000
_LINE, _GAP = 20, 12
_STYLE = (
    "text{font:12px ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#334155}"
    ".head{font-size:18px;font-weight:600;fill:#0f172a}.cell{font-weight:600;fill:#0f172a}.faint{fill:#94a3b8}"
)


@frozen
class Axis:
    """A logarithmic axis from `least` to `most`."""

    least: float
    most: float

    def x(self, value: float) -> float:
        """Where a value is."""
        part = math.log(value / self.least) / math.log(self.most / self.least)
        return _LEFT + min(1.0, max(0.0, part)) * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        """Round values, close enough to be read and no closer."""
        wide = self.most / self.least > 2000
        steps = (1,) if wide else (1, 2, 5)
        decades = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        made = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in made if self.least * 0.999 <= value <= self.most * 1.001]


@frozen
class Dot:
    """A figure in a line of the picture: a value, a range, a colour."""

    value: float
    least: float
    most: float
    colour: str


@frozen
class Line:
    """A cell in a setting: its figures, and what stands at the right."""

    title: str
    setting: str
    dots: list[Dot]
    note: str


def draw(title: str, side: str, names: Sequence[str], lines: Sequence[Line], middle: float | None) -> str:
    """The picture.

    Args:
        title: above it.
        side: whose notes stand at the right.
        names: of the colours, for the legend.
        lines: those with the same title, one after the other, are shown together.
        middle: the value in the middle of the axis, right of which it is better; None: there is none.
    """
    values = [value for line in lines for dot in line.dots for value in (dot.least, dot.most)] or [1.0]
    if middle is not None:
        values += [middle / 2, middle * 2]
    axis = Axis(min(values) / 1.2, max(values) * 1.2)
    body: list[str] = []
    y = _TOP + 8.0
    for cell, members in groupby(lines, lambda line: line.title):
        body.append(f'<text class="cell" x="20" y="{y + 14:.0f}">{escape(cell)}</text>')
        for line in members:
            body += line_of(line, axis, y + 10)
            y += _LINE
        y += _GAP
    height = y + 24
    frame = [*grid(axis, middle, height - 24), *legend(names)]
    frame.append(f'<text class="faint" x="{_WIDTH - 20}" y="{_TOP - 8}" text-anchor="end">{escape(side)}</text>')
    head = f'<text class="head" x="20" y="34">{escape(title)}</text>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height:.0f}" rx="10" fill="#ffffff"/>',
            *(head, *frame, *body, "</svg>", ""),
        ]
    )


def line_of(line: Line, axis: Axis, y: float) -> list[str]:
    """One line: setting, dots with their ranges, note."""
    made = [f'<text class="faint" x="{_LEFT - 14}" y="{y + 4:.0f}" text-anchor="end">{escape(line.setting)}</text>']
    for dot in line.dots:
        least, most = axis.x(dot.least), axis.x(dot.most)
        made.append(
            f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{y:.0f}" y2="{y:.0f}" stroke="{dot.colour}" stroke-width="3" '
            f'stroke-linecap="round" opacity=".35"/>'
            f'<circle cx="{axis.x(dot.value):.1f}" cy="{y:.0f}" r="4.5" fill="{dot.colour}"/>'
        )
    made.append(f'<text x="{_WIDTH - 20}" y="{y + 4:.0f}" text-anchor="end">{escape(line.note)}</text>')
    return made


def grid(axis: Axis, middle: float | None, bottom: float) -> list[str]:
    """Lines at round values; where there is a middle, the side on which we are faster is tinted."""
    made = []
    if middle is not None:
        x = axis.x(middle)
        width, height = _WIDTH - _RIGHT - x, bottom - _TOP
        made.append(f'<rect x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{height:.0f}" fill="#ecfdf5"/>')
    for value in axis.ticks():
        x, bold = axis.x(value), value == middle
        colour, width = ("#64748b", 1.5) if bold else ("#e2e8f0", 1)
        made.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom:.0f}" stroke="{colour}" stroke-width="{width}"/>'
            f'<text class="faint" x="{x:.1f}" y="{_TOP - 8}" text-anchor="middle">{value:g}</text>'
        )
    return made


def legend(names: Sequence[str]) -> list[str]:
    """Which colour is whom."""
    made, x = [], 24.0
    for name, colour in zip(names, COLOURS, strict=False):
        made.append(
            f'<circle cx="{x:.0f}" cy="57" r="4.5" fill="{colour}"/><text x="{x + 10:.0f}" y="61">{escape(name)}</text>'
        )
        x += 34 + 7 * len(name)
    return made
