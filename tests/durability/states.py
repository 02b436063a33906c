"""Which states of a disk are tried after each operation: eight of the many that a power cut may leave."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from tests.durability.disk import SECTOR, Choice, Disk, File, Image, NameChange

STATES = 8
"""How many there are after each operation; some of them are equal."""


def images(disk: Disk, random: Random) -> Iterator[Image]:
    """The states, in a fixed order but for what is random."""
    for choice in choices(disk, random):
        yield disk.image(choice)


def choices(disk: Disk, random: Random) -> Iterator[Choice]:
    """What is kept in each of the states."""
    yield Choice(_no_name, _no_change)  # nothing of what is not synced
    yield Choice(_every_name, _every_change)  # everything, as after a kill
    yield Choice(_every_name, _only_grown)  # names and sizes, not the bytes
    yield Choice(_no_name, _every_change)  # bytes, not the names
    yield Choice(_every_name, _every_change, _torn(disk, random))  # the last write is torn
    yield Choice(partial(_some_name, random, 0.5), partial(_some_changes, random, 0.5))
    yield Choice(partial(_some_name, random, 0.9), partial(_some_changes, random, 0.9))
    yield _up_to_a_moment(disk, random)  # everything in its order, up to some moment


def _no_name(change: NameChange) -> bool:
    return False


def _every_name(change: NameChange) -> bool:
    return True


def _some_name(random: Random, share: float, change: NameChange) -> bool:
    return random.random() < share


def _no_change(number: int, file: File) -> tuple[int, ...]:
    return ()


def _every_change(number: int, file: File) -> range:
    return range(len(file.pending))


def _only_grown(number: int, file: File) -> None:
    return None


def _some_changes(random: Random, share: float, number: int, file: File) -> tuple[int, ...]:
    return tuple(index for index in range(len(file.pending)) if random.random() < share)


def _up_to_a_moment(disk: Disk, random: Random) -> Choice:
    moment = random.choice(disk.pending() or [0])

    def earlier(number: int, file: File) -> tuple[int, ...]:
        return tuple(index for index, change in enumerate(file.pending) if change.seq < moment)

    return Choice(lambda change: change.seq < moment, earlier)


def _torn(disk: Disk, random: Random) -> tuple[int, int, int] | None:
    """The last write, cut after some of its sectors."""
    last = max(
        ((file.pending[-1], number) for number, file in disk.dirty()), key=lambda found: found[0].seq, default=None
    )
    if last is None or last[0].data is None:
        return None
    sectors = (len(last[0].data) + SECTOR - 1) // SECTOR
    return last[1], len(disk.files[last[1]].pending) - 1, SECTOR * random.randrange(sectors)
