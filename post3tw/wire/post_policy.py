"""The policy of a form: a document, signed by whoever made the form, that says what may be sent with it.

Theory of operation. The document is JSON in base64: until when it holds, and a list of conditions. A field must meet
all conditions on it, and every field must have one, so that nobody adds what the signer did not think of; the bucket
counts as a field, that of the request's address. Names of fields and operators are compared without regard to case,
values as they are. `content-length-range` is about the file, and checked while that streams.

Sources: "Creating a POST policy", Amazon S3 API Reference.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from post3tw.model.errors import AccessDenied, InvalidPolicyDocument
from post3tw.wire.dates import parse_iso8601
from post3tw.wire.multipart_form import IGNORED

_UNCONDITIONAL = frozenset({"policy", "signature", "awsaccesskeyid", "x-amz-signature"})
"""Fields that need no condition."""

_CHECKSUM = "x-amz-checksum-"
"""Nor do checksums, which can only refuse a file."""

_LENGTH = "content-length-range"
_SPACE = re.compile(r"[\t\n\r ]+")


@frozen
class Condition:
    """One condition: `operator` is "eq" or "starts-with", `field` is in lower case."""

    operator: str
    field: str
    value: str

    def holds(self, value: str) -> bool:
        """Whether a field of this value meets it. A list of content types must meet it in each of its items."""
        if self.operator == "eq":
            return value == self.value
        if self.field == "content-type":
            return all(item.strip(" ").startswith(self.value) for item in value.split(","))
        return value.startswith(self.value)


@frozen
class PostPolicy:
    """A policy that was read.

    Attributes:
        expiration: milliseconds since the epoch.
        conditions: on fields.
        least: bytes that the file must have.
        most: bytes that it may have, None without a bound.
    """

    expiration: int
    conditions: tuple[Condition, ...]
    least: int
    most: int | None

    def check(self, fields: Mapping[str, str], now: int) -> None:
        """Refuse a form that this policy does not allow.

        Args:
            fields: values by lower-case name, variables replaced, with `bucket` being that of the address.
            now: milliseconds since the epoch.

        Raises:
            AccessDenied: it has expired, a condition does not hold, or a field has no condition.
        """
        if now >= self.expiration:
            raise AccessDenied("Invalid according to Policy: Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields.get(condition.field, "")):
                shown = json.dumps([condition.operator, f"${condition.field}", condition.value])
                raise AccessDenied(f"Invalid according to Policy: Policy Condition failed: {shown}")
        named = {condition.field for condition in self.conditions}
        extra = [name for name in fields if name not in named and not _is_free(name)]
        if extra:
            raise AccessDenied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")


def _is_free(name: str) -> bool:
    return name in _UNCONDITIONAL or name.startswith((IGNORED, _CHECKSUM))


def parse_post_policy(text: str) -> PostPolicy:
    """Read the `policy` field of a form.

    Args:
        text: as it was sent, which is what is signed. Its size is bounded by that of the form.

    Raises:
        InvalidPolicyDocument: it says what is wrong.
    """
    try:
        document = json.loads(b64decode(_SPACE.sub("", text), validate=True), object_pairs_hook=_once_each)
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    if not document.keys() <= {"expiration", "conditions"}:
        raise _invalid(f"Unexpected: '{min(document.keys() - {'expiration', 'conditions'})}'")
    for name in ("expiration", "conditions"):
        if name not in document:
            raise _invalid(f"Policy missing {name}.")
    expiration = parse_iso8601(document["expiration"]) if isinstance(document["expiration"], str) else None
    if expiration is None:
        raise _invalid("Invalid 'expiration' value.")
    if not isinstance(document["conditions"], list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    conditions: list[Condition] = []
    least, most = 0, None
    for item in document["conditions"]:
        if isinstance(item, list) and len(item) == 3 and isinstance(item[0], str) and item[0].lower() == _LENGTH:
            least = max(least, _size(item[1]))
            most = _size(item[2]) if most is None else min(most, _size(item[2]))
        else:
            conditions.append(_condition(item))
    return PostPolicy(expiration, tuple(conditions), least, most)


def _condition(item: Any) -> Condition:
    if isinstance(item, dict):
        if len(item) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        ((name, value),) = item.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", name.lower(), value)
    if not isinstance(item, list) or len(item) != 3 or not all(isinstance(part, str) for part in item):
        raise _invalid("Invalid Condition: a condition is an operator and two strings.")
    operator, name, value = item
    if operator.lower() not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{operator}'.")
    if not name.startswith("$") or len(name) == 1:
        raise _invalid("Invalid Condition: a field's name begins with '$'.")
    return Condition(operator.lower(), name[1:].lower(), value)


def _size(value: Any) -> int:
    """A bound of content-length-range: a number, or one in quotes, as some makers of forms write it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _invalid("Invalid content-length-range: sizes are whole numbers from 0 up.")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two properties of one name could be read as the one or the other."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name comes twice")
    return members


def _invalid(why: str) -> InvalidPolicyDocument:
    return InvalidPolicyDocument(f"Invalid Policy: {why}")
