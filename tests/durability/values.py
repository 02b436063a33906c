"""Values of registers, and the bytes of objects that stand for them."""

from __future__ import annotations

from hashlib import md5


def body_of(value: str, large: bool) -> bytes:
    """The bytes that stand for a value: few enough for the index, or so many that they are a blob."""
    return f"{value}.".encode() * (9000 if large else 7)


def value_of(body: bytes) -> str:
    """The value that bytes stand for; "wrong …" for bytes that nobody has written."""
    value = body.partition(b".")[0].decode("latin-1")
    return value if body in (body_of(value, False), body_of(value, True)) else f"wrong {body[:40]!r} ({len(body)})"


def etag_of(value: str, large: bool) -> bytes:
    """The ETag of the object that holds a value, in quotes."""
    return b'"%b"' % md5(body_of(value, large)).hexdigest().encode()
