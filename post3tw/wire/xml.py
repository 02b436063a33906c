"""XML in (a small tree, by expat) and the escaping that XML out needs.

Request documents of S3 are small trees of elements with text. `parse` reads them into `Element`s and refuses what
an attacker could use: document types, entities, deep nesting, endless elements. Namespaces are stripped, since clients
send all, one or none of them; attributes of the XML Schema instance namespace keep their usual prefix (`xsi:type`), as
the S3 model names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn
from xml.parsers import expat

from post3tw.model.errors import MalformedXML

_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_ENCODINGS = frozenset({"utf-8", "utf-16", "us-ascii", "iso-8859-1"})

_ESCAPES = {code: f"&#x{code:x};" for code in (*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)}
_ESCAPES.update(
    {ord(a): b for a, b in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\r", "&#13;"))}
)
del _ESCAPES[ord("\t")], _ESCAPES[ord("\n")]

_is_plain = re.compile("[\t\n !#-%'-;=?-~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*").fullmatch


class Element:
    """One element: what it is called, what it holds.

    Attributes:
        name: local name, without prefix or namespace.
        namespace: the namespace's URI, "" when there is none.
        text: all character data directly inside, concatenated; entities and CDATA resolved, white space kept.
        children: child elements in document order.
        attributes: by local name; those of the XML Schema instance namespace as `xsi:name`.
    """

    __slots__ = ("attributes", "children", "name", "namespace", "text")

    def __init__(self, name: str, namespace: str = "", attributes: dict[str, str] | None = None) -> None:
        self.name = name
        self.namespace = namespace
        self.text = ""
        self.children: list[Element] = []
        self.attributes: dict[str, str] = {} if attributes is None else attributes

    def __repr__(self) -> str:
        return f"<Element {self.name!r}, {len(self.children)} children>"

    def find(self, name: str) -> Element | None:
        """The first child of this local name, or None."""
        for child in self.children:
            if child.name == name:
                return child
        return None

    def findall(self, name: str) -> list[Element]:
        """All children of this local name, in document order."""
        return [child for child in self.children if child.name == name]


class _Builder:
    """The expat handlers that grow a tree; one for each document."""

    def __init__(self, max_depth: int, max_elements: int) -> None:
        self.document = Element("")
        self._max_depth = max_depth
        self._elements_left = max_elements
        self._open = [self.document]
        self._texts: list[list[str]] = [[]]
        self._names: dict[str, tuple[str, str]] = {}

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        self._elements_left -= 1
        if self._elements_left < 0 or len(self._open) > self._max_depth:
            raise MalformedXML()
        try:
            name, namespace = self._names[qualified]
        except KeyError:
            namespace, _, name = qualified.rpartition(" ")
            self._names[qualified] = name, namespace
        element = Element(name, namespace, _local_names(attributes) if attributes else attributes)
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def characters(self, data: str) -> None:
        self._texts[-1].append(data)


def _local_names(attributes: dict[str, str]) -> dict[str, str]:
    local = {}
    for qualified, value in attributes.items():
        namespace, _, name = qualified.rpartition(" ")
        local[f"xsi:{name}" if namespace == _SCHEMA_INSTANCE else name] = value
    return local


def _refuse(*_: object) -> NoReturn:
    raise MalformedXML()


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise MalformedXML()


def parse(data: bytes, *, max_depth: int = 16, max_elements: int = 100_000) -> Element:
    """Read a whole document.

    Args:
        data: the document in UTF-8, or in another encoding that expat itself knows and the document declares. The
            caller bounds its size.
        max_depth: how deep elements may nest; the root counts as one.
        max_elements: how many elements there may be in all.

    Raises:
        MalformedXML: empty, not well-formed, has a document type, too deep, too many elements, an unknown encoding.
    """
    builder = _Builder(max_depth, max_elements)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise MalformedXML() from None
    return builder.document.children[0]


def escape(text: str) -> str:
    """Make `text` fit for element content and for attribute values in double quotes.

    Carriage return becomes `&#13;`, or a parser would read it as a line feed. Characters that XML 1.0 forbids become
    numeric references (`&#x1;`), as AWS sends them: not XML, but there is no other way to say them.
    """
    return text if _is_plain(text) else text.translate(_ESCAPES)


_PLAIN = bytes(code for code in range(0x20, 0x100) if code not in b'&<>"\xed\xef')
"""Bytes that stand for themselves. 0xed begins surrogates and 0xef two more characters that XML forbids, each among
many that it takes."""


def escape_each(texts: Sequence[str]) -> Sequence[str]:
    """`escape` of each of many texts, looked at all at once: most of them need nothing, or have quotes around them."""
    joined = "\0".join(texts)
    special = joined.encode("utf-8", "surrogatepass").translate(None, _PLAIN).replace(b'"', b"")
    if special.strip(b"\0") or len(special) != max(len(texts) - 1, 0):
        return [escape(text) for text in texts]
    return joined.replace('"', "&quot;").split("\0") if '"' in joined else texts
