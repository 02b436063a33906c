"""What all generated parsers and serialisers share: single values in, single values out.

Readers of the head take a wire name and the text that came, and blame the request with the words of AWS. Readers of
documents take an element; whatever is wrong in a document is MalformedXML. An empty number, boolean or date in the head
counts as absent, which is how clients send parameters that they have no value for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from post3tw.model.errors import InvalidArgument, InvalidRequest, InvalidStorageClass, MalformedXML, MissingRequestBody
from post3tw.wire.dates import from_millis, parse_http_date, parse_iso8601
from post3tw.wire.xml import Element, escape, parse

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XML_TYPE = ("Content-Type", "application/xml")
JSON_TYPE = ("Content-Type", "application/json")

HeadReader = Callable[[str, str], Any]
MemberTable = Mapping[str, tuple[str, HeadReader | None]]
"""Header name or query key to the member that it is, and how to read it (None: as it is)."""

_METADATA = "x-amz-meta-"
_HIGHEST = {32: 2**31 - 1, 64: 2**63 - 1}


# -- the head of a request ----------------------------------------------------------------------------------------------


def read_members(input: object, values: Mapping[str, str], table: MemberTable) -> None:
    """Set those members of `input` that came. Requests have far fewer headers than inputs have members."""
    for name, value in values.items():
        binding = table.get(name)
        if binding is not None:
            member, read = binding
            setattr(input, member, value if read is None else read(name, value))


def read_metadata(headers: Mapping[str, str]) -> dict[str, str] | None:
    """User metadata by name without its prefix; None when there is none."""
    found = {name[11:]: value for name, value in headers.items() if name.startswith(_METADATA)}
    return found or None


def integer(
    lowest: int | None = None, highest: int | None = None, *, bits: int = 32, message: str = ""
) -> Callable[[str, str], int | None]:
    """A reader of whole numbers.

    Args:
        lowest: the smallest that is taken; negative ones are, when it is None.
        highest: the largest that is taken, by default what fits `bits`.
        message: what to say of a number out of range, and of what is no number.
    """
    least = -_HIGHEST[bits] - 1 if lowest is None else lowest
    most = _HIGHEST[bits] if highest is None else highest

    def read(name: str, text: str) -> int | None:
        if not text:
            return None
        if len(text) > 20 or not text.removeprefix("-").isdecimal() or not text.isascii():
            explanation = message or f"Provided {name} not an integer or within integer range"
            raise InvalidArgument(explanation, argument_name=name, argument_value=text)
        number = int(text)
        if not least <= number <= most:
            explanation = message or f"Argument {name} must be an integer between {least} and {most}"
            raise InvalidArgument(explanation, argument_name=name, argument_value=text)
        return number

    return read


def boolean(name: str, text: str) -> bool | None:
    """`true` or `false`, in any case."""
    if not text:
        return None
    word = text.lower()
    if word not in ("true", "false"):
        raise InvalidArgument(f"The value of {name} must be true or false", argument_name=name, argument_value=text)
    return word == "true"


def lenient_date(name: str, text: str) -> datetime | None:
    """A date of HTTP; one that cannot be read is ignored (RFC 9110 §13.1.3 and §13.1.4)."""
    millis = parse_http_date(text)
    return None if millis is None else from_millis(millis)


def date(name: str, text: str) -> datetime | None:
    """A date that must be one: in a form of HTTP or of ISO 8601."""
    if not text:
        return None
    millis = parse_http_date(text)
    if millis is None:
        millis = parse_iso8601(text)
    if millis is None:
        raise InvalidArgument(f"The date in {name} is not valid", argument_name=name, argument_value=text)
    return from_millis(millis)


def header_text(name: str, text: str) -> str:
    """Text of a query that is going to be a header of the answer, so it must not hold line breaks."""
    if not text.isprintable():
        raise InvalidArgument("Header value cannot be represented", argument_name=name, argument_value=text)
    return text


def choice(values: frozenset[str], message: str = "") -> Callable[[str, str], str]:
    """A reader of one of `values`; `message` is what to say of anything else."""

    def read(name: str, text: str) -> str:
        if text not in values:
            raise InvalidArgument(message, argument_name=name, argument_value=text)
        return text

    return read


def checksum_algorithm(values: frozenset[str]) -> Callable[[str, str], str]:
    """A reader of the name of a checksum algorithm, in any case."""

    def read(name: str, text: str) -> str:
        algorithm = text.upper()
        if algorithm not in values:
            raise InvalidRequest(
                "Checksum algorithm provided is unsupported. "
                "Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        return algorithm

    return read


def storage_class(values: frozenset[str]) -> Callable[[str, str], str]:
    """A reader of the name of a storage class."""

    def read(name: str, text: str) -> str:
        if text not in values:
            raise InvalidStorageClass(storage_class_requested=text)
        return text

    return read


def choices(values: frozenset[str], message: str = "") -> Callable[[str, str], list[str]]:
    """A reader of some of `values`, separated by commas."""
    read_one = choice(values, message)
    return lambda name, text: [read_one(name, word.strip()) for word in text.split(",")]


def missing_query(name: str) -> InvalidRequest:
    """The error about a query parameter that an operation cannot do without."""
    return InvalidRequest(f"Missing required query parameter for this request: {name}")


def missing_header(name: str) -> InvalidRequest:
    """The error about a header that an operation cannot do without."""
    return InvalidRequest(f"Missing required header for this request: {name}")


# -- documents in -------------------------------------------------------------------------------------------------------


def no_payload(input: Any, body: bytes) -> None:
    """`parse_payload` of operations without a document: whatever came is of no interest."""


_is_namespace_of_s3 = re.compile(r"(https?://(doc\.)?s3\.amazonaws\.com/(doc/)?2006-03-01/?)?").fullmatch
"""Documentation and clients differ in how they write it; many leave it out."""


def read_root(body: bytes, name: str) -> Element:
    """The root of a document, which must have this name, in S3's namespace or in none.

    Raises:
        MissingRequestBody: there is no document.
        MalformedXML: it is none, or another one.
    """
    if not body:
        raise MissingRequestBody()
    root = parse(body)
    if root.name != name or not _is_namespace_of_s3(root.namespace):
        raise MalformedXML()
    return root


def children_of(element: Element, *repeated: str) -> list[Element]:
    """The children of an element, of which only those of the names `repeated` may be there more than once.

    Raises:
        MalformedXML: another one is, so that the document contradicts itself.
    """
    children = element.children
    if len(children) > 1:
        names = [child.name for child in children if child.name not in repeated]
        if len(set(names)) < len(names):
            raise MalformedXML()
    return children


def read_text_body(body: bytes) -> str:
    """A whole body that is text, such as a policy."""
    if not body:
        raise MissingRequestBody()
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedXML() from None


def element_integer(element: Element, bits: int) -> int:
    """A whole number."""
    text = element.text.strip()
    if len(text) > 20 or not text.removeprefix("-").isdecimal() or not text.isascii():
        raise MalformedXML()
    number = int(text)
    if not -_HIGHEST[bits] - 1 <= number <= _HIGHEST[bits]:
        raise MalformedXML()
    return number


def element_boolean(element: Element) -> bool:
    """`true` or `false`, in any case."""
    word = element.text.strip().lower()
    if word not in ("true", "false"):
        raise MalformedXML()
    return word == "true"


def element_date(element: Element) -> datetime:
    """A date of ISO 8601, or one of HTTP, which some clients send."""
    text = element.text.strip()
    millis = parse_iso8601(text)
    if millis is None:
        millis = parse_http_date(text)
    if millis is None:
        raise MalformedXML()
    return from_millis(millis)


def one_of(text: str | None, values: frozenset[str]) -> str:
    """One of `values`."""
    word = (text or "").strip()
    if word not in values:
        raise MalformedXML()
    return word


# -- documents out ------------------------------------------------------------------------------------------------------


def escape_etag(etag: str) -> str:
    """An ETag for a document. Most are hex digits in quotes, and only the quotes need it."""
    inner = etag[1:-1]
    if inner.replace("-", "").isalnum() and etag[0] == etag[-1] == '"':
        return f"&quot;{inner}&quot;"
    return escape(etag)
