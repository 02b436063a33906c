"""Keys are registers to all clients, on every backend, through several processes and nodes, while servers die."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.linearity import exercise, race, running

SEED = 20261121


class LinearityTests(SynchronousTestCase):
    """Short runs; the long ones are commands."""

    def hold(self, backend: str, nodes: int, options: Sequence[str], rounds: int, operations: int) -> None:
        """Race and exercise servers; nothing may be wrong."""
        with running(backend, nodes, options) as made:
            self.assertEqual(race(made, rounds), [])
            trouble = [(0.3, made.terminate)] if backend == "postgres" else [(1.0, made.kill)]
            found = exercise(made, operations, SEED, trouble)
            self.assertEqual(found.wrong, [])
            self.assertGreater(found.answered, operations * 9 // 10)

    def test_workers(self) -> None:
        """Two processes on files, killed in between."""
        self.hold("fs", 1, ("--workers=2",), 25, 1000)

    def test_nodes(self) -> None:
        """Two nodes on PostgreSQL, whose connections are ended in between."""
        self.hold("postgres", 2, ("--workers=1",), 15, 800)
