"""kill -9 at any moment: what was acknowledged is there afterwards, what was deleted stays away, nothing is left over.

    python -m tests.durability.kills [--kills 200] [--objects 1000000] [--server-option=--workers=1 …] [--seed N]

Eight clients write (objects of all sizes, versions, copies, tags, deletes of one and of many, uploads in parts) until
the server is killed, at a random moment; each keeps a ledger outside it. After each restart every key, version, body,
tag and listing is compared, and the index with the files, both ways. In the end the sweeper runs a day later, and only
what somebody refers to may be left. With `--objects` the server has as many more objects, and the times from the start
of the process to the first object that it serves are those of a full store.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from threading import Event, Thread

from attrs import define, field

from benchmarks.listing import fill
from benchmarks.listing import keys as many_keys
from post3tw.model.bucket import Bucket
from post3tw.storage.index.transactions.buckets import create_bucket
from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.durability.scheduler import Scheduler
from tests.durability.simulation import say
from tests.durability.sound import accidents
from tests.durability.version_ledger import BUCKET, VersionWriter
from tests.durability.world import World
from tests.hostile.raw import Client

CLIENTS = 8
PATIENCE = 300.0
"""Seconds that a start may take: long runs are for machines that have other work, too. How long it took is told."""
_VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


def stock(directory: Path, count: int) -> None:
    """Put many objects into the index of a store that nobody serves yet."""
    world = World(directory, Scheduler(None, start=time.time()), Random(1))
    world.start()
    bucket, index = Bucket(1, "", "stock", "root", "root", 0, "us-east-1"), world.store.index
    world.scheduler.run(index.run(lambda tx: create_bucket(tx, bucket)))
    world.scheduler.run(fill(index, bucket, many_keys(count)))  # type: ignore[arg-type]
    world.stop()


def sweep(directory: Path) -> None:
    """Let the sweeper do its work, a day later."""
    world = World(directory, Scheduler(None, start=time.time() + 86_400), Random(2))
    world.start()
    for _ in range(2):
        world.scheduler.run(world.sweep.run())
        world.scheduler.rightNow += 3600
    world.stop()


@define
class KillLoop:
    """A server that dies and is started again on the same data, over and over.

    Attributes:
        directory: for everything.
        seed: decides what the clients do and when the server dies.
        options: of the server.
        objects: how many it has beforehand.
        whole_every: after how many kills every row is compared with every other and with the files; what clients
            wrote is compared after each.
        restarts: seconds from each start to the first object that was served.
    """

    directory: Path
    seed: int
    options: Sequence[str] = ()
    objects: int = 0
    whole_every: int = 1
    restarts: list[float] = field(factory=list)
    writers: list[VersionWriter] = field(factory=list)
    wrong: list[str] = field(factory=list)
    _server: RunningServer = field(init=False)

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its data: what a World takes for its first life."""
        return self.directory / "life-0"

    @property
    def count(self) -> int:
        """How many writes were acknowledged."""
        return sum(writer.ledger.count for writer in self.writers)

    def run(self, kills: int, longest: float) -> None:
        """Do it so many times; writers have `longest` seconds at most in between. Findings are in `wrong`."""
        if self.objects:
            stock(self.directory, self.objects)
        try:
            self._die_often(kills, longest)
        except ServerNotRunning as error:
            self.wrong.append(f"it did not start again, or not stop: {str(error)[-2000:]}")
            return
        sweep(self.directory)
        self.wrong += accidents(self.data_dir, swept=True)
        self.wrong += [f"refused: {each}" for writer in self.writers for each in writer.refused]
        if "Traceback" in self._server.output:
            self.wrong.append(self._server.output[self._server.output.index("Traceback") :][:2000])

    def _die_often(self, kills: int, longest: float) -> None:
        random, options = Random(self.seed), ("--reserve=0", "--blob-grace=0", *self.options)
        with RunningServer(data_dir=self.data_dir, options=options, patience=PATIENCE) as self._server:
            self._prepare()
            for number in range(kills):
                self._kill(self.lifetime(random, longest))
                self.wrong += [f"after kill {number + 1}: {each}" for writer in self.writers for each in writer.check()]
                if (number + 1) % self.whole_every == 0:
                    self.wrong += [f"after kill {number + 1}: {each}" for each in accidents(self.data_dir)]
                    sys.stderr.write(f"{number + 1} kills, {self.count} writes, {len(self.wrong)} violations\n")
            if self._server.stop() != 0:
                self.wrong.append("it did not stop in good order")

    def _prepare(self) -> None:
        client, stop = self._client(), Event()
        for target, body in ("/bucket", b""), (f"/{BUCKET}", b""), (f"/{BUCKET}?versioning", _VERSIONED):
            reply = client.ask("PUT", target, body=body)
            assert reply.status == 200, reply
        client.ask("PUT", "/bucket/first", body=b"first")
        for number in range(CLIENTS):
            self.writers.append(VersionWriter(client, f"client-{number}", Random(f"{self.seed}-{number}"), stop))

    def _client(self) -> Client:
        server = self._server
        return Client(server.endpoint, server.access_key, server.secret_key)

    def live(self, seconds: float) -> None:
        """Wait, while the clients write."""
        time.sleep(seconds)

    def lifetime(self, random: Random, longest: float) -> float:
        """Seconds until the next kill."""
        return random.uniform(0.05, longest)

    def _kill(self, seconds: float) -> None:
        """Let the clients write for a while, kill the server, start it again."""
        threads = [Thread(target=writer.run) for writer in self.writers]
        for thread in threads:
            thread.start()
        self.live(seconds)
        idle = [writer.name for writer, thread in zip(self.writers, threads, strict=True) if not thread.is_alive()]
        self._server.kill()
        self.wrong += [f"{name} had no answer, or lost its connection, before the server was killed" for name in idle]
        for thread in threads:
            thread.join()
        begin = time.monotonic()
        self._server.start()
        client = self._client()
        reply = client.ask("GET", "/bucket/first")
        self.restarts.append(time.monotonic() - begin)
        assert reply.body == b"first", reply
        for writer in self.writers:
            writer.client = client


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--whole-every", type=int, default=10, help="kills between two looks at every row and file")
    parser.add_argument("--server-option", action="append", default=[], help="repeatable")
    parser.add_argument("--seed", type=int, default=20261121)
    options = parser.parse_args(arguments)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="post3-kills-") as directory:
        loop = KillLoop(Path(directory), options.seed, options.server_option, options.objects, options.whole_every)
        loop.run(options.kills, options.longest)
    for each in loop.wrong:
        say(each)
    times = sorted(loop.restarts) or [0.0]
    say(
        f"{options.kills} kills, {loop.count} acknowledged writes, {options.objects} other objects, from a restart to"
        f" the first object {times[len(times) // 2]:.2f} s, p95 {times[len(times) * 95 // 100]:.2f} s,"
        f" {time.monotonic() - begin:.0f} s: {len(loop.wrong)} violations"
    )
    return int(bool(loop.wrong))


if __name__ == "__main__":
    sys.exit(main())
