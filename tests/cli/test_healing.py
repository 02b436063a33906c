"""`post3 fsck --repair --from`, and what `post3 restore` and `fsck` do with what is no file."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.cli.test_backup import BackupCase, run
from tests.durability.interrupted import ended_at
from tests.storage.integrity.damaging import flip_file
from tests.storage.integrity.directory import LARGE


class HealingTests(BackupCase):
    """Damaged bytes that come back."""

    async def test_ended_at_any_moment(self) -> None:
        """A repair whose process ends before any of its system calls leaves the damaged bytes or the whole ones under
        the blob's name, never neither, and the same command goes on; the damaged ones stay in DATA/lost."""
        self.backup()
        blob = self.blob_of("large")
        lost, whole = self.path / "lost" / blob.name, blob.read_bytes()
        flip_file(blob, 2_000_000)
        damaged, options = blob.read_bytes(), (str(self.path), "--repair", "--from", str(self.backup_path))
        renamed = 0
        for calls in count():
            status = ended_at(calls, "fsck", *options)
            self.assertTrue(blob.read_bytes() in (damaged, whole))
            if status >= 0:
                break
            if blob.read_bytes() == whole:
                self.assertTrue(lost.read_bytes() == damaged)
                copy = blob.with_name("copy")
                copy.write_bytes(damaged)
                copy.replace(blob)
                lost.unlink()
                renamed += 1
        self.assertGreater(renamed, 0)
        self.assertEqual((status, blob.read_bytes() == whole, lost.read_bytes() == damaged), (0, True, True))
        self.assertEqual(os.listdir(self.path / "tmp"), [])
        self.assertEqual(await self.get("large"), LARGE)


class NoFileTests(BackupCase):
    """Something else has the name of a file."""

    def others(self, path: Path) -> list[Callable[[], None]]:
        """What makes something that is no file of this name, and was one."""
        whole = path.with_name("whole")
        path.rename(whole)

        def listen() -> None:
            with socket.socket(socket.AF_UNIX) as server:
                directory = os.getcwd()
                os.chdir(path.parent)  # the names of sockets are short
                try:
                    server.bind(path.name)
                finally:
                    os.chdir(directory)

        return [lambda: os.mkfifo(path), lambda: path.symlink_to("whole"), listen, path.mkdir]

    def test_in_a_backup(self) -> None:
        """A pipe, a link, a socket, a directory instead of a file of a backup is refused, and nothing waits for it."""
        self.backup()
        (name,) = self.snapshots()
        snapshot = self.backup_path / "snapshots" / name
        blob = next(path for path in (self.backup_path / "blobs").rglob("*") if path.is_file())
        files = [(blob, 1), *((snapshot / file, 2) for file in ("index.sqlite3", "manifest.json"))]
        for path, status in (*files, (self.backup_path / "post3-backup", 2)):
            for make in self.others(path):
                make()
                for options in ((str(self.restored),), ("--check",)):
                    said = run(self, "restore", str(self.backup_path), *options, status=status)
                    self.assertNotIn("Traceback", said)
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
                shutil.rmtree(self.restored, ignore_errors=True)
            path.with_name("whole").rename(path)
        self.restore()

    def test_in_a_store(self) -> None:
        """Nor do fsck, its repair, and a backup wait for one in the place of a blob."""
        self.backup()
        blob = self.blob_of("large")
        for make in self.others(blob)[:3]:
            make()
            self.assertIn("cannot be read: ", run(self, "fsck", str(self.path), status=1))
            self.assertIn("damaged in the store", run(self, "backup", str(self.path), self.mktemp(), status=1))
            healed = run(self, "fsck", str(self.path), "--repair", "--from", str(self.backup_path))
            self.assertIn("1 finding, 1 put right, 0 left", healed)
            blob.unlink()

    def test_no_such_snapshot(self) -> None:
        """Who asks for a snapshot that is not there is told how to list those that are."""
        self.backup()
        said = self.restore("--snapshot", "nope", status=2)
        self.assertIn(f"has no snapshot nope; `post3 restore {self.backup_path} --list` lists them", said)
