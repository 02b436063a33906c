"""What a lock forbids, when, and by what it may be replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.object_lock import COMPLIANCE, GOVERNANCE, NO_LOCK, DefaultRetention, Retention

NOW = 1_700_000_000_000


def millis(*date: int) -> int:
    """Milliseconds since the epoch of a time in UTC."""
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]


class RetentionTests(SynchronousTestCase):
    """Retention."""

    def test_end(self) -> None:
        """It retains until its end, and not at its end."""
        for mode in (GOVERNANCE, COMPLIANCE):
            self.assertTrue(Retention(mode, NOW + 1).retains(NOW))
            self.assertFalse(Retention(mode, NOW).retains(NOW))
        self.assertFalse(NO_LOCK.retains(NOW))

    def test_bypass(self) -> None:
        """Governance mode gives way to a bypass, compliance mode and a legal hold do not."""
        self.assertFalse(Retention(GOVERNANCE, NOW + 1).protects(NOW, bypass_governance=True))
        self.assertTrue(Retention(COMPLIANCE, NOW + 1).protects(NOW, bypass_governance=True))
        self.assertTrue(Retention(GOVERNANCE, NOW + 1, True).protects(NOW, bypass_governance=True))

    def test_legal_hold(self) -> None:
        """It protects without retention, until it is taken back."""
        self.assertTrue(Retention(legal_hold=True).protects(NOW))
        self.assertFalse(Retention(legal_hold=False).protects(NOW))

    def test_AUZ_6_unreadable_is_locked(self) -> None:
        """A retention that makes no sense protects, whoever asks and whenever."""
        senseless: list[tuple[Any, Any]] = [
            (GOVERNANCE, None),
            (None, NOW - 1),
            ("governance", NOW - 1),
            ("", NOW - 1),
            (GOVERNANCE, "1"),
            (GOVERNANCE, 0.5),
            (7, NOW - 1),
        ]
        for mode, until in senseless:
            for bypass in (False, True):
                self.assertTrue(Retention(mode, until).protects(NOW, bypass_governance=bypass), (mode, until))

    def test_replacement(self) -> None:
        """While it retains it may be extended in its mode; a bypass of governance mode may do everything."""
        present, later, earlier = NOW + 10, NOW + 11, NOW + 9
        extensions = {(mode, until) for mode in (GOVERNANCE, COMPLIANCE) for until in (present, later)}
        for mode in (GOVERNANCE, COMPLIANCE):
            held = Retention(mode, present)
            others: list[tuple[str | None, int | None]] = [(None, None)]
            others += [(m, u) for m in (GOVERNANCE, COMPLIANCE) for u in (earlier, present, later)]
            for other in others:
                allowed = other in extensions and other[0] == mode
                self.assertEqual(held.may_become(*other, NOW), allowed, (mode, other))
                bypassed = allowed or mode == GOVERNANCE
                self.assertEqual(held.may_become(*other, NOW, bypass_governance=True), bypassed, (mode, other))
                self.assertTrue(Retention(mode, NOW).may_become(*other, NOW))

    def test_AUZ_6_unreadable_is_not_replaced(self) -> None:
        """What cannot be compared is not shorter."""
        self.assertFalse(Retention(GOVERNANCE, None).may_become(GOVERNANCE, NOW + 1, NOW, bypass_governance=True))
        self.assertFalse(Retention("weird", NOW).may_become("weird", NOW + 1, NOW, bypass_governance=True))
        self.assertFalse(Retention(None, NOW).may_become(GOVERNANCE, NOW + 1, NOW, bypass_governance=True))


class DefaultRetentionTests(SynchronousTestCase):
    """DefaultRetention."""

    def test_days(self) -> None:
        """A day has 24 hours."""
        day = timedelta(days=1) // timedelta(milliseconds=1)
        self.assertEqual(DefaultRetention(GOVERNANCE, days=3).until(NOW + 7), NOW + 7 + 3 * day)

    def test_years(self) -> None:
        """A year is one of the calendar, and never ends a day early."""
        for begin, years, end in (
            ((2023, 5, 6, 7, 8, 9), 1, (2024, 5, 6, 7, 8, 9)),
            ((2024, 2, 29, 12), 1, (2025, 3, 1, 12)),
            ((2024, 2, 29, 12), 4, (2028, 3, 1, 12)),
            ((2026, 12, 31, 23, 59), 100, (2126, 12, 31, 23, 59)),
        ):
            default = DefaultRetention(COMPLIANCE, years=years)
            self.assertEqual(default.until(millis(*begin) + 5), millis(*end) + 5)
