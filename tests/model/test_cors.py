"""Rules for pages of other origins."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.cors import CorsRule, matches, rule_for


class MatchingTests(SynchronousTestCase):
    """What a pattern is of."""

    def test_without_a_star(self) -> None:
        """It is of itself, with its case."""
        self.assertTrue(matches("https://a.example", "https://a.example"))
        for text in ("https://A.example", "https://a.example:8443", "https://a.exampl", ""):
            self.assertFalse(matches("https://a.example", text))

    def test_one_star(self) -> None:
        """The star is anything, also nothing; its two sides do not overlap."""
        self.assertTrue(matches("*", ""))
        for text in ("startend", "start1end", "start12end"):
            self.assertTrue(matches("start*end", text))
        for text in ("0startend", "startend0", "star", ""):
            self.assertFalse(matches("start*end", text))
        self.assertFalse(matches("aba*aba", "aba"))


class RuleTests(SynchronousTestCase):
    """Which rule applies."""

    rule = CorsRule(("https://*.example",), ("GET", "PUT"), headers=("X-Amz-*", "content-type"))

    def test_all_must_hold(self) -> None:
        """Origin, method and every header that is asked for."""
        self.assertTrue(self.rule.allows("https://a.example", "PUT", ["content-type", "x-amz-date"]))
        self.assertFalse(self.rule.allows("https://a.example.org", "PUT"))
        self.assertFalse(self.rule.allows("https://a.example", "DELETE"))
        self.assertFalse(self.rule.allows("https://a.example", "PUT", ["x-amz-date", "authorization"]))

    def test_no_headers(self) -> None:
        """A rule without headers allows none."""
        self.assertFalse(CorsRule(("*",), ("GET",)).allows("o", "GET", ["x-a"]))

    def test_first_rule(self) -> None:
        """The first one that allows it counts."""
        other = CorsRule(("*",), ("GET", "DELETE"), headers=("*",))
        self.assertIs(rule_for([self.rule, other], "https://a.example", "GET"), self.rule)
        self.assertIs(rule_for([self.rule, other], "https://a.example", "DELETE"), other)
        self.assertIsNone(rule_for([self.rule, other], "https://a.example", "POST"))
        self.assertIsNone(rule_for((), "https://a.example", "GET"))
