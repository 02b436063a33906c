"""A disk as a power cut may find it: what is on it for certain, and what was done to it since.

Theory of operation. Every operation on a file or a directory is *pending* until it is synced, and a power cut keeps any
subset of what is pending. The rules are those of POSIX at its meanest, not those of one file system:

- a sync of a file makes its bytes and its size durable, not its name;
- a sync of a directory makes the names in it durable, not its own, and not the bytes of its files;
- a rename is one step: afterwards the file has the old name or the new one, never none;
- bytes that are not synced may be there, or not, or be zeros where the file has already grown (ext4's delayed
  allocation), each block by itself; the last write may be torn between two sectors of 512 bytes.

`Disk` follows the operations; `states` says which subsets are tried. A `Choice` is such a subset, and `Image` is what
it leaves: the names, and for each file the bytes, which are made only when they are asked for. Images have keys, equal
for those with equal contents, because many power cuts leave the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from attrs import define, field, frozen

from tests.durability.syscalls import MakeDirectory, Open, Operation, Remove, Rename, Resize, Sync, Write

BLOCK = 16 * 1024
"""Larger writes count as several, of which a power cut may keep any."""

SECTOR = 512

Tree = dict[int, dict[str, int]]
"""Directories by number: names, and the numbers of what they name."""


@frozen
class Change:
    """A write or a change of size that is pending."""

    seq: int
    offset: int
    data: bytes | None
    grow: bool = False

    def apply(self, content: bytearray, cut: int | None = None) -> None:
        """Do it; only the first `cut` bytes of a write when that is given."""
        if self.data is None:
            if len(content) < self.offset:
                content.extend(bytes(self.offset - len(content)))
            elif not self.grow:
                del content[self.offset :]
            return
        data = self.data if cut is None else self.data[:cut]
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(data)] = data


@define
class File:
    """A file: durable bytes, and changes since. `version` counts how often the durable bytes changed."""

    durable: bytearray = field(factory=bytearray)
    pending: list[Change] = field(factory=list)
    size: int = 0
    version: int = 0

    def sync(self, since: int) -> None:
        """What was done before `since` is durable."""
        kept = [change for change in self.pending if change.seq >= since]
        for change in self.pending:
            if change.seq < since:
                change.apply(self.durable)
        self.version += len(kept) != len(self.pending)
        self.pending = kept


@frozen
class NameChange:
    """A name that was given or taken, pending. A rename does both, in one step."""

    seq: int
    gone: tuple[int, str, int] | None
    given: tuple[int, str, int] | None

    @property
    def entries(self) -> set[tuple[int, str]]:
        """The names in question, each with its directory."""
        return {entry[:2] for entry in (self.gone, self.given) if entry is not None}

    def apply(self, tree: Tree) -> None:
        """Do it."""
        if self.gone is not None:
            directory, name, number = self.gone
            if tree.get(directory, {}).get(name) == number:
                del tree[directory][name]
        if self.given is not None:
            directory, name, number = self.given
            tree.setdefault(directory, {})[name] = number


@frozen
class Choice:
    """What a power cut keeps of what is pending.

    Attributes:
        names: which changes of names, by `seq`.
        content: of each file, which changes; None for a file that has only grown, with zeros in it.
        torn: a file, one of its changes, and how many bytes of that one are kept.
    """

    names: Callable[[NameChange], bool]
    content: Callable[[int, File], Collection[int] | None]
    torn: tuple[int, int, int] | None = None


@frozen
class Image:
    """What a power cut left.

    Attributes:
        files: keys of the contents, by path.
        directories: paths, parents first.
        key: equal for equal images.
    """

    files: Mapping[str, object]
    directories: tuple[str, ...]
    key: object
    _contents: Mapping[str, Callable[[], bytes]] = field(repr=False, eq=False)

    def content(self, path: str) -> bytes:
        """The bytes of a file."""
        return self._contents[path]()


ROOT = 0


@define
class Disk:
    """What operations have done to a directory.

    Attributes:
        files: by number.
        durable: names that are on the disk for certain.
        names: changes of names that are not, in their order.
        seq: the number of the next operation.
    """

    files: dict[int, File] = field(factory=dict)
    durable: Tree = field(factory=lambda: {ROOT: {}})
    names: list[NameChange] = field(factory=list)
    seq: int = 0
    _seen: Tree = field(init=False)
    _handles: dict[int, int] = field(factory=dict, init=False)
    _numbers: int = field(default=ROOT, init=False)
    _walks: dict[object, tuple[dict[str, int], tuple[str, ...]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = {number: dict(entries) for number, entries in self.durable.items()}

    @classmethod
    def of(cls, directory: Path) -> Disk:
        """A disk that holds what a directory holds, all of it durable."""
        disk = cls()
        disk._load(directory, ROOT)
        disk._seen = {number: dict(entries) for number, entries in disk.durable.items()}
        return disk

    def _load(self, directory: Path, parent: int) -> None:
        for path in sorted(directory.iterdir()):
            if path.name.endswith("-shm"):
                continue
            number = self._new_number()
            self.durable[parent][path.name] = number
            if path.is_dir():
                self.durable[number] = {}
                self._load(path, number)
            else:
                content = path.read_bytes()
                self.files[number] = File(bytearray(content), size=len(content))

    def _new_number(self) -> int:
        self._numbers += 1
        return self._numbers

    # -- operations ---------------------------------------------------------------------------------------------------

    def do(self, operation: Operation) -> bool:
        """Follow one operation; whether a power cut after it may leave something else than one before it."""
        self.seq += 1
        match operation:
            case Open():
                return self._open(operation)
            case Write(handle, offset, data):
                return self._write(self._handles[handle], offset, data)
            case Resize(handle, size, grow):
                return self._resize(self._handles[handle], size, grow)
            case Sync(handle, since):
                return self._sync(self._handles[handle], since)
            case MakeDirectory(path):
                directory, name = self._entry(path)
                number = self._new_number()
                self.durable[number], self._seen[number] = {}, {}
                return self._change(None, (directory, name, number))
            case Remove(path):
                directory, name = self._entry(path)
                return self._change((directory, name, self._seen[directory][name]), None)
            case Rename(old, new):
                directory, name = self._entry(old)
                number = self._seen[directory][name]
                return self._change((directory, name, number), (*self._entry(new), number))
        return False

    def _open(self, operation: Open) -> bool:
        if not operation.path:
            self._handles[operation.handle] = ROOT
            return False
        directory, name = self._entry(operation.path)
        number = self._seen[directory].get(name)
        made = number is None
        if number is None:
            assert operation.create, f"{operation.path} was opened, but never made"
            number = self._new_number()
            self.files[number] = File()
            self._change(None, (directory, name, number))
        elif operation.truncate:
            self._resize(number, 0, grow=False)
        self._handles[operation.handle] = number
        return made or operation.truncate

    def _write(self, number: int, offset: int, data: bytes) -> bool:
        file = self.files[number]
        first = 0
        while first < len(data):
            last = min(len(data), (offset + first) // BLOCK * BLOCK + BLOCK - offset)
            file.pending.append(Change(self.seq, offset + first, data[first:last]))
            first = last
        file.size = max(file.size, offset + len(data))
        return True

    def _resize(self, number: int, size: int, grow: bool) -> bool:
        file = self.files[number]
        file.pending.append(Change(self.seq, size, None, grow))
        file.size = max(file.size, size) if grow else size
        return True

    def _sync(self, number: int, since: int) -> bool:
        if number in self.files:
            self.files[number].sync(since + 1)
        else:
            self._sync_directory(number, since + 1)
        return True

    def _sync_directory(self, number: int, since: int) -> None:
        settled = [
            change for change in self.names if change.seq < since and any(at == number for at, _ in change.entries)
        ]
        if not settled:
            return
        self._walks.clear()
        for change in settled:
            change.apply(self.durable)
        # What came before it under the same names can happen no more.
        latest = {entry: change.seq for change in settled for entry in change.entries}
        self.names = [
            change
            for change in self.names
            if change not in settled and not any(latest.get(entry, -1) > change.seq for entry in change.entries)
        ]

    def _change(self, gone: tuple[int, str, int] | None, given: tuple[int, str, int] | None) -> bool:
        change = NameChange(self.seq, gone, given)
        change.apply(self._seen)
        self.names.append(change)
        return True

    def _entry(self, path: str) -> tuple[int, str]:
        *parents, name = path.split("/")
        at = ROOT
        for parent in parents:
            at = self._seen[at][parent]
        return at, name

    # -- what is pending, and what is left of it ----------------------------------------------------------------------

    def dirty(self) -> list[tuple[int, File]]:
        """The files with changes that are not synced, with their numbers."""
        return [(number, file) for number, file in self.files.items() if file.pending]

    def pending(self) -> list[int]:
        """The numbers of the operations that are not synced."""
        found = {change.seq for _, file in self.dirty() for change in file.pending}
        return sorted(found | {change.seq for change in self.names})

    def image(self, choice: Choice) -> Image:
        """What is left of a choice."""
        paths, directories = self._walk([change for change in self.names if choice.names(change)])
        keys: dict[str, object] = {}
        contents: dict[str, Callable[[], bytes]] = {}
        for path, number in paths.items():
            keys[path], contents[path] = self._content(number, choice)
        return Image(keys, directories, (tuple(keys.items()), directories), contents)

    def _walk(self, kept: list[NameChange]) -> tuple[dict[str, int], tuple[str, ...]]:
        key = tuple(change.seq for change in kept)
        if key not in self._walks:
            self._walks[key] = _walked(self._after(kept))
        return self._walks[key]

    def _after(self, kept: list[NameChange]) -> Tree:
        tree = {number: dict(entries) for number, entries in self.durable.items()}
        for change in kept:
            change.apply(tree)
        return tree

    def _content(self, number: int, choice: Choice) -> tuple[object, Callable[[], bytes]]:
        file = self.files[number]
        key: tuple[object, ...] = (number, file.version)
        kept = choice.content(number, file) if file.pending else ()
        if kept is None:
            grown = max(len(file.durable), file.size)
            return (*key, "zeros", grown), lambda: bytes(file.durable).ljust(grown, b"\0")
        if not kept:
            return key, lambda: bytes(file.durable)
        torn = choice.torn if choice.torn is not None and choice.torn[0] == number else None

        def made() -> bytes:
            content = bytearray(file.durable)
            for index in kept:
                file.pending[index].apply(content, torn[2] if torn is not None and torn[1] == index else None)
            return bytes(content)

        return (*key, tuple(kept), torn), made


def _walked(tree: Tree) -> tuple[dict[str, int], tuple[str, ...]]:
    """The files, by path, and the directories of a tree, those that can be reached."""
    paths: dict[str, int] = {}
    directories: list[str] = []
    waiting = [("", ROOT)]
    while waiting:
        prefix, directory = waiting.pop()
        for name, number in tree.get(directory, {}).items():
            path = prefix + name
            if number in tree:
                directories.append(path)
                waiting.append((path + "/", number))
            else:
                paths[path] = number
    return paths, tuple(directories)
