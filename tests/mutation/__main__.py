"""Mutation score: `python -m tests.mutation [MODULE …]`, such as `wire.sigv4`; without one, all of them.

Prints each mutant that no test noticed, a line for each module and one for all. The exit status is 1 when a module is
below 90 %. Mutants that differ in nothing that anybody could notice are listed, with the reason, in equivalent.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.mutation.judging import Suspect, Verdict, judge_all, rehearse
from tests.mutation.mutants import mutants
from tests.mutation.suspects import SUSPECTS

GOAL = 0.9
_EQUIVALENT = Path(__file__).parent / "equivalent.txt"


def equivalents(name: str) -> set[str]:
    """The mutants of a module that are no mutants; lines are `MODULE: TEXT  ~ CHANGE`."""
    lines = _EQUIVALENT.read_text().splitlines()
    return {line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: ")}


def score(name: str, suspect: Suspect, jobs: int, sample: int) -> tuple[int, int]:
    """Judge the mutants of a module; how many were noticed, and of how many."""
    suspect.prepare()
    rehearsal = rehearse(suspect)
    known = equivalents(name)
    every = [mutant for mutant in mutants(suspect.source()) if mutant.name not in known][::sample]
    codes = [suspect.code(mutant.tree) for mutant in every]
    verdicts: Counter[Verdict] = Counter()
    began = time.monotonic()

    def told(number: int, verdict: Verdict) -> None:
        verdicts[verdict] += 1
        if verdict is Verdict.SURVIVED:
            print(f"survived: {name}:{every[number].line}: {every[number].what}", flush=True)

    judge_all(suspect, codes, told, jobs, rehearsal)
    noticed = len(every) - verdicts[Verdict.SURVIVED]
    print(
        f"{name}: {noticed} of {len(every)} noticed ({noticed / max(1, len(every)):.1%}), "
        f"{verdicts[Verdict.TIMED_OUT]} by time, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return noticed, len(every)


def main(arguments: list[str]) -> int:
    """Score modules."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", choices=[*SUSPECTS, []], help="without post3tw in front")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants judged at a time")
    parser.add_argument("--sample", type=int, default=1, help="only one mutant in so many")
    options = parser.parse_args(arguments)
    found = all_of_them = 0
    low = []
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)  # tests leave their files where they are run
        for name in options.module or SUSPECTS:
            noticed, count = score(name, SUSPECTS[name], options.jobs, options.sample)
            found, all_of_them = found + noticed, all_of_them + count
            if noticed < GOAL * count:
                low.append(name)
        os.chdir("/")
    print(f"all: {found} of {all_of_them} noticed ({found / max(1, all_of_them):.1%}); below the goal: {low or 'none'}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
