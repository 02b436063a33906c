"""`post3 restore BACKUP DIR`: make a store of a snapshot again, in an empty directory.

    post3 restore /mnt/backup --list                      the snapshots
    post3 restore /mnt/backup ./restored                  the newest
    post3 restore /mnt/backup ./restored --snapshot NAME  another
    post3 restore /mnt/backup --check                     read and compare it only

What is interrupted is gone on with by the same command; until it is finished no server starts on the directory. Exit
statuses are COMPLETE, DAMAGED and NOT_RESTORED.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from post3tw.cli.progress import Progress, shown_size
from post3tw.cli.verbs import NOT_DONE, run_verb
from post3tw.storage.backup.layout import Backup
from post3tw.storage.backup.restoring import Restored, restore, verify
from post3tw.storage.index.sqlite.inspection import at_once
from post3tw.storage.interfaces import StoreRefused

COMPLETE, DAMAGED, NOT_RESTORED = 0, 1, NOT_DONE
"""Exit statuses: all is there; something in the backup is damaged, and nothing can be served unless --accept-damage was
given; it could not be begun or finished."""


def main(arguments: Sequence[str]) -> int:
    """Restore one snapshot; the exit status."""
    options = _parser().parse_args(arguments)
    backup = Backup(options.backup)
    return run_verb("restore", lambda: _list(backup) if options.list else _restore(backup, options))


def _list(backup: Backup) -> int:
    with backup.read():
        for name in backup.snapshots():
            manifest = backup.manifest(name)
            size = shown_size(manifest.index_size + manifest.blob_bytes)
            damaged = f", {len(manifest.damaged)} damaged" if manifest.damaged else ""
            print(f"{name}  {manifest.blobs} blobs, {size}{damaged}")
    return COMPLETE


def _restore(backup: Backup, options: argparse.Namespace) -> int:
    name, progress = options.snapshot or _newest(backup), Progress("restore")
    if options.check:
        done = at_once(verify(backup, name, progress))
    elif options.directory is None:
        raise StoreRefused("where to? Give an empty directory, or --check or --list")
    else:
        done = at_once(restore(backup, name, options.directory, progress, accept_damage=options.accept_damage))
    progress.end()
    for object_ in done.damaged:
        print(f"damaged in the backup: {object_}", file=sys.stderr)
    print(f"snapshot {name}: {_verdict(done, options)}")
    return DAMAGED if done.damaged else COMPLETE


def _verdict(done: Restored, options: argparse.Namespace) -> str:
    size = shown_size(done.manifest.blob_bytes)
    if options.check:
        return f"{done.copied} blobs, {size}, read; {'in order' if done.complete else 'damaged'}"
    if not done.complete:
        return "not finished, because of that damage; --accept-damage brings back the rest"
    return f"restored into {options.directory}: {done.manifest.blobs} blobs, {size}"


def _newest(backup: Backup) -> str:
    with backup.read():
        names = backup.snapshots()
    if not names:
        raise StoreRefused(f"{backup.path} has no snapshot that was finished")
    return names[-1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="post3 restore",
        description="Make a store of a backup again, in an empty directory, every byte compared. Exits with 0; with 1 "
        "when something in the backup is damaged; with 2 when it could not be done.",
    )
    parser.add_argument("backup", metavar="BACKUP", help="the directory that post3 backup made")
    parser.add_argument("directory", metavar="DIR", nargs="?", help="the data directory to make; empty, or not there")
    parser.add_argument("--snapshot", metavar="NAME", help="which snapshot (default: the newest)")
    parser.add_argument("--list", action="store_true", help="list the snapshots")
    parser.add_argument("--check", action="store_true", help="restore nothing: read the snapshot and compare it")
    parser.add_argument(
        "--accept-damage", action="store_true", help="finish although objects are damaged; these answer errors then"
    )
    return parser
