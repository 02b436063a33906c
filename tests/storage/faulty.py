"""A file layer that records what is asked of it, and fails or falls short on command."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from post3tw.storage.files import Files


class FaultyFiles(Files):
    """Files whose system calls are recorded in `calls`, as (name, path or None).

    Attributes:
        fail: error to raise by name of the call, again and again.
        fail_at: the position in `calls` of one call that fails, and the error.
        write_at_most: how many bytes one write takes.
        cached: whether the system has files in memory, so that nobody has to wait for the disk.
    """

    def __init__(self, on_full: Callable[[], None] = lambda: None) -> None:
        super().__init__(on_full)
        self.calls: list[tuple[str, str | None]] = []
        self.fail: dict[str, int] = {}
        self.fail_at: tuple[int, int] | None = None
        self.write_at_most: int | None = None
        self.cached = False
        self._paths: dict[int, str] = {}

    def call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Record, then fail or call."""
        name = function.__name__
        if name == "preadv" and not self.cached:
            raise BlockingIOError
        path = arguments[0] if isinstance(arguments[0], str) else self._paths.get(arguments[0])
        self.calls.append((name, path))
        error = self.fail.get(name, 0)
        if self.fail_at is not None and len(self.calls) - 1 == self.fail_at[0]:
            error = self.fail_at[1]
        if error:
            if name == "close":  # Linux closes the descriptor all the same
                os.close(*arguments)
            raise OSError(error, os.strerror(error))
        if name == "write" and self.write_at_most is not None:
            arguments = (arguments[0], arguments[1][: self.write_at_most])
        result = function(*arguments, **options)
        if name == "open":
            self._paths[result] = arguments[0]
        return result

    def names(self, path: str) -> list[str]:
        """What is in a directory; not recorded, for tests look at it."""
        return sorted(os.listdir(path))

    def called(self, name: str) -> list[str | None]:
        """The paths that one kind of call was made on."""
        return [path for called, path in self.calls if called == name]


def open_files(*paths: str) -> list[str]:
    """What this process has open of some files and directories and of what is below them, deleted files included."""
    wanted = tuple(os.path.realpath(path) for path in paths)
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(wanted)]
