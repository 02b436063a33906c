"""Columns of listings that have few different values. `Few` takes each of them by its name in the rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from post3tw.api.table import Dates, Digits, Few, Quoted
from post3tw.model.identity import Owner
from post3tw.service.owners import shown_owner


def few(names: Sequence[Hashable], meaning: Callable[[Any], Any]) -> Few:
    """A column of what few different names mean."""
    return Few(names, {name: meaning(name) for name in set(names)})


def owner_column(ids: Sequence[str], names: Sequence[str]) -> Few:
    """The owners of objects, as answers show them."""
    return few(list(zip(ids, names, strict=True)), lambda owner: shown_owner(Owner(*owner)))


def entry_columns(entries: str) -> dict[str, Sequence[Any]]:
    """What entries of the index say (`rows.entry_to_text`), joined by bars."""
    fields = entries.split("|")
    kinds = fields[3::4]
    storage_class, algorithm, checksum_type = {}, {}, {}
    for kind in set(kinds):
        storage_class[kind], _, checksum = kind.partition(" ")
        first, _, second = checksum.partition(" ")
        algorithm[kind], checksum_type[kind] = [first] if first else None, second or None
    return {
        "last_modified": Dates(fields[::4]),
        "etag": Quoted(fields[2::4]),
        "size": Digits(fields[1::4]),
        "checksum_algorithm": Few(kinds, algorithm),
        "checksum_type": Few(kinds, checksum_type),
        "storage_class": Few(kinds, storage_class),
    }


def checksum_columns(kinds: Sequence[str | None]) -> dict[str, Few]:
    """Algorithm and type of checksums from "ALGORITHM TYPE", with or without the value; listings do not show that."""
    return {
        "checksum_algorithm": few(kinds, lambda kind: kind and [kind.split(" ")[0]]),
        "checksum_type": few(kinds, lambda kind: kind and kind.split(" ")[1]),
    }
