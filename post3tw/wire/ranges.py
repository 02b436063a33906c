"""Byte ranges: the Range header of reads, the stricter one of part copies, and Content-Range."""

from __future__ import annotations

import re

from post3tw.model.errors import InvalidArgument, InvalidRange

# Possessive, all of it: white space between two things that may both be absent would be tried in every way to share it.
_range = re.compile(r"[ \t]*+bytes[ \t]*+=[ \t]*+([0-9]*+)[ \t]*+-[ \t]*+([0-9]*+)[ \t]*+", re.IGNORECASE).fullmatch
_copy_range = re.compile("bytes=([0-9]+)-([0-9]+)").fullmatch


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte, inclusive, that a Range header asks for out of `size` bytes.

    Returns:
        None for the whole object, as S3 answers to what is no range of bytes, to several ranges, and to a last byte
        before the first.

    Raises:
        InvalidRange: a good range of which no byte exists.
    """
    found = _range(header)
    if found is None:
        return None
    first, last = _number(found[1]), _number(found[2])
    if first is None:
        if last is None:
            return None
        first, last = max(size - last, 0) if last else size, size - 1
    elif last is not None and last < first:
        return None
    if first >= size:
        raise _unsatisfiable(header, size)
    return first, size - 1 if last is None else min(last, size - 1)


def parse_copy_range(header: str, size: int) -> tuple[int, int]:
    """The first and the last byte, inclusive, of an x-amz-copy-source-range over a source of `size` bytes.

    Raises:
        InvalidArgument: not of the form `bytes=first-last`.
        InvalidRange: the source does not have all those bytes.
    """
    found = _copy_range(header)
    first, last = (_number(found[1]), _number(found[2])) if found else (None, None)
    if first is None or last is None or last < first:
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            argument_name="x-amz-copy-source-range",
            argument_value=header,
        )
    if last >= size:
        raise _unsatisfiable(header, size)
    return first, last


def content_range(first: int, last: int, size: int) -> str:
    """The Content-Range of a reply with those bytes, both inclusive."""
    return f"bytes {first}-{last}/{size}"


def _number(digits: str) -> int | None:
    """None for no digits. Those past the 19th are cut off: the number is larger than any object without them."""
    if not digits:
        return None
    digits = digits.lstrip("0")
    return int(digits[:19] or "0")


def _unsatisfiable(header: str, size: int) -> InvalidRange:
    return InvalidRange(range_requested=header, actual_object_size=size)
