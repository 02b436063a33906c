"""Tags of buckets and objects."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.errors import InvalidArgument, InvalidTag, MalformedXML
from post3tw.service.tags import check_tags, tag_list, tags_of_document, tags_of_header


class TagTests(SynchronousTestCase):
    """Limits and forms."""

    def test_limits(self) -> None:
        """A key has 1 to 128 characters, a value up to 256; the count is limited; keys are unique."""
        self.assertEqual(check_tags([("k" * 128, "v" * 256), ("é", "")], limit=2), {"k" * 128: "v" * 256, "é": ""})
        for pairs in [
            [("", "v")],
            [("k" * 129, "v")],
            [("k", "v" * 257)],
            [("k", "a"), ("k", "b")],
            [("a", ""), ("b", ""), ("c", "")],
            [("aws:x", "v")],
            [("k<", "v")],
            [("k", "v\x00")],
        ]:
            self.assertRaises(InvalidTag, check_tags, pairs, limit=2)

    def test_header(self) -> None:
        """The header is a query string: + is a space, %XX a byte of UTF-8."""
        self.assertEqual(tags_of_header("a=b+c&d=%C3%A9&e"), {"a": "b c", "d": "é", "e": ""})
        self.assertEqual(tags_of_header(""), {})

    def test_header_that_is_not_utf8(self) -> None:
        """Bytes that are no UTF-8 are an invalid argument."""
        self.assertRaises(InvalidArgument, tags_of_header, "a=%FF")

    def test_header_with_a_key_twice(self) -> None:
        """A key given twice is refused, not merged."""
        self.assertRaises(InvalidTag, tags_of_header, "a=1&a=2")

    def test_document(self) -> None:
        """A document's tags come back in the order of their keys."""
        tags = [types.Tag(key="b", value="1"), types.Tag(key="a", value="2")]
        self.assertEqual(tag_list(tags_of_document(types.Tagging(tag_set=tags), limit=10)), tags[::-1])

    def test_document_without_value(self) -> None:
        """A tag needs key and value."""
        tagging = types.Tagging(tag_set=[types.Tag(key="a")])
        self.assertRaises(MalformedXML, tags_of_document, tagging, limit=10)
