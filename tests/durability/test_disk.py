"""What a power cut may leave, by the rules of `disk`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.disk import BLOCK, Choice, Disk, Image
from tests.durability.states import STATES, choices, images
from tests.durability.syscalls import MakeDirectory, Open, Operation, Remove, Rename, Resize, Sync, Write

NOTHING = Choice(lambda change: False, lambda number, file: ())
EVERYTHING = Choice(lambda change: True, lambda number, file: range(len(file.pending)))
GROWN = Choice(lambda change: True, lambda number, file: None)


def after(*operations: Operation) -> Disk:
    """An empty disk after operations."""
    disk = Disk()
    for operation in operations:
        disk.do(operation)
    return disk


def contents(image: Image) -> dict[str, bytes]:
    """The files of an image."""
    return {path: image.content(path) for path in image.files}


ROOT_DIRECTORY, FILE, INNER = 1, 2, 3
OPEN_ROOT = Open(ROOT_DIRECTORY, "")


class DiskTests(SynchronousTestCase):
    """Files and directories, synced and not."""

    def test_nothing_synced(self) -> None:
        """Of a file that was never synced anything may be left."""
        disk = after(Open(FILE, "a", create=True), Write(FILE, 0, b"abc"))
        self.assertEqual(contents(disk.image(NOTHING)), {})
        self.assertEqual(contents(disk.image(EVERYTHING)), {"a": b"abc"})
        self.assertEqual(contents(disk.image(GROWN)), {"a": b"\0\0\0"})

    def test_sync_of_file(self) -> None:
        """A synced file has its bytes, but not its name."""
        disk = after(Open(FILE, "a", create=True), Write(FILE, 0, b"abc"), Sync(FILE, 2), Write(FILE, 0, b"x"))
        self.assertEqual(contents(disk.image(NOTHING)), {})
        names = Choice(lambda change: True, lambda number, file: ())
        self.assertEqual(contents(disk.image(names)), {"a": b"abc"})

    def test_sync_of_directory(self) -> None:
        """A synced directory has its names, but they may be of empty files."""
        disk = after(OPEN_ROOT, Open(FILE, "a", create=True), Write(FILE, 0, b"abc"), Sync(ROOT_DIRECTORY, 3))
        self.assertEqual(contents(disk.image(NOTHING)), {"a": b""})

    def test_sync_of_inner_directory(self) -> None:
        """The sync of a directory does not give it a name itself."""
        disk = after(MakeDirectory("d"), Open(INNER, "d"), Open(FILE, "d/a", create=True), Sync(INNER, 3))
        self.assertEqual(contents(disk.image(NOTHING)), {})
        self.assertEqual(contents(disk.image(EVERYTHING)), {"d/a": b""})

    def test_late_write(self) -> None:
        """What was written after a sync began is not promised by it."""
        disk = after(OPEN_ROOT, Open(FILE, "a", create=True), Write(FILE, 0, b"abc"), Sync(FILE, 2))
        disk.do(Sync(ROOT_DIRECTORY, 4))
        self.assertEqual(contents(disk.image(NOTHING)), {"a": b""})

    def test_rename(self) -> None:
        """A rename is done or not, never half; once it is durable the old name does not come back."""
        disk = after(MakeDirectory("d"), Open(INNER, "d"), OPEN_ROOT, Open(FILE, "a", create=True))
        for operation in (Write(FILE, 0, b"abc"), Sync(FILE, 5), Sync(ROOT_DIRECTORY, 6), Rename("a", "d/b")):
            disk.do(operation)
        self.assertEqual(contents(disk.image(NOTHING)), {"a": b"abc"})
        self.assertEqual(contents(disk.image(EVERYTHING)), {"d/b": b"abc"})
        disk.do(Sync(INNER, 8))
        self.assertEqual(contents(disk.image(NOTHING)), {"d/b": b"abc"})

    def test_removed(self) -> None:
        """A file that was removed may come back until its directory is synced."""
        disk = after(OPEN_ROOT, Open(FILE, "a", create=True), Sync(ROOT_DIRECTORY, 2), Remove("a"))
        self.assertEqual(contents(disk.image(NOTHING)), {"a": b""})
        disk.do(Sync(ROOT_DIRECTORY, 4))
        self.assertEqual(contents(disk.image(NOTHING)), {})

    def test_sizes(self) -> None:
        """Files are cut and grow as they were told to, in order with what is written."""
        disk = after(
            Open(FILE, "a", create=True), Write(FILE, 0, b"abcdef"), Resize(FILE, 2), Resize(FILE, 4, grow=True)
        )
        self.assertEqual(contents(disk.image(EVERYTHING)), {"a": b"ab\0\0"})
        disk.do(Write(FILE, 6, b"x"))
        self.assertEqual(contents(disk.image(EVERYTHING)), {"a": b"ab\0\0\0\0x"})

    def test_blocks(self) -> None:
        """Of a large write each block may be there or not."""
        disk = after(Open(FILE, "a", create=True), Write(FILE, 0, b"x" * (2 * BLOCK)))
        second = Choice(lambda change: True, lambda number, file: (1,))
        self.assertEqual(contents(disk.image(second)), {"a": b"\0" * BLOCK + b"x" * BLOCK})

    def test_keys(self) -> None:
        """Images with equal keys are equal; a sync alone makes no new one."""
        disk = after(OPEN_ROOT, Open(FILE, "a", create=True), Write(FILE, 0, b"abc"))
        keys = {disk.image(choice).key for choice in (NOTHING, EVERYTHING, GROWN)}
        self.assertEqual(len(keys), 3)
        disk.do(Sync(FILE, 3))
        disk.do(Sync(ROOT_DIRECTORY, 4))
        self.assertEqual(len({disk.image(choice).key for choice in (NOTHING, EVERYTHING, GROWN)}), 1)

    def test_of_directory(self) -> None:
        """What was there before is durable."""
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "d").mkdir()
            (Path(directory) / "d" / "a").write_bytes(b"abc")
            image = Disk.of(Path(directory)).image(NOTHING)
        self.assertEqual((contents(image), image.directories), ({"d/a": b"abc"}, ("d",)))


class StatesTests(SynchronousTestCase):
    """The states that are tried."""

    def test_eight(self) -> None:
        """There are eight after each operation, from nothing to everything."""
        disk = after(Open(FILE, "a", create=True), Write(FILE, 0, b"x" * 4096))
        self.assertEqual(len(list(choices(disk, Random(1)))), STATES)
        found = [contents(image) for image in images(disk, Random(1))]
        self.assertEqual(found[:4], [{}, {"a": b"x" * 4096}, {"a": b"\0" * 4096}, {}])

    def test_torn(self) -> None:
        """The last write is torn between sectors."""
        disk = after(Open(FILE, "a", create=True), Write(FILE, 0, b"x" * 4096))
        torn = {len(list(images(disk, Random(seed)))[4].content("a")) for seed in range(40)}
        self.assertEqual(torn, {512 * count for count in range(8)})

    def test_nothing_pending(self) -> None:
        """A disk on which all is synced has one state."""
        self.assertEqual(len({image.key for image in images(Disk(), Random(1))}), 1)
