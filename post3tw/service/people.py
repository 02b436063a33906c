"""Whom access control lists can name: the users that the server knows, by id and by e-mail address."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from attrs import frozen

from post3tw.model.identity import Owner


class People(Protocol):
    """Where users are looked up."""

    def by_id(self, user_id: str) -> Owner | None:
        """The user with this canonical id, None when there is none."""

    def by_email(self, email: str) -> Collection[Owner]:
        """The users with this e-mail address, each once; S3 takes a grant only when there is exactly one."""


@frozen
class NoPeople:
    """Nobody is known, but for the owners that a list is about."""

    def by_id(self, user_id: str) -> Owner | None:
        """Nobody."""
        return None

    def by_email(self, email: str) -> Collection[Owner]:
        """Nobody."""
        return ()
