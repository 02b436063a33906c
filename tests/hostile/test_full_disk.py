"""A disk that is really full: writes are refused, reads and deletes go on, and writes come back with the space."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import only_on
from tests.hostile.case import assert_well_formed, client_of, wait_until
from tests.hostile.inside import InsideDirectory
from tests.hostile.raw import Client, Reply

LONG = os.environ.get("POST3_LONG") == "1"
DISK = 128 << 20
RESERVE = 40 << 20
"""More than the index's log grows to before it is copied, and the copy: deletes need both."""

SMALL, LARGE = 30_000, 1 << 20
"""Sizes of objects: in the index, and in a file."""


@only_on("fs", "tests.postgresql fills the disk of a database")
class FullDiskTests(SynchronousTestCase):
    """A server on a small file system of its own, with a small reserve."""

    def setUp(self) -> None:
        """Mount a file system in memory and start a server on it."""
        self.disk = Path(tempfile.mkdtemp(prefix="post3-disk-"))
        self.addCleanup(self.disk.rmdir)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "post3-hostile", str(self.disk)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            reason = f"NOT TESTED: a disk that is really full; mounting one needs root: {mounted.stderr.strip()}"
            raise SkipTest(reason)
        self.addCleanup(subprocess.run, ["umount", str(self.disk)], check=True)
        self.server = RunningServer(data_dir=self.disk / "data", options=(f"--reserve={RESERVE}", "--blob-grace=1s"))
        self.server.start()
        self.addCleanup(self.assert_no_accident)
        self.client: Client = client_of(self.server)
        self.assertEqual(self.client.ask("PUT", "/bucket").status, 200)
        self.kept: dict[str, bytes] = {}

    def assert_no_accident(self) -> None:
        """The server ends as it should and has told of no accident."""
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse("Traceback" in self.server.output)

    def fill(self, leaving: int = 0) -> Path:
        """Somebody else takes the space that is left on the disk."""
        path = self.disk / "somebody-else"
        with path.open("wb") as file:
            free = os.statvfs(self.disk)
            os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_frsize - leaving, 1))
        return path

    def put(self, key: str, size: int, query: str = "") -> Reply:
        """Write; what is acknowledged is remembered."""
        body = os.urandom(size)
        reply = self.client.ask("PUT", f"/bucket/{key}{query}", (), body)
        if reply.status == 200 and not query:
            self.kept[key] = body
        return reply

    def assert_full(self, reply: Reply) -> None:
        """A write was refused because the disk is full."""
        self.assertEqual((reply.status, reply.code), (507, "InsufficientStorage"), reply.body)
        assert_well_formed(self, reply.body)

    def fill_up(self, size: int) -> None:
        """Write objects until the disk is full."""
        for number in range(DISK // size + 1):
            reply = self.put(f"{size}-{number}", size)
            if reply.status != 200:
                self.assert_full(reply)
                return
        self.fail("the disk does not fill up")

    def assert_kept(self) -> None:
        """Every acknowledged object is read, listed and seen as it was written."""
        listed = self.client.ask("GET", "/bucket?list-type=2")
        self.assertEqual(re.findall("<Key>([^<]*)</Key>", listed.body.decode()), sorted(self.kept))
        for key, body in self.kept.items():
            self.assertEqual(self.client.ask("HEAD", f"/bucket/{key}").headers["content-length"], str(len(body)))
            read = self.client.ask("GET", f"/bucket/{key}")
            self.assertEqual((read.status, read.body), (200, body), key)

    def delete(self, key: str) -> None:
        """Delete an object, successfully."""
        self.assertEqual(self.client.ask("DELETE", f"/bucket/{key}").status, 204)
        self.kept.pop(key, None)

    def begin_upload(self) -> str:
        """The query of a part of a new upload, but for its number."""
        created = self.client.ask("POST", "/bucket/upload?uploads")
        self.assertEqual(created.status, 200)
        return "?uploadId=" + created.body.decode().partition("<UploadId>")[2].partition("<")[0] + "&partNumber="

    def test_full(self) -> None:
        """Large and small writes, parts and copies are refused; reads and deletes work; nothing is lost."""
        upload = self.begin_upload()
        self.assertEqual(self.put("upload", LARGE, upload + "1").status, 200)
        self.put("small", SMALL)
        self.fill(leaving=6 * LARGE)
        self.fill_up(LARGE)
        self.assertGreater(len(self.kept), 2)
        self.assert_kept()
        for size in (1, SMALL, LARGE):
            self.assert_full(self.put("more", size))
            self.assert_full(self.put("upload", size, upload + "2"))
        self.assert_full(self.client.ask("POST", "/bucket/other?uploads"))
        self.assert_full(self.client.ask("PUT", "/other-bucket"))
        tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
        for target in ("/bucket?tagging", "/bucket/small?tagging"):
            self.assert_full(self.client.ask("PUT", target, (), tags))
        self.assertEqual(InsideDirectory(self.disk / "data").unfinished(), [])
        self.assert_kept()
        for key in list(self.kept)[::2]:
            self.delete(key)
        self.assertEqual(self.client.ask("DELETE", f"/bucket/upload{upload.partition('&')[0]}").status, 204)
        self.assert_kept()

    def test_small(self) -> None:
        """A disk filled by small objects, in the index, refuses and goes on in the same way."""
        self.fill(leaving=12 * LARGE)
        self.fill_up(SMALL)
        self.assertGreater(len(self.kept), 100)
        self.assert_full(self.put("more", SMALL))
        self.assert_kept()
        for key in list(self.kept):
            self.delete(key)
        self.assert_kept()

    def test_small_deleted(self) -> None:
        """Deletes of small objects, which are in the index, make space that writes are accepted for again."""
        if not LONG:
            raise SkipTest("takes half a minute: run with POST3_LONG=1")
        self.fill_up(60_000)
        for key in list(self.kept):
            self.delete(key)
        self.assertTrue(wait_until(lambda: self.put("again", SMALL).status == 200, patience=60))
        self.assert_kept()

    def test_space_returns(self) -> None:
        """Writes work again, without a restart, once others have freed space."""
        path = self.fill(leaving=4 * LARGE)
        self.fill_up(LARGE)
        path.unlink()
        self.assertTrue(wait_until(lambda: self.put("again", LARGE).status == 200))
        self.assert_kept()

    def test_restart(self) -> None:
        """A server that is killed on a full disk starts on it again, reads and deletes; nothing is lost."""
        path = self.fill(leaving=4 * LARGE)
        self.fill_up(LARGE)
        self.server.kill()
        self.server.options = (*self.server.options, "--bucket=bucket", "--bucket=missing")
        self.server.start()
        self.client = client_of(self.server)
        self.assert_kept()
        self.assert_full(self.put("more", LARGE))
        self.delete(next(iter(self.kept)))
        path.unlink()
        self.assert_kept()
        self.assertEqual(InsideDirectory(self.disk / "data").holdings().rows["current"], len(self.kept))
