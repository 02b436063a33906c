"""kill -9 at any moment: what was acknowledged is there afterwards, what was deleted stays away."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event, Thread

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import only_on
from tests.hostile.case import client_of
from tests.hostile.inside import InsideDirectory
from tests.hostile.ledger import Writer

LONG = os.environ.get("POST3_LONG") == "1"
SEED = int(os.environ.get("POST3_SEED", "20261121"))

KILLS = 100 if LONG else 6
CLIENTS = 8


def accidents(data_dir: Path) -> list[str]:
    """What is wrong with an index that was just opened, and with the files beside it."""
    with closing(sqlite3.connect(f"file:{data_dir}/index.sqlite3?mode=ro", uri=True)) as index:
        found = [str(row[0]) for row in index.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wanted = {bytes(row[0]).hex() for row in index.execute("SELECT blob FROM versions WHERE blob IS NOT NULL")}
        wanted |= {bytes(row[0]).hex() for row in index.execute("SELECT blob FROM parts WHERE blob IS NOT NULL")}
        known = {bytes(row[0]).hex() for row in index.execute("SELECT id FROM blobs")}
    files = {path.name for path in (data_dir / "blobs").rglob("*") if path.is_file()}
    found += [f"blob {name} has no file" for name in sorted(wanted - files)]
    found += [f"blob {name} has no row" for name in sorted(wanted - known)]
    found += [f"file {name} has no row" for name in sorted(files - known)]
    return found


@only_on("fs", "tests.postgresql kills nodes")
class KillTests(SynchronousTestCase):
    """A server that dies and is started again on the same data, over and over."""

    def setUp(self) -> None:
        """Start it, with everything durable, as it is by default."""
        directory = tempfile.TemporaryDirectory(prefix="post3-kill-")
        self.addCleanup(directory.cleanup)
        self.data_dir = Path(directory.name) / "data"
        self.server = RunningServer(data_dir=self.data_dir, options=("--reserve=0", "--blob-grace=0"))
        self.random = Random(SEED)

    def round(self, writers: list[Writer]) -> None:
        """Let the clients write for a while, then kill the server."""
        threads = [Thread(target=writer.run) for writer in writers]
        for thread in threads:
            thread.start()
        Event().wait(self.random.uniform(0.05, 1.2))
        self.server.kill()
        for thread in threads:
            thread.join()

    def test_kill(self) -> None:
        """Nothing acknowledged is lost, nothing deleted comes back, and the data directory is sound."""
        self.server.start()
        client = client_of(self.server)
        self.assertEqual(client.ask("PUT", "/bucket").status, 200)
        stop = Event()
        writers = [Writer(client, f"client-{n}", Random(f"{SEED}-{n}"), stop) for n in range(CLIENTS)]
        for number in range(KILLS):
            self.round(writers)
            self.server.start()
            for writer in writers:
                writer.client = client_of(self.server)
            self.assertEqual([wrong for writer in writers for wrong in writer.check()], [], f"after kill {number + 1}")
            self.assertEqual(accidents(self.data_dir), [])
            self.assertEqual(InsideDirectory(self.data_dir).unfinished(), [])
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(accidents(self.data_dir), [])
        self.assertNotIn("Traceback", self.server.output)
        self.assertEqual([refused for writer in writers for refused in writer.refused], [])
        count = sum(writer.ledger.count for writer in writers)
        self.assertGreater(count, KILLS * CLIENTS)
        if LONG:
            sys.stdout.write(f"\n{KILLS} kills, {count} acknowledged writes, none lost\n")
