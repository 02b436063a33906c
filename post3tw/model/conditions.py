"""Conditional requests: If-Match, If-None-Match, If-(Un)Modified-Since and their x-amz-* forms, as pure decisions.

Writes evaluate inside the index transaction, reads where the row was read. Order and meaning: RFC 9110 section 13.2.2;
on writes S3 knows If-Match and If-None-Match, and for DELETE also size and time.
"""

from __future__ import annotations

from post3tw.model.errors import NoSuchKey, NotModified, PreconditionFailed
from post3tw.model.values import value_class
from post3tw.model.version import Incumbent, Version


def _names(etag: str, tags: str) -> bool:
    """Whether a header value, a list of entity tags, names this one. S3 takes them with and without quotes."""
    wanted = [tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")]
    return "*" in wanted or etag in wanted


@value_class
class WriteConditions:
    """Conditions of a write on what is current now. Times are milliseconds since the epoch, of whole seconds."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_match_size: int | None = None
    if_match_modified: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is something to check."""
        return self != _NO_WRITE_CONDITIONS

    def check(self, current: Version | Incumbent | None, key: str) -> None:
        """Raise what S3 answers when `current` (None: no current object) does not meet the conditions.

        Raises:
            NoSuchKey: If-Match and there is no current object.
            PreconditionFailed: anything else that does not hold.
        """
        if self.if_none_match is not None and current is not None and _names(current.etag, self.if_none_match):
            raise PreconditionFailed(condition="If-None-Match")
        if self.if_match is not None:
            if current is None:
                raise NoSuchKey(key=key)
            if not _names(current.etag, self.if_match):
                raise PreconditionFailed(condition="If-Match")
        if self.if_match_size is not None and (current is None or current.size != self.if_match_size):
            raise PreconditionFailed(condition="x-amz-if-match-size")
        if self.if_match_modified is not None and (
            current is None or current.created // 1000 != self.if_match_modified // 1000
        ):
            raise PreconditionFailed(condition="x-amz-if-match-last-modified-time")


_NO_WRITE_CONDITIONS = WriteConditions()


@value_class
class ReadConditions:
    """Conditions of a read. Times are milliseconds since the epoch."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None

    def check(self, version: Version, *, copy: bool = False) -> None:
        """Raise NotModified (without details) or PreconditionFailed when `version` does not meet the conditions.

        A true If-Match makes If-Unmodified-Since moot, a present If-None-Match makes If-Modified-Since moot. For the
        source of a copy (`copy`) every failure is PreconditionFailed.
        """
        seconds = version.created // 1000
        prefix = "x-amz-copy-source-" if copy else ""
        if self.if_match is not None:
            if not _names(version.etag, self.if_match):
                raise PreconditionFailed(condition=prefix + "If-Match")
        elif self.if_unmodified_since is not None and seconds > self.if_unmodified_since // 1000:
            raise PreconditionFailed(condition=prefix + "If-Unmodified-Since")
        unchanged = None
        if self.if_none_match is not None:
            if _names(version.etag, self.if_none_match):
                unchanged = "If-None-Match"
        elif self.if_modified_since is not None and seconds <= self.if_modified_since // 1000:
            unchanged = "If-Modified-Since"
        if unchanged is not None:
            if copy:
                raise PreconditionFailed(condition=prefix + unchanged)
            raise NotModified
