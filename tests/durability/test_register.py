"""The checker of histories: it accepts what a register can do, and nothing else."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.durability.register import Call, Kind, Outcome, unexplained

UNKNOWN, REFUSED = Outcome.UNKNOWN, Outcome.REFUSED


def put(value: str, begin: float, end: float, outcome: Outcome = Outcome.DONE) -> Call:
    """A write."""
    return Call(Kind.PUT, begin, end, outcome, value)


def get(value: str | None, begin: float, end: float) -> Call:
    """A read."""
    return Call(Kind.GET, begin, end, value=value)


def delete(begin: float, end: float, outcome: Outcome = Outcome.DONE) -> Call:
    """A deletion."""
    return Call(Kind.DELETE, begin, end, outcome)


def create(value: str, begin: float, end: float, outcome: Outcome = Outcome.DONE) -> Call:
    """A write over nothing."""
    return Call(Kind.CREATE, begin, end, outcome, value)


def replace(expected: str, value: str, begin: float, end: float, outcome: Outcome = Outcome.DONE) -> Call:
    """A write over one value."""
    return Call(Kind.REPLACE, begin, end, outcome, value, expected)


class LinearizableTests(SynchronousTestCase):
    """Histories that an order explains."""

    def assert_explained(self, *calls: Call) -> None:
        self.assertIsNone(unexplained(calls))

    def test_one_after_the_other(self) -> None:
        """Each read sees the last write."""
        self.assert_explained(get(None, 0, 1), put("a", 2, 3), get("a", 4, 5), delete(6, 7), get(None, 8, 9))

    def test_overlapping(self) -> None:
        """A read beside a write sees the old or the new value, and reads that follow each other agree on an order."""
        self.assert_explained(put("a", 0, 1), put("b", 2, 9), get("a", 3, 4), get("b", 5, 6), get("b", 7, 8))

    def test_writes_in_any_order(self) -> None:
        """Of two writes at once either is the last."""
        for last in "ab":
            self.assert_explained(put("a", 0, 5), put("b", 0, 5), get(last, 6, 7))

    def test_one_winner(self) -> None:
        """Of two that create, one is refused."""
        self.assert_explained(create("a", 0, 5), create("b", 0, 5, REFUSED), get("a", 6, 7))

    def test_refused_before_deletion(self) -> None:
        """A condition that fails beside the write that makes it hold."""
        self.assert_explained(
            put("a", 0, 1), create("b", 2, 6, REFUSED), delete(2, 6), replace("a", "c", 7, 8, REFUSED), get(None, 9, 10)
        )

    def test_without_answer(self) -> None:
        """What was cut off has happened or not, now or until its end."""
        self.assert_explained(put("a", 0, 1), put("b", 2, 9, UNKNOWN), get("a", 3, 4), get("b", 5, 6), get("b", 10, 11))
        self.assert_explained(put("a", 0, 1), put("b", 2, 9, UNKNOWN), get("a", 10, 11))
        self.assert_explained(put("a", 0, 1), delete(2, 9, UNKNOWN), get("a", 3, 4), get(None, 10, 11))

    def test_behind_one_that_runs(self) -> None:
        """A write without an answer may have come after one that still runs when it can happen no more."""
        self.assert_explained(put("c", 0, 9), put("b", 1, 2, UNKNOWN), get("c", 0, 1), get("b", 3, 4), get("b", 10, 11))

    def test_unknown_condition(self) -> None:
        """A conditional write without an answer has written only if its condition held."""
        self.assert_explained(put("a", 0, 1), create("b", 2, 3, UNKNOWN), get("a", 4, 5))
        self.assert_explained(put("a", 0, 1), replace("a", "b", 2, 3, UNKNOWN), get("b", 4, 5))

    def test_a_simulated_register(self) -> None:
        """Whatever a register answers to overlapping calls is explained, whichever moments it chose."""
        random = Random(8)
        for _ in range(200):
            state, calls, time = None, [], 0.0
            for number in range(30):
                time += random.random()
                value = str(number)
                begin, end = time - random.random() * 3, time + random.random() * 3
                kind = random.choice(list(Kind))
                if kind is Kind.GET:
                    calls.append(get(state, begin, end))
                elif kind is Kind.DELETE:
                    state, call = None, delete(begin, end)
                    calls.append(call)
                else:
                    holds = kind is Kind.PUT or (kind is Kind.CREATE and state is None)
                    holds = holds or (kind is Kind.REPLACE and state is not None)
                    outcome = Outcome.DONE if holds else REFUSED
                    calls.append(Call(kind, begin, end, outcome, value, state or "none"))
                    state = value if holds else state
            self.assertIsNone(unexplained(calls))


class ViolationTests(SynchronousTestCase):
    """Histories that no order explains."""

    def assert_unexplained(self, wrong: Call, *calls: Call) -> None:
        self.assertEqual(unexplained([*calls, wrong]), wrong)

    def test_lost_write(self) -> None:
        """A read after an acknowledged write does not see it."""
        self.assert_unexplained(get("a", 4, 5), put("a", 0, 1), put("b", 2, 3))
        self.assert_unexplained(get(None, 4, 5), put("a", 0, 1))

    def test_came_back(self) -> None:
        """What was deleted is there again."""
        self.assert_unexplained(get("a", 4, 5), put("a", 0, 1), delete(2, 3))

    def test_stale_read(self) -> None:
        """One read has seen the new value, a later one the old."""
        self.assert_unexplained(get("a", 5, 6), put("a", 0, 1), put("b", 2, 9), get("b", 3, 4))

    def test_two_winners(self) -> None:
        """Two creations of one object."""
        self.assert_unexplained(create("b", 0, 6), create("a", 0, 5))

    def test_lost_update(self) -> None:
        """Two replaced the same value."""
        self.assert_unexplained(replace("a", "c", 2, 6), put("a", 0, 1), replace("a", "b", 2, 5))

    def test_refused_without_reason(self) -> None:
        """A creation is refused where nothing is, or a replacement of what is there."""
        self.assert_unexplained(create("a", 0, 1, REFUSED))
        self.assert_unexplained(replace("a", "b", 2, 3, REFUSED), put("a", 0, 1))

    def test_from_nowhere(self) -> None:
        """A read of what nobody wrote, or of what was refused."""
        self.assert_unexplained(get("x", 2, 3), put("a", 0, 1))
        self.assert_unexplained(get("b", 4, 5), put("a", 0, 1), create("b", 2, 3, REFUSED))

    def test_after_its_end(self) -> None:
        """A write without an answer that shows only after it cannot have happened any more, or that came and went."""
        self.assert_unexplained(get("b", 6, 7), put("a", 0, 1), put("b", 2, 3, UNKNOWN), get("a", 4, 5))
        self.assert_unexplained(get("a", 5, 6), put("a", 0, 1), put("b", 2, 9, UNKNOWN), get("b", 3, 4))

    def test_before_its_beginning(self) -> None:
        """A read sees a write that has not begun."""
        self.assert_unexplained(get("a", 0, 1), put("a", 2, 3))
