"""The `post3` command: one module of this package a verb, imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from post3tw import __version__

VERBS = {
    "serve": "serve S3 from a directory of this machine",
    "keys": "list, create, disable and delete access keys of an identities file",
    "backup": "copy a store, beside its server; only what is new",
    "restore": "make a store of a backup again",
    "fsck": "say whether a store is in order, and put right what can be proved",
    "policy": "say whether S3 takes a policy, and whether somebody may do something and why",
}
"""What `post3` can do. Each verb is a module with `main(arguments) -> int`."""

INTERRUPTED = 128 + 2
"""Exit status after Ctrl-C, as shells have it (128 and the number of SIGINT)."""


def usage() -> str:
    """What `post3 --help` prints."""
    verbs = "\n".join(f"  {verb:<9} {summary}" for verb, summary in VERBS.items())
    return f"Usage: post3 VERB [options]\n\n{verbs}\n\npost3 VERB --help says more; post3 --version says {__version__}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit status.

    Args:
        arguments: without the program's name; by default those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("--help", "-h", "help"):
        print(usage())
        return 0 if words else 1
    if words[0] == "--version":
        print(f"post3tw {__version__}")
        return 0
    if words[0] not in VERBS:
        print(f"post3: no verb is called {words[0]!r}; there are: {', '.join(VERBS)}", file=sys.stderr)
        return 1
    try:
        status: int = import_module(f"post3tw.cli.{words[0]}").main(words[1:])
    except KeyboardInterrupt:  # before the verb was ready to say what that means for it
        print(f"post3 {words[0]}: interrupted", file=sys.stderr)
        status = INTERRUPTED
    return status
