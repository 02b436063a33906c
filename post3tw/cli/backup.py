"""`post3 backup [DIR] BACKUP`: copy a data directory, beside the server that is at work on it.

    post3 backup ./data /mnt/backup             a snapshot of this moment; only blobs that are new are copied
    post3 backup ./data /mnt/backup --keep 7    and keep the last seven
    post3 backup ./data /mnt/backup --blobs-only  files whose index is in PostgreSQL
    post3 restore /mnt/backup ./restored        the way back

What is interrupted is gone on with by the same command. Keys are not in it: neither DATA/credentials nor an identities
file. Exit statuses are COMPLETE, DAMAGED and NOT_MADE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from post3tw.cli.progress import Progress, shown_size
from post3tw.cli.verbs import NOT_DONE, add_directory, run_verb
from post3tw.storage.backup.layout import Backup
from post3tw.storage.backup.making import copy_blobs, make_backup, prune
from post3tw.storage.index.sqlite.inspection import at_once

COMPLETE, DAMAGED, NOT_MADE = 0, 1, NOT_DONE
"""Exit statuses: all is in it; all but what is damaged in the store; there is no snapshot."""


def main(arguments: Sequence[str]) -> int:
    """Make one backup; the exit status."""
    options = _parser().parse_args(arguments)
    return run_verb("backup", partial(_backup, options))


def _backup(options: argparse.Namespace) -> int:
    progress, backup = Progress("backup"), Backup(options.backup)
    if options.blobs_only:
        copied, size = at_once(copy_blobs(options.directory, backup, progress))
        progress.end()
        print(f"{copied} new blobs, {shown_size(size)}")
        return COMPLETE
    made = at_once(make_backup(options.directory, backup, progress))
    progress.end()
    manifest = made.manifest
    print(
        f"snapshot {made.name}: {manifest.blobs} blobs, {shown_size(manifest.blob_bytes)}, of which {made.copied} new,"
        f" {shown_size(made.copied_size)}; index {shown_size(manifest.index_size)}"
    )
    if options.keep:
        snapshots, blobs = at_once(prune(options.directory, backup, options.keep))
        print(f"removed {snapshots} older snapshots, and {blobs} blobs that no other needs")
    for blob in manifest.damaged:
        print(f"damaged in the store: blob {blob}; `post3 fsck` says whose it is", file=sys.stderr)
    return DAMAGED if manifest.damaged else COMPLETE


def _count(text: str) -> int:
    """A number of snapshots; what would remove the others by mistake is none."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of snapshots to keep")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="post3 backup",
        description="Copy a data directory, beside the server that is at work on it, as it is at this moment. What the "
        "backup has already is not copied again. Exits with 0; with 1 when there is a snapshot, but objects are "
        "damaged in the store; with 2 when there is none. The keys of users and of root are not in it.",
    )
    add_directory(parser)
    parser.add_argument(
        "backup", metavar="BACKUP", help="the directory of the backup, which is made when it is missing"
    )
    parser.add_argument("--keep", type=_count, default=0, metavar="N", help="remove all snapshots but the newest N")
    parser.add_argument(
        "--blobs-only", action="store_true", help="copy blobs whose index is in PostgreSQL, and dumped by pg_dump"
    )
    return parser
