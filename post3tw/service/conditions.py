"""The conditions of requests, from the members of inputs to the values of the model.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from post3tw.model.conditions import ReadConditions, WriteConditions
from post3tw.wire.dates import to_millis

READ_MEMBERS = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")
"""Members of conditional reads, for `honours`."""

NO_READ_CONDITIONS = ReadConditions()
NO_WRITE_CONDITIONS = WriteConditions()


class ConditionalRead(Protocol):
    """Inputs of GetObject and HeadObject."""

    if_match: str | None
    if_none_match: str | None
    if_modified_since: datetime | None
    if_unmodified_since: datetime | None


class ConditionalWrite(Protocol):
    """Inputs of PutObject, CopyObject and CompleteMultipartUpload."""

    if_match: str | None
    if_none_match: str | None


def read_conditions(input: ConditionalRead) -> ReadConditions:
    """The conditions of a GET or HEAD."""
    if (
        input.if_match is None
        and input.if_none_match is None
        and input.if_modified_since is None
        and input.if_unmodified_since is None
    ):
        return NO_READ_CONDITIONS
    return ReadConditions(
        input.if_match,
        input.if_none_match,
        millis(input.if_modified_since),
        millis(input.if_unmodified_since),
    )


def write_conditions(input: ConditionalWrite) -> WriteConditions:
    """The conditions of a write on the object it would replace."""
    if input.if_match is None and input.if_none_match is None:
        return NO_WRITE_CONDITIONS
    return WriteConditions(input.if_match, input.if_none_match)


def millis(value: datetime | None) -> int | None:
    """A time as conditions have it."""
    return None if value is None else to_millis(value)
