"""Several workers are one server: what one of them did, the others know."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import tempfile
from functools import cache
from pathlib import Path

from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.backends import only_on
from tests.hostile.case import wait_until
from tests.hostile.raw import Client
from tests.server.workers_case import WorkersCase, ask, metric

ROUNDS = 1000
USER = """[[user]]
access_key = "{key}"
secret_key = "secret-of-{key}"
id = "{key}"
display_name = "Somebody"
"""


@cache
def shared_directory() -> Path:
    """Where the server of this module has its data and its users."""
    directory = Path(tempfile.mkdtemp(prefix="post3-workers-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def shared_server() -> RunningServer:
    """One server for all tests here: each has a bucket of its own."""
    identities = shared_directory() / "identities.toml"
    identities.touch(0o600)
    identities.write_text(USER.format(key="ADA"))
    server = RunningServer(
        data_dir=shared_directory() / "data",
        options=(f"--identities={identities}", f"--access-log={shared_directory() / 'access.log'}"),
        workers=2,
    ).start()
    atexit.register(server.stop)
    return server


@only_on("fs", "on PostgreSQL workers are nodes, which tests.postgresql looks at")
class TogetherTests(WorkersCase):
    """Two workers on one store."""

    def setUp(self) -> None:
        self.server = shared_server()
        self.root = self.client()
        self.bucket = self.id().rpartition(".")[2].replace("_", "-")
        self.assertEqual(self.root.ask("PUT", f"/{self.bucket}").status, 200)

    def test_read_your_writes(self) -> None:
        """What one worker has acknowledged, the other shows at once: objects, listings, deletions."""
        one, other = self.one_of_each()
        for number in range(100):
            one, other = other, one
            key, body = f"/{self.bucket}/key", b"%d" % number
            self.assertEqual(ask(self.root, one, "PUT", key, body=body).status, 200)
            self.assertEqual(ask(self.root, other, "GET", key).body, body)
            self.assertIn(b"<Key>key</Key>", ask(self.root, other, "GET", f"/{self.bucket}?list-type=2").body)
            self.assertEqual(ask(self.root, one, "DELETE", key).status, 204)
            self.assertEqual(ask(self.root, other, "GET", key).status, 404)

    def test_one_winner(self) -> None:
        """Of two workers that make the same key unless it is there, exactly one does."""
        connections = self.one_of_each()
        for number in range(ROUNDS):
            messages = [
                self.root.message("PUT", f"/{self.bucket}/{number}", [(b"if-none-match", b"*")], b"%d" % index)
                for index in range(2)
            ]
            order = (0, 1) if number % 2 else (1, 0)
            for index in order:
                connections[index].send(messages[index])
            outcomes = {index: connections[index].reply("PUT").status for index in order}
            self.assertEqual(sorted(outcomes.values()), [200, 412])
            winner = min(outcomes, key=lambda index: outcomes[index])
            if number % 100 == 0:
                found = ask(self.root, connections[1 - winner], "GET", f"/{self.bucket}/{number}").body
                self.assertEqual(found, b"%d" % winner)

    def test_policy(self) -> None:
        """A policy that one worker has taken is obeyed by the other with the next request, also when it is gone."""
        one, other = self.one_of_each()
        ada = Client(self.server.endpoint, "ADA", "secret-of-ADA")
        target = f"/{self.bucket}/object"
        self.assertEqual(ask(self.root, one, "PUT", target, body=b"x").status, 200)
        statement = {
            "Effect": "Allow",
            "Principal": {"CanonicalUser": "ADA"},
            "Action": "s3:*",
            "Resource": f"arn:aws:s3:::{self.bucket}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
        for _ in range(30):
            self.assertEqual(ask(ada, other, "GET", target).status, 403)
            self.assertEqual(ask(ada, other, "PUT", f"{target}-of-ada", body=b"x").status, 403)
            self.assertEqual(ask(self.root, one, "PUT", f"/{self.bucket}?policy", body=policy).status, 204)
            self.assertEqual(ask(ada, other, "GET", target).status, 200)
            self.assertEqual(ask(ada, other, "PUT", f"{target}-of-ada", body=b"x").status, 200)
            self.assertEqual(ask(self.root, one, "DELETE", f"/{self.bucket}?policy").status, 204)
            one, other = other, one

    def test_metrics(self) -> None:
        """/metrics shows the sum over all workers, and how many there are."""
        before = metric(self.server, "post3_requests_total")
        connections = self.one_of_each()
        asked = metric(self.server, "post3_requests_total")
        for connection in connections * 10:
            ask(self.root, connection, "GET", f"/{self.bucket}")
        self.assertEqual(metric(self.server, "post3_requests_total") - asked, 20)
        self.assertGreaterEqual(asked - before, 2)
        self.assertEqual(metric(self.server, "post3_workers"), 2)

    def test_connections_are_dealt_out(self) -> None:
        """Of connections that come one after the other, no worker has many more than another."""
        connections = [self.root.connect() for _ in range(20)]
        counts: dict[str, int] = {}
        for connection in connections:
            worker = self.worker_of(self.root, connection)
            counts[worker] = counts.get(worker, 0) + 1
        for connection in connections:
            connection.close()
        self.assertEqual(len(counts), 2)
        self.assertLessEqual(max(counts.values()) - min(counts.values()), 6, counts)

    def test_reload(self) -> None:
        """SIGHUP has every worker read the users again, also when the file looks as it did."""
        path = shared_directory() / "identities.toml"
        before = path.stat()
        with path.open("r+") as file:  # as many bytes, and the same time: what looks at the file every now and then
            file.write(USER.format(key="BEA"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        bea = Client(self.server.endpoint, "BEA", "secret-of-BEA")
        connections = self.one_of_each()
        self.assertEqual([ask(bea, each, "GET", "/").code for each in connections], ["InvalidAccessKeyId"] * 2)
        self.server.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(lambda: all(ask(bea, each, "GET", "/").status == 200 for each in connections)))
        with path.open("r+") as file:
            file.write(USER.format(key="ADA"))
        self.server.send_signal(signal.SIGHUP)
        ada = Client(self.server.endpoint, "ADA", "secret-of-ADA")
        self.assertTrue(wait_until(lambda: all(ask(ada, each, "GET", "/").status == 200 for each in connections)))

    def test_access_log(self) -> None:
        """Workers write whole lines to one file, and SIGUSR1 has all of them open it again."""
        log, old = shared_directory() / "access.log", shared_directory() / "old.log"
        connections = self.one_of_each()
        for connection in connections * 50:
            ask(self.root, connection, "GET", f"/{self.bucket}/{'k' * 500}")
        log.rename(old)
        self.server.send_signal(signal.SIGUSR1)
        self.assertTrue(wait_until(log.exists))

        def lines() -> list[dict[str, str]]:
            return [json.loads(line) for path in (old, log) for line in path.read_text().splitlines()]

        self.assertTrue(wait_until(lambda: sum(line.get("bucket") == self.bucket for line in lines()) >= 101))

    def test_second_server(self) -> None:
        """Nobody else gets the data directory, one process or several."""
        for workers in (1, 2):
            another = RunningServer(data_dir=shared_directory() / "data", workers=workers)
            refused = self.assertRaises(ServerNotRunning, another.start)
            self.assertIn("in use by another process", str(refused))
            self.assertNotIn("Traceback", str(refused))
