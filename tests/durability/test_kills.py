"""kill -9 at any moment: what was acknowledged is there afterwards, what was deleted stays away."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.backends import only_on
from tests.durability.kills import KillLoop

SEED = int(os.environ.get("POST3_SEED", "20261121"))
KILLS = 3


@only_on("fs", "tests.postgresql kills nodes")
class KillTests(SynchronousTestCase):
    """A server that dies and is started again on the same data; the long form is a command."""

    def test_kills(self) -> None:
        """Nothing acknowledged is lost, nothing deleted comes back, and nothing is left over."""
        with tempfile.TemporaryDirectory(prefix="post3-kills-") as directory:
            loop = KillLoop(Path(directory), SEED, ("--workers=1",))
            loop.run(KILLS, 1.0)
        self.assertEqual(loop.wrong, [])
        self.assertGreater(loop.count, 20 * KILLS)
