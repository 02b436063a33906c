"""Request targets and percent-encoding, strictly, from the raw bytes.

Keys and signatures both need the target as the client sent it: a layer that unquotes, normalises or splits first
would make `a%2Fb`, `a/b` and `a//b` one key, or check a signature over another path than the one it serves. So these
functions work on raw bytes, decode exactly once, and refuse what they cannot read.
"""

from __future__ import annotations

import re
import urllib.parse

from post3tw.model.errors import InvalidURI

_bad_escape = re.compile(b"%(?![0-9A-Fa-f]{2})").search
_never_in_target = re.compile(rb"[\x00-\x20\x7f#]").search
_absolute_form = re.compile(rb"https?://[^/?]+", re.IGNORECASE).match


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """The path and the query (without `?`) of a request target in origin form or absolute form (RFC 9112 §3.2).

    Both stay as they were sent. The authority of an absolute form is not looked at: the Host header is what is signed.

    Raises:
        InvalidURI: another form, or bytes that no target holds (white space, control characters, `#`).
    """
    if _never_in_target(target):
        raise _invalid(target)
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        authority = _absolute_form(path)
        if authority is None:
            raise _invalid(target)
        path = path[authority.end() :] or b"/"
    return path, query


def decode_path(path: bytes) -> str:
    """Percent-decode a path or a key, once; `+` stays a plus.

    Raises:
        InvalidURI: a bad escape, or bytes that are not UTF-8.
    """
    return _decode(path, path)


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """Name and value of each parameter in the order sent, decoded; `+` is a space.

    A parameter without `=` has the value "". A name may come more than once.

    Raises:
        InvalidURI: a bad escape, or bytes that are not UTF-8.
    """
    if not query:
        return []
    pairs = []
    for parameter in query.replace(b"+", b" ").split(b"&"):
        if parameter:
            name, _, value = parameter.partition(b"=")
            pairs.append((_decode(name, query), _decode(value, query)))
    return pairs


def _decode(text: bytes, whole: bytes) -> str:
    try:
        if b"%" not in text:
            return text.decode("utf-8")
        if _bad_escape(text):
            raise _invalid(whole)
        return urllib.parse.unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(whole) from None


def _invalid(target: bytes) -> InvalidURI:
    return InvalidURI(uri=target.decode("ascii", "backslashreplace"))


def quote(text: str | bytes, safe: str = "") -> str:
    """Percent-encode UTF-8 as AWS does: all but `A-Z a-z 0-9 - . _ ~`, and `safe`; upper-case hex."""
    return urllib.parse.quote(text, safe=safe)


def quote_key(text: str) -> str:
    """A key, prefix, delimiter or marker for a listing with `encoding-type=url`: `/` stays.

    A space is `%20`, never `+`: that reads the same in clients that decode `+` and in those that do not.
    """
    return urllib.parse.quote(text, safe="/")


_URL_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/"


def quote_keys(joined: bytes) -> list[str]:
    """`quote_key` of each of many keys in UTF-8, at least one, joined by 0xff, which is in none.

    It is done for all at once: they have few different bytes to be encoded.
    """
    for byte in sorted(set(joined.translate(None, _URL_SAFE + b"\xff")), key=b"%".find, reverse=True):
        joined = joined.replace(bytes((byte,)), b"%%%02X" % byte)
    return joined.replace(b"\xff", b" ").decode("ascii").split(" ")
