"""How a start that fails ends the process: one line on standard error, exit status 1."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any


class ServerFailed(SystemExit, Exception):
    """The server could not be started; its text is one clear line.

    Raised while twistd starts its services. Being an Exception makes twistd clean up (pid file, a daemon's parent);
    being a SystemExit then ends the process with status 1 and without a traceback.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(1)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def say(line: str) -> None:
    """Write to the real standard error: twistd sends sys.stderr to its log."""
    stream = sys.__stderr__
    if stream is not None:
        stream.write(line if line.endswith("\n") else line + "\n")
        stream.flush()


def is_terminal() -> bool:
    """Whether standard error is a terminal, so that a person reads what is said."""
    return sys.__stderr__ is not None and sys.__stderr__.isatty()


def end_process(reactor: Any, status: int) -> None:
    """Stop the reactor and let the process exit with `status`, which twistd has no other way to be told."""
    atexit.register(_exit, status)
    reactor.callWhenRunning(reactor.stop)


def _exit(status: int) -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(status)
