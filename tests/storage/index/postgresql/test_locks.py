"""Which locks collide, and in which order the database is asked for them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.index.postgresql.locks import SLOTS, Claim, LockTable, lock_requests, slot_of
from post3tw.storage.interfaces import Lock

SHARED, ALONE, KEY, OTHER_KEY = (
    Claim.of(locks) for locks in ([Lock(1)], [Lock(1, exclusive=True)], [Lock(1, b"a")], [Lock(1, b"b")])
)


class ClaimTests(SynchronousTestCase):
    """What a transaction declares."""

    def test_a_key_shares_its_bucket(self) -> None:
        """Who locks a key shares the bucket, whether it says so or not."""
        self.assertEqual(KEY.shared, {1})
        self.assertEqual(KEY.exclusive, {(1, b"a")})

    def test_exclusive_includes_shared(self) -> None:
        """Who has a bucket for itself does not share it besides."""
        claim = Claim.of([Lock(1), Lock(1, exclusive=True), Lock(1, b"a")])
        self.assertEqual(claim.shared, frozenset())
        self.assertEqual(claim.exclusive, {1, (1, b"a")})


class LockTableTests(SynchronousTestCase):
    """What may be held at the same time."""

    def test_collisions(self) -> None:
        """A bucket is shared by many or held by one; a key is held by one."""
        free = {}
        claims = {
            "shared": SHARED,
            "alone": ALONE,
            "key": KEY,
            "other key": OTHER_KEY,
            "elsewhere": Claim.of([Lock(2)]),
        }
        for holder, held in claims.items():
            table = LockTable()
            table.take(held)
            free[holder] = [name for name, claim in claims.items() if table.free(claim)]
        self.assertEqual(
            free,
            {
                "shared": ["shared", "key", "other key", "elsewhere"],
                "alone": ["elsewhere"],
                "key": ["shared", "other key", "elsewhere"],
                "other key": ["shared", "key", "elsewhere"],
                "elsewhere": ["shared", "alone", "key", "other key", "elsewhere"],
            },
        )

    def test_release(self) -> None:
        """A bucket is free when the last who shared it has let go."""
        table = LockTable()
        table.take(KEY)
        table.take(OTHER_KEY)
        table.release(KEY)
        self.assertFalse(table.free(ALONE))
        self.assertTrue(table.free(KEY))
        table.release(OTHER_KEY)
        self.assertTrue(table.free(ALONE))


class OrderTests(SynchronousTestCase):
    """What is sent."""

    def sent(self, *claims: Claim) -> list[tuple[str, list[bytes | None]]]:
        """Statements in short, with their parameters."""
        found = []
        for one in lock_requests(claims):
            text = one.statement.text.decode()
            kinds = {"lock_shared": "order", "xact_lock(": "order alone", "FOR SHARE": "share", "key_locks": "keys"}
            kind = next((kind for part, kind in kinds.items() if part in text), "alone")
            found.append((kind, list(one.values)))
        return found

    def test_order(self) -> None:
        """Buckets come in the order of their ids, shared and exclusive ones mixed, and then all keys by their slots."""
        claims = [Claim.of([Lock(3), Lock(1)]), Claim.of([Lock(2, exclusive=True)]), KEY, OTHER_KEY]
        slots = sorted({slot_of(1, b"a"), slot_of(1, b"b")})
        self.assertEqual(
            self.sent(*claims),
            [
                ("order", [b"{1}"]),
                ("share", [b"{1}"]),
                ("order alone", [b"2"]),
                ("alone", [b"2"]),
                ("order", [b"{3}"]),
                ("share", [b"{3}"]),
                ("keys", [b"{%d,%d}" % tuple(slots)]),
            ],
        )

    def test_nothing(self) -> None:
        """Who declares nothing locks nothing."""
        self.assertEqual(self.sent(Claim.of([])), [])

    def test_slots(self) -> None:
        """Slots are spread, and the same on every machine and for ever: nodes of different releases must agree."""
        self.assertEqual([slot_of(1, b"a"), slot_of(1 << 62, b"a"), slot_of(7, b"")], [3797, 15939, 7])
        slots = {slot_of(1, b"key-%d" % n) for n in range(1000)}
        self.assertGreater(len(slots), 900)
        self.assertLess(max(slots), SLOTS)
