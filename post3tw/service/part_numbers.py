"""Numbers of parts, as clients write them."""

from __future__ import annotations

from post3tw.model.errors import InvalidArgument

MAX_PART_NUMBER = 10_000
"""The highest number that a part may have, and so the most parts of an upload."""

_MAX_INT = 2**31 - 1


def checked_part_number(number: int | None) -> int:
    """The number of a part.

    Raises:
        InvalidArgument: not from 1 to 10,000.
    """
    if number is None or not 1 <= number <= MAX_PART_NUMBER:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive",
            argument_name="partNumber",
            argument_value=number,
        )
    return number


def part_number_marker(marker: int | None) -> int:
    """The number behind which a listing of parts goes on; 0 when there is none.

    Raises:
        InvalidArgument: not a number that S3 takes.
    """
    if marker is None:
        return 0
    if not 0 <= marker <= _MAX_INT:
        raise InvalidArgument(
            f"Argument part-number-marker must be an integer between 0 and {_MAX_INT}",
            argument_name="part-number-marker",
            argument_value=marker,
        )
    return min(marker, MAX_PART_NUMBER)
