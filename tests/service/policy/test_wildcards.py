"""Patterns match what they say, and no pattern makes it slow."""

from __future__ import annotations

from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.wildcards import LONG, wildcard, wildcard_of

_ALPHABET = st.text("ab/é€", max_size=12)
_PATTERN = st.text("ab/é€*?", max_size=10)


def _reference(pattern: str, text: str) -> bool:
    """The textbook's table: slow, and obviously right."""
    reachable = [True] + [False] * len(text)
    for symbol in pattern:
        if symbol == "*":
            for place in range(len(text)):
                reachable[place + 1] = reachable[place + 1] or reachable[place]
        else:
            fits = [reachable[place] and symbol in ("?", text[place]) for place in range(len(text))]
            reachable = [False, *fits]
    return reachable[-1]


class MatchingTests(SynchronousTestCase):
    """What is matched."""

    def test_wild_characters(self) -> None:
        """A star stands for any characters, a question mark for exactly one, and everything else for itself."""
        for pattern, matching, others in (
            ("", [""], ["a"]),
            ("*", ["", "a", "a/b\n"], []),
            ("?", ["a", "€", "\n"], ["", "ab"]),
            ("logs/*", ["logs/", "logs/a/b"], ["logs", "xlogs/a"]),
            ("*.jpg", [".jpg", "a.jpg"], ["a.jpgx", "a.JPG"]),
            ("a*b*c", ["abc", "axbxbxc"], ["acb", "ab"]),
            ("aba*aba", ["abaaba", "abaXaba"], ["aba", "ababa"]),
            ("20??-*-?x", ["2026-11-ax", "2000---x"], ["2026-11-x", "200-1-ax"]),
            ("*a?c*", ["abc", "aaac..", "..axc"], ["ac", "abbc"]),
            ("*a*??*", ["abc", "baab"], ["bbac", "ba"]),
            ("*a?*", ["ab", "bab"], ["a", "ba"]),
            ("*a?c*d*", ["abcd", "xabcxd"], ["dabc", "abc"]),
            ("*a?c*c*", ["abcc"], ["abc", "xabc"]),
            ("a*X", ["aX", "abX"], ["a", "ab"]),
            ("*X*", ["X", "aXb"], ["", "ab"]),
            ("*\xff?*", ["\xffa", "a\xff\xff"], ["ab", "\xff"]),
            ("*\u0100?*", ["\u0100a"], ["ab", "\xffa"]),
            ("x*a?*b?*y", ["xa1b2y"], ["xzzaby"]),
            ("[a-z]*.+", ["[a-z].+", "[a-z]..+"], ["b.+"]),
        ):
            for text in matching:
                self.assertTrue(wildcard(pattern).matches(text), (pattern, text))
            for text in others:
                self.assertFalse(wildcard(pattern).matches(text), (pattern, text))

    @given(_PATTERN, _ALPHABET)
    def test_reference(self, pattern: str, text: str) -> None:
        """Every pattern matches what a textbook's slow table says."""
        self.assertEqual(wildcard(pattern).matches(text), _reference(pattern, text))

    @given(_PATTERN, _ALPHABET)
    def test_long_texts(self, pattern: str, text: str) -> None:
        """In the midst of a long text the same is found."""
        long, short = (f"{'-' * count}{text}{'-' * count}" for count in (LONG, 12))  # no pattern has 12 question marks
        self.assertEqual(wildcard(f"-*{pattern}*-").matches(long), _reference(f"-*{pattern}*-", short))

    @given(st.lists(_ALPHABET, min_size=2, max_size=4), st.sampled_from(["*", "?", "*?*", "b?"]))
    def test_own_pattern(self, pieces: list[str], between: str) -> None:
        """A text matches the pattern that it was made from."""
        self.assertTrue(wildcard(between.join(pieces)).matches(between.replace("?", "a").join(pieces)))

    def test_inserted_text(self) -> None:
        """Wild characters of a text that is put into a pattern stand for themselves."""
        home = wildcard_of([("home/", True), ("*", False), ("/?", True)])

        self.assertTrue(home.matches("home/*/a"))
        self.assertFalse(home.matches("home/ada/a"))


class HostilityTests(SynchronousTestCase):
    """Patterns and texts that would make another matcher backtrack."""

    def test_linear(self) -> None:
        """No pattern of a policy's size takes longer than it and the text are long."""
        text = "a" * 8_000
        for name, unit in (("stars", "a*"), ("steps", "*a?"), ("runs", "*" + "a" * 50 + "?a"), ("unmet", "a?b*")):
            with self.subTest(name):
                pattern = wildcard(unit * (20_000 // len(unit)) + "b")
                began = process_time()
                for _ in range(5):
                    self.assertFalse(pattern.matches(text))
                self.assertLess(process_time() - began, 0.5)

    def test_many_near_misses(self) -> None:
        """A long text in which a long segment almost begins at every place is searched quickly."""
        pattern = wildcard("*" + "a" * 1_000 + "?" + "a" * 1_000 + "b*")
        began = process_time()

        self.assertFalse(pattern.matches("a" * 16_000))

        self.assertLess(process_time() - began, 0.2)
