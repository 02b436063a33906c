"""Keys of HMAC-SHA256 that are used again and again, kept as far as they can be worked out beforehand."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def hmac_hex(key: bytes, text: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of a text, in hex, by a key of one block (64 bytes) at most."""
    inner, outer = _states(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=1024)
def _states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The HMAC as far as the key goes. Going on from there takes a third of what `hmac.digest` does: that begins with
    the key each time, and lets go of the interpreter lock."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


@lru_cache(maxsize=1024)
def derived_key(secret_key: str, *scope: str) -> bytes:
    """The key that Signature Version 4 derives from a secret, for the parts of a scope in their order."""
    key = b"AWS4" + secret_key.encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key
