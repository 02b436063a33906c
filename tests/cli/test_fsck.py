"""`post3 fsck`."""

from __future__ import annotations

import json
import sys
import time
from io import StringIO
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.cli import main
from post3tw.model.errors import InsufficientStorage
from post3tw.model.ids import IdSource
from post3tw.service.copying import Copying
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from post3tw.service.store import Store
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.integrity import fsck
from post3tw.storage.integrity.rules import RULES, Row, Rule
from post3tw.storage.interfaces import ITransaction
from post3tw.storage.threads import NoThreads
from post3tw.testing.blob_fixture import noise
from tests.backends import new_server, open_postgres, started
from tests.hostile.ledger import Writer
from tests.hostile.raw import Client
from tests.service.object_case import ObjectCase
from tests.service.stores import BytesBody, admitted, make_bucket
from tests.storage.integrity.damaging import flip_blob, flip_file
from tests.storage.integrity.directory import DirectoryCase, tree
from tests.storage.postgresql.databases import empty_database

ALIEN = "ab" * 16


def run_fsck(test: SynchronousTestCase, *arguments: str, status: int) -> str:
    """What the verb says, on the stream of its status."""
    out, err = StringIO(), StringIO()
    test.patch(sys, "stdout", out)
    test.patch(sys, "stderr", err)
    test.assertEqual(main(["fsck", *arguments]), status, out.getvalue() + err.getvalue())
    test.assertEqual(out.getvalue() if status == 2 else err.getvalue(), "")
    return out.getvalue() + err.getvalue()


class FsckTests(DirectoryCase):
    """Tests of the verb on a data directory."""

    def fsck(self, *options: str, status: int) -> str:
        """What it says of the directory."""
        return run_fsck(self, str(self.path), *options, status=status)

    def findings(self, *options: str, status: int = 1) -> list[tuple[str, str]]:
        """Kind and subject of what it finds."""
        lines = [json.loads(line) for line in self.fsck("--json", *options, status=status).splitlines()]
        return [(line["kind"], line["what"]) for line in lines[:-1]]

    def alien(self) -> Any:
        """A blob that the index does not know."""
        path = self.path / "blobs" / "ab" / "ab" / ALIEN
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whose am I?")
        return path

    # -- in order ------------------------------------------------------------------------------------------------------

    def test_in_order(self) -> None:
        """Everything was read, each blob once, and nothing was changed."""
        before = tree(self.path)
        size = 6 + 4 + 2_500_000 + 2 * ((5 << 20) + 100)
        said = self.fsck("--json", status=0)
        self.assertEqual(json.loads(said), {"found": {}, "left": 0, "objects": 9, "bytes": size, "quick": False})
        self.assertEqual(self.fsck(status=0), "in order; 9 objects, 12.4 MiB read\n")
        self.assertEqual(self.fsck("--quick", status=0), "in order; contents not read\n")
        after = tree(self.path)
        after.pop("post3.lock")
        self.assertEqual(after, before)

    def test_no_store(self) -> None:
        """A directory without an index cannot be checked, and none is made."""
        (self.path / "index.sqlite3").unlink()
        self.assertIn("there is no index", self.fsck(status=2))
        self.assertFalse((self.path / "post3.lock").exists())

    # -- contents ------------------------------------------------------------------------------------------------------

    def test_contents(self) -> None:
        """A flipped bit, missing bytes and a lost file are found, with the names of whose they are, and nothing is
        repaired that nobody can know."""
        flip_file(self.blob_of("large"), 2_000_000)
        self.sql("UPDATE bodies SET data = x'6f6c65' WHERE data = x'6f6c64'")
        ((part,),) = self.sql("SELECT p.blob FROM parts p JOIN versions v ON v.id = p.owner WHERE p.number = 1")
        (self.path / "blobs" / part.hex()[6:8] / part.hex()).unlink()
        versions = dict(self.sql("SELECT key, id FROM versions WHERE seq = 1"))
        for options in ((), ("--repair",)):
            names = [what for kind, what in self.findings(*options) if kind == "damaged"]
            self.assertEqual(
                [name.partition("?")[0] for name in names],
                ["s3://bucket/large", "s3://bucket/parts", "s3://bucket/small"],
            )
            self.assertTrue(names[1].endswith("&partNumber=1"))
            self.assertIn(versions[b"small"].hex()[-16:], names[2])

    def test_damaged_database(self) -> None:
        """A page of the index that is no page any more is a finding, and what can be checked is."""
        flip_file(self.blob_of("large"), 1)
        ((root,),) = self.sql("SELECT rootpage FROM sqlite_master WHERE name = 'current'")
        with open(self.path / "index.sqlite3", "r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(bytes(4096))
        kinds = [kind for kind, _ in self.findings()]
        self.assertIn("database", kinds)
        self.assertIn("damaged", kinds)

    async def test_damaged_rows(self) -> None:
        """Of versions whose rows are in a destroyed page the names are told, and all others are read."""

        async def fill(store: Store) -> None:
            bucket = await store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
            assert bucket is not None
            for number in range(300):
                await self.put(store, bucket, f"key{number:03}", noise(100, number))

        await self.at_work(fill)
        with open(self.path / "index.sqlite3", "r+b") as file:
            pages = [file.read(4096) for _ in range((self.path / "index.sqlite3").stat().st_size // 4096)]
            at, page = next(each for each in enumerate(pages) if each[1][0] == 13 and b"key150" in each[1])
            file.seek(at * 4096)
            file.write(bytes(4096))
        lost = {b"key%03d" % number for number in range(300) if b"key%03d" % number in page}
        said = self.fsck(status=1)
        self.assertIn(f"{300 + 9} objects", said)
        found = {line.split(":")[2].rpartition("/")[2].encode() for line in said.splitlines() if "its row" in line}
        self.assertEqual(found, lost)

    async def test_damaged_rows_of_parts_and_uploads(self) -> None:
        """Where rows of parts or uploads are in a destroyed page, that is told of whoever has them, all others are
        read, and a scrub as well as fsck comes to its end."""

        async def fill(store: Store) -> None:
            bucket = await store.index.read(lambda tx: find_bucket(tx, "", "bucket"))
            assert bucket is not None
            multipart = Multipart(store)
            for number in range(120):
                create = types.CreateMultipartUploadInput(key=f"upload{number:03}")
                made = await multipart.create_multipart_upload(admitted("CreateMultipartUpload", bucket), create)
                for part in range(1, 3):
                    put = types.UploadPartInput(key=create.key, part_number=part, upload_id=made.upload_id)
                    await multipart.upload_part(
                        admitted("UploadPart", bucket), put, BytesBody(noise(9, 10 * number + part))
                    )

        await self.at_work(fill)
        whole = (self.path / "index.sqlite3").read_bytes()
        ((root,),) = self.sql("SELECT rootpage FROM sqlite_master WHERE name = 'uploads'")
        ((parts,),) = self.sql("SELECT rootpage FROM sqlite_master WHERE name = 'parts'")
        said = {}
        for table, page in (("uploads", root), ("parts", parts)):
            leaf = int.from_bytes(whole[(page - 1) * 4096 + 8 :][:4]) - 1  # the rightmost, of an inner page
            self.assertIn(whole[leaf * 4096], (10, 13), table)
            with open(self.path / "index.sqlite3", "r+b") as file:
                file.seek(leaf * 4096)
                file.write(bytes(4096))
            said[table] = self.fsck(status=1)
            (self.path / "index.sqlite3").write_bytes(whole)
        for table, words in (("uploads", "the row of the upload"), ("parts", "rows of its parts")):
            damaged = [line for line in said[table].splitlines() if words in line]
            self.assertTrue(0 < len(damaged) < 120, said[table])
            self.assertIn("129 objects", said[table])

    def test_more_than_are_shown(self) -> None:
        """Of very many rows with the same fault the first are shown, and how many more there are is said."""
        self.sql("DELETE FROM blob_references")
        self.patch(fsck, "LIMIT", 2)
        self.assertIn("blob forgotten: 1 more: nobody has this blob", self.fsck("--quick", status=1))
        counts = json.loads(self.fsck("--quick", "--json", status=1).splitlines()[-1])
        self.assertEqual(counts["found"]["blob forgotten"], 3)

    def test_a_rule_that_cannot_be_looked_at(self) -> None:
        """What cannot be said because the index cannot be read is a finding, and the other rules are looked at."""
        self.sql("DELETE FROM blob_references")
        broken = {"first": Rule("all is well", "SELECT nothing FROM nowhere LIMIT ?"), **RULES}
        self.patch(fsck, "RULES", broken)
        said = self.fsck("--quick", status=1)
        self.assertIn("whether all is well cannot be said: ", said)
        self.assertIn("reference missing", said)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def test_listings(self) -> None:
        """Listings that do not show what is there are found, and put right."""
        self.sql("DELETE FROM current WHERE key = x'6c61726765'")  # large
        self.sql("UPDATE current SET entry = replace(entry, '|0|', '|1|') WHERE key = x'656d707479'")  # empty
        self.sql("INSERT INTO current SELECT bucket, x'00', seq, '1|1||', '', '' FROM current LIMIT 1")
        found = [
            ("listed", "s3://bucket/\\x00"),
            ("not listed", "s3://bucket/empty"),
            ("not listed", "s3://bucket/large"),
        ]
        self.assertEqual(sorted(self.findings()), found)
        self.assertIn("3 findings, 3 put right, 0 left", self.fsck("--repair", status=0))
        self.assertEqual(self.findings(status=0), [])

    def test_references(self) -> None:
        """A blob that somebody has is kept from the sweeper."""
        self.sql("DELETE FROM blob_references WHERE holder IN (SELECT id FROM versions)")
        self.sql("UPDATE blobs SET condemned = 1 WHERE id IN (SELECT blob FROM parts)")
        kinds = sorted(kind for kind, _ in self.findings())
        self.assertEqual(kinds, ["blob forgotten", "given up", "given up", *["reference missing"] * 2])
        self.findings("--repair", status=0)
        self.assertEqual(self.findings(status=0), [])
        self.assertEqual(self.sql("SELECT 1 FROM blobs WHERE condemned IS NOT NULL OR lease_until IS NOT NULL"), [])

    def test_no_help(self) -> None:
        """What a repair did not put right is not called so."""
        rule = Rule("wrong", "SELECT bucket, key, NULL, NULL FROM current ORDER BY key LIMIT ?", self.remove_empty)
        self.patch(fsck, "RULES", {"odd": rule})
        rows = self.sql("SELECT key FROM current")
        said = self.fsck("--repair", status=1)
        self.assertIn("odd: s3://bucket/empty: wrong (put right)\n", said)
        self.assertIn("odd: s3://bucket/large: wrong\n", said)
        self.assertIn(f"{len(rows)} findings, 1 put right, {len(rows) - 1} left", said)

    async def remove_empty(self, tx: ITransaction, row: Row) -> None:
        """A repair of one row."""
        await tx.write("DELETE FROM current WHERE key = ?", b"empty")

    def test_full_disk(self) -> None:
        """What keeps a repair from going on is said in one line."""

        async def full(tx: ITransaction, row: Row) -> None:
            raise InsufficientStorage

        self.patch(fsck, "RULES", {"odd": Rule("wrong", "SELECT bucket, key, NULL, NULL FROM current LIMIT ?", full)})
        self.assertEqual(self.fsck("--repair", status=2), "post3 fsck: the disk is full\n")

    def test_left_alone(self) -> None:
        """What nobody seems to have is told of and left: it may be all that is left of something."""
        self.sql("DELETE FROM versions WHERE key IN (x'6c61726765', x'7061727473', x'676f6e65')")
        self.sql("DELETE FROM current WHERE key IN (x'6c61726765', x'7061727473')")
        kinds = sorted(kind for kind, _ in self.findings())
        self.assertEqual(kinds, ["body of nobody", "parts of nobody", "reference stray"])
        before = self.sql("SELECT * FROM blobs"), self.sql("SELECT * FROM bodies")
        self.findings("--repair")
        self.assertEqual((self.sql("SELECT * FROM blobs"), self.sql("SELECT * FROM bodies")), before)

    def test_parts(self) -> None:
        """An object that lacks a part, or whose parts are elsewhere, is found; so is what has no bucket."""
        self.sql('UPDATE parts SET "offset" = 7 WHERE owner IN (SELECT id FROM versions) AND number = 2')
        self.assertEqual([kind for kind, _ in self.findings()], ["parts out of place"])
        self.sql("DELETE FROM parts WHERE owner IN (SELECT id FROM versions) AND number = 2")
        self.assertIn(("parts missing", "s3://bucket/parts"), self.findings())
        self.sql("UPDATE uploads SET bucket = 7")
        self.assertIn(("bucket of uploads missing", "s3://(bucket 7)/upload"), self.findings())

    def test_lists(self) -> None:
        """A bucket that seems to hold its owner's objects only, and does not, is told so."""
        self.sql("UPDATE versions SET owner_id = 'bob' WHERE key = x'656d707479'")
        self.sql("UPDATE current SET owner_id = 'bob' WHERE key = x'656d707479'")
        self.assertEqual(self.findings(), [("lists not noted", "bucket bucket")])
        self.findings("--repair", status=0)
        self.assertEqual(self.sql("SELECT object_acls FROM buckets"), [(1,)])

    # -- strangers -----------------------------------------------------------------------------------------------------

    def test_stranger(self) -> None:
        """A blob that the index does not know is put aside, never removed: the index may be the older of the two."""
        path = self.alien()
        self.assertEqual(self.findings(), [("stranger", f"blob {ALIEN}")])
        self.assertTrue(path.exists())
        self.findings("--repair", status=0)
        self.assertFalse(path.exists())
        self.assertEqual((self.path / "lost" / ALIEN).read_bytes(), b"whose am I?")

    # -- beside a server -----------------------------------------------------------------------------------------------

    async def test_in_use(self) -> None:
        """A directory that a server has can be checked, but not repaired."""
        place = DataDirectory(str(self.path), Files(), NoThreads(), 0)
        await place.start()
        self.cleanup(place.stop)
        self.fsck(status=0)
        self.assertIn("in use by another process", self.fsck("--repair", status=2))

    async def test_ours_meanwhile(self) -> None:
        """No server can start on a directory while it is checked; afterwards it can."""
        place = DataDirectory(str(self.path), Files(), NoThreads(), 0)
        self.fsck(status=0)
        await place.start()
        await place.stop()


class DatabaseTests(ObjectCase):
    """Tests of the verb on a store in PostgreSQL, whose node is at work."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A node with objects."""
        self.dsn = empty_database(self)
        opened = open_postgres(self.dsn)
        for part in (opened.space, opened.index, opened.blobs):
            await started(self, part)
        self.store = Store(opened.index, opened.blobs, IdSource(time.time))
        self.bucket = await make_bucket(self.store)
        self.objects, self.copying = Objects(self.store), Copying(self.store)
        await self.put("small", b"small")
        await self.put("large", noise(3_000_000))
        await self.copy("large", "copy")
        await self.put_parts("parts", {1: noise(70_000), 2: noise(10)})

    def test_in_order(self) -> None:
        """Everything is read, each blob once."""
        said = json.loads(run_fsck(self, "--dsn", self.dsn, "--json", status=0))
        self.assertEqual((said["objects"], said["bytes"]), (4, 5 + 3_000_000 + 70_010))

    async def test_damage(self) -> None:
        """Flipped bits, lost blocks, strangers and rows that do not fit are found, and what can be repaired is."""
        blob = (await self.rows("SELECT blob FROM versions WHERE key = ?", b"large"))[0][0]
        part = (await self.rows("SELECT blob FROM parts WHERE blob IS NOT NULL"))[0][0]
        await flip_blob(self.store, blob, 2_500_000)

        async def damage(tx: Any) -> None:
            await tx.write("DELETE FROM blocks WHERE blob = ?", part)
            await tx.write("DELETE FROM current WHERE key = ?", b"small")
            await tx.write("UPDATE versions SET owner_id = 'bob' WHERE key = ?", b"small")

        await self.store.index.run(damage)
        writer = await self.store.blobs.create(b"stranger" * 2)
        await writer.finish()
        lines = run_fsck(self, "--dsn", self.dsn, "--repair", "--json", status=1).splitlines()
        found = sorted((line["kind"], line["what"], line["repaired"]) for line in map(json.loads, lines[:-1]))
        self.assertEqual(found[0][:2], ("damaged", "s3://bucket/large?versionId=null"))
        self.assertEqual(found[1][:2], ("damaged", "s3://bucket/parts?versionId=null&partNumber=1"))
        self.assertEqual(
            found[2:4], [("lists not noted", "bucket bucket", True), ("not listed", "s3://bucket/small", True)]
        )
        self.assertEqual(found[4], ("stranger", f"blob {(b'stranger' * 2).hex()}", False))
        self.assertEqual(len(found), 5)
        self.assertEqual(await self.rows("SELECT object_acls FROM buckets"), [(1,)])

    def test_unreachable(self) -> None:
        """A database that is not there cannot be checked."""
        self.assertIn("cannot be used", run_fsck(self, "--dsn", "host=/nowhere dbname=x", status=2))


class BesideServerTests(SynchronousTestCase):
    """Tests of the verb beside a server that clients write to."""

    def test_under_load(self) -> None:
        """A store in order is never said not to be, whatever is written, replaced and deleted meanwhile."""
        with new_server(["--durability=relaxed"], data_dir=Path(self.mktemp()).absolute(), backend="fs") as server:
            client = Client(server.endpoint, server.access_key, server.secret_key)
            self.assertEqual(client.ask("PUT", "/bucket").status, 200)
            stop = Event()
            writers = [Writer(client, f"w{number}", Random(number), stop) for number in range(4)]
            threads = [Thread(target=writer.run) for writer in writers]
            for thread in threads:
                thread.start()
            try:
                while sum(writer.ledger.count for writer in writers) < 100:
                    self.assertIn("in order", run_fsck(self, str(server.data_dir), status=0))
                    self.assertTrue(all(thread.is_alive() for thread in threads))
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
