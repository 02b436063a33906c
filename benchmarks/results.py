"""The results of a table as values, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from attrs import asdict, define, field, frozen

from benchmarks.cells import Setting
from benchmarks.figures import Spread, ratios, spread
from benchmarks.runs import Measured


@define
class Row:
    """A cell in a setting: what each side came to, round by round.

    Attributes:
        name: of the cell.
        title: of the cell.
        setting: of it.
        sides: by name of the side, one for each round.
    """

    name: str
    title: str
    setting: Setting
    sides: dict[str, list[Measured]] = field(factory=dict)

    @property
    def label(self) -> str:
        """Name and setting, as the table shows them."""
        style = " boto3" if self.setting.style == "boto3" else ""
        return f"{self.name} {self.setting.scheme}{style} {self.setting.clients}"

    def wrong(self, side: str) -> str:
        """Why a side has no result: the first round that went wrong. Empty if it has one."""
        return next((measured.wrong for measured in self.sides.get(side, ()) if measured.wrong), "")

    def figure(self, side: str, name: str) -> Spread | None:
        """An attribute of Measured, over the rounds; None where it is not known, or there is no result."""
        if self.wrong(side):
            return None
        return spread(getattr(measured, name) for measured in self.sides.get(side, ()))

    def ratio(self, first: str, second: str, name: str) -> Spread | None:
        """First over second of an attribute, pair by pair."""
        if not {first, second} <= self.sides.keys() or self.wrong(first) or self.wrong(second):
            return None
        halves = [[getattr(measured, name) for measured in self.sides[side]] for side in (first, second)]
        return ratios(*halves)


@frozen
class Results:
    """All of it.

    Attributes:
        about: of the run: when, where, how long; for people.
        sides: names, ours first.
        idle: MiB resident of each side before the first cell, where known.
        rows: in order.
    """

    about: dict[str, str]
    sides: Sequence[str]
    idle: dict[str, float | None]
    rows: list[Row]

    def to_json(self) -> str:
        """As text; `from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        read: dict[str, Any] = json.loads(text)
        rows = [
            Row(
                row["name"],
                row["title"],
                Setting(**row["setting"]),
                {side: [Measured(**measured) for measured in rounds] for side, rounds in row["sides"].items()},
            )
            for row in read["rows"]
        ]
        return cls(read["about"], read["sides"], read["idle"], rows)
