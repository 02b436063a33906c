"""`post3 backup` and `post3 restore`, ended at every system call.

Each run is a process of its own (a fork of this one, which ends as one that is killed does: at once, with nothing
tidied up) and gets one system call further than the one before, until one comes to its end. Whatever an ended backup
leaves, the same command finishes it, and it can be restored. Whatever an ended restore leaves, either it is the whole
store or the server refuses it, and the same command finishes it.

    python -m tests.durability.interrupted [--stride N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from attrs import define, field

from post3tw.cli import backup, fsck, restore
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.inspection import at_once
from post3tw.storage.interfaces import StoreRefused
from post3tw.storage.threads import NoThreads
from tests.durability.known_store import fill, same

_KILLED = 77
_VERBS = {"backup": backup.main, "restore": restore.main, "fsck": fsck.main}  # imported here once, not in each process


def ended_at(calls: int, *arguments: str) -> int:
    """Run the command in a process that ends before its system call of this number; its exit status, or -1."""
    child = os.fork()
    if not child:
        _run_until(calls, arguments)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return -1 if status == _KILLED else status


def _run_until(calls: int, arguments: tuple[str, ...]) -> None:
    done, call = 0, Files.call

    def counted(self: Files, function: Callable[..., Any], *given: Any, **options: Any) -> Any:
        nonlocal done
        done += 1
        if done > calls:
            os._exit(_KILLED)
        return call(self, function, *given, **options)

    status = 99
    try:
        Files.call = counted  # type: ignore[method-assign]
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            status = _VERBS[arguments[0]](arguments[1:])
    finally:
        os._exit(status)


@define
class Run:
    """All points of both commands.

    Attributes:
        place: a directory for everything.
        data: the store.
        stride: how many calls further each run gets.
        points: how many were tried.
        violations: what should not have been.
    """

    place: Path
    data: Path
    stride: int = 1
    points: int = 0
    violations: list[str] = field(factory=list)

    def backups(self) -> Path:
        """End backups; a whole one."""
        for calls, made in self._points("backup", lambda target: ("backup", str(self.data), str(target))):
            self._expect(
                ended_at(1 << 30, "backup", str(self.data), str(made)) == 0, f"backup, {calls}: not gone on with"
            )
            restored = self.place / "restored"
            self._expect(ended_at(1 << 30, "restore", str(made), str(restored)) == 0, f"backup, {calls}: no restore")
            self._expect(same(restored, self.data), f"backup, {calls}: restored otherwise")
            shutil.rmtree(restored, ignore_errors=True)
        return made

    def restores(self, made: Path) -> None:
        """End restores."""
        for calls, restored in self._points("restore", lambda target: ("restore", str(made), str(target))):
            whole = self._serves(restored) and (restored / "index.sqlite3").exists()
            if whole:
                self._expect(same(restored, self.data), f"restore, {calls}: looks whole, and is not")
            else:
                again = ended_at(1 << 30, "restore", str(made), str(restored))
                self._expect(again == 0, f"restore, {calls}: not gone on with")
                self._expect(same(restored, self.data), f"restore, {calls}: restored otherwise")

    def _points(self, name: str, command: Callable[[Path], tuple[str, ...]]) -> Iterator[tuple[int, Path]]:
        """What a command leaves that ended after so many calls, and lastly what a whole one does."""
        calls, status = 0, -1
        while status == -1:
            target = self.place / name
            shutil.rmtree(target, ignore_errors=True)
            status = ended_at(calls, *command(target))
            self._expect(status in (-1, 0), f"{name}, {calls}: status {status}")
            self.points += 1
            yield calls, target
            calls += self.stride

    def _serves(self, directory: Path) -> bool:
        """Whether a server would start on it; on one where nothing was begun it may."""
        if not directory.exists():
            return False
        place = DataDirectory(str(directory), Files(), NoThreads(), 0)
        try:
            place.possess()
        except StoreRefused:
            return False
        at_once(place.stop())
        begun = any(path.is_file() for path in directory.rglob("blobs/**/*"))
        self._expect(not begun or (directory / "index.sqlite3").exists(), "blobs without an index would be served")
        return True

    def _expect(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)


def main(stride: int = 1, place: Path | None = None) -> Run:
    """End both commands everywhere, in steps of `stride` calls."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        run = Run(Path(directory), Path(directory) / "data", stride)
        fill(run.data)
        run.restores(run.backups())
    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--stride", type=int, default=1)
    result = main(parser.parse_args().stride)
    for line in result.violations:
        sys.stdout.write(line + "\n")
    sys.stdout.write(
        f"interrupted: backup and restore ended at {result.points} points, {len(result.violations)} violations\n"
    )
    sys.exit(1 if result.violations else 0)
