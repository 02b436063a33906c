"""XML in and the escaping of XML out."""

from __future__ import annotations

import contextlib
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import MalformedXML
from post3tw.wire.xml import Element, escape, escape_each, parse

BOMB = b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'
XSI = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class ParseTests(SynchronousTestCase):
    """What `parse` makes of documents, good and bad."""

    def test_tree(self) -> None:
        """Elements come with text and children in document order."""
        root = parse(
            b"<Delete><Quiet>true</Quiet><Object><Key>a b</Key></Object><Object><Key>c</Key></Object></Delete>"
        )
        self.assertEqual([child.name for child in root.children], ["Quiet", "Object", "Object"])
        self.assertEqual(root.find("Quiet").text, "true")  # type: ignore[union-attr]
        keys = [key.text for entry in root.findall("Object") for key in entry.findall("Key")]
        self.assertEqual(keys, ["a b", "c"])
        self.assertIs(root.find("Object"), root.children[1])
        self.assertEqual(repr(root), "<Element 'Delete', 3 children>")

    def test_find_nothing(self) -> None:
        """A child that is not there is None, or no elements."""
        root = parse(b"<a/>")
        self.assertIsNone(root.find("b"))
        self.assertEqual(root.findall("b"), [])
        self.assertEqual((root.text, root.attributes, root.namespace), ("", {}, ""))

    def test_namespaces(self) -> None:
        """Namespaces are split off, whether they are default, prefixed or absent."""
        for document in (
            b'<Tag xmlns="urn:s3"><Key>k</Key></Tag>',
            b'<p:Tag xmlns:p="urn:s3"><p:Key>k</p:Key></p:Tag>',
        ):
            root = parse(document)
            self.assertEqual((root.name, root.namespace), ("Tag", "urn:s3"))
            self.assertEqual((root.children[0].name, root.children[0].namespace), ("Key", "urn:s3"))

    def test_attributes(self) -> None:
        """Attributes go by local name, and xsi:type keeps its prefix whatever prefix the client chose."""
        self.assertEqual(parse(b'<a id="1" xml:lang="en"/>').attributes, {"id": "1", "lang": "en"})
        grantee = parse(b"<Grantee " + XSI + b' xsi:type="CanonicalUser"/>')
        self.assertEqual(grantee.attributes, {"xsi:type": "CanonicalUser"})
        renamed = parse(b"<Grantee " + XSI.replace(b"xmlns:xsi", b"xmlns:q") + b' q:type="Group"/>')
        self.assertEqual(renamed.attributes, {"xsi:type": "Group"})

    def test_text_is_concatenated(self) -> None:
        """Text is joined over references, CDATA, comments and child elements; white space is kept."""
        root = parse(b"<Key> a&amp;b&#x20AC;<![CDATA[<c>]]><!-- no --><x>inner</x> d\n</Key>")
        self.assertEqual(root.text, " a&b\u20ac<c> d\n")
        self.assertEqual(root.children[0].text, "inner")

    def test_encodings(self) -> None:
        """The encodings that expat knows itself are read, with and without a byte order mark."""
        declared = '<?xml version="1.0" encoding="{}"?><a>\xe9</a>'
        for encoding in ("utf-8", "UTF-8", "utf-8-sig", "iso-8859-1", "utf-16"):
            data = declared.format(encoding.replace("-sig", "")).encode(encoding)
            self.assertEqual(parse(data).text, "\xe9", encoding)

    def test_malformed(self) -> None:
        """Whatever is not well-formed, or not read by us, is MalformedXML."""
        for data in (
            b"",
            b"   ",
            b"no xml",
            b"<a>",
            b"<a></b>",
            b"<a/><b/>",
            b"<a>\x00</a>",
            b"<a>\x01</a>",
            b"<a>&#1;</a>",
            b"<a>\xff</a>",
            b"<a>&undefined;</a>",
            b"<a b=1/>",
            b"<p:a/>",
            b"<!DOCTYPE a><a/>",
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            BOMB,
            b'<?xml version="1.0" encoding="utf-7"?><a/>',
            b'<?xml version="1.0" encoding="cp037"?><a/>',
            b'<?xml version="1.0" encoding="nonsense"?><a/>',
        ):
            self.assertRaises(MalformedXML, parse, data)

    def test_depth_is_bounded(self) -> None:
        """The deepest allowed document is read, one level more is refused."""
        self.assertEqual(parse(b"<a>" * 16 + b"</a>" * 16).name, "a")
        self.assertRaises(MalformedXML, parse, b"<a>" * 17 + b"</a>" * 17)
        self.assertRaises(MalformedXML, parse, b"<a>" * 200_000 + b"</a>" * 200_000)
        self.assertRaises(MalformedXML, parse, b"<a><b/></a>", max_depth=1)

    def test_element_count_is_bounded(self) -> None:
        """The number of elements is limited, siblings included."""
        self.assertEqual(len(parse(b"<a><b/><b/></a>", max_elements=3).children), 2)
        self.assertRaises(MalformedXML, parse, b"<a><b/><b/></a>", max_elements=2)

    def test_ten_thousand_parts(self) -> None:
        """The largest completion document there is gets read whole."""
        part = b"<Part><PartNumber>%d</PartNumber><ETag>&quot;x&quot;</ETag></Part>"
        root = parse(
            b"<CompleteMultipartUpload>" + b"".join(part % n for n in range(1, 10_001)) + b"</CompleteMultipartUpload>"
        )
        self.assertEqual(len(root.children), 10_000)
        self.assertEqual([child.text for child in root.children[-1].children], ["10000", '"x"'])

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Arbitrary bytes give an element or MalformedXML, nothing else."""
        with contextlib.suppress(MalformedXML):
            self.assertIsInstance(parse(data), Element)


class EscapeTests(SynchronousTestCase):
    """What `escape` does to text."""

    def test_plain_text_is_returned_as_it_is(self) -> None:
        """Text without anything to escape is the same object."""
        for text in ("", "photos/2026/a b.jpeg", "tab\tline\n", "\u043a\u043b\u044e\u0447", "\U0001f600", "'", "\x7f"):
            self.assertIs(escape(text), text)

    def test_special_characters(self) -> None:
        """Mark-up characters, carriage returns and characters XML forbids become references."""
        for text, escaped in (
            ("a&b", "a&amp;b"),
            ("<a>", "&lt;a&gt;"),
            ('say "x"', "say &quot;x&quot;"),
            ("a\r\n", "a&#13;\n"),
            ("\x01\x00\x1f", "&#x1;&#x0;&#x1f;"),
            ("\ufffe\uffff", "&#xfffe;&#xffff;"),
            ("\ud800", "&#xd800;"),
            ("&amp;", "&amp;amp;"),
        ):
            self.assertEqual(escape(text), escaped)

    @given(st.text())
    def test_output_can_be_encoded(self, text: str) -> None:
        """Whatever comes in, what goes out is UTF-8."""
        escape(text).encode("utf-8")

    @given(
        st.text(
            st.characters(
                exclude_categories=("Cs", "Cc"), include_characters="\t\n\r", exclude_characters="\ufffe\uffff"
            )
        )
    )
    def test_round_trip(self, text: str) -> None:
        """Escaped text and attributes come back through a parser, ours and another."""
        document = f"<a>{escape(text)}</a>".encode()
        self.assertEqual(parse(document).text, text)
        self.assertEqual(ElementTree.fromstring(document).text or "", text)
        if not set(text) & set("\t\n"):
            self.assertEqual(parse(f'<a b="{escape(text)}"/>'.encode()).attributes["b"], text)

    @example(["\ud800"])
    @example(["a", "\uffff"])
    @given(st.lists(st.text(st.sampled_from("ab/ \"'&<>\0\x01\r\n\xe9\uf8ff\uffff\ud800\U0001f600"))))
    def test_many_texts(self, texts: list[str]) -> None:
        """Many at a time are escaped as one by one."""
        self.assertEqual(list(escape_each(texts)), [escape(text) for text in texts])
