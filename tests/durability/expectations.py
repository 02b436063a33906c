"""What an answer must be, according to the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote
from xml.etree import ElementTree

from attrs import field, frozen

from tests.durability.answers import Answer

_CODE = re.compile("<Code>([A-Za-z0-9]+)</Code>")
_NAMESPACE = re.compile(' xmlns="[^"]*"')

Parse = Callable[[ElementTree.Element], object]


@frozen
class Expected:
    """A status and a code, and what else must be so.

    Attributes:
        headers: values that must be there; None for headers that must not.
        metadata: all that there is, when that is of interest.
        body: the bytes.
        document: what `parse` must find in the answer's document.
    """

    status: int
    code: str = ""
    headers: Mapping[str, str | None] = field(factory=dict)
    metadata: Mapping[str, str] | None = None
    body: bytes | None = field(default=None, repr=lambda body: repr(body if body is None else (len(body), body[:40])))
    document: object = None
    parse: Parse | None = field(default=None, repr=False)

    def differs(self, answer: Answer) -> str | None:
        """What is different; None when the answer is as expected."""
        if answer.status != self.status:
            return f"status {answer.status} {code_of(answer)}"
        if self.code and answer.body and code_of(answer) != self.code:
            return f"code {code_of(answer)}"
        for name, value in self.headers.items():
            if answer.headers.get(name) != value:
                return f"{name}: {answer.headers.get(name)!r}"
        if self.metadata is not None:
            found = {name: value for name, value in answer.headers.items() if name.startswith("x-amz-meta-")}
            if found != {f"x-amz-meta-{name}": value for name, value in self.metadata.items()}:
                return f"metadata {found}"
        if self.body is not None and answer.body != self.body.hex():
            return f"another body, {len(answer.body) // 2} bytes"
        if self.parse is not None and (parsed := self.parse(document_of(answer))) != self.document:
            return f"document {parsed}"
        return None


def code_of(answer: Answer) -> str:
    """The S3 code of an error."""
    found = _CODE.search(answer.body)
    return found[1] if found else ""


def document_of(answer: Answer) -> ElementTree.Element:
    """The answer's document, without namespaces."""
    return ElementTree.fromstring(_NAMESPACE.sub("", answer.body))


def text_of(element: ElementTree.Element, path: str) -> str:
    """The text of an element below; "" when it is not there."""
    return element.findtext(path) or ""


def listing(page: ElementTree.Element) -> object:
    """The entries of a page, each kind in its order, and whether there are more."""
    name = unquote if page.findtext("EncodingType") == "url" else str
    entries: list[Entry] = []
    for each in page:
        if each.tag == "CommonPrefixes":
            entries.append((name(text_of(each, "Prefix")), each.tag))
        elif each.tag in ("Contents", "Version", "DeleteMarker"):
            shown = [text_of(each, "ETag"), text_of(each, "Size")]
            if each.tag != "Contents":
                shown += [text_of(each, "VersionId"), text_of(each, "IsLatest")]
            entries.append((name(text_of(each, "Key")), each.tag, *shown))
    return by_kind(entries), text_of(page, "IsTruncated")


Entry = tuple[str, ...]
"""A key or prefix, what kind of entry it is, and what is shown of it."""


def by_kind(entries: Sequence[Entry]) -> list[Entry]:
    """Entries as documents have them: all of one kind, then all of another."""
    return sorted(entries, key=lambda entry: entry[1])
