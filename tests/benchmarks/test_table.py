from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from post3tw.testing.server import RunningServer
from tests.processes import ROOT, TWISTD, in_thread


class TableTests(TestCase):
    """The command, over real sockets, with next to no time for anything."""

    timeout = 120

    async def run_table(self, *options: str) -> tuple[str, str]:
        """What it writes, and its results."""
        made = Path(self.mktemp()).absolute()
        out, err, status = await getProcessOutputAndValue(
            TWISTD[0],
            ("-m", "benchmarks", "--rounds=1", "--seconds=0.05", "--keys=300", f"--json={made}", *options),
            env={"PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )
        self.assertEqual(status, 0, err.decode())
        return out.decode(), made.read_text()

    async def test_against(self) -> None:
        """Beside another server each cell runs on both, with what boto3 sends too, and every answer is a good one."""
        server = RunningServer()
        await in_thread(server.start)
        self.addCleanup(in_thread, server.stop)
        out, results = await self.run_table(
            *("--cells=put-4k", "--clients=4", "--name=the-same", "--server-option=--workers=1"),
            *(f"--against={server.endpoint}", f"--pid={server.pid}"),
            *(f"--access-key={server.access_key}", f"--secret-key={server.secret_key}"),
        )
        self.assertNotIn("no result", out)
        rows = json.loads(results)["rows"]
        runs = [(row["setting"]["scheme"], row["setting"]["style"], side) for row in rows for side in row["sides"]]
        http = [("http", style, side) for style in ("signed", "boto3") for side in ("post3tw", "the-same")]
        https = [("https", style, "post3tw") for style in ("signed", "boto3")]
        self.assertEqual(runs, http + https)
        for row in rows:
            for (measured,) in row["sides"].values():
                self.assertGreater(measured["rate"], 0)
        self.assertIn("the-same", out)

    async def test_ended(self) -> None:
        """Ended by SIGTERM it shows what it has, and leaves no server behind."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        command = (sys.executable, "-m", "benchmarks", "--cells=put-4k", "--rounds=1000", "--server-option=--workers=1")

        def run() -> tuple[int, str]:
            with subprocess.Popen(
                [*command, "--keys=10", "--seconds=0.05", "--schemes=http", f"--directory={place}"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stderr is not None
                self.assertEqual(process.stderr.readline(), "round 1\n")
                process.terminate()
                out, _ = process.communicate()
                return process.returncode, out

        status, out = await in_thread(run)
        self.assertEqual(status, 0)
        self.assertIn("put-4k http 1 ", out)
        self.assertEqual(list(place.iterdir()), [])
