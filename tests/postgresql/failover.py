"""Lose the primary while clients write, promote the standby, and count what is lost.

    python -m tests.postgresql.failover              # synchronous replication: nothing acknowledged may be lost
    python -m tests.postgresql.failover --asynchronous
    python -m tests.postgresql.failover --rounds 10

Two clusters with a streaming standby between them, two nodes that know both (a DSN of two hosts and
target_session_attrs=read-write), eight clients. The primary is killed as by a power cut, the standby is promoted at
once, as a cluster manager would do when it has noticed. Printed: seconds from the kill to the end of the promotion and
to the first acknowledged write, acknowledged writes, and those of them that are lost.
"""

from __future__ import annotations

import argparse
import sys
import time

from attrs import define, field

from post3tw.testing.postgresql import SUPERUSER, Cluster
from post3tw.testing.server import RunningServer
from tests.postgresql.case import Load, client, node

PATIENCE = 120.0
"""Seconds within which the clients get their writes done."""


@define
class Pair:
    """A primary, its standby, and nodes that use whichever takes writes."""

    synchronous: bool = True
    primary: Cluster = field(init=False, factory=lambda: Cluster(durable=True, tcp=True))
    standby: Cluster = field(init=False, factory=lambda: Cluster(durable=True, tcp=True))
    nodes: list[RunningServer] = field(init=False, factory=list)

    def __enter__(self) -> Pair:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.primary.start()
        # A standby that is promoted has no standby of its own yet, so it must not wait for one.
        self.standby.settings = {"synchronous_standby_names": ""}
        self.standby.follow(self.primary)
        if self.synchronous:
            self.primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.query("SELECT pg_reload_conf()")
        for _ in range(2):
            self.nodes.append(node(self.dsn).start())

    def __exit__(self, *exception: object) -> None:
        for one in self.nodes:
            one.__exit__(None, None, None)
        self.standby.close()
        self.primary.close()

    @property
    def dsn(self) -> str:
        """Both servers; the one that takes writes is meant."""
        hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in (self.primary, self.standby))
        return f"postgresql://{SUPERUSER}:{self.primary.password}@{hosts}/postgres?target_session_attrs=read-write"


@define
class Outcome:
    """What a failover cost."""

    promoted: float
    served: float
    acknowledged: int
    afterwards: int
    refused: list[str]
    lost: list[str]

    def __str__(self) -> str:
        refused, lost = len(self.refused), len(self.lost)
        return (
            f"promoted after {self.promoted:.2f} s, first 200 after {self.served:.2f} s; acknowledged:"
            f" {self.acknowledged} before, {self.afterwards} after; refused: {refused}; lost: {lost}"
        )


def fail_over(pair: Pair, seed: int, before: int = 200, after: int = 100) -> Outcome:
    """Do it once. The pair has no primary to lose afterwards."""
    one, two = (made.endpoint for made in pair.nodes)
    assert client(one).ask("PUT", "/bucket").status == 200
    with Load([one, two], seed=seed) as load:
        assert load.wait_for(before, PATIENCE), load.refused
        acknowledged = load.acknowledged
        begin = time.monotonic()
        pair.primary.kill()
        pair.standby.promote()
        promoted = time.monotonic() - begin
        while client(two).ask("PUT", "/bucket/probe", body=b"probe").status != 200:
            assert time.monotonic() - begin < 60, "no write succeeds"
        served = time.monotonic() - begin
        assert load.wait_for(after, PATIENCE), load.refused
    lost = load.lost()
    load.move(two)
    lost += load.lost()
    return Outcome(promoted, served, acknowledged, load.acknowledged - acknowledged, load.refused, lost)


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asynchronous", action="store_true", help="commits do not wait for the standby")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    lost = 0
    for seed in range(arguments.rounds):
        with Pair(not arguments.asynchronous) as pair:
            outcome = fail_over(pair, seed, before=500, after=300)
        sys.stdout.write(f"{outcome}\n")
        lost += len(outcome.lost)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
