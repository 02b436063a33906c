"""Reading a request's head. Strict, because a proxy in front of us must never see another request than we do.

Refused are: whatever is not CRLF between lines, folded lines, space before a colon, control characters, more than one
Content-Length or Transfer-Encoding or one of each, a coding other than chunked, chunks in HTTP/1.0, a missing or
repeated Host (RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3 and 11.2).
"""

from __future__ import annotations

import re

from post3tw.model.errors import BadRequest, HeadTooLarge, NotImplementedHere
from post3tw.s3.exchange import RequestHead

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
_TARGET = re.compile(rb"(?:/|https?://|\*\Z)[^\x00-\x20\x7f]*\Z", re.IGNORECASE)
_METHODS = frozenset({b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"})
"""Those that S3 has, which nobody has to look at twice."""
_VERSIONS = {b"HTTP/1.1": "HTTP/1.1", b"HTTP/1.0": "HTTP/1.0"}
_LARGEST_LENGTH = 19
"""Digits of a Content-Length: more do not fit 63 bits."""

_KNOWN_NAMES = 512
_LONG_NAME = 64
_names: dict[bytes, tuple[bytes, str]] = {}
"""Header names seen to be tokens, and their lower-case forms. Bounded: clients choose the names."""


def parse_head(data: bytes, max_fields: int) -> RequestHead:
    """The head that `data` holds, without the empty line that ends it but with the CRLF before that.

    Raises:
        HeadTooLarge: more than `max_fields` headers.
        BadRequest: not HTTP/1.1 or 1.0 as we read it.
        NotImplementedHere: a transfer coding other than chunked.
    """
    line, _, block = data.partition(b"\r\n")
    method, target, version = _request_line(line)
    fields, headers, repeated = _fields(block, max_fields)
    if repeated and repeated & _SINGLE:
        raise BadRequest("A header that must come once came twice.")
    if "host" not in headers and version == "HTTP/1.1":
        raise BadRequest("A request of HTTP/1.1 needs a Host header.")
    connection = headers.get("connection", "").lower()
    keep_alive = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    length = _body_length(headers, version)
    return RequestHead(method, target, version, fields, headers, repeated, length, keep_alive)


_SINGLE = frozenset({"host", "content-length", "transfer-encoding"})


def _request_line(line: bytes) -> tuple[str, bytes, str]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest("The request line is not a method, a target and a version.")
    method, target, protocol = parts
    version = _VERSIONS.get(protocol)
    if version is None:
        raise BadRequest("The version is neither HTTP/1.1 nor HTTP/1.0.")
    if method not in _METHODS and _TOKEN.fullmatch(method) is None:
        raise BadRequest("The method is not a token.")
    if _TARGET.match(target) is None:
        raise BadRequest("The request target is neither a path nor a URL.")
    return method.decode("ascii"), target, version


def _fields(block: bytes, max_fields: int) -> tuple[list[tuple[bytes, bytes]], dict[str, str], frozenset[str]]:
    """The headers as they came, as text, and which of them were repeated."""
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > max_fields:
        raise HeadTooLarge(f"There are more than {max_fields} headers.")
    if (
        block.count(b"\r") != len(lines)
        or block.count(b"\n") != len(lines)
        or block.translate(None, _CONTROLS) != block
    ):
        raise BadRequest("The headers have control characters.")
    ascii_only = block.isascii()
    fields: list[tuple[bytes, bytes]] = []
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for line in lines:
        raw, colon, value = line.partition(b":")
        lower, name = _names.get(raw) or _new_name(raw)
        if not colon:
            raise BadRequest("A header line has no colon.")
        value = value.strip(b" \t")
        fields.append((lower, value))
        text = value.decode("ascii") if ascii_only else _text(name, value)
        if name in headers:
            repeated.add(name)
            text = f"{headers[name]},{text}"
        headers[name] = text
    return fields, headers, frozenset(repeated) if repeated else _NONE


_NONE: frozenset[str] = frozenset()


def _text(name: str, value: bytes) -> str:
    """A value that is not UTF-8 is taken for Latin-1. In user metadata its bytes become lone surrogates instead, so
    that they can go back as they came; no other part of the server has to live with those."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        if name.startswith("x-amz-meta-"):
            return value.decode("utf-8", "surrogateescape")
        return value.decode("latin-1")


def _new_name(raw: bytes) -> tuple[bytes, str]:
    """The lower-case forms of a name not seen before. A folded line begins with a space, so its name is no token."""
    if _TOKEN.fullmatch(raw) is None:
        raise BadRequest("A header's name is not a token.")
    lower = raw.lower()
    forms = lower, lower.decode("ascii")
    if len(_names) < _KNOWN_NAMES and len(raw) <= _LONG_NAME:
        _names[raw] = forms
    return forms


def _body_length(headers: dict[str, str], version: str) -> int | None:
    """How long the body is, None for a chunked one."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is None:
        if length is None:
            return 0
        if not (length.isascii() and length.isdigit()) or len(length) > _LARGEST_LENGTH:
            raise BadRequest("Content-Length is not a number.")
        return int(length)
    if length is not None:
        raise BadRequest("A request has either a Content-Length or a Transfer-Encoding.")
    if version != "HTTP/1.1":
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding.")
    if coding.lower() != "chunked":
        raise NotImplementedHere(
            "A header you provided implies functionality that is not implemented", header="Transfer-Encoding"
        )
    return None
