"""Tags of buckets and objects: limits and forms.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

from post3tw.api import types
from post3tw.model.errors import InvalidArgument, InvalidTag, MalformedXML

MAX_OBJECT_TAGS = 10
MAX_BUCKET_TAGS = 50
_MAX_KEY = 128
_MAX_VALUE = 256
_PUNCTUATION = frozenset("+-=._:/@ ")


def _allowed(text: str) -> bool:
    """Letters, numbers, spaces and + - = . _ : / @ of any script."""
    return all(c in _PUNCTUATION or unicodedata.category(c)[0] in "LNZM" for c in text)


def check_tags(pairs: Iterable[tuple[str, str]], *, limit: int) -> dict[str, str]:
    """The tags of `pairs` as a mapping.

    Raises:
        InvalidTag: too many, too long, a character that tags may not have, the reserved prefix, or a key given twice.
    """
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not 1 <= len(key) <= _MAX_KEY or not _allowed(key):
            raise InvalidTag("The TagKey you have provided is invalid", tag_key=key)
        if len(value) > _MAX_VALUE or not _allowed(value):
            raise InvalidTag("The TagValue you have provided is invalid", tag_key=key, tag_value=value)
        if key.lower().startswith("aws:"):
            raise InvalidTag("System tags cannot be added/updated by requester", tag_key=key)
        if key in tags:
            raise InvalidTag("Cannot provide multiple Tags with the same key", tag_key=key)
        tags[key] = value
    if len(tags) > limit:
        raise InvalidTag(f"Tags cannot be greater than {limit}")
    return tags


def tags_of_document(tagging: types.Tagging, *, limit: int) -> dict[str, str]:
    """The tags of a Tagging document.

    Raises:
        MalformedXML: a tag without key or value.
        InvalidTag: see check_tags.
    """
    pairs = []
    for tag in tagging.tag_set or ():
        if tag.key is None or tag.value is None:
            raise MalformedXML()
        pairs.append((tag.key, tag.value))
    return check_tags(pairs, limit=limit)


def tags_of_header(header: str) -> dict[str, str]:
    """The object tags of an x-amz-tagging header, which is written like a query string.

    Raises:
        InvalidArgument: it cannot be read.
        InvalidTag: see check_tags.
    """
    pairs = []
    for part in header.split("&") if header else ():
        key, _, value = part.partition("=")
        try:
            pairs.append((unquote_plus(key, errors="strict"), unquote_plus(value, errors="strict")))
        except UnicodeDecodeError:
            raise InvalidArgument(
                "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
                "name duplicates.",
                argument_name="x-amz-tagging",
                argument_value=header,
            ) from None
    return check_tags(pairs, limit=MAX_OBJECT_TAGS)


def tag_list(tags: Mapping[str, str]) -> list[types.Tag]:
    """Tags as documents show them, in the order of their keys."""
    return [types.Tag(key=key, value=value) for key, value in sorted(tags.items())]
