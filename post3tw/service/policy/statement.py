"""A policy, understood: its statements, and whom and what each is about."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Effect(Enum):
    """What a statement does to the requests that it is about."""

    ALLOW = "Allow"
    DENY = "Deny"


@frozen
class Statement:
    """One statement. `number` counts from 1; `sid` is the author's name for it, or empty."""

    number: int
    sid: str
    effect: Effect


@frozen
class Policy:
    """A policy: what `language.parse_policy` makes of a document."""

    statements: tuple[Statement, ...]
    id: str = ""
    version: str = "2012-10-17"
