"""What stays of fuzzing: a corpus for each target, and a ledger of all runs.

A corpus is a text, an input a line, written as Python writes bytes, so that people can read what is in it and what a
commit adds. Every input that ever was a find is in one, for good.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from pathlib import Path

from attrs import asdict, define, frozen

HERE = Path(__file__).parent
LEDGER = HERE / "runs.json"


def corpus(target: str) -> list[bytes]:
    """The kept inputs of a target."""
    path = _path(target)
    return [ast.literal_eval(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Add inputs to a target's corpus; how many it has now."""
    every = sorted({*corpus(target), *inputs}, key=lambda data: (len(data), data))
    _path(target).write_text("".join(f"{data!r}\n" for data in every), "ascii")
    return len(every)


def _path(target: str) -> Path:
    return HERE / "corpus" / f"{target}.txt"


@define
class Tally:
    """What was run of one target, all runs together."""

    executions: int = 0
    cpu_seconds: float = 0.0
    finds: int = 0


@frozen
class Ledger:
    """All runs, by target."""

    path: Path = LEDGER

    def tallies(self) -> dict[str, Tally]:
        """What was run so far."""
        if not self.path.exists():
            return {}
        return {name: Tally(**tally) for name, tally in json.loads(self.path.read_text()).items()}

    def add(self, target: str, executions: int, seconds: float, finds: int) -> None:
        """Add a run."""
        tallies = self.tallies()
        tally = tallies.setdefault(target, Tally())
        tally.executions += executions
        tally.cpu_seconds = round(tally.cpu_seconds + seconds, 1)
        tally.finds += finds
        text = json.dumps({name: asdict(tallies[name]) for name in sorted(tallies)}, indent=1)
        self.path.write_text(text + "\n")

    def total(self) -> Tally:
        """All targets together."""
        every = self.tallies().values()
        return Tally(
            sum(tally.executions for tally in every),
            sum(tally.cpu_seconds for tally in every),
            sum(tally.finds for tally in every),
        )
