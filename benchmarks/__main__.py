"""The command: see COMMANDS."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "table": "the table (also without a name): what requests cost over sockets, beside another server if wanted",
    "picture": "draw the results of tables",
    "requests": "CPU of a small request in the process that serves it, without sockets",
    "index": "writes and reads of the index, commits, groups",
    "listing": "a page of 1000 in a small and a large bucket, and behind as many delete markers, without HTTP",
    "flames": "draw a flame graph of the stacks that py-spy sampled",
    "memory": "peak memory of a PUT and GET of 5 GiB, of an upload, of 10,000 idle connections",
}


def main(arguments: list[str]) -> None:
    """Run a command."""
    if arguments[:1] in (["-h"], ["--help"]):
        print("python -m benchmarks [COMMAND] [OPTION …]; each command has its own --help\n")
        print(*(f"  {name:10}{what}" for name, what in COMMANDS.items()), sep="\n")
        return
    name = "table"
    if arguments and not arguments[0].startswith("-"):
        name = arguments.pop(0)
    if name not in COMMANDS:
        raise SystemExit(f"no such benchmark: {name}; there are {', '.join(COMMANDS)}")
    module = "pictures" if name == "picture" else name
    import_module(f"benchmarks.{module}").main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
