"""What a server did to its disk, read from a log of its system calls.

Theory of operation. strace writes a line for each call, or two when another thread came in between; a call takes effect
when it returns, so it stands where its second line is. Two exceptions make the replay as strict as the disk may be: an
answer counts from its beginning, because the client may have it before the call returns; and a sync promises only what
was done before it *began*, which `Sync.since` says.

Descriptors are followed by number, because a file keeps its bytes when its name changes. Each process has its own,
which its threads share, and a program that is started has none: all are opened with O_CLOEXEC. Only what is below one
directory is kept; SQLite's `-shm` is memory, not data. A call that would change data in a way this module does not know
raises: a replay that overlooks a write proves nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import define, field, frozen

TRACED = (
    "openat,open,creat,close,dup,dup2,dup3,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,"
    "sync_file_range,ftruncate,truncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,"
    "linkat,symlink,symlinkat,copy_file_range,sendfile,splice,msync,io_uring_enter,clone,clone3,fork,vfork,execve"
)
"""The calls to record: all that change files, and those that answer clients."""

LONGEST = 8 << 20
"""Bytes of one write that the log must hold (strace -s)."""


@frozen
class Open:
    """A file or directory was opened as `handle`, made if it was not there and `create` says so."""

    handle: int
    path: str
    create: bool = False
    truncate: bool = False


@frozen
class Write:
    """Bytes were written at an offset."""

    handle: int
    offset: int
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen
class Resize:
    """A file was given a size; with `grow` only if it was shorter."""

    handle: int
    size: int
    grow: bool = False


@frozen
class Sync:
    """What was done to a file or directory before the operation number `since` is on the disk."""

    handle: int
    since: int


@frozen
class MakeDirectory:
    """A directory was made."""

    path: str


@frozen
class Remove:
    """A name of a file was removed."""

    path: str


@frozen
class Rename:
    """A file got another name."""

    old: str
    new: str


@frozen
class Answer:
    """An answer began to leave, with this status."""

    request_id: str
    status: int


Operation = Open | Write | Resize | Sync | MakeDirectory | Remove | Rename | Answer


class UnknownCall(Exception):
    """A call whose effect on the data is not known, or whose bytes are not all in the log."""


_LINE = re.compile(r"(\d+) +(?:<\.\.\. \w+ resumed>(?P<rest>.*)|(?P<name>\w+)\((?P<begin>.*))", re.DOTALL)
_RESULT = re.compile(r"\) += (-?\d+|\?)(?: .*)?$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_UNFINISHED = " <unfinished ...>"
_REQUEST_ID = b"x-amz-request-id: "
_HEX_REQUEST_ID = "".join(f"\\x{byte:02x}" for byte in _REQUEST_ID)

_START = re.compile(r"(\d+) +(?:<\.\.\. )?(?:clone3?|v?fork)(?:\(| resumed>)(.*)", re.DOTALL)
_PROMISE = frozenset({"fsync", "fdatasync"})
_ANSWERS = frozenset({"write", "writev", "sendto", "sendmsg"})


@define
class Trace:
    """Reads the lines of a log.

    Attributes:
        root: paths below it are kept, relative to it.
        operations: what was read so far.
        dropped: how many syncs were pretended (strace's `inject=fsync:retval=0`): they promise nothing.
    """

    root: str
    operations: list[Operation] = field(factory=list)
    dropped: int = 0
    _unfinished: dict[str, tuple[str, str, int]] = field(factory=dict, init=False)
    _tables: dict[str, dict[int, int]] = field(factory=dict, init=False)
    _parents: dict[str, tuple[str, str]] = field(factory=dict, init=False)
    _handles: dict[int, int] = field(factory=dict, init=False)
    _positions: dict[int, int] = field(factory=dict, init=False)
    _next: int = field(default=0, init=False)

    def read(self, lines: Iterable[str]) -> None:
        """Read lines; may be called again for the next log, of a process that came after this one."""
        self._unfinished.clear()
        self._tables.clear()
        kept = list(lines)
        self._parents = _parents(kept)
        for line in kept:
            self._read(line.rstrip("\n"))

    def _read(self, line: str) -> None:
        found = _LINE.match(line)
        if found is None:
            return  # a signal, an exit
        process, rest = found[1], found["rest"]
        if process not in self._tables:
            self._tables[process] = self._inherited(process)
        self._handles = self._tables[process]
        if rest is not None:
            if process not in self._unfinished:
                return  # begun before the log did
            name, begin, since = self._unfinished.pop(process)
            self._call(name, begin + rest, since)
            return
        name, text = found["name"], found["begin"]
        if _HEX_REQUEST_ID in text and name in _ANSWERS:
            self._answer(text)
        if text.endswith(_UNFINISHED):
            begin = text[: -len(_UNFINISHED)]
            if name == "close":
                # Its number is free before it returns, and may be another thread's by then.
                self._on_close(begin.partition(")")[0], 0, 0)
                return
            self._unfinished[process] = (name, begin, len(self.operations))
        else:
            self._call(name, text, len(self.operations))

    def _inherited(self, process: str) -> dict[int, int]:
        """The descriptors of a process or thread that is seen for the first time."""
        if process in self._parents:
            parent, flags = self._parents[process]
            return _given(self._tables[parent], flags)
        if self._tables:
            raise UnknownCall(f"the log does not say where process {process} came from")
        return {}

    def _answer(self, text: str) -> None:
        for string, _ in _STRING.findall(text):
            data = _bytes(string)
            for answer in data.split(b"HTTP/1.1 ")[1:]:
                _, known, rest = answer.partition(_REQUEST_ID)
                if known:
                    self.operations.append(Answer(rest.partition(b"\r\n")[0].decode(), int(answer[:3])))

    def _call(self, name: str, text: str, since: int) -> None:
        result = _RESULT.search(text)
        if result is None or result[1] == "?":
            return  # the process was killed in it
        returned = int(result[1])
        if returned < 0:
            return
        arguments = text[: result.start()]
        if name in _PROMISE and text.endswith("(INJECTED)"):
            self.dropped += 1
            return
        act = getattr(self, f"_on_{name}", None)
        if name == "execve":
            self._handles.clear()
        elif act is None:
            self._refuse(name, arguments)
        else:
            act(arguments, returned, since)

    # -- names --------------------------------------------------------------------------------------------------------

    def _on_openat(self, arguments: str, returned: int, since: int) -> None:
        path = self._path(arguments)
        self._handles.pop(returned, None)
        if path is None:
            return
        flags = arguments.rpartition('"')[2]
        self._next += 1
        self._handles[returned] = self._next
        self._positions[self._next] = 0
        if "O_APPEND" in flags or "O_TMPFILE" in flags:
            raise UnknownCall(f"openat({path}, {flags})")
        self.operations.append(Open(self._next, path, "O_CREAT" in flags, "O_TRUNC" in flags))

    def _on_close(self, arguments: str, returned: int, since: int) -> None:
        self._handles.pop(int(arguments), None)

    def _on_dup2(self, arguments: str, returned: int, since: int) -> None:
        self._handles.pop(returned, None)
        handle = self._handle(arguments)
        if handle is not None:
            self._handles[returned] = handle

    _on_dup = _on_dup3 = _on_dup2

    def _on_mkdir(self, arguments: str, returned: int, since: int) -> None:
        path = self._path(arguments)
        if path is not None:
            self.operations.append(MakeDirectory(path))

    def _on_unlink(self, arguments: str, returned: int, since: int) -> None:
        path = self._path(arguments)
        if path is not None:
            self.operations.append(Remove(path))

    def _on_rename(self, arguments: str, returned: int, since: int) -> None:
        old, new = self._paths(arguments)
        if (old is None) != (new is None):
            raise UnknownCall(f"a rename into or out of {self.root}")
        if old is not None and new is not None:
            self.operations.append(Rename(old, new))

    # -- contents -----------------------------------------------------------------------------------------------------

    def _on_write(self, arguments: str, returned: int, since: int) -> None:
        handle = self._handle(arguments)
        if handle is not None:
            self._write(handle, self._positions[handle], self._data(arguments, returned))
            self._positions[handle] += returned

    def _on_pwrite64(self, arguments: str, returned: int, since: int) -> None:
        handle = self._handle(arguments)
        if handle is not None:
            self._write(handle, int(arguments.rpartition(",")[2]), self._data(arguments, returned))

    def _write(self, handle: int, offset: int, data: bytes) -> None:
        self.operations.append(Write(handle, offset, data))

    def _on_ftruncate(self, arguments: str, returned: int, since: int) -> None:
        handle = self._handle(arguments)
        if handle is not None:
            self.operations.append(Resize(handle, int(arguments.rpartition(",")[2])))

    def _on_fallocate(self, arguments: str, returned: int, since: int) -> None:
        handle = self._handle(arguments)
        if handle is not None:
            _, mode, offset, length = (part.strip() for part in arguments.split(","))
            if mode != "0":
                raise UnknownCall(f"fallocate with mode {mode}")
            self.operations.append(Resize(handle, int(offset) + int(length), grow=True))

    def _on_fsync(self, arguments: str, returned: int, since: int) -> None:
        handle = self._handle(arguments)
        if handle is not None:
            self.operations.append(Sync(handle, since))

    _on_fdatasync = _on_fsync  # which leaves out the times of a file, not its size

    def _on_sync_file_range(self, arguments: str, returned: int, since: int) -> None:
        """A hint to begin writing: promises nothing."""

    def _on_sendto(self, arguments: str, returned: int, since: int) -> None:
        """To a socket; answers were noted when it began."""

    _on_sendmsg = _on_sendto

    # -- arguments ----------------------------------------------------------------------------------------------------

    def _refuse(self, name: str, arguments: str) -> None:
        """A call without a method of its own is fine as long as it has nothing to do with the data."""
        descriptors = re.findall(r"(?:^|[,{] *)(\d+)(?=,|$)", arguments)
        if any(int(number) in self._handles for number in descriptors) or any(
            path is not None for path in self._paths(arguments)
        ):
            raise UnknownCall(f"{name}({arguments[:200]})")

    def _handle(self, arguments: str) -> int | None:
        return self._handles.get(int(arguments.partition(",")[0]))

    def _data(self, arguments: str, length: int) -> bytes:
        found = _STRING.search(arguments)
        if found is None or found[2]:
            raise UnknownCall(f"the log lacks bytes: {arguments[:100]}")
        return _bytes(found[1])[:length]

    def _path(self, arguments: str) -> str | None:
        paths = self._paths(arguments)
        return paths[0] if paths else None

    def _paths(self, arguments: str) -> list[str | None]:
        return [self._below(_bytes(string).decode()) for string, _ in _STRING.findall(arguments)]

    def _below(self, path: str) -> str | None:
        if path == self.root:
            return ""
        if not path.startswith(self.root + "/") or path.endswith("-shm"):
            return None
        return os.path.normpath(path[len(self.root) + 1 :])


def _parents(lines: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Who started each process and thread, and with which flags: its first call may be logged before that returns."""
    found: dict[str, tuple[str, str]] = {}
    begun: dict[str, str] = {}
    for line in lines:
        call = _START.match(line)
        if call is None:
            continue
        text = begun.pop(call[1], "") + call[2]
        result = _RESULT.search(text.rstrip("\n"))
        if result is None:
            begun[call[1]] = text
        else:
            found[result[1]] = (call[1], text)
    return found


def _given(handles: dict[int, int], flags: str) -> dict[int, int]:
    """The descriptors of a thread, or of a process, that was started."""
    return handles if "CLONE_FILES" in flags else dict(handles)


def _bytes(string: str) -> bytes:
    return bytes.fromhex(string.replace("\\x", ""))


def lines_of(log: Path) -> Iterator[str]:
    """The lines of a log file."""
    with log.open(encoding="ascii", errors="surrogateescape") as lines:
        yield from lines
