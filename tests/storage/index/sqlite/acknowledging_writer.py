"""A process that stores bodies and prints the number of each when it is acknowledged, until it is killed.

Run by test_index: python -m tests.storage.index.sqlite.acknowledging_writer PATH
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

from post3tw.model.version import Placement
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.blobs import place
from post3tw.testing.index_fixture import object_id

CLIENTS = 8


async def client(index: SqliteIndex, number: int) -> None:
    """Store every CLIENTS-th body."""
    while True:
        made = object_id(number)
        await index.run(lambda tx, made=made: place(tx, made, Placement(4096, body=made), b"x" * 4096))  # type: ignore[misc]
        os.write(1, b"%d\n" % number)
        number += CLIENTS


async def main(reactor: Any) -> None:
    """Start the clients."""
    index = SqliteIndex(sys.argv[1], reactor)
    await index.start()
    await gatherResults([ensureDeferred(client(index, number)) for number in range(CLIENTS)])


def run(reactor: Any) -> Deferred[None]:
    """What task.react calls."""
    return ensureDeferred(main(reactor))


if __name__ == "__main__":
    task.react(run)
