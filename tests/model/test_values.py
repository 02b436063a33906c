"""Values are frozen for the type checker, and equal by what they hold.

That the checker refuses something is tested where it runs: it complains about an ignore that ignores nothing.
"""

from __future__ import annotations

from unittest import TestCase

from attrs import evolve

from post3tw.model.values import value_class


@value_class
class _Pair:
    first: int
    second: str = ""


class ValueTest(TestCase):
    """What `@value_class` makes."""

    def test_the_type_checker_refuses_to_assign_to_a_value(self) -> None:
        """Python itself does not, which is what makes values cheap."""
        pair = _Pair(1)
        pair.first = 2  # type: ignore[misc]
        self.assertEqual(pair, _Pair(2))

    def test_the_type_checker_knows_what_a_value_is_made_of(self) -> None:
        """As of any attrs class."""
        with self.assertRaises(TypeError):
            _Pair("1", 2, 3)  # type: ignore[call-arg, arg-type]

    def test_values_are_equal_and_hashed_by_what_they_hold(self) -> None:
        """So that they can be compared, and be keys."""
        self.assertEqual(_Pair(1, "one"), _Pair(1, "one"))
        self.assertNotEqual(_Pair(1, "one"), _Pair(1, "two"))
        self.assertEqual(len({_Pair(1, "one"), _Pair(1, "one"), evolve(_Pair(1, "two"), second="one")}), 1)

    def test_a_value_has_no_attributes_but_its_own(self) -> None:
        """It has slots."""
        with self.assertRaises(AttributeError):
            _Pair(1).third = 3  # type: ignore[attr-defined]
