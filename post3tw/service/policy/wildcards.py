"""Patterns with `*` (any characters, none included) and `?` (exactly one), matched without backtracking.

Theory of operation
===================

A pattern is cut at its stars into segments of fixed length. The first and the last must be the text's beginning and
end; the ones between are looked for from left to right, and the leftmost place is as good as any, since the star after
it takes whatever is left. So each segment is searched once, in what the ones before it left over: no pattern makes
another attempt necessary.

A segment without `?` is searched by `str.find`, which is fast on what is usual and can be provoked on long texts.
There, and with `?`, a segment is searched for at all places at once: a number whose bit i says "the segment may begin
at i" is ANDed, for each character of the segment, with the places of this character in the text, shifted by where it
stands in the segment. The work is the segment's length times the text's length over the bits of a machine word.

Patterns come from policies, texts from requests; both may be hostile, and a text that is put in for a variable of a
policy (`${aws:username}`) must not act as a pattern. Hence patterns are made of pieces, not of one string.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from attrs import field, frozen

ANY: Final = "*"
ONE: Final = "?"
LONG: Final = 1024
"""Characters: no key is longer, but a header can be."""


@frozen
class Segment:
    """What stands between two stars: texts (`runs`) with exactly one free character between each two of them."""

    runs: tuple[str, ...]
    length: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "length", sum(map(len, self.runs)) + len(self.runs) - 1)

    def at(self, text: str, position: int) -> bool:
        """Whether the segment is in the text at this position; the text must be long enough."""
        for run in self.runs:
            if not text.startswith(run, position):
                return False
            position += len(run) + 1
        return True

    def find(self, text: str, start: int, end: int) -> int:
        """The first position in text[start:end] where the segment is, -1 when it is not there."""
        if len(self.runs) == 1 and end - start < LONG:
            return text.find(self.runs[0], start, end)
        window = text[start:end]
        places = (1 << max(len(window) - self.length + 1, 0)) - 1
        offset = 0
        for run in self.runs:
            for character in run:
                places &= _places(window, character) >> offset
                if not places:
                    return -1
                offset += 1
            offset += 1
        if not places:
            return -1
        return start + (places & -places).bit_length() - 1


@frozen
class Wildcard:
    """A pattern, ready to be matched. Make one with `wildcard` or `wildcard_of`.

    `segments` are what the stars separate: one without a star, so that `exact` is the text itself when there is neither
    star nor `?`.
    """

    segments: tuple[Segment, ...]
    exact: str | None = field(init=False)
    _beginning: str | None = field(init=False, repr=False)
    """All that the pattern asks for, when it has one star, at its end: what most patterns of policies look like."""
    _least: int = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        first, *others = self.segments
        plain = first.runs[0] if len(first.runs) == 1 else None
        object.__setattr__(self, "exact", None if others else plain)
        object.__setattr__(self, "_beginning", plain if others == [Segment(("",))] else None)
        object.__setattr__(self, "_least", sum(segment.length for segment in self.segments))

    @property
    def by_beginning(self) -> bool:
        """Whether it has one star, at its end."""
        return self._beginning is not None

    def matches(self, text: str) -> bool:
        """Whether the whole text is one that the pattern describes. Upper and lower case differ."""
        if self.exact is not None:
            return self.exact == text
        if self._beginning is not None:
            return text.startswith(self._beginning)
        first, last = self.segments[0], self.segments[-1]
        if len(text) < self._least or not first.at(text, 0):
            return False
        if first is last:
            return len(text) == self._least
        end = len(text) - last.length
        if not last.at(text, end):
            return False
        position = first.length
        for segment in self.segments[1:-1]:
            position = segment.find(text, position, end)
            if position < 0:
                return False
            position += segment.length
        return True


def wildcard(pattern: str) -> Wildcard:
    """The pattern that a text describes: `*` and `?` are wild, everything else stands for itself."""
    return wildcard_of([(pattern, True)])


def wildcard_of(pieces: Iterable[tuple[str, bool]]) -> Wildcard:
    """The pattern that consists of these pieces.

    Args:
        pieces: texts, each with whether `*` and `?` are wild in it.
    """
    segments: list[list[str]] = [[""]]
    for text, wild in pieces:
        if not wild:
            segments[-1][-1] += text
            continue
        for number, between_stars in enumerate(text.split(ANY)):
            if number:
                segments.append([""])
            first, *others = between_stars.split(ONE)
            segments[-1][-1] += first
            segments[-1] += others
    # Two stars in a row are one: an empty segment between them is found everywhere.
    kept = [s for n, s in enumerate(segments) if n in (0, len(segments) - 1) or s != [""]]
    return Wildcard(tuple(Segment(tuple(runs)) for runs in kept))


_NOWHERE = b"0" * 256


@lru_cache(maxsize=64)
def _places(text: str, character: str) -> int:
    """A number whose bit i is set where text[i] is the character; kept for other patterns that the text is tried on."""
    code = ord(character)
    try:
        narrow = text.encode("latin-1")
    except UnicodeEncodeError:
        digits = "".join(["1" if other == character else "0" for other in reversed(text)])
    else:
        if code > 255:
            return 0
        digits = narrow.translate(_NOWHERE[:code] + b"1" + _NOWHERE[code + 1 :])[::-1].decode("ascii")
    return int(digits or "0", 2)
