"""Object lock: what keeps a version from being removed, and until when.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import frozen

from post3tw.model.values import value_class

GOVERNANCE = "GOVERNANCE"
COMPLIANCE = "COMPLIANCE"
MODES = frozenset({GOVERNANCE, COMPLIANCE})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@value_class
class Retention:
    """Object lock of one version.

    Attributes:
        mode: GOVERNANCE or COMPLIANCE; None without retention.
        until: the end of the retention, in milliseconds since the epoch.
        legal_hold: whether it is held however long; None when nobody ever said.
    """

    mode: str | None = None
    until: int | None = None
    legal_hold: bool | None = None

    def retains(self, now: int, *, bypass_governance: bool = False) -> bool:
        """Whether the retention forbids to remove the version at `now` (milliseconds since the epoch).

        One that makes no sense, a mode that we do not know or a mode without an end, retains: what cannot be read must
        not be taken for absent.
        """
        if self.mode is None and self.until is None:
            return False
        if self.mode not in MODES or type(self.until) is not int:
            return True
        return self.until > now and not (bypass_governance and self.mode == GOVERNANCE)

    def protects(self, now: int, *, bypass_governance: bool = False) -> bool:
        """Whether retention or a legal hold forbid to remove the version."""
        return bool(self.legal_hold) or self.retains(now, bypass_governance=bypass_governance)

    def may_become(self, mode: str | None, until: int | None, now: int, *, bypass_governance: bool = False) -> bool:
        """Whether the retention may be replaced at `now`: while it retains, only by a longer one of the same mode.

        Args:
            mode, until: the other retention; None and None to take it away.
        """
        if not self.retains(now, bypass_governance=bypass_governance):
            return True
        if self.mode not in MODES or type(self.until) is not int or until is None:
            return False
        return mode == self.mode and until >= self.until


NO_LOCK = Retention()
"""What most versions have: neither retention nor legal hold, and never had."""


@frozen
class DefaultRetention:
    """The retention of versions that are written without one. Exactly one of `days` and `years` is not None."""

    mode: str
    days: int | None = None
    years: int | None = None

    def until(self, now: int) -> int:
        """When the retention of a version ends that is written at `now` (milliseconds since the epoch).

        Years are those of the calendar; one that begins on 29 February ends on 1 March, not a day early.
        """
        begin = _EPOCH + timedelta(milliseconds=now)
        if self.years is None:
            end = begin + timedelta(days=self.days or 0)
        elif (begin.month, begin.day) == (2, 29):
            end = begin.replace(year=begin.year + self.years, month=3, day=1)
        else:
            end = begin.replace(year=begin.year + self.years)
        return (end - _EPOCH) // _MILLISECOND
