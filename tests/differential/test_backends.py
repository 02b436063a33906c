"""Files and PostgreSQL answer the same."""

from __future__ import annotations

import os
import re
from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import new_server
from tests.differential.answers import Answer, Side, Step
from tests.differential.walk import BUCKETS, Walk
from tests.hostile.case import client_of

LONG = os.environ.get("POST3_LONG") == "1"
SEED = int(os.environ.get("POST3_SEED", "20261121"))
STEPS = 20_000 if LONG else 1_500
LOOK = 250
"""Steps between two looks at everything that there is."""

OPTIONS = ("--durability=relaxed", "--reserve=0")


def everything() -> list[Step]:
    """Requests that together show all that is stored."""
    steps = [Step("GET", "/")]
    for bucket in BUCKETS:
        steps += [Step("GET", f"/{bucket}", ((name, None),)) for name in ("versions", "uploads", "tagging")]
        steps += [Step("GET", f"/{bucket}/{key}") for key in ("a", "b", "a/b")]
    return steps


class DifferentialTests(SynchronousTestCase):
    """Two servers that differ in nothing but the backend."""

    def side(self, backend: str) -> Side:
        """A server, stopped after the test, that must have logged no accident."""
        server = new_server(OPTIONS, backend=backend).start()
        self.addCleanup(self.assert_calm, server)
        self.addCleanup(server.stop)
        return Side(client_of(server))

    def assert_calm(self, server: RunningServer) -> None:
        """A server has logged no traceback."""
        found = re.search(r"Traceback(?:.*\n\t)*.*", server.output)
        self.assertIsNone(found, found and found[0])

    def assert_same(self, files: Answer, database: Answer, told: str) -> None:
        """Two answers do not differ."""
        if files != database:
            self.fail(f"seed {SEED}, {told}\nfiles:    {files}\ndatabase: {database}")

    def test_random_walk(self) -> None:
        """Whatever is asked, in whatever state, both answer the same, refusals and oddities included."""
        files, database = self.side("fs"), self.side("postgres")
        walk, statuses = Walk(Random(SEED)), Counter[int]()
        for number in range(STEPS):
            step = walk.next()
            answer, other = files.ask(step), database.ask(step)
            self.assert_same(answer, other, f"step {number}: {step}")
            walk.learn(step, answer)
            statuses[answer.status] += 1
            if number % LOOK == LOOK - 1:
                for look in everything():
                    self.assert_same(files.ask(look), database.ask(look), f"after step {number}: {look}")
        self.assertNotIn(500, statuses)
        self.assertGreater(statuses[200], STEPS // 3)
        self.assertGreater(statuses.total() - statuses[200], STEPS // 5)
