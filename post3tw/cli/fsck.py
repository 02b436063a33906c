"""`post3 fsck [DIR]`: whether a store is in order, on its own or beside the server that is at work on it.

    post3 fsck ./data                   everything, with every byte read and compared
    post3 fsck ./data --quick           the index and the names of blobs; what the scrub knows of the rest
    post3 fsck ./data --repair          and put right what can be proved (no server may be running)
    post3 fsck ./data --repair --from /mnt/backup    and bring damaged bytes back from a backup
    post3 fsck --dsn postgresql://…     a store in PostgreSQL, beside its nodes

A line for each finding, then one with counts. `--json` makes one JSON object of each. Exit statuses are IN_ORDER,
SOMETHING_WRONG and NOT_CHECKED.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from attrs import asdict, define

from post3tw.cli.progress import Progress, shown_size
from post3tw.cli.verbs import NOT_DONE, add_directory, run_verb
from post3tw.storage.backup.healing import healer
from post3tw.storage.index.sqlite.inspection import at_once
from post3tw.storage.integrity.fsck import Check, Finding, Subject
from post3tw.storage.integrity.subjects import opened_database, opened_directory
from post3tw.storage.integrity.walk import Held
from post3tw.storage.interfaces import StoreRefused

Heal = Callable[[Held], Awaitable[bool]]

IN_ORDER, SOMETHING_WRONG, NOT_CHECKED = 0, 1, NOT_DONE
"""Exit statuses: nothing was found, or all of it is put right; something is wrong; it could not be looked at."""


def main(arguments: Sequence[str]) -> int:
    """Check one store; the exit status."""
    options = _parser().parse_args(arguments)
    return run_verb("fsck", partial(_check, options), "what was not looked at may be anything")


def _check(options: argparse.Namespace) -> int:
    progress = Progress("fsck")
    report = _Report(progress, options.json)
    with _opened(options) as (subject, heal):
        check = Check(subject, report.finding, progress, options.repair, options.quick, heal)
        at_once(check.run())
    progress.end()
    report.summary(check)
    return SOMETHING_WRONG if check.left else IN_ORDER


@define
class _Report:
    """Says what is found, as it is found."""

    progress: Progress
    json: bool

    def finding(self, finding: Finding) -> None:
        self.progress.clear()
        if self.json:
            print(json.dumps(asdict(finding)))
            return
        repair = f" ({finding.repair})" if finding.repair else ""
        print(f"{finding.kind}: {finding.what}: {finding.why}{repair}")

    def summary(self, check: Check) -> None:
        found = check.found.total()
        if self.json:
            counts: dict[str, Any] = {"found": dict(check.found), "left": check.left}
            print(json.dumps({**counts, "objects": check.objects, "bytes": check.size, "quick": check.quick}))
            return
        read = "contents not read" if check.quick else f"{check.objects} objects, {shown_size(check.size)} read"
        findings = f"{found} finding{'s' * (found != 1)}, {found - check.left} put right, {check.left} left"
        verdict = findings if found else "in order"
        print(f"{verdict}; {read}")


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Subject, Heal | None]]:
    if options.source is not None and (options.dsn is not None or options.quick or not options.repair):
        raise StoreRefused("--from goes with --repair of a directory, and not with --quick")
    if options.dsn is None:
        with opened_directory(options.directory, options.repair) as directory:
            if options.source is None:
                yield directory, None
                return
            with healer(directory, options.source) as backup:
                yield directory, backup.heal
        return
    with opened_database(options.dsn, options.directory if options.blobs == "files" else None) as database:
        yield database, None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="post3 fsck",
        description="Say whether a store is in order: the index, each object's bytes, and what nobody knows. A server "
        "may be at work on it. Exits with 0 when nothing is wrong or everything was put right, with 1 when something "
        "is wrong, with 2 when it cannot be looked at.",
    )
    add_directory(parser)
    parser.add_argument(
        "--dsn", nargs="?", const="", help="a store in PostgreSQL; without a value, the one of PG* variables"
    )
    parser.add_argument("--blobs", choices=("postgres", "files"), default="postgres", help="where its blobs are")
    parser.add_argument("--quick", action="store_true", help="do not read what objects contain")
    parser.add_argument("--repair", action="store_true", help="put right what the index proves")
    parser.add_argument(
        "--from", dest="source", metavar="BACKUP", help="with --repair: bring damaged bytes back from this backup"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object for each finding, and one with counts")
    return parser
