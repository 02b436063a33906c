"""Conditions: each operator, and how several values of a request count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.conditions import (
    BadCondition,
    Condition,
    Unread,
    all_hold,
    parse_condition,
)
from post3tw.service.policy.operators import OPERATORS

KEY = "s3:RequestObjectTagKeys"
TIME, LATER = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00+02:00"


def _holds(operator: str, wanted: Sequence[str], found: Sequence[str] | None, *, variables: bool = True) -> bool:
    condition = parse_condition(operator, KEY, wanted, variables=variables)
    return condition.holds({KEY.lower(): found, "aws:username": ("ada",)}.get)


class OperatorTests(SynchronousTestCase):
    """One value of the request against the policy's."""

    # operator, the policy's values, what passes, what does not
    CASES: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
        "StringEquals": (["a", "B*"], ["a", "B*"], ["A", "Bx", ""]),
        "StringEqualsIgnoreCase": (["Straße", "b"], ["STRASSE", "B"], ["c", ""]),
        "StringLike": (["a*c", "?"], ["ac", "abbc", "x"], ["AC", "xy", ""]),
        "NumericEquals": (["10", "-0.5"], ["10", "10.0", "-0.50"], ["11", "ten", "", "1e1", "nan"]),
        "NumericLessThan": (["10"], ["9", "-1", "9.99"], ["10", "11", "x"]),
        "NumericLessThanEquals": (["10"], ["10", "9"], ["10.1", "x"]),
        "NumericGreaterThan": (["10"], ["11", "9" * 300], ["10", "9", "x"]),
        "NumericGreaterThanEquals": (["10"], ["10", "11"], ["9", "x"]),
        "DateEquals": ([TIME], [TIME, "2026-01-01T01:00:00+01:00", "1767225600"], [LATER, "then"]),
        "DateLessThan": ([LATER], [TIME, "0"], [LATER, "2027-01-01", "then"]),
        "DateLessThanEquals": ([TIME], [TIME, "2025-12-31"], [LATER, "then"]),
        "DateGreaterThan": (["1767225600"], [LATER], [TIME, "then"]),
        "DateGreaterThanEquals": (["2026-01-01"], [TIME, LATER], ["2025-12-31T23:59:59.999Z", "then"]),
        "Bool": (["true"], ["true", "TRUE"], ["false", "1", ""]),
        "BinaryEquals": (["YWJj"], ["YWJj"], ["YWJk", "YWJ", "é"]),
        "IpAddress": (
            ["192.0.2.0/24", "2001:db8::/32", "203.0.113.9", "198.51.100.7/24"],
            ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1%eth0", "203.0.113.9", "198.51.100.1"],
            ["192.0.3.1", "2001:db9::1", "203.0.113.8", "unix", ""],
        ),
        "ArnLike": (
            ["arn:aws:iam::*:user/${aws:username}", "arn:aws:s?:::b*"],
            ["arn:aws:iam::t:user/ada", "arn:aws:s3:::bucket:x"],
            ["arn:aws:iam:eu:t:user/ada", "arn:aws:iam::t:user/bob", "arn:aws:sqs:::b", "arn"],
        ),
        "ArnEquals": (["*"], ["arn:aws:s3:::b"], ["b"]),
    }

    def test_passing(self) -> None:
        """An operator holds when the request's value passes for one of the policy's, else it does not."""
        for operator, (wanted, passing, others) in self.CASES.items():
            for value in passing:
                self.assertTrue(_holds(operator, wanted, [value]), (operator, value))
            for value in others:
                self.assertFalse(_holds(operator, wanted, [value]), (operator, value))

    def test_negated(self) -> None:
        """A negated operator holds when its counterpart does not."""
        counterparts = {"NotIpAddress": "IpAddress"} | {
            f"{kind}Not{test}": f"{kind}{test}"
            for kind, test in (
                ("String", "Equals"), ("String", "EqualsIgnoreCase"), ("String", "Like"), ("Numeric", "Equals"),
                ("Date", "Equals"), ("Arn", "Like"), ("Arn", "Equals"),
            )
        }  # fmt: skip
        for negated, operator in counterparts.items():
            wanted, passing, others = self.CASES[operator]
            for value in passing:
                self.assertFalse(_holds(negated, wanted, [value]), (negated, value))
            for value in others:
                self.assertTrue(_holds(negated, wanted, [value]), (negated, value))
        self.assertEqual(set(OPERATORS), set(self.CASES) | set(counterparts), "every operator is tried here")

    def test_variables(self) -> None:
        """Values of text operators may have variables, and are then compared as they are, case apart or not."""
        self.assertTrue(_holds("StringEquals", ["${aws:username}"], ["ada"]))
        self.assertTrue(_holds("StringEqualsIgnoreCase", ["${aws:username}"], ["ADA"]))
        self.assertTrue(_holds("StringLike", ["${aws:username}/*"], ["ada/x"]))
        self.assertFalse(_holds("StringEqualsIgnoreCase", ["${aws:SourceVpc}"], [""]))
        self.assertFalse(_holds("StringEquals", ["${aws:SourceVpc}"], ["ada"]))

    def test_old_version(self) -> None:
        """In a policy without variables they are text."""
        for operator in ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnLike"):
            arn = "arn:aws:iam:::user/" if operator == "ArnLike" else ""
            for value, holds in ((f"{arn}${{aws:username}}", True), (f"{arn}ada", False)):
                wanted = [f"{arn}${{aws:username}}"]
                self.assertEqual(_holds(operator, wanted, [value], variables=False), holds, (operator, value))

    def test_bounds(self) -> None:
        """Numbers have 400 digits at most before the point and after it, seconds since the epoch 11."""
        for number in ("9" * 400, f"1.{'9' * 400}", f"+{'9' * 400}.0"):
            self.assertTrue(_holds("NumericEquals", [number], [number]))
        for number in ("9" * 401, f"1.{'9' * 401}", "1.", ".5", "+-1", "1.0.0"):
            self.assertFalse(_holds("NumericGreaterThan", ["-1"], [number]), number)
        self.assertTrue(_holds("DateEquals", ["9" * 11], ["9" * 11]))
        self.assertFalse(_holds("DateGreaterThan", ["0"], ["9" * 12]))

    def test_null(self) -> None:
        """Null asks whether the request has no value."""
        for wanted, found, holds in (
            ("true", None, True), ("true", ["a"], False), ("false", None, False), ("False", ["a"], True),
            ("true", [""], False),
        ):  # fmt: skip
            self.assertEqual(_holds("Null", [wanted], found), holds, (wanted, found))


class QuantityTests(SynchronousTestCase):
    """No value, one, several: the table of the theory of operation (AUZ-11)."""

    def test_truth_table(self) -> None:
        """Set operators count every value or any, negated ones those that are none of the policy's."""
        requests: tuple[Sequence[str] | None, ...] = (None, [], ["a"], ["x"], ["a", "b"], ["a", "x"], ["x", "y"])
        table = {
            "StringEquals":                    (False, False, True, False, True, True, False),
            "StringNotEquals":                 (True, True, False, True, False, False, True),
            "StringEqualsIfExists":            (True, True, True, False, True, True, False),
            "StringNotEqualsIfExists":         (True, True, False, True, False, False, True),
            "ForAllValues:StringEquals":       (True, True, True, False, True, False, False),
            "ForAllValues:StringNotEquals":    (True, True, False, True, False, False, True),
            "ForAnyValue:StringEquals":        (False, False, True, False, True, True, False),
            "ForAnyValue:StringNotEquals":     (False, False, False, True, False, True, True),
            "ForAnyValue:StringEqualsIfExists": (True, True, True, False, True, True, False),
            "ForAllValues:StringLikeIfExists": (True, True, True, False, True, False, False),
        }  # fmt: skip
        for operator, expected in table.items():
            for found, holds in zip(requests, expected, strict=True):
                self.assertEqual(_holds(operator, ["a", "b"], found), holds, (operator, found))


class UnreadTests(SynchronousTestCase):
    """Conditions on an object that was not read yet."""

    def setUp(self) -> None:
        """Two conditions: one on the object, one on the request."""
        self.of_object, self.of_request = (
            parse_condition("StringEquals", key, ["a"], variables=True)
            for key in ("s3:ExistingObjectTag/a", "s3:prefix")
        )

    def _all_hold(self, *conditions: Condition, prefix: str) -> bool:
        def values(key: str) -> Sequence[str]:
            if key != "s3:prefix":
                raise Unread(key)
            return (prefix,)

        return all_hold(conditions, values)

    def test_one_that_fails(self) -> None:
        """When one condition does not hold, the others need not be known, in whatever order they stand."""
        self.assertFalse(self._all_hold(self.of_object, self.of_request, prefix="b"))
        self.assertFalse(self._all_hold(self.of_request, self.of_object, prefix="b"))

    def test_undecided(self) -> None:
        """When all others hold, it depends on the object."""
        for both in ((self.of_object, self.of_request), (self.of_request, self.of_object)):
            with self.assertRaises(Unread):
                self._all_hold(*both, prefix="a")


class RefusalTests(SynchronousTestCase):
    """Conditions that a policy may not have."""

    def test_operator(self) -> None:
        """An operator that does not exist is refused."""
        for operator in (
            "StringEqual", "stringequals", "ForEachValue:StringEquals", "ForAllValues:", "IfExists", "", "NullIfExists",
            "ForAnyValue:Null", "StringEqualsIfExistsIfExists", "ForAllValues:ForAnyValue:StringEquals",
        ):  # fmt: skip
            self.assertRaises(BadCondition, parse_condition, operator, KEY, ["true"], variables=True)

    def test_key(self) -> None:
        """A condition key that does not exist is refused; one that exists on AWS only is not."""
        for key in ("s3:prefx", "prefix", "aws:", "userid", "s3:ExistingObjectTag/", "s3:prefix/a", "ec2:Region", ""):
            self.assertRaises(BadCondition, parse_condition, "StringEquals", key, ["a"], variables=True)
        for key in (
            "aws:SourceVpce", "s3:DataAccessPointArn", "AWS:SOURCEIP", "aws:PrincipalTag/a/b", "aws:RequestTag/A",
            "aws:ResourceTag/A", "s3:BucketTag/A", "s3:AccessPointTag/A", "s3:RequestObjectTag/A",
        ):  # fmt: skip
            family, _, tag = key.partition("/")
            condition = parse_condition("StringLike", key, ["a"], variables=True)
            self.assertEqual(condition.key, f"{family.lower()}/{tag}" if tag else family.lower())

    def test_value(self) -> None:
        """A value that is not of the operator's kind is refused, and so is none at all."""
        for operator, value in (
            ("NumericEquals", "ten"), ("NumericLessThan", "1e9"), ("NumericLessThan", "9" * 401), ("NumericEquals", ""),
            ("NumericEquals", "${s3:max-keys}"), ("DateLessThan", "tomorrow"), ("DateLessThan", "2026-02-30"),
            ("Bool", "yes"), ("BinaryEquals", "*"), ("IpAddress", "192.0.2.0/33"), ("IpAddress", "any"),
            ("NotIpAddress", "192.0.2"), ("ArnLike", "arn:aws:s3"), ("ArnEquals", "bucket"), ("Null", "maybe"),
            ("ArnLike", "urn:aws:s3:::b"),
            ("StringLike", "${"), ("ArnLike", "arn:aws:s3:::${x}"),
        ):  # fmt: skip
            self.assertRaises(BadCondition, parse_condition, operator, KEY, [value], variables=True)
        for operator in ("StringEquals", "Null"):
            self.assertRaises(BadCondition, parse_condition, operator, KEY, [], variables=True)
        self.assertRaises(BadCondition, parse_condition, "Null", KEY, ["true", "false"], variables=True)

    def test_messages(self) -> None:
        """What is wrong is said, and shown as far as 80 characters."""
        long = "x" * 99
        for operator, key, values, message in (
            ("StringLike", "s3:prefx", ["a"], "Policy has an invalid condition key"),
            ("StringLike", KEY, [], "Policy has an invalid condition: no value"),
            (long, KEY, ["a"], f"Invalid Condition type : {long[:80]}"),
            ("Null", KEY, ["maybe"], "Null takes one value, true or false"),
            ("Bool", KEY, [long], f"Policy has an invalid value in a condition: {long[:80]}"),
            ("ArnLike", KEY, [long], f"Policy has an invalid value in a condition: {long[:80]}"),
            ("IpAddress", KEY, [long], f"Policy has an invalid value in a condition: {long[:80]}"),
            ("StringLike", KEY, [f"${{{long}}}"], f"Policy has an invalid variable: ${{{long[:78]}"),
            ("StringLike", KEY, ["a${b}"], "Policy has an invalid variable: ${b}"),
            ("StringLike", KEY, ["a${b"], "Policy has an invalid variable: a${b"),
        ):
            error = self.assertRaises(BadCondition, parse_condition, operator, key, values, variables=True)
            self.assertEqual(str(error), message)
