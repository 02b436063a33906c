"""Raw request targets and percent-encoding."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl, quote_plus, unquote, unquote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidURI
from post3tw.wire.uri import decode_path, parse_query, quote, quote_key, quote_keys, split_target

TEXT = st.text()


class SplitTargetTests(SynchronousTestCase):
    """Path and query of a target."""

    def test_forms(self) -> None:
        """Origin form and absolute form give path and query exactly as sent."""
        for target, path, query in (
            (b"/", b"/", b""),
            (b"/bucket/key", b"/bucket/key", b""),
            (b"/bucket/key?", b"/bucket/key", b""),
            (b"/b/a%2Fb//../c?x=1&y=?", b"/b/a%2Fb//../c", b"x=1&y=?"),
            (b"//b", b"//b", b""),
            (b"http://host:9000/b/k?x", b"/b/k", b"x"),
            (b"HTTPS://host", b"/", b""),
            (b"http://host?uploads", b"/", b"uploads"),
            (b"/http://host/", b"/http://host/", b""),
            (b"/b/\xc3\xa9", b"/b/\xc3\xa9", b""),
        ):
            self.assertEqual(split_target(target), (path, query), target)

    def test_refused(self) -> None:
        """Targets in no form that we serve are InvalidURI."""
        for target in (
            b"",
            b"*",
            b"!",
            b"bucket/key",
            b"?x",
            b"http:///path",
            b"http://",
            b"ftp://host/",
            b"/a b",
            b"/a\tb",
            b"/a\x00b",
            b"/a\x7f",
            b"/a#b",
            b"/a?b#c",
            b"/a\r\nHost: b",
        ):
            self.assertRaises(InvalidURI, split_target, target)

    def test_error_shows_the_target(self) -> None:
        """The error's detail is printable whatever the bytes were."""
        error = self.assertRaises(InvalidURI, split_target, b"\xff b")
        self.assertEqual(error.details, {"uri": "\\xff b"})


class DecodePathTests(SynchronousTestCase):
    """Keys out of raw paths."""

    def test_decoded_once(self) -> None:
        """Escapes are decoded once, and nothing is normalised."""
        for path, key in (
            (b"/b/k", "/b/k"),
            (b"", ""),
            (b"a+b%2Bc", "a+b+c"),
            (b"a%20b", "a b"),
            (b"%2e%2e/%2F//.", "..////."),
            (b"%252F", "%2F"),
            (b"%F0%9F%98%80", "\U0001f600"),
            (b"\xc3\xa9", "\xe9"),
            (b"%c3%A9", "\xe9"),
            (b"%00", "\x00"),
        ):
            self.assertEqual(decode_path(path), key, path)

    def test_refused(self) -> None:
        """Bad escapes and bytes that are not UTF-8 are InvalidURI."""
        for path in (
            b"%",
            b"a%2",
            b"%zz",
            b"%+1",
            b"%2 0",
            b"%ff",
            b"\xff",
            b"%C3",
            b"%ED%A0%80",
            b"%C0%AF",
            b"%u0041",
        ):
            self.assertRaises(InvalidURI, decode_path, path)

    @given(TEXT)
    def test_quote_round_trip(self, text: str) -> None:
        """What quote writes, decode_path reads."""
        self.assertEqual(decode_path(quote(text).encode("ascii")), text)

    @given(st.binary())
    def test_any_bytes(self, path: bytes) -> None:
        """Arbitrary bytes decode as the standard library decodes them, or are InvalidURI."""
        with contextlib.suppress(InvalidURI):
            self.assertEqual(decode_path(path).encode(), unquote(path, errors="surrogateescape").encode())


class ParseQueryTests(SynchronousTestCase):
    """Parameters out of raw queries."""

    def test_parameters(self) -> None:
        """Order, repetition and empty values are kept; plus and %20 are spaces."""
        for query, pairs in (
            (b"", []),
            (b"uploads", [("uploads", "")]),
            (b"uploads=", [("uploads", "")]),
            (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
            (b"prefix=a+b%20c%2Bd", [("prefix", "a b c+d")]),
            (b"x=a=b&&y", [("x", "a=b"), ("y", "")]),
            (b"%70refix=%F0%9F%98%80", [("prefix", "\U0001f600")]),
            (b"x=1;y=2", [("x", "1;y=2")]),
            (b"=v", [("", "v")]),
        ):
            self.assertEqual(parse_query(query), pairs, query)

    def test_refused(self) -> None:
        """Bad escapes and bytes that are not UTF-8 are InvalidURI, in names and in values."""
        for query in (b"a=%", b"%=a", b"a=%G0", b"a=%ff", b"%ff", b"a=\xff", b"b&a%2=1"):
            self.assertRaises(InvalidURI, parse_query, query)

    @given(st.lists(st.tuples(TEXT, TEXT)))
    def test_round_trip(self, pairs: list[tuple[str, str]]) -> None:
        """Parameters written by the standard library, plus for space, come back; so says its parser too."""
        query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
        self.assertEqual(parse_query(query.encode()), pairs)
        self.assertEqual(parse_qsl(query, keep_blank_values=True), pairs)


class QuoteTests(SynchronousTestCase):
    """Percent-encoding."""

    def test_aws_encoding(self) -> None:
        """Only the unreserved characters and those named safe stay."""
        self.assertEqual(quote("AZaz09-._~"), "AZaz09-._~")
        self.assertEqual(quote("a/b c+d*e'f%"), "a%2Fb%20c%2Bd%2Ae%27f%25")
        self.assertEqual(quote("a/b \xe9", safe="/"), "a/b%20%C3%A9")
        self.assertEqual(quote(b"\xff/"), "%FF%2F")

    def test_listing_keys(self) -> None:
        """Slashes stay, spaces are %20, pluses and control characters are escaped."""
        self.assertEqual(quote_key("quux ab/a+b\x01\n%"), "quux%20ab/a%2Bb%01%0A%25")

    @given(TEXT)
    def test_listing_keys_round_trip(self, key: str) -> None:
        """Clients get the key back whether or not they take plus for a space."""
        self.assertEqual(unquote(quote_key(key)), key)
        self.assertEqual(unquote_plus(quote_key(key)), key)

    @given(st.lists(TEXT, min_size=1))
    def test_many_keys(self, keys: list[str]) -> None:
        """Many at a time are quoted as one by one."""
        self.assertEqual(quote_keys(b"\xff".join(key.encode() for key in keys)), [quote_key(key) for key in keys])
