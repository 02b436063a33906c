"""Whose turn it is to write, where several processes have one index open.

Theory of operation. SQLite lets one connection write at a time, and has the others try again after a sleep: of four
processes that write all the time each waits tens of milliseconds now and then, and some much longer. So nobody begins
a transaction of SQLite's before it is his turn, and waiting for that is the kernel's work.

There are two locks for that, on two bytes of a file. Who wants to write takes the first (he is next), then the second
(he writes), then lets go of the first. Who has written and wants to again finds the first one taken by who waited
meanwhile, and is behind him. With the second lock alone he would have it again before the other is even awake.

A third byte is for who copies the log (see `checkpoints`).

A process that ends, however it ends, lets go of both. What it had not committed is as if it had never been.

They are POSIX locks, which a process loses when it closes *any* descriptor of the file: nobody else may open it.
"""

from __future__ import annotations

import fcntl
import os
from typing import Protocol

from attrs import define, field

_NEXT, _WRITES, _COPIES = 0, 1, 2


class Turns(Protocol):
    """One writer at a time. `take` and `give_back` alternate, in whatever thread."""

    def take_at_once(self) -> bool:
        """Take the turn unless somebody has it or waits for it; whether that worked."""

    def take(self) -> None:
        """Wait for the turn."""

    def give_back(self) -> None:
        """Let the next one write."""


@define(eq=False)
class AlwaysOurs:
    """Turns where there is nobody else."""

    def take_at_once(self) -> bool:
        """See Turns."""
        return True

    def take(self) -> None:
        """See Turns."""

    def give_back(self) -> None:
        """See Turns."""


@define(eq=False)
class TurnsOfProcesses:
    """Turns among all processes that name the same file.

    Attributes:
        path: the file; made when it is not there.
    """

    path: str
    _descriptor: int = field(default=-1, init=False)

    def open(self) -> None:
        """Open the file. Raises OSError."""
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of everything."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def take_at_once(self) -> bool:
        """See Turns."""
        if not self._try(_NEXT):
            return False
        try:
            return self._try(_WRITES)
        finally:
            self._unlock(_NEXT)

    def take(self) -> None:
        """See Turns."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _NEXT)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _WRITES)
        finally:
            self._unlock(_NEXT)

    def give_back(self) -> None:
        """See Turns."""
        self._unlock(_WRITES)

    def begin_copying(self) -> bool:
        """See checkpoints.Duty."""
        return self._try(_COPIES)

    def end_copying(self) -> None:
        """See checkpoints.Duty."""
        self._unlock(_COPIES)

    def _try(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return False
        except PermissionError:  # EACCES, which POSIX allows for the same
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
