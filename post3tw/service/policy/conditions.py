"""Conditions of a statement: all of them must hold for it to be about a request.

    "Condition": {"StringLike": {"s3:prefix": ["home/", "home/${aws:username}/*"]}, "Bool": {…}}

A condition is an operator, a condition key and the policy's values. What it says depends on how many values the request
has for the key:

    the request has            operator        negated operator        ForAllValues:      ForAnyValue:
    no value                   does not hold   holds                   holds              does not hold
    values                     one of them     none of them            every one of       one of them
                               passes a test   passes a test           them satisfies     satisfies

where a value satisfies when it passes a test of the operator, or, negated, none. With `IfExists` it holds when the
request has no value. `Null` asks only whether there is a value.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from attrs import field, frozen

from post3tw.service.policy.keys import canonical_key
from post3tw.service.policy.operators import OPERATORS, BadValue, Operator, Test
from post3tw.service.policy.variables import BadVariable, Values


class Unread(Exception):
    """The value of a condition key depends on the object, which was not read yet. Raised by `Values`."""


class Quantifier(Enum):
    """How the several values of a request count."""

    NONE = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


class BadCondition(Exception):
    """A condition that is none. The text says why, in AWS's words where it has some."""


@frozen
class Comparison:
    """A condition that compares.

    Attributes:
        operator: its name without prefix and suffix.
        key: the condition key, canonical.
        sources: the policy's values, as they are written.
        quantifier: how several values of the request count.
        if_exists: whether it holds when the request has none.
    """

    operator: str
    key: str
    sources: tuple[str, ...]
    quantifier: Quantifier
    if_exists: bool
    _tests: tuple[Test, ...] = field(repr=False, eq=False)
    _negated: bool = field(init=False, repr=False, eq=False)
    _every: bool = field(init=False, repr=False, eq=False)
    """Whether every value of the request must satisfy, not just one."""
    _without_value: bool = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        negated = OPERATORS[self.operator].negated
        every = negated if self.quantifier is Quantifier.NONE else self.quantifier is Quantifier.ALL
        object.__setattr__(self, "_negated", negated)
        object.__setattr__(self, "_every", every)
        object.__setattr__(self, "_without_value", self.if_exists or every)

    def holds(self, values: Values) -> bool:
        """Whether the condition holds for a request.

        Raises:
            Unread: that depends on what was not read.
        """
        found = values(self.key)
        if not found:
            return self._without_value
        for value in found:
            satisfies = self._negated
            for test in self._tests:
                if test(value, values):
                    satisfies = not self._negated
                    break
            if satisfies is not self._every:
                return satisfies
        return self._every


@frozen
class Absence:
    """`Null`: that the request has no value for the key, or that it has one."""

    key: str
    absent: bool

    def holds(self, values: Values) -> bool:
        """Whether the condition holds for a request; may raise Unread."""
        return (not values(self.key)) is self.absent


Condition = Comparison | Absence


def all_hold(conditions: Iterable[Condition], values: Values) -> bool:
    """Whether all conditions hold. One that does not settles it, whatever was not read for others.

    Raises:
        Unread: those that could be decided hold, and others depend on what was not read.
    """
    unread: Unread | None = None
    for condition in conditions:
        try:
            if not condition.holds(values):
                return False
        except Unread as reason:
            unread = reason
    if unread is not None:
        raise unread
    return True


_IF_EXISTS: Final = "IfExists"


def parse_condition(operator: str, key: str, sources: Sequence[str], *, variables: bool) -> Condition:
    """One condition of a statement.

    Args:
        operator: with its prefix and suffix, such as "ForAnyValue:StringLikeIfExists".
        key: the condition key as it is written.
        sources: the values, as texts.
        variables: whether the policy's version has variables.

    Raises:
        BadCondition: no such operator or key, a value that is not of the operator's kind, no value.
    """
    canonical = canonical_key(key)
    if canonical is None:
        raise BadCondition("Policy has an invalid condition key")
    if not sources:
        raise BadCondition("Policy has an invalid condition: no value")
    if operator == "Null":
        return Absence(canonical, _truth(sources))
    quantifier = next((q for q in (Quantifier.ALL, Quantifier.ANY) if operator.startswith(q.value)), Quantifier.NONE)
    name = operator[len(quantifier.value) :]
    if_exists = name.endswith(_IF_EXISTS)
    name = name.removesuffix(_IF_EXISTS)
    if name not in OPERATORS:
        raise BadCondition(f"Invalid Condition type : {operator[:80]}")
    tests = _tests(OPERATORS[name], sources, variables)
    return Comparison(name, canonical, tuple(sources), quantifier, if_exists, tests)


def _truth(sources: Sequence[str]) -> bool:
    if len(sources) != 1 or sources[0].lower() not in ("true", "false"):
        raise BadCondition("Null takes one value, true or false")
    return sources[0].lower() == "true"


def _tests(operator: Operator, sources: Sequence[str], variables: bool) -> tuple[Test, ...]:
    try:
        return tuple(operator.compile(source, variables) for source in sources)
    except BadValue as error:
        raise BadCondition(f"Policy has an invalid value in a condition: {str(error)[:80]}") from None
    except BadVariable as error:
        raise BadCondition(f"Policy has an invalid variable: {str(error)[:80]}") from None
