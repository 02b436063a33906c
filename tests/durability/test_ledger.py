"""What a store must hold after a power cut."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.ledger import Content, Deed, Ledger, Name

OLD, NEW = Content("aa", 1), Content("bb", 2)
ONE: Name = ("object", "bucket", "one")
TWO: Name = ("object", "bucket", "two")


class LedgerTests(SynchronousTestCase):
    """A client that puts an object, then does something else."""

    def ledger(self, *then: Deed) -> Ledger:
        """After its first answer."""
        ledger = Ledger([Deed("c", "1", {ONE: OLD}), *then])
        self.assertTrue(ledger.answered("1"))
        return ledger

    def test_settled(self) -> None:
        """What was acknowledged must be there as it was sent, and nothing else."""
        ledger = self.ledger()
        self.assertEqual(ledger.violations({ONE: OLD}), [])
        for view in ({}, {ONE: NEW}, {ONE: OLD, TWO: OLD}):
            self.assertEqual(len(ledger.violations(view)), 1, view)

    def test_pending(self) -> None:
        """What was not acknowledged may have happened or not, but nothing else may have."""
        ledger = self.ledger(Deed("c", "2", {ONE: NEW}), Deed("c", "3", {ONE: None}))
        self.assertEqual(ledger.violations({ONE: OLD}), [])
        self.assertEqual(ledger.violations({ONE: NEW}), [])
        self.assertEqual(len(ledger.violations({})), 1)  # the one after the next was not even asked for
        ledger.answered("2")
        self.assertEqual(len(ledger.violations({ONE: OLD})), 1)
        self.assertEqual(ledger.violations({}), [])

    def test_in_part(self) -> None:
        """One request is done whole or not at all, unless it is one of many."""
        view = {ONE: NEW}
        after = {ONE: NEW, TWO: NEW}
        self.assertEqual(len(self.ledger(Deed("c", "2", after)).violations(view)), 2)
        self.assertEqual(self.ledger(Deed("c", "2", after, each=True)).violations(view), [])

    def test_others(self) -> None:
        """Each client has one request at a time, and answers that are of no deed say nothing."""
        ledger = self.ledger(Deed("d", "9", {TWO: NEW}))
        self.assertFalse(ledger.answered("x"))
        self.assertEqual(ledger.violations({ONE: OLD, TWO: NEW}), [])
        self.assertEqual(ledger.acknowledged, 1)
