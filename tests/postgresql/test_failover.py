"""A primary is lost, a node is lost: what was acknowledged is there."""

from __future__ import annotations

import os
import signal
from threading import Event

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.postgresql import Cluster
from tests.hostile.case import wait_until
from tests.postgresql.case import Load, NodesCase, client
from tests.postgresql.failover import Pair, fail_over

LONG = os.environ.get("POST3_LONG") == "1"
KILLS = 10 if LONG else 2
TRANSIENT = {"503 SlowDown", "503 ServiceUnavailable"}


class FailoverTests(SynchronousTestCase):
    """A primary with a synchronous standby that takes its place."""

    def test_promotion(self) -> None:
        """Clients that write while the primary dies are told to try again; nodes find the new primary by themselves,
        without a restart, and not one acknowledged write is lost."""
        with Pair() as pair:
            outcome = fail_over(pair, seed=1)
            for node in pair.nodes:
                self.assertFalse("Traceback" in node.output)
        self.assertEqual(outcome.lost, [])
        self.assertEqual(set(outcome.refused) - TRANSIENT, set())
        self.assertLess(outcome.served - outcome.promoted, 15)


class KilledNodeTests(NodesCase):
    """Three nodes on one database."""

    def test_killed_node(self) -> None:
        """A node dies by kill -9 while eight clients write through it and others: nothing acknowledged is lost, the
        others do not notice, and its connections are gone."""
        cluster = self.start_cluster(durable=True)
        dsn = cluster.create_database()
        survivors = [self.start_node(dsn) for _ in range(2)]
        self.make_bucket(survivors[0])
        for number in range(KILLS):
            victim = self.start_node(dsn)
            served = [node.endpoint for node in (*survivors, victim)]
            with Load(served, seed=number) as load:
                self.assertTrue(load.wait_for(60))
                connected = len(cluster.connections(dsn))
                victim.kill()
                self.assertTrue(load.wait_for(60))
                Event().wait(0.1)
            load.move(survivors[number % 2].endpoint)
            self.assertEqual((load.lost(), load.refused), ([], []))
            self.assertTrue(wait_until(lambda: len(cluster.connections(dsn)) < connected))  # noqa: B023
        for node in survivors:
            self.assertFalse("Traceback" in node.output)

    def test_frozen_node(self) -> None:
        """A node stops in the middle of a transaction, as a machine does that is suspended: the database ends what it
        has begun, so others wait for its locks for seconds and not for hours, and it goes on when it is woken."""
        cluster = self.start_cluster()
        dsn = cluster.create_database()
        frozen, other = self.start_node(dsn), self.start_node(dsn)
        self.addCleanup(frozen.send_signal, signal.SIGCONT)
        self.make_bucket(other)
        with Load([frozen.endpoint]) as load:
            while not self.in_transaction(cluster, dsn):
                frozen.send_signal(signal.SIGCONT)
                self.assertTrue(load.wait_for(5))
                frozen.send_signal(signal.SIGSTOP)
                Event().wait(0.05)  # the database finishes what it was told
            self.assertEqual(client(other.endpoint).ask("PUT", "/other").status, 200)
            self.assertTrue(wait_until(lambda: not self.in_transaction(cluster, dsn)))
            self.recovers(other.endpoint)
            frozen.send_signal(signal.SIGCONT)
            self.recovers(frozen.endpoint)
        self.assertEqual(load.lost(), [])
        self.assertEqual(set(load.refused) - TRANSIENT, set())

    def in_transaction(self, cluster: Cluster, dsn: str) -> bool:
        """Whether a connection holds a transaction in which it does nothing."""
        return any(state == "idle in transaction" for state, _ in cluster.connections(dsn))
