"""Policy variables: `${aws:username}` in a resource or in the value of a condition.

    ${aws:username}             the value of a condition key
    ${aws:username, 'nobody'}   the same, or `nobody` when the request has none
    ${*}  ${?}  ${$}            the characters * ? $ themselves

What is put in for a variable is text: a `*` in a user's name is a star, not a wildcard. A variable without a value, or
with several, makes the whole pattern match nothing. Policies of version 2008-10-17 have no variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from post3tw.service.policy.keys import canonical_key
from post3tw.service.policy.wildcards import Wildcard, wildcard, wildcard_of

Values = Callable[[str], Sequence[str] | None]
"""How the values of a condition key (see keys.canonical_key) are found for a request; None when it has none."""

_REFERENCE: Final = re.compile(r"\$\{(\$|[^${}]*)\}")
_VARIABLE: Final = re.compile(r"\s*([A-Za-z0-9]+:[^\s,']+)\s*(?:,\s*'([^']*)'\s*)?")


class BadVariable(Exception):
    """A `${…}` that is no policy variable. Its text is what stands there."""


@frozen
class _Variable:
    key: str
    default: str | None

    def value(self, values: Values) -> str | None:
        found = values(self.key)
        if not found:
            return self.default
        return found[0] if len(found) == 1 else None


@frozen
class Template:
    """A text with variables in it: literal pieces (each with whether its `*` and `?` are wild) and variables."""

    pieces: tuple[tuple[str, bool] | _Variable, ...]

    def _filled(self, values: Values) -> list[tuple[str, bool]] | None:
        filled: list[tuple[str, bool]] = []
        for piece in self.pieces:
            if isinstance(piece, _Variable):
                value = piece.value(values)
                if value is None:
                    return None
                filled.append((value, False))
            else:
                filled.append(piece)
        return filled

    def text(self, values: Values) -> str | None:
        """The text with every variable filled in; None when one has no value."""
        filled = self._filled(values)
        return None if filled is None else "".join(text for text, _ in filled)

    def pattern(self, values: Values) -> Wildcard | None:
        """The pattern with every variable filled in; None when one has no value."""
        filled = self._filled(values)
        return None if filled is None else _made(tuple(filled))


@lru_cache(maxsize=256)
def _made(pieces: tuple[tuple[str, bool], ...]) -> Wildcard:
    """A pattern that variables were put into; the same users come again and again."""
    return wildcard_of(pieces)


def parse_template(text: str) -> Template | None:
    """The text as a template, None when there is no `${` in it.

    Raises:
        BadVariable: a `${` that does not begin a variable.
    """
    if "${" not in text:
        return None
    pieces: list[tuple[str, bool] | _Variable] = []
    rest = 0
    for reference in _REFERENCE.finditer(text):
        pieces.append((_plain(text[rest : reference.start()]), True))
        pieces.append(_piece(reference[1]))
        rest = reference.end()
    pieces.append((_plain(text[rest:]), True))
    return Template(tuple(pieces))


def _plain(text: str) -> str:
    if "${" in text:
        raise BadVariable(text)
    return text


def _piece(name: str) -> tuple[str, bool] | _Variable:
    if name in ("*", "?", "$"):
        return name, False
    variable = _VARIABLE.fullmatch(name)
    key = canonical_key(variable[1]) if variable is not None else None
    if variable is None or key is None:
        raise BadVariable("${" + name + "}")
    return _Variable(key, variable[2])


@frozen
class Pattern:
    """What a policy says about texts: a fixed pattern, or one that depends on the request."""

    source: str
    fixed: Wildcard | None
    template: Template | None

    @property
    def beginning(self) -> str:
        """What every text that matches begins with, as far as that is known; empty when it depends on the request."""
        return "" if self.fixed is None else self.fixed.segments[0].runs[0]

    @property
    def by_beginning(self) -> bool:
        """Whether every text matches that begins so."""
        return self.fixed is not None and self.fixed.by_beginning

    def matches(self, text: str, values: Values) -> bool:
        """Whether the text matches, with the request's values for the variables."""
        if self.fixed is not None:
            return self.fixed.matches(text)
        filled = self.template.pattern(values) if self.template is not None else None
        return filled is not None and filled.matches(text)


def parse_pattern(source: str, *, variables: bool) -> Pattern:
    """A pattern with wildcards and, unless the policy is too old for them, variables.

    Raises:
        BadVariable: a `${` that does not begin a variable.
    """
    template = parse_template(source) if variables else None
    return Pattern(source, wildcard(source) if template is None else None, template)
