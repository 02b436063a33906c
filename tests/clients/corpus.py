"""The files that clients carry there and back: sizes around the limits, hard names, many small ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

LONG = os.environ.get("POST3_LONG") == "1"
"""Whether to run the long form: 100 MiB in parts and 10,000 files, instead of 20 MiB and 200."""

MIB = 1 << 20
MULTIPART = (100 if LONG else 20) * MIB
MANY = 10_000 if LONG else 200

SIZES = {
    "empty": 0,
    "one": 1,
    "part-minus-one": 5 * MIB - 1,
    "part": 5 * MIB,
    "part-plus-one": 5 * MIB + 1,
}
NAMES = dict.fromkeys(
    (
        "with space",
        " leading and trailing ",
        "plus+plus",
        "percent%41 100%",
        "emoji \U0001f600\U0001f469\u200d\U0001f680",
        "a&b=c;d,e@f:g$h!i",
        "quote'double\"(brackets)",
        "umlaut \xfc \u00e9 \u0436 \u4e2d",
        "nested/deep down/+/%2F/file",
        "tilde~hash#caret^",
    ),
    1000,
)
MANY_SMALL = {f"dir-{number % 10}/file-{number:05d}": number * 37 % 4096 for number in range(MANY)}


def write(directory: Path, files: Mapping[str, int]) -> dict[str, str]:
    """Write files of these sizes, by name, with content that never changes; the SHA-256 of each."""
    for name, size in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(name).randbytes(size))
    return hashes(directory)


def hashes(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file below a directory, by its name from there."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }
