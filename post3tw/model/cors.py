"""Rules for requests that pages of other origins make (CORS), and which of them applies.

Sources: "Using cross-origin resource sharing", Amazon S3 User Guide; the Fetch standard, "CORS protocol".
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
"""What a rule can allow."""


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern with at most one `*`, which stands for anything, is of this text."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


@frozen
class CorsRule:
    """One rule of a bucket.

    Attributes:
        origins: patterns of origins, such as "https://*.example.com".
        methods: of METHODS.
        headers: patterns of request headers, as they were put; case does not matter.
        expose: response headers that a page may read.
        max_age: seconds for which a browser may remember a preflight, None when nothing is said.
        id: what its author calls it.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int | None = None
    id: str | None = None
    _lower_headers: tuple[str, ...] = field(init=False, repr=False, eq=False)

    @_lower_headers.default
    def _in_lower_case(self) -> tuple[str, ...]:
        return tuple(pattern.lower() for pattern in self.headers)

    def allows(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """Whether a page of `origin` may send a request of `method` with `headers` (names in lower case)."""
        return (
            method in self.methods
            and any(matches(pattern, origin) for pattern in self.origins)
            and all(any(matches(pattern, name) for pattern in self._lower_headers) for name in headers)
        )

    @property
    def for_everybody(self) -> bool:
        """Whether every origin is meant, so that the answer need not name the one that asks."""
        return "*" in self.origins


def rule_for(rules: Iterable[CorsRule], origin: str, method: str, headers: Iterable[str] = ()) -> CorsRule | None:
    """The first rule that allows it, None when none does. Case matters in origins, as on AWS."""
    names = tuple(headers)
    return next((rule for rule in rules if rule.allows(origin, method, names)), None)
