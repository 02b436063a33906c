"""The canonical form of a request, over which AWS Signature Version 4 is made.

It is built from the raw bytes of the request head, so nothing has to be decoded before the signature is known.

Source: "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]
"""Name in lower case and raw value of each header, in the order received. A name may come more than once."""

_PLAIN_IN_QUERY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PLAIN_IN_PATH = _PLAIN_IN_QUERY + b"/"

_squeeze_spaces = re.compile(b"  +").sub


def canonical_path(path: bytes) -> bytes:
    """A raw path in the form that is signed: each byte encoded once, `/` kept, nothing normalised (S3's own rule)."""
    if not path.translate(None, _PLAIN_IN_PATH):
        return path or b"/"
    return urllib.parse.quote_from_bytes(urllib.parse.unquote_to_bytes(path), safe="/").encode("ascii")


def canonical_query(query: bytes, *, presigned: bool = False) -> bytes:
    """A raw query in the form that is signed: encoded alike, sorted, without X-Amz-Signature when `presigned`."""
    if not query:
        return b""
    pairs = []
    for parameter in query.split(b"&"):
        if parameter:
            name, _, value = parameter.partition(b"=")
            name = _encode(name)
            if not (presigned and name == b"X-Amz-Signature"):
                pairs.append((name, _encode(value)))
    pairs.sort()
    return b"&".join([b"%b=%b" % pair for pair in pairs])


def _encode(text: bytes) -> bytes:
    if not text.translate(None, _PLAIN_IN_QUERY):
        return text
    decoded = urllib.parse.unquote_to_bytes(text.replace(b"+", b" "))
    return urllib.parse.quote_from_bytes(decoded, safe="").encode("ascii")


def canonical_request(
    method: bytes, path: bytes, query: bytes, headers: Headers, signed_headers: Sequence[bytes], payload_hash: bytes
) -> bytes:
    """The canonical request of a raw `path`, a *canonical* `query`, and those of `headers` that are signed.

    A signed header that is not there makes a canonical request that no client has signed.
    """
    values = dict(headers)
    if len(values) != len(headers):
        values = _joined(headers, signed_headers)
    lines = [method, canonical_path(path), query]
    lines += [name + b":" + values[name].strip(b" \t") for name in signed_headers if name in values]
    text = b"\n".join(lines)
    if b"  " in text:
        text = _squeeze_spaces(b" ", text)  # of values only: method, path and query have no spaces
    return b"\n".join((text, b"", b";".join(signed_headers), payload_hash))


def _joined(headers: Headers, wanted: Sequence[bytes]) -> dict[bytes, bytes]:
    """The values by name, those of a repeated header joined by a comma."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in wanted:
            value = value.strip(b" \t")
            values[name] = b"%b,%b" % (values[name], value) if name in values else value
    return values
