"""`post3 backup` and `post3 restore`."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from random import Random
from threading import Event, Thread

from twisted.trial.unittest import SynchronousTestCase

from post3tw.cli import main
from post3tw.service.store import Store
from post3tw.storage.backup import making
from post3tw.storage.backup.layout import Backup
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.inspection import at_once
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.keeping import copying
from post3tw.storage.sweep import BlobSweep
from post3tw.storage.threads import NoThreads
from post3tw.testing.blob_fixture import noise
from tests.backends import new_server
from tests.hostile.ledger import Writer
from tests.hostile.raw import Client
from tests.storage.faulty import FaultyFiles
from tests.storage.integrity.damaging import flip_file
from tests.storage.integrity.directory import LARGE, DirectoryCase, tree


def run(test: SynchronousTestCase, *arguments: str, status: int = 0) -> str:
    """What a verb says, on either stream."""
    out = StringIO()
    test.patch(sys, "stdout", out)
    test.patch(sys, "stderr", out)
    test.assertEqual(main(arguments), status, out.getvalue())
    return out.getvalue()


class BackupCase(DirectoryCase):
    """A data directory, a place for its backup, and one for what is restored."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Nothing is there but the data."""
        await super().setUp()
        self.backup_path, self.restored = Path(self.mktemp()), Path(self.mktemp())

    def backup(self, *options: str, status: int = 0) -> str:
        """Run `post3 backup`."""
        return run(self, "backup", str(self.path), str(self.backup_path), *options, status=status)

    def restore(self, *options: str, status: int = 0) -> str:
        """Run `post3 restore`."""
        return run(self, "restore", str(self.backup_path), str(self.restored), *options, status=status)

    def snapshots(self) -> list[str]:
        """The names of snapshots."""
        return [line.split()[0] for line in run(self, "restore", str(self.backup_path), "--list").splitlines()]

    def blobs(self, path: Path) -> dict[str, bytes]:
        """All blobs of a data directory, or of a backup."""
        return tree(path / "blobs")

    async def write(self, key: str, data: bytes) -> None:
        """PutObject."""

        async def put(store: Store) -> None:
            bucket = await store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
            assert bucket is not None
            await self.put(store, bucket, key, data)

        await self.at_work(put)


class BackupTests(BackupCase):
    """There and back."""

    def test_round_trip(self) -> None:
        """What is restored is what was there: every row, and every blob, each once."""
        said = self.backup()
        self.assertIn("3 blobs, 12.4 MiB, of which 3 new, 12.4 MiB; index", said)
        self.assertIn(": 3 blobs, 12.4 MiB", self.restore())
        self.assertEqual(self.blobs(self.restored), self.blobs(self.path))
        for table in (
            "buckets",
            "versions",
            "current",
            "bodies",
            "blobs",
            "blob_references",
            "uploads",
            "parts",
            "store",
        ):
            rows = self.sql(f"SELECT * FROM {table}")
            self.path, restored = self.restored, self.path
            self.assertEqual(self.sql(f"SELECT * FROM {table}"), rows)
            self.path = restored
        self.assertIn("in order", run(self, "fsck", str(self.restored)))

    async def test_a_server_on_it(self) -> None:
        """A server starts on what was restored, and has the objects."""
        self.backup()
        self.restore()
        self.path = self.restored
        self.assertEqual((await self.get("small"), await self.get("large")), (b"new", LARGE))
        await self.write("more", b"more")
        self.assertEqual(await self.get("more"), b"more")

    async def test_a_server_meanwhile(self) -> None:
        """A server that starts, writes and copies its log while the index is copied changes nothing in the copy."""
        copy, started = making._copy_index, list[float]()

        def while_written(source: str, target: str, progress: making.Progress) -> None:
            def told(step: str, share: float) -> None:
                if not started:
                    started.append(share)
                    for number in range(200):
                        self.sql("UPDATE versions SET etag = ?", f"{number}")
                    self.sql("PRAGMA wal_checkpoint(TRUNCATE)")

            copy(source, target, told)

        self.patch(making, "_PAGES", 1)
        self.patch(making, "_copy_index", while_written)
        before = self.sql("SELECT etag FROM versions ORDER BY key, seq")
        self.backup()
        self.assertEqual(len(started), 1)
        self.restore()
        self.path = self.restored
        self.assertEqual(self.sql("SELECT etag FROM versions ORDER BY key, seq"), before)

    async def test_incremental(self) -> None:
        """The next backup copies what is new; each snapshot is a moment of its own."""
        self.backup()
        await self.write("new", noise(100_000))
        await self.write("large", b"small now")
        self.assertIn("4 blobs, 12.5 MiB, of which 1 new, 97.7 KiB", self.backup())
        first, second = self.snapshots()
        self.restore("--snapshot", first)
        self.path, newer = self.restored, self.path
        self.assertEqual(await self.get("large"), LARGE)
        self.path, self.restored = newer, Path(self.mktemp())
        self.assertIn(second, self.restore())
        self.path = self.restored
        self.assertEqual(await self.get("large"), b"small now")

    async def test_keep(self) -> None:
        """Older snapshots are removed with the blobs that only they need."""
        self.backup()
        self.sql("DELETE FROM versions WHERE key IN (x'6c61726765', x'636f7079')")
        self.sql("DELETE FROM blob_references WHERE holder NOT IN (SELECT id FROM versions UNION SELECT id FROM parts)")
        self.assertIn("removed 1 older snapshots, and 1 blobs", self.backup("--keep", "1"))
        self.assertEqual((len(self.snapshots()), len(self.blobs(self.backup_path))), (1, 2))
        self.restore()
        self.assertEqual(len(self.blobs(self.restored)), 2)

    def test_older_schema(self) -> None:
        """A snapshot that an older release made can be restored; the server then brings it up to date."""
        self.sql("UPDATE store SET value = '2' WHERE name = 'schema_version'")
        self.sql("DROP TABLE damage")
        self.backup()
        self.assertIn("restored into", self.restore())

    # -- refusals ------------------------------------------------------------------------------------------------------

    async def test_refused(self) -> None:
        """Nothing is written where something else is: another store's backup, a directory in use, no backup at all."""
        self.assertIn("there is no index", run(self, "backup", "nowhere", str(self.backup_path), status=2))
        self.backup_path.mkdir()
        (self.backup_path / "diary").touch()
        self.assertIn("neither a backup nor empty: there is diary", self.backup(status=2))
        self.assertIn("is no backup", self.restore(status=2))
        (self.backup_path / "diary").unlink()
        self.backup()
        self.assertIn("has no snapshot 19990101T000000Z", self.restore("--snapshot", "19990101T000000Z", status=2))
        self.assertIn("where to?", run(self, "restore", str(self.backup_path), status=2))
        self.restored.mkdir()
        (self.restored / "diary").touch()
        self.assertIn("is not empty", self.restore(status=2))
        (self.restored / "diary").unlink()
        place = DataDirectory(str(self.restored), Files(), NoThreads(), 0)
        await place.start()
        self.cleanup(place.stop)
        self.assertIn("is not empty", self.restore(status=2))
        self.sql("UPDATE store SET value = 'other' WHERE name = 'store_id'")
        self.assertIn("is the backup of another store", self.backup(status=2))

    def test_keep_nothing(self) -> None:
        """No snapshot is removed because of a number that is none."""
        for number in ("0", "-1", "x"):
            with self.assertRaises(SystemExit) as ended:
                self.backup("--keep", number)
            self.assertEqual(ended.exception.code, 2)
        self.assertFalse(self.backup_path.exists())

    def test_within_the_data(self) -> None:
        """No backup is made within the data directory, nor in it, nor through a link into it."""
        link = Path(self.mktemp())
        link.symlink_to((self.path / "blobs").absolute())
        before = tree(self.path)
        for where in (self.path, self.path / "blobs", self.path / "tmp" / "backup", link / "backup"):
            for option in ([], ["--blobs-only"]):
                said = run(self, "backup", str(self.path), str(where), *option, status=2)
                self.assertIn("needs a place of its own", said)
        self.assertEqual(tree(self.path).keys(), before.keys())

    def test_within_the_backup(self) -> None:
        """Nothing is restored into the backup itself, where the next one would remove it."""
        self.backup()
        for where in ("tmp", "blobs/restored", "."):
            said = run(self, "restore", str(self.backup_path), str(self.backup_path / where), status=2)
            self.assertIn("needs a place of its own", said)

    def test_one_at_a_time(self) -> None:
        """Two do not work on one backup."""
        self.backup()
        with Backup(str(self.backup_path)).read():
            self.assertIn("another program is at work", self.backup(status=2))
            self.assertIn("restored", self.restore())

    # -- damage --------------------------------------------------------------------------------------------------------

    def test_damaged_store(self) -> None:
        """What is damaged in the store is said, and does not replace what an earlier backup has of it."""
        self.backup()
        flip_file(self.blob_of("large"), 2_000_000)
        self.assertIn("of which 0 new", self.backup())
        self.restore()
        self.assertIn("in order", run(self, "fsck", str(self.restored)))

    def test_damaged_store_at_first(self) -> None:
        """Without an earlier copy all but that is kept; restoring it without that needs to be said."""
        flip_file(self.blob_of("large"), 2_000_000)
        self.assertIn("damaged in the store: blob", self.backup(status=1))
        said = self.restore(status=1)
        self.assertIn("damaged in the backup: s3://bucket/copy\ndamaged in the backup: s3://bucket/large\n", said)
        with self.assertRaises(StoreRefused) as refused:
            DataDirectory(str(self.restored), Files(), NoThreads(), 0).possess()
        self.assertIn("was not finished: run `post3 restore` again", str(refused.exception))
        self.restore("--accept-damage", status=1)
        DataDirectory(str(self.restored), Files(), NoThreads(), 0).possess()

    def test_damaged_backup(self) -> None:
        """Bits that flip in a backup are found, by a check and by a restore."""
        self.backup()
        self.assertIn("3 blobs, 12.4 MiB, read; in order", run(self, "restore", str(self.backup_path), "--check"))
        (blob,) = (name for name, data in self.blobs(self.backup_path).items() if len(data) == len(LARGE))
        flip_file(self.backup_path / "blobs" / blob, 77)
        self.assertIn("s3://bucket/large", run(self, "restore", str(self.backup_path), "--check", status=1))
        self.assertIn("not finished", self.restore(status=1))
        flip_file(self.backup_path / "blobs" / blob, 77)
        self.restore()
        flip_file(self.backup_path / "snapshots" / self.snapshots()[0] / "index.sqlite3", 5000)
        self.assertIn("is not what it was", run(self, "restore", str(self.backup_path), "--check", status=2))

    async def test_healed(self) -> None:
        """fsck brings damaged bytes back from a backup, inline and in blobs; and nothing that is not proved to be them
        by the store's own checksums."""
        self.backup()
        await self.write("after", noise(100_000))
        flip_file(self.blob_of("large"), 2_000_000)
        flip_file(self.blob_of("after"), 1)
        self.sql("UPDATE bodies SET data = x'6f6c65' WHERE data = x'6f6c64'")
        ((part,),) = self.sql("SELECT p.blob FROM parts p JOIN versions v ON v.id = p.owner WHERE p.number = 1")
        (self.path / "blobs" / part.hex()[6:8] / part.hex()).unlink()
        options = (str(self.path), "--repair", "--from", str(self.backup_path))
        said = run(self, "fsck", *options, status=1)
        self.assertIn("4 findings, 3 put right, 1 left", said)
        left = [line for line in said.splitlines() if line.startswith("damaged") and "brought back" not in line]
        self.assertEqual([line.partition("?")[0] for line in left], ["damaged: s3://bucket/after"])
        self.assertEqual(await self.get("large"), LARGE)
        self.assertIn("1 finding, 0 put right", run(self, "fsck", str(self.path), status=1))
        self.assertIn("--from goes with --repair", run(self, "fsck", *options[:1], *options[2:], status=2))

    def test_damaged_index(self) -> None:
        """No snapshot is made of an index that is no database any more; those that are there stay."""
        self.backup()
        with open(self.path / "index.sqlite3", "r+b") as file:
            file.seek(4096 * 3)
            file.write(bytes(8192))
        self.assertIn("is damaged", self.backup(status=2))
        self.assertEqual(len(self.snapshots()), 1)
        self.restore()

    def test_damaged_descriptions(self) -> None:
        """A label or a manifest that makes no sense is refused in one line, whatever is in it."""
        self.backup()
        (name,) = self.snapshots()
        label, manifest = self.backup_path / "post3-backup", self.backup_path / "snapshots" / name / "manifest.json"
        for path in (label, manifest):
            whole = path.read_text()
            for text in ("", "[]", "5", "{}", whole[:-5]):
                path.write_text(text)
                self.assertIn("read", self.restore(status=2))
            path.write_text(whole.replace('"format": 1', '"format": 2'))
            self.assertIn("was made by another release (format 2)", self.restore(status=2))
            path.write_text(whole)
        for wrong in ({"blob_bytes": "x"}, {"damaged": 5}, {"index_size": None}):
            manifest.write_text(json.dumps({**json.loads(whole), **wrong}))
            self.assertIn("can be read", run(self, "restore", str(self.backup_path), "--list", status=2))
        manifest.write_text(whole)
        self.restore()

    def test_too_short(self) -> None:
        """A blob of the backup that has lost bytes is copied anew."""
        self.backup()
        (blob,) = (name for name, data in self.blobs(self.backup_path).items() if len(data) == len(LARGE))
        (self.backup_path / "blobs" / blob).write_bytes(b"")
        self.assertIn("of which 1 new", self.backup())
        self.restore()


class GoneOnWithTests(BackupCase):
    """What an earlier command left, when it was killed or the power went, is believed by its name."""

    def backed_up(self) -> FaultyFiles:
        """The calls on the backup's files of one backup, made as by a process of its own."""
        files = FaultyFiles()
        at_once(making.make_backup(str(self.path), Backup(str(self.backup_path), files), lambda step, share: None))
        return files

    def test_whole_before_named(self) -> None:
        """A blob of a backup is synced before it gets its name, as no row says later what a name is worth."""
        calls = self.backed_up().calls
        named = [(at, path) for at, (name, path) in enumerate(calls) if name == "rename" and "/blobs" not in str(path)]
        blobs = [(at, path) for at, path in named if len(Path(str(path)).name) == 32]
        self.assertEqual(len(blobs), 3)
        for at, path in blobs:
            self.assertIn(("fdatasync", path), calls[:at])

    def test_names_are_synced(self) -> None:
        """A blob that is there already is in a snapshot only when its name is durable: who copied it may have been
        killed before that."""
        self.backed_up()
        synced = self.backed_up().called("fsync")
        for name in self.blobs(self.backup_path):
            self.assertIn(str((self.backup_path / "blobs" / name).parent), synced)


class SweeperTests(BackupCase):
    """What a backup copies is not removed meanwhile."""

    async def test_sweep(self) -> None:
        """A sweep that is kept from removing leaves bytes and rows, and the next one takes them."""
        self.sql("UPDATE blobs SET condemned = 1, lease_until = NULL")
        self.sql("DELETE FROM versions")
        self.sql("DELETE FROM parts")
        self.sql("DELETE FROM blob_references")

        async def sweep(store: Store) -> int:
            place = DataDirectory(str(self.path), Files(), NoThreads(), 0)
            return await BlobSweep(store.index, store.blobs, store.ids, 0, removing=place.removing).run()

        with copying(str(self.path)):
            self.assertEqual(await self.at_work(sweep), 0)
        self.assertEqual(len(self.blobs(self.path)), 3)
        self.assertEqual(await self.at_work(sweep), 3)
        self.assertEqual(self.blobs(self.path), {})


class BesideServerTests(SynchronousTestCase):
    """A backup of a store that clients write to."""

    def test_under_load(self) -> None:
        """Snapshots that are taken while clients write, replace and delete, and the sweeper removes at once, are each
        in order when they are restored, and have what was acknowledged before."""
        data, backup = (Path(self.mktemp()).absolute() for _ in range(2))
        options = ["--durability=relaxed", "--blob-grace=0s"]
        with new_server(options, data_dir=data, backend="fs") as server:
            client = Client(server.endpoint, server.access_key, server.secret_key)
            self.assertEqual(client.ask("PUT", "/bucket").status, 200)
            self.assertEqual(client.ask("PUT", "/bucket/before", body=LARGE).status, 200)
            stop = Event()
            writers = [Writer(client, f"w{number}", Random(number), stop) for number in range(4)]
            threads = [Thread(target=writer.run) for writer in writers]
            for thread in threads:
                thread.start()
            snapshots = 0
            try:
                while sum(writer.ledger.count for writer in writers) < 100 or snapshots < 3:
                    run(self, "backup", str(data), str(backup))
                    snapshots += 1
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        names = [line.split()[0] for line in run(self, "restore", str(backup), "--list").splitlines()]
        for name in (names[0], names[len(names) // 2], names[-1]):
            restored = Path(self.mktemp()).absolute()
            run(self, "restore", str(backup), str(restored), "--snapshot", name)
            found = json.loads(run(self, "fsck", str(restored), "--json").splitlines()[-1])
            self.assertGreater(found["objects"], 0)
        with new_server(options, data_dir=restored, backend="fs") as server:
            client = Client(server.endpoint, server.access_key, server.secret_key)
            self.assertEqual(client.ask("GET", "/bucket/before").body, LARGE)
