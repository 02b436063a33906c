"""Fuzz the parsers: `python -m tests.fuzz --minutes N [--target NAME …]`.

Prints a line for each target and one for all runs ever, which runs.json adds up. Inputs that lead somewhere new are
kept in the corpus, finds as well. The exit status is 1 when there was a find.
"""

from __future__ import annotations

import argparse
import sys
from random import Random

from tests.fuzz.engine import Fuzzer, Target
from tests.fuzz.kept import Ledger, corpus, keep
from tests.fuzz.targets import TARGETS


def fuzz(target: Target, seconds: float, seed: int, *, keeps: bool) -> bool:
    """Run one target and say how it went; whether nothing was found."""
    fuzzer = Fuzzer(target, Random(f"{seed} {target.name}"))
    fuzzer.run(seconds, corpus(target.name))
    finds = fuzzer.finds.values()
    if keeps:
        count = keep(target.name, [*fuzzer.smallest(), *(find.data for find in finds if len(find.data) < 4096)])
        Ledger().add(target.name, fuzzer.executions, fuzzer.seconds, len(finds))
    else:
        count = len(corpus(target.name))
    print(
        f"{target.name}: {fuzzer.executions} inputs in {fuzzer.seconds:.1f} CPU s, "
        f"{len(fuzzer.edges.all)} edges, {count} kept, {len(finds)} finds",
        flush=True,
    )
    for find in finds:
        print(f"FIND {target.name} {find.data[:300]!r} ({len(find.data)} bytes)\n{find.reason}", flush=True)
    return not finds


def main(arguments: list[str]) -> int:
    """Fuzz each target for its share of the time."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of processor time, for all targets together")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="one of them; several times")
    parser.add_argument("--seed", type=int, default=None, help="to see a run again")
    parser.add_argument("--dry", action="store_true", help="keep nothing, count nothing")
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    seed = Random().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    share = options.minutes * 60 / len(names)
    sound = [fuzz(TARGETS[name], share, seed, keeps=not options.dry) for name in names]
    total = Ledger().total()
    print(f"all runs: {total.executions} inputs, {total.cpu_seconds / 3600:.2f} CPU hours, {total.finds} finds")
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
