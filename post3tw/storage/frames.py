"""Stored bytes are checked frame by frame.

Every frame of 1 MiB (the last one may be shorter) has a CRC32C, kept with the row as 4 bytes, big-endian. A frame is
verified each time it is read, before any byte of it is used; so a range is read as the whole frames that cover it.
"""

from __future__ import annotations

from post3tw.model.errors import CorruptedData
from post3tw.model.version import Placement
from post3tw.wire.checksums import FRAME, frame_crcs


def covering(first: int, length: int) -> range:
    """The numbers of the frames that hold `length` (at least one) bytes from `first`."""
    return range(first // FRAME, (first + length - 1) // FRAME + 1)


def frame_size(placement: Placement, number: int) -> int:
    """How many bytes frame `number` has."""
    return min(FRAME, placement.size - number * FRAME)


def verify_frame(placement: Placement, number: int, data: bytes) -> None:
    """Check that `data` is frame `number`, whole. Raises CorruptedData."""
    expected = placement.crcs[4 * number : 4 * number + 4]
    if len(data) != frame_size(placement, number) or frame_crcs(data) != expected:
        raise _corrupted(placement, number)


def verify_all(placement: Placement, data: bytes) -> None:
    """Check that `data` is everything that was stored. Raises CorruptedData."""
    if len(data) != placement.size or frame_crcs(data) != placement.crcs:
        raise _corrupted(placement, 0)


def verify_again(placement: Placement, number: int, data: bytes, crc: bytes) -> None:
    """Check that a part of frame `number` is what it was when the frame was verified. Raises CorruptedData."""
    if frame_crcs(data) != crc:
        raise _corrupted(placement, number)


def part_of_frame(data: bytes, number: int, first: int, length: int) -> bytes:
    """The bytes of frame `number` that lie in the `length` bytes from `first` of the whole."""
    start = max(0, first - number * FRAME)
    end = min(len(data), first + length - number * FRAME)
    return data if end - start == len(data) else bytes(memoryview(data)[start:end])


def _corrupted(placement: Placement, number: int) -> CorruptedData:
    return CorruptedData(blob=(placement.blob or placement.body or b"").hex(), frame=number)
