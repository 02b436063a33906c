"""What verbs that work on a store have in common: where it is, and how they end when they cannot go on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from post3tw.model.errors import DomainError, InsufficientStorage
from post3tw.storage.interfaces import StoreRefused

NOT_DONE = 2
"""Exit status of what could not be begun, or not finished."""


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Have a verb take a data directory as DIR."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        default=os.environ.get("POST3_DATA_DIR", "./data"),
        help="the directory that the server keeps its data in (default: POST3_DATA_DIR or ./data)",
    )


def run_verb(name: str, work: Callable[[], int], interrupted: str = "the same command goes on") -> int:
    """The exit status of a verb's work; NOT_DONE, and one line on standard error, when it could not be done.

    Args:
        name: of the verb.
        work: gives the status.
        interrupted: what to say to whoever pressed Ctrl-C.
    """
    try:
        return work()
    except (StoreRefused, DomainError, OSError) as error:
        reason = "the disk is full" if isinstance(error, InsufficientStorage) else str(error)
    except KeyboardInterrupt:
        reason = f"interrupted; {interrupted}"
    print(f"post3 {name}: {reason}", file=sys.stderr)
    return NOT_DONE
