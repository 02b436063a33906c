"""`post3 serve [DIR] [options]`: `twistd -n post3 --data-dir DIR [options]` for people who do not know twistd."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from constantly import NamedConstant
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    PredicateResult,
    textFileLogObserver,
)
from twisted.scripts import twistd


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop."""
    words = list(arguments)
    if words and not words[0].startswith("-"):
        words[:1] = ["--data-dir", words[0]]
    options = twistd.ServerOptions()
    options.parseOptions(["--nodaemon", "--pidfile=", "--logger", f"{__name__}.person_log", "post3", *words])
    twistd.runApp(options)
    return 0


def person_log() -> ILogObserver:
    """A log for the terminal: what post3tw says, and warnings of everybody else."""
    return FilteringLogObserver(textFileLogObserver(sys.__stderr__), [_worth_reading])


def _worth_reading(event: LogEvent) -> NamedConstant:
    ours = event.get("log_namespace", "").startswith("post3tw")
    worth = ours or event["log_level"] >= LogLevel.warn
    verdict: NamedConstant = PredicateResult.yes if worth else PredicateResult.no
    return verdict
