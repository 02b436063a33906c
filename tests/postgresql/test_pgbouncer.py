"""A node behind pgbouncer in session mode, the one that works (docs/postgresql.md)."""

from __future__ import annotations

import subprocess
from typing import Any

from post3tw.testing.postgresql import SUPERUSER, as_user, give
from tests.hostile.case import wait_until
from tests.hostile.ledger import MIB, Content
from tests.postgresql.case import Load, NodesCase, client
from tests.postgresql.haproxy import find_program, free_port, listens

CONFIGURATION = """
[databases]
post3 = host={directory} port={server} dbname=postgres user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 40
ignore_startup_parameters = extra_float_digits, options
"""


class PgbouncerTests(NodesCase):
    """A cluster, pgbouncer, a node."""

    def setUp(self) -> None:
        """Start the first two."""
        program = find_program("pgbouncer")
        self.cluster = self.start_cluster()
        self.port = free_port()
        path = self.cluster.directory / "pgbouncer.ini"
        server = self.cluster.port
        path.write_text(
            CONFIGURATION.format(directory=self.cluster.directory, server=server, user=SUPERUSER, port=self.port)
        )
        self.command = [program, "--quiet", str(give(path))]
        self.start_pooler()

    def start_pooler(self) -> None:
        """Start pgbouncer."""
        arguments: dict[str, Any] = as_user()
        self.pooler = subprocess.Popen(self.command, stderr=subprocess.DEVNULL, **arguments)
        self.addCleanup(self.stop_pooler, self.pooler)
        self.assertTrue(wait_until(lambda: listens(self.port)))

    def stop_pooler(self, pooler: subprocess.Popen[bytes]) -> None:
        """End it; safe to call twice."""
        pooler.terminate()
        pooler.wait()

    def test_session_mode(self) -> None:
        """Everything works through pgbouncer in session mode, and again after it was restarted."""
        node = self.start_node(f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/post3", "--durability=relaxed")
        self.make_bucket(node)
        with Load([node.endpoint], count=4) as load:
            self.assertTrue(load.wait_for(40))
        self.assertEqual((load.lost(), load.refused), ([], []))
        self.stop_pooler(self.pooler)
        self.answers(node.endpoint, lambda reply: reply.status == 503)
        self.start_pooler()
        self.recovers(node.endpoint)
        body = Content(1, 9 * MIB).body
        self.assertEqual(client(node.endpoint).ask("PUT", "/bucket/large", body=body).status, 200)
        self.assertEqual(client(node.endpoint).ask("GET", "/bucket/large").body, body)
        self.assertFalse("Traceback" in node.output)
