"""`post3 serve [DIR] [options]`: `twistd -n post3 --data-dir DIR [options]` for people who do not know twistd."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.scripts import twistd

from post3tw.tap import Options


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop. Options are those of `twistd post3`."""
    words = list(arguments)
    if words in (["--help"], ["-h"]):
        options = Options()
        options.synopsis = "Usage: post3 serve [DIR] [options]"
        print(options)
        return 0
    if words and not words[0].startswith("-"):
        words[:1] = ["--data-dir", words[0]]
    sys.argv[1:] = ["--nodaemon", "--pidfile=", "--logger", f"{__name__}.person_log", "post3", *words]
    twistd.run()
    return 0


def person_log() -> ILogObserver:
    """A log for a terminal: what post3tw says, and the warnings of everybody else."""
    wanted = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    wanted.setLogLevelForNamespace("post3tw", LogLevel.info)
    return FilteringLogObserver(textFileLogObserver(sys.__stderr__ or sys.stderr), [wanted])
