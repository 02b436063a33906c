"""Soak: a server under mixed load for as long as one likes, killed now and then, scrubbing all the time.

    python -m tests.durability.soak [--minutes 60] [--kills 10] [--json FILE] [--server-option=… …]

The clients of the kill loop write, and as many read at random; every `--kills` minutes the server is killed and started
again, and everything is compared with the ledgers. Every five seconds the resident memory and the descriptors of each
of its processes, the log of the index and the unfinished blobs are noted. The slope of the memory is that of straight
lines through the second half of each life, in MiB an hour: the first half fills caches. In the end nothing may be left
over that nobody refers to. Prints a line; `--json` keeps the samples too. The exit status is 1 when anything was lost,
or a figure is beyond its limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from threading import Event, Thread

from attrs import asdict, define, field, frozen

from tests.durability.kills import KillLoop
from tests.durability.simulation import say

INTERVAL = 5.0
"""Seconds between two samples."""

MIB = 1 << 20
MOST_WAL = 64 * MIB
MOST_SLOPE = 60.0
"""MiB an hour, all processes together. A measurement of minutes is coarse; an hour's is to be near nothing."""

READERS = 4
OPTIONS = ("--scrub-interval=60s", "--scrub-rate=20MiB", "--blob-grace=60s")
"""What is being read stays for longer than a read takes, so that no answer may be cut off."""


@frozen
class Sample:
    """What was seen at one moment.

    Attributes:
        life: which life of the server it was.
        seconds: since the soak began.
        memory: resident bytes of all its processes.
        descriptors: of all its processes.
        wal: bytes of the index's log.
        unfinished: blobs in the making.
    """

    life: int
    seconds: float
    memory: int
    descriptors: int
    wal: int
    unfinished: int


def processes(root: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    return [root, *(int(child) for child in children)]


def look(pid: int, data_dir: Path, life: int, seconds: float) -> Sample:
    """A sample. Raises OSError when the server is gone."""
    memory = descriptors = 0
    for process in processes(pid):
        memory += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
        descriptors += len(list(Path(f"/proc/{process}/fd").iterdir()))
    wal = data_dir / "index.sqlite3-wal"
    unfinished = len(list((data_dir / "tmp").iterdir()))
    return Sample(life, seconds, memory, descriptors, wal.stat().st_size if wal.exists() else 0, unfinished)


def slope(samples: Sequence[Sample]) -> float:
    """How much the memory grows, in MiB an hour: one slope through the second half of every life, each with a level of
    its own (least squares)."""
    above = below = 0.0
    for life in {each.life for each in samples}:
        lived = [each for each in samples if each.life == life]
        late = lived[len(lived) // 2 :]
        if len(late) < 3:
            continue
        middle = sum(each.seconds for each in late) / len(late)
        level = sum(each.memory for each in late) / len(late)
        above += sum((each.seconds - middle) * (each.memory - level) for each in late)
        below += sum((each.seconds - middle) ** 2 for each in late)
    return above / below * 3600 / MIB if below else 0.0


@define
class Soak(KillLoop):
    """A kill loop with long lives, in which somebody looks.

    Attributes:
        samples: what was seen.
        reads: how many objects were read meanwhile.
    """

    samples: list[Sample] = field(factory=list)
    reads: int = 0
    _begin: float = field(factory=time.monotonic)

    def lifetime(self, random: Random, longest: float) -> float:
        """Lives are equally long."""
        return longest

    def live(self, seconds: float) -> None:
        """Before a kill: look now and then, and read."""
        over = Event()
        readers = [Thread(target=self._read, args=(over, Random(number))) for number in range(READERS)]
        for reader in readers:
            reader.start()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(INTERVAL, left))
            at = time.monotonic() - self._begin
            self.samples.append(look(self._server.pid, self.data_dir, len(self.restarts), at))
        over.set()
        for reader in readers:
            reader.join()
        sys.stderr.write(f"life {len(self.restarts) + 1}: {self.count} writes, {self.reads} reads\n")

    def _read(self, over: Event, random: Random) -> None:
        """Read until the life is over, on a new connection after one that broke."""
        while not over.is_set():
            try:
                self._read_on(over, random)
            except OSError as error:
                self.wrong.append(f"a read was cut off: {str(error) or repr(error)}")

    def _read_on(self, over: Event, random: Random) -> None:
        client = self._client()
        with client.connect() as line:
            while not over.wait(0.01):
                key = f"client-{random.randrange(8)}-{random.randrange(12)}"
                target = random.choice(
                    (f"/bucket/{key}", f"/versions/{key}", "/bucket?list-type=2", "/versions?versions")
                )
                line.send(client.message("GET", target))
                if (reply := line.reply()).status not in (200, 404):
                    self.wrong.append(f"GET {target}: {reply.status} {reply.code}")
                self.reads += 1


def figures(soak: Soak) -> dict[str, float]:
    """What a soak has shown."""
    descriptors = [each.descriptors for each in soak.samples] or [0]
    return {
        "kills": len(soak.restarts),
        "acknowledged writes": soak.count,
        "reads": soak.reads,
        "memory, MiB at most": round(max((each.memory for each in soak.samples), default=0) / MIB, 1),
        "slope of memory, MiB/h": round(slope(soak.samples), 1),
        "descriptors at least": min(descriptors),
        "descriptors at most": max(descriptors),
        "WAL, MiB at most": round(max((each.wal for each in soak.samples), default=0) / MIB, 1),
        "unfinished blobs at most": max((each.unfinished for each in soak.samples), default=0),
    }


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kills", type=float, default=10, help="minutes between two kills")
    parser.add_argument("--json", type=Path, help="where figures and samples are written")
    parser.add_argument("--server-option", action="append", default=[], help="repeatable")
    parser.add_argument("--seed", type=int, default=20261121)
    options = parser.parse_args(arguments)
    lives = max(1, round(options.minutes / options.kills))
    with tempfile.TemporaryDirectory(prefix="post3-soak-") as directory:
        soak = Soak(Path(directory), options.seed, (*OPTIONS, *options.server_option))
        soak.run(lives, options.minutes * 60 / lives)
    found = figures(soak)
    if found["WAL, MiB at most"] * MIB > MOST_WAL:
        soak.wrong.append("the log of the index is too long")
    if found["slope of memory, MiB/h"] > MOST_SLOPE and options.minutes >= 60:
        soak.wrong.append("the memory grows")
    for each in soak.wrong:
        say(each)
    if options.json is not None:
        shown = {"figures": found, "wrong": soak.wrong, "samples": [asdict(each) for each in soak.samples]}
        options.json.write_text(json.dumps(shown, indent=1))
    told = ", ".join(f"{name} {value}" for name, value in found.items())
    say(f"{options.minutes:g} minutes: {told}: {len(soak.wrong)} violations")
    return int(bool(soak.wrong))


if __name__ == "__main__":
    sys.exit(main())
