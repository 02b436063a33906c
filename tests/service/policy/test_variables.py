"""Policy variables."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.variables import BadVariable, parse_pattern, parse_template

VALUES = {"aws:username": ("ada",), "aws:userid": ("*",), "aws:tagkeys": ("a", "b"), "s3:requestobjecttag/Team": ("x",)}


def _values(key: str) -> Sequence[str] | None:
    return VALUES.get(key)


class VariablesTests(SynchronousTestCase):
    """What is put in for a variable."""

    def _matches(self, pattern: str, text: str, *, variables: bool = True) -> bool:
        return parse_pattern(pattern, variables=variables).matches(text, _values)

    def test_value(self) -> None:
        """The value of the condition key is put in, whatever the case that the key is written in."""
        self.assertTrue(self._matches("home/${aws:username}/*", "home/ada/x"))
        self.assertTrue(self._matches("home/${ aws:UserName }/*", "home/ada/x"))
        self.assertFalse(self._matches("home/${aws:username}/*", "home/bob/x"))

    def test_wild_around_a_variable(self) -> None:
        """What stands before a variable and after it is as wild as without one."""
        self.assertTrue(self._matches("*/${aws:username}/*", "a/b/ada/x"))
        self.assertTrue(self._matches("?${aws:username}?", "-ada-"))
        self.assertFalse(self._matches("?${aws:username}?", "ada"))

    def test_tag_key(self) -> None:
        """The key of a tag depends on case."""
        self.assertTrue(self._matches("${s3:RequestObjectTag/Team}", "x"))
        self.assertFalse(self._matches("${s3:RequestObjectTag/team}", "x"))

    def test_star_in_a_value(self) -> None:
        """A star in what a caller brings is no wildcard."""
        self.assertFalse(self._matches("home/${aws:userid}/*", "home/ada/x"))
        self.assertTrue(self._matches("home/${aws:userid}/*", "home/*/x"))

    def test_no_value(self) -> None:
        """Without a value, or with several, nothing matches, unless there is a default."""
        self.assertFalse(self._matches("${aws:SourceVpc}*", "ada"))
        self.assertFalse(self._matches("${aws:TagKeys}", "a"))
        self.assertTrue(self._matches("${aws:SourceVpc, 'none'}/*", "none/a"))
        self.assertTrue(self._matches("${aws:username, 'none'}/*", "ada/a"))

    def test_escapes(self) -> None:
        """The wild characters and the dollar can be written as themselves."""
        self.assertTrue(self._matches("${*}${?}${$}{a}", "*?${a}"))
        self.assertFalse(self._matches("${*}", "a"))

    def test_old_version(self) -> None:
        """Policies of the old version have no variables."""
        self.assertTrue(self._matches("${aws:username}", "${aws:username}", variables=False))
        self.assertFalse(self._matches("${aws:username}", "ada", variables=False))

    def test_malformed(self) -> None:
        """What begins like a variable and is none is refused."""
        for text in ("${", "a${b", "${}", "${username}", "${aws:username", "${aws:a${b}}", "${aws:username,none}"):
            self.assertRaises(BadVariable, parse_template, text)
