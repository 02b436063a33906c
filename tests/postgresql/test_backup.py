"""The commands of docs/postgresql.md that save a store and bring it back, while clients write."""

from __future__ import annotations

import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from post3tw.cli import main
from post3tw.storage.keeping import copying
from post3tw.testing.postgresql import Cluster, database_of, give
from tests.hostile.ledger import MIB, Content
from tests.postgresql.case import Load, NodesCase, client

LARGE = Content(1, 3 * MIB).body


class DumpTests(NodesCase):
    """pg_dump and pg_restore."""

    def test_dump(self) -> None:
        """A dump that is made while clients write is one moment of the store: everything acknowledged before is in it,
        and a node serves it."""
        cluster = self.start_cluster()
        dsn = cluster.create_database()
        node = self.start_node(dsn, "--durability=relaxed")
        self.make_bucket(node)
        self.assertEqual(client(node.endpoint).ask("PUT", "/bucket/large", body=LARGE).status, 200)
        dump = cluster.directory / "post3.dump"
        with Load([node.endpoint], count=4) as load:
            self.assertTrue(load.wait_for(20))
            cluster.run("pg_dump", "--format=custom", f"--file={dump}", dsn)
            self.assertTrue(load.wait_for(20))
        restored = cluster.create_database()
        cluster.run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", str(dump))
        again = self.start_node(restored)
        self.assertEqual(client(again.endpoint).ask("GET", "/bucket/large").body, LARGE)
        orphans = (
            "SELECT count(*) FROM versions v WHERE v.blob IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM stored_blobs s WHERE s.id = v.blob AND s.size IS NOT NULL)"
        )
        self.assertEqual(cluster.query(orphans, database=database_of(restored)), [(0,)])
        self.assertEqual(client(again.endpoint).ask("PUT", "/bucket/new", body=b"new").status, 200)

    def test_files(self) -> None:
        """A dump and the blobs beside it, both under the lock, are one moment too; only new blobs are copied again."""
        cluster = self.start_cluster()
        dsn = cluster.create_database()
        data, saved, restored = (Path(self.mktemp()).absolute() for _ in range(3))
        node = self.start_node(dsn, "--durability=relaxed", "--blobs=files", f"--data-dir={data}", "--blob-grace=0s")
        self.make_bucket(node)
        self.assertEqual(client(node.endpoint).ask("PUT", "/bucket/large", body=LARGE).status, 200)
        dump = cluster.directory / "post3.dump"
        with Load([node.endpoint], count=4) as load:
            self.assertTrue(load.wait_for(20))
            with copying(str(data)):
                cluster.run("pg_dump", "--format=custom", f"--file={dump}", dsn)
                self.assertTrue(load.wait_for(20))
                self.assertEqual(self.post3("backup", str(data), str(saved), "--blobs-only"), 0)
            self.assertTrue(load.wait_for(20))
        self.assertEqual(node.stop(), 0)
        self.assertEqual(self.post3("backup", str(data), str(saved), "--blobs-only"), 0)
        again = cluster.create_database()
        cluster.run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={again}", str(dump))
        shutil.copytree(saved / "blobs", restored / "blobs")
        self.assertEqual(self.post3("fsck", "--quick", str(restored), "--blobs", "files", "--dsn", again), 1)
        self.assertIn(
            "stranger", self.said
        )  # of after the dump: blobs that it does not know; all that it knows are there
        self.post3("fsck", str(restored), "--blobs", "files", "--dsn", again)
        self.assertNotIn("damaged", self.said)
        served = self.start_node(again, "--blobs=files", f"--data-dir={restored}")
        self.assertEqual(client(served.endpoint).ask("GET", "/bucket/large").body, LARGE)

    def post3(self, *arguments: str) -> int:
        """Run the command: its exit status."""
        out = StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            status = main(arguments)
        self.said = out.getvalue()
        return status


class PointInTimeTests(NodesCase):
    """A base backup and an archive of the log."""

    def test_point_in_time(self) -> None:
        """A store goes back to the moment before somebody deleted an object, with what was written after the backup."""
        primary = self.start_cluster(durable=True, settings={"archive_mode": "on", "archive_timeout": "1s"})
        archive = primary.directory / "archive"
        archive.mkdir()
        give(archive)
        primary.query(f"ALTER SYSTEM SET archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'")
        primary.query("SELECT pg_reload_conf()")
        node = self.start_node(primary.dsn())
        self.make_bucket(node)
        restored = Cluster()
        self.addCleanup(restored.close)
        restored.copy(primary)
        self.assertEqual(client(node.endpoint).ask("PUT", "/bucket/precious", body=LARGE).status, 200)
        primary.query("SELECT pg_create_restore_point('before')")
        self.assertEqual(client(node.endpoint).ask("DELETE", "/bucket/precious").status, 204)
        primary.query("SELECT pg_switch_wal()")
        self.assertEqual(node.stop(), 0)
        primary.stop()  # archives what is left
        restored.configure(
            {
                "restore_command": f"cp {archive}/%f %p",
                "recovery_target_name": "before",
                "recovery_target_action": "promote",
                "archive_mode": "off",
            }
        )
        (restored.data / "recovery.signal").touch()
        restored.start()
        again = self.start_node(restored.dsn())
        self.assertEqual(client(again.endpoint).ask("GET", "/bucket/precious").body, LARGE)
        self.answers(again.endpoint, lambda reply: reply.status == 200)
