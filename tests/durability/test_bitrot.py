"""The short forms of `bitrot` and `bitrot_pages`, and what they must notice."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.durability import bitrot, bitrot_pages


class BitrotTests(SynchronousTestCase):
    """Damage under a server."""

    def setUp(self) -> None:
        """A directory for everything."""
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()

    def test_bits(self) -> None:
        """Bits that flip in objects: no reply is complete and wrong, nothing is absent, all of it is found."""
        outcome = bitrot.main(24, 7, self.place)
        self.assertEqual(outcome.violations, [])
        self.assertGreater(outcome.found_by_scrub, 20)

    def test_pages(self) -> None:
        """Pages of the index that are zeros."""
        self.assertEqual(bitrot_pages.main(41, self.place).violations, [])

    def test_unverified(self) -> None:
        """A server that does not look at checksums when it reads is noticed."""
        violations = bitrot.main(3, 0, self.place, "unverified_reads").violations
        self.assertTrue([violation for violation in violations if violation.startswith("GET of")], violations)

    def test_denied(self) -> None:
        """One that says of missing bytes that the object is not there is noticed."""
        violations = bitrot.main(3, 0, self.place, "missing_is_absent").violations
        self.assertTrue([violation for violation in violations if ": 404 with" in violation], violations)
