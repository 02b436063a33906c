"""Nodes as processes: what they need to be told, and what they tell each other."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.model.errors import ServiceUnavailable
from post3tw.server.server import Server
from post3tw.service.sweeper import Sweeper, Task
from post3tw.storage.postgresql.node import Node
from post3tw.tap import makeService
from post3tw.testing.postgresql import database_of, new_database, shared_cluster
from tests.processes import KEYS, ServerProcess, client, in_thread, refused, start_server

IDENTITIES = """
[[user]]
access_key = "ADAADA"
secret_key = "adas-own-secret"
id = "ada"
display_name = "Ada"
admin = true
"""


async def ended(task: Task) -> object:
    """What a task of a timer returns."""
    return await task()


def put_soon(s3: Any, key: str) -> None:
    """Write an object, as soon as the node knows of the bucket; the test's timeout ends a wait in vain."""
    while True:
        try:
            s3.put_object(Bucket="photos", Key=key, Body=b"bytes")
            return
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ServiceUnavailable":
                raise
            time.sleep(0.01)


class TimerTests(SynchronousTestCase):
    """What one node does for all."""

    def test_only_the_leader(self) -> None:
        """The timers of a node do nothing unless it leads. (Nothing is started here: who does something, fails.)"""
        server = makeService(
            {"backend": "postgres", "dsn": "postgresql://h/d", "admin": "none"}, environ=KEYS, take_signals=False
        )
        assert isinstance(server, Server)
        (node,) = [part for part in server.parts.opened if isinstance(part, Node)]
        tasks = {
            name: task
            for service in server.parts.services
            if isinstance(service, Sweeper)
            for name, task in service._tasks.items()
            if name != "look for space"  # each on its own disk
        }
        self.assertEqual(sorted(tasks), ["abort stale uploads", "remove unreferenced blobs", "scrub"])
        for task in tasks.values():
            self.assertIsNone(self.successResultOf(ensureDeferred(ended(task))))
        node.leadership._until = float("inf")
        del tasks["scrub"]  # waits for the database
        for task in tasks.values():
            self.failureResultOf(ensureDeferred(ended(task)), ServiceUnavailable)


class StartingTests(TestCase):
    """Starting `twistd post3 --backend=postgres`."""

    timeout = 60

    def assert_one_line(self, process: ServerProcess, hint: str) -> None:
        """It ended with status 1 and one line, which contains the hint."""
        self.assertEqual(process.status, 1)
        self.assertIn(hint, process.err)
        self.assertEqual(len(process.err.strip().splitlines()), 1, process.err)
        self.assertTrue(process.err.startswith("post3: "))

    async def test_no_root_key(self) -> None:
        """Nodes must agree on the root key, so none is made: without one, and without users, nothing starts."""
        no_keys = dict.fromkeys(KEYS, "")
        process = await refused(self, "--backend=postgres", "--dsn=postgresql://h/d", environ=no_keys)
        self.assert_one_line(process, "set POST3_ACCESS_KEY and POST3_SECRET_KEY, or give --identities")

    async def test_users_only(self) -> None:
        """With users of a file there need not be a root key. The data directory is not made: nothing is in it."""
        users, data = Path(self.mktemp()).absolute(), Path(self.mktemp()).absolute()
        users.write_text(IDENTITIES)
        users.chmod(0o600)
        server = await start_server(
            self,
            "--backend=postgres",
            f"--identities={users}",
            f"--data-dir={data}",
            "--bucket=photos",
            environ={**dict.fromkeys(KEYS, ""), "DATABASE_URL": new_database(self)},
        )
        self.assertIn(f"none; the users are those of {users}", server.err)
        s3 = client(server.url, "ADAADA", "adas-own-secret")
        self.addCleanup(s3.close)
        await in_thread(s3.put_object, Bucket="photos", Key="k", Body=b"b")
        self.assertFalse(data.exists())

    async def test_no_database(self) -> None:
        """Which database is not guessed."""
        environ = {name: "" for name in os.environ if name.startswith(("PG", "DATABASE_URL"))}
        self.assert_one_line(await refused(self, "--backend=postgres", environ=environ), "which database?")

    async def test_help(self) -> None:
        """The options of the backend are among those of the server, whichever backend is chosen."""
        process = await refused(self, "--help")
        for option in ("--dsn=", "--blobs=", "--block-size=", "--connections=", "--start-timeout="):
            self.assertIn(option, process.out)

    async def test_change_is_seen_by_the_other_node(self) -> None:
        """A bucket that is deleted and made anew on one node is not the old one on the other, which keeps buckets."""
        database = {"DATABASE_URL": new_database(self)}
        one, other = [await start_server(self, "--backend=postgres", environ=database) for _ in range(2)]
        here, there = client(one.url), client(other.url)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        for round_ in range(5):
            await in_thread(here.create_bucket, Bucket="photos")
            key = f"in round {round_}"
            await in_thread(put_soon, there, key)
            found = await in_thread(there.list_objects_v2, Bucket="photos")
            self.assertEqual([each["Key"] for each in found["Contents"]], [key])
            await in_thread(here.delete_object, Bucket="photos", Key=key)
            await in_thread(here.delete_bucket, Bucket="photos")

    async def test_files(self) -> None:
        """With --blobs=files larger objects are in the data directory, for both nodes."""
        database = {"DATABASE_URL": (dsn := new_database(self))}
        data = Path(self.mktemp()).absolute()
        options = ("--backend=postgres", "--blobs=files", f"--data-dir={data}")
        one, other = [await start_server(self, *options, environ=database) for _ in range(2)]
        body = os.urandom(3 << 20)
        here, there = client(one.url), client(other.url)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        await in_thread(here.create_bucket, Bucket="photos")
        await in_thread(here.put_object, Bucket="photos", Key="large", Body=body)
        got = await in_thread(there.get_object, Bucket="photos", Key="large")
        self.assertEqual(await in_thread(got["Body"].read), body)
        self.assertEqual(len([path for path in (data / "blobs").rglob("*") if path.is_file()]), 1)
        stored = shared_cluster().query("SELECT count(*) FROM blocks", database=database_of(dsn))
        self.assertEqual(stored, [(0,)])
