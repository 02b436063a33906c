"""Whether a data directory is sound: its index, and the index against the files, both ways."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_LISTED = (
    "SELECT key, seq FROM current c WHERE NOT EXISTS (SELECT 1 FROM versions v WHERE v.bucket = c.bucket"
    " AND v.key = c.key AND v.seq = c.seq AND v.delete_marker = 0"
    " AND c.entry LIKE v.created || '|' || v.size || '|' || v.etag || '|%')"
)
_UNLISTED = (
    "SELECT v.key, v.seq FROM versions v WHERE v.delete_marker = 0 AND NOT EXISTS (SELECT 1 FROM versions w WHERE"
    " w.bucket = v.bucket AND w.key = v.key AND w.seq > v.seq) AND NOT EXISTS (SELECT 1 FROM current c WHERE"
    " c.bucket = v.bucket AND c.key = v.key AND c.seq = v.seq)"
)
_BODIES = "SELECT id FROM bodies EXCEPT SELECT body FROM versions EXCEPT SELECT body FROM parts"


def accidents(data_dir: Path, *, swept: bool = False) -> list[str]:
    """What is wrong with an index that nobody writes to, and with the files beside it.

    Args:
        data_dir: the data directory.
        swept: the sweeper had time to remove everything that nobody refers to.
    """
    with closing(sqlite3.connect(f"file:{data_dir}/index.sqlite3?mode=ro", uri=True)) as index:
        found = [str(row[0]) for row in index.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wanted = _names(index, "SELECT blob FROM versions WHERE blob IS NOT NULL")
        wanted |= _names(index, "SELECT blob FROM parts WHERE blob IS NOT NULL")
        referred = _names(index, "SELECT blob FROM blob_references")
        known = _names(index, "SELECT id FROM blobs")
        found += [f"listed, but not the latest: {row}" for row in index.execute(_LISTED)]
        found += [f"the latest, but not listed: {row}" for row in index.execute(_UNLISTED)]
        found += [f"bytes of nobody: {row}" for row in index.execute(_BODIES)]
    files = {path.name for path in (data_dir / "blobs").rglob("*") if path.is_file()}
    found += [f"blob {name} has no file" for name in sorted(wanted - files)]
    found += [f"blob {name} has no row" for name in sorted(wanted - known)]
    found += [f"blob {name}: references and rows differ" for name in sorted(wanted ^ referred)]
    found += [f"file {name} has no row" for name in sorted(files - known)]
    if swept:
        found += [f"file {name} is an orphan" for name in sorted(files - wanted)]
        found += [f"row {name} is an orphan" for name in sorted(known - wanted)]
    return found + [f"unfinished: {path.name}" for path in (data_dir / "tmp").iterdir()] if swept else found


def _names(index: sqlite3.Connection, query: str) -> set[str]:
    return {bytes(row[0]).hex() for row in index.execute(query)}
