"""Power-cut replay: `python -m tests.durability.powercut --states 100000`.

Records a real server under strace while clients write to it, and tries after each of its system calls what a power cut
would leave (`disk`, `states`): recovery, the sweeper, `integrity_check`, and every acknowledged write with its bytes
and metadata. Exit status 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tests.durability.recording import TUNED, Recorder, require_strace
from tests.durability.replay import Report, replay
from tests.durability.workload import Person, Unexpected
from tests.hostile.raw import Client

_NOBODY = Client("http://127.0.0.1:1", "", "")
PEOPLE = 3


def recorder_in(directory: Path, random: Random, patches: Sequence[str] = TUNED, inject: str = "") -> Recorder:
    """A recorder with some clients."""
    recorder = Recorder(directory, patches, inject)
    recorder.people += [Person(_NOBODY, f"p{n}", Random(random.random())) for n in range(PEOPLE)]
    return recorder


def record_everything(recorder: Recorder, deeds: int) -> None:
    """A first start, all kinds of requests, a kill, a start on what it left, more requests, and an orderly end."""
    with recorder.run(kill=True) as client:
        recorder.people[0].client = client
        recorder.people[0].prepare()
        recorder.work(client, deeds)
    with recorder.run() as client:
        recorder.work(client, deeds)


def record_workers(recorder: Recorder, deeds: int) -> None:
    """Two processes on one store, all kinds of requests, and an orderly end."""
    recorder.workers = 2
    with recorder.run() as client:
        recorder.people[0].client = client
        recorder.people[0].prepare()
        recorder.work(client, 2 * deeds)


def record_migration(recorder: Recorder, deeds: int) -> None:
    """A start on the index of an older release, and some requests."""
    with recorder.run() as client:
        recorder.people[0].client = client
        recorder.people[0].prepare()
        recorder.work(client, deeds)
    recorder.begin_with_an_older_schema()
    with recorder.run(kill=True) as client:
        recorder.work(client, 1)


def episode(seed: int, number: int, deeds: int) -> Report:
    """One recording, and its replay."""
    random = Random(f"{seed}-{number}")
    with tempfile.TemporaryDirectory(prefix="post3-recording-") as directory:
        recorder = recorder_in(Path(directory), random)
        record = (record_everything, record_workers, record_everything, record_migration)[number % 4]
        try:
            record(recorder, deeds)
        except Unexpected as error:
            return Report(violations=[f"{record.__name__}: {error}\n{''.join(error.__notes__)}"])
        report = replay(recorder, random)
        if report.violations:
            report.violations[0] += "".join(f"\n    {line}" for line in leading_to(report.violations[0], recorder))
        return report


def leading_to(violation: str, recorder: Recorder) -> list[str]:
    """The operations shortly before a violation, and all on the blobs that it names: what to look at first."""
    names, operations = re.findall(r"\b[0-9a-f]{32}\b", violation), enumerate(recorder.trace.operations, 1)
    last = int(violation.split()[1])
    told = [(number, f"{operation!r:.200}") for number, operation in operations]
    return [
        f"{number} {text}" for number, text in told if last - 40 < number <= last or any(name in text for name in names)
    ]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability.powercut", description=__doc__)
    parser.add_argument("--states", type=int, default=20_000, help="how many states to try at least")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--deeds", type=int, default=12, help="requests of each client in one run of the server")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="say from time to time how far it is")
    options = parser.parse_args()
    require_strace()
    total, number, began = Report(), 0, time.monotonic()
    with get_context("spawn").Pool(options.jobs) as pool:
        while total.states < options.states:
            batch = [(options.seed, number + n, options.deeds) for n in range(options.jobs)]
            number += len(batch)
            for report in pool.starmap(episode, batch):
                total.add(report)
                sys.stdout.writelines(violation + "\n" for violation in report.violations[:20])
                sys.stdout.flush()
            if options.verbose:
                sys.stdout.write(f"{total.states} states, {len(total.violations)} violations\n")
                sys.stdout.flush()
        pool.close()
        pool.join()
    seconds = time.monotonic() - began
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    sys.stdout.write(
        f"powercut: {total.states} states ({total.distinct} distinct) after {total.operations} system calls of"
        f" {total.answers} acknowledged requests in {number} recordings, seed {options.seed}:"
        f" {len(total.violations)} violations; {seconds:.0f} s, {used:.0f} CPU s\n"
    )
    sys.exit(1 if total.violations else 0)


if __name__ == "__main__":
    main()
