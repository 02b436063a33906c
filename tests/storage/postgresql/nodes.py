"""Nodes of tests: what each has in the database."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.storage.postgresql.dsn import Dsn
from post3tw.storage.postgresql.management import Management


async def connected(test: TestCase, dsn: str) -> Management:
    """A management connection, closed after the test."""
    from twisted.internet import reactor

    management = Management(reactor, Dsn.parse(dsn))
    await management.start()
    test.addCleanup(lambda: Deferred.fromCoroutine(management.stop()))
    return management
