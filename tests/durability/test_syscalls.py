"""Reading what strace writes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.syscalls import (
    Answer,
    MakeDirectory,
    Open,
    Operation,
    Remove,
    Rename,
    Resize,
    Sync,
    Trace,
    UnknownCall,
    Write,
)


def quoted(text: str) -> str:
    """A string as `strace -xx` writes it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def opened(path: str, flags: str = "O_RDWR|O_CREAT", descriptor: int = 5) -> str:
    """The line of an openat."""
    return f"77  openat(AT_FDCWD, {quoted(path)}, {flags}, 0600) = {descriptor}"


THREAD = "77  clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0}) = 78"


class TraceTests(SynchronousTestCase):
    """Lines, and what they mean."""

    def read(self, *lines: str) -> list[Operation]:
        """The operations in lines."""
        self.trace = Trace("/root")
        self.trace.read(lines)
        return self.trace.operations

    def test_file(self) -> None:
        """A file is opened, written to at offsets and where it ends, cut, extended and synced."""
        operations = self.read(
            opened("/root/a"),
            f"77  write(5, {quoted('abc')}, 3) = 3",
            f"77  write(5, {quoted('de')}, 2) = 2",
            f"77  pwrite64(5, {quoted('x')}, 1, 4096)   = 1",
            "77  ftruncate(5, 10)              = 0",
            "77  fallocate(5, 0, 0, 100)           = 0",
            "77  fdatasync(5)                      = 0",
        )
        self.assertEqual(
            operations,
            [
                Open(1, "a", create=True),
                Write(1, 0, b"abc"),
                Write(1, 3, b"de"),
                Write(1, 4096, b"x"),
                Resize(1, 10),
                Resize(1, 100, grow=True),
                Sync(1, 6),
            ],
        )

    def test_short_write(self) -> None:
        """Only what was written counts."""
        operations = self.read(opened("/root/a"), f"77  write(5, {quoted('abc')}, 3) = 1")
        self.assertEqual(operations[1], Write(1, 0, b"a"))

    def test_names(self) -> None:
        """Directories, renames and removals are known by their paths below the root."""
        operations = self.read(
            f"77  mkdir({quoted('/root/d')}, 0700) = 0",
            f"77  rename({quoted('/root/a')}, {quoted('/root/d/b')}) = 0",
            f"77  unlink({quoted('/root/d/b')}) = 0",
        )
        self.assertEqual(operations, [MakeDirectory("d"), Rename("a", "d/b"), Remove("d/b")])

    def test_elsewhere(self) -> None:
        """What is not below the root, was refused, or is SQLite's shared memory, is left out."""
        operations = self.read(
            opened("/other/a"),
            f"77  write(5, {quoted('abc')}, 3) = 3",
            opened("/root/index-shm"),
            f"77  pwrite64(5, {quoted('x')}, 1, 0) = 1",
            f"77  unlink({quoted('/root/a')}) = -1 ENOENT (No such file or directory)",
        )
        self.assertEqual(operations, [])

    def test_closed(self) -> None:
        """A descriptor that is used again is another file."""
        operations = self.read(opened("/root/a"), "77  close(5) = 0", opened("/root/b"), "77  fsync(5) = 0")
        self.assertEqual(operations[-1], Sync(2, 2))

    def test_interrupted(self) -> None:
        """A sync that other calls came in between of promises what was done before it began."""
        operations = self.read(
            opened("/root/a"),
            THREAD,
            "77  fdatasync(5 <unfinished ...>",
            f"78  write(5, {quoted('abc')}, 3) = 3",
            "77  <... fdatasync resumed>)          = 0",
        )
        self.assertEqual(operations[1:], [Write(1, 0, b"abc"), Sync(1, 1)])

    def test_number_free_before_close_returns(self) -> None:
        """The number of a descriptor is another thread's while the close that freed it has not returned."""
        operations = self.read(
            THREAD,
            opened("/root/a"),
            "77  close(5 <unfinished ...>",
            opened("/root/b").replace("77", "78", 1),
            "77  <... close resumed>)              = 0",
            "78  fsync(5)                          = 0",
        )
        self.assertEqual(operations[-1], Sync(2, since=2))

    def test_processes(self) -> None:
        """Threads share their descriptors, processes that were forked have copies, programs that were started none."""
        operations = self.read(
            opened("/root/a"),
            "77  clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0} <unfinished ...>",
            f"78  write(5, {quoted('a')}, 1) = 1",
            "77  <... clone3 resumed> => {parent_tid=[78]}, 88) = 78",
            "77  clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 79",
            "79  dup2(5, 1) = 1",
            f"79  write(1, {quoted('b')}, 1) = 1",
            '79  execve("\\x2f\\x70", ["\\x70"], 0x7f /* 3 vars */) = 0',
            f"79  write(5, {quoted('c')}, 1) = 1",
            f"77  write(5, {quoted('d')}, 1) = 1",
        )
        self.assertEqual(operations[1:], [Write(1, 0, b"a"), Write(1, 1, b"b"), Write(1, 2, b"d")])

    def test_pretended(self) -> None:
        """A sync that strace left out promises nothing."""
        operations = self.read(opened("/root/a"), "77  fdatasync(5) = 0 (INJECTED)")
        self.assertEqual((len(operations), self.trace.dropped), (1, 1))

    def test_answer(self) -> None:
        """An answer counts as soon as it begins to leave; also two at once."""
        head = "HTTP/1.1 200 OK\r\nx-amz-request-id: {}\r\n\r\n"
        operations = self.read(
            f"77  sendto(9, {quoted(head.format('A1') + head.format('B2'))}, 50, 0, NULL, 0 <unfinished ...>",
            "77  <... sendto resumed>) = 50",
        )
        self.assertEqual(operations, [Answer("A1", 200), Answer("B2", 200)])

    def test_unknown(self) -> None:
        """A call that cannot be followed is refused when it is about the data, and bytes that are missing too."""
        for line in (
            "77  copy_file_range(5, NULL, 6, NULL, 10, 0) = 10",
            "77  splice(8, NULL, 5, NULL, 10, 0) = 10",
            f"77  rmdir({quoted('/root/d')}) = 0",
            f"77  linkat(AT_FDCWD, {quoted('/root/a')}, AT_FDCWD, {quoted('/root/b')}, 0) = 0",
            f"77  write(5, {quoted('abc')}..., 30) = 30",
            f"77  rename({quoted('/root/a')}, {quoted('/b')}) = 0",
            "99  fsync(5) = 0",
        ):
            self.assertRaises(UnknownCall, self.read, opened("/root/a"), line)
