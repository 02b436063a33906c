"""Many slow clients at once, in small: `python -m tests.hostile.flood` is the whole."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.backends import new_server
from tests.hostile.flood import KINDS, MOST_MEMORY, options, run

CONNECTIONS = 120
TIMEOUT = 2.0
MOST_PATIENCE = 2.0
"""Seconds: the slowest hundredth of small GETs on a machine that does other things as well."""


class FloodTests(SynchronousTestCase):
    """Slow heads, slow bodies, and clients that do not take what they asked for."""

    def test_flood(self) -> None:
        """All slow ones are closed in time, others are served meanwhile, and memory stays within bounds."""
        with new_server(options(TIMEOUT)) as server:
            outcome = run(server, CONNECTIONS, TIMEOUT, KINDS)
            self.assertEqual(outcome.left, 0, outcome)
            self.assertLess(outcome.p99, MOST_PATIENCE, outcome)
            self.assertLess(outcome.grown, MOST_MEMORY, outcome)
            for sign in ("Traceback", "critical", "Unhandled"):
                self.assertNotIn(sign, server.output)
