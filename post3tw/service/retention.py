"""Locks in headers: asked for when an object is written, shown when it is read.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from post3tw.api.enums import OBJECT_LOCK_LEGAL_HOLD_STATUS
from post3tw.model.errors import InvalidArgument
from post3tw.model.identity import Caller
from post3tw.model.object_lock import MODES, NO_LOCK, Retention
from post3tw.service.admitted import may_also
from post3tw.wire.dates import from_millis, to_millis

LOCK_MEMBERS = ("object_lock_mode", "object_lock_retain_until_date", "object_lock_legal_hold_status")
"""The members of an input that ask for a lock, for `honours`; outputs have the same."""


class Locks(Protocol):
    """Inputs that may lock what they write: PutObject, CopyObject, CreateMultipartUpload."""

    object_lock_mode: str | None
    object_lock_retain_until_date: datetime | None
    object_lock_legal_hold_status: str | None


class Reads(Protocol):
    """Inputs that read an object: GetObject, HeadObject."""

    key: str | None
    version_id: str | None


def retention_of(input: Locks, now: int) -> Retention:
    """The lock that an input asks for.

    Args:
        input: the input.
        now: milliseconds since the epoch.

    Raises:
        InvalidArgument: a mode without a date or a date without a mode, one that S3 does not know, or a date that is
            not in the future.
    """
    mode, date, hold = input.object_lock_mode, input.object_lock_retain_until_date, input.object_lock_legal_hold_status
    if mode is None and date is None and hold is None:
        return NO_LOCK
    if hold is not None and hold not in OBJECT_LOCK_LEGAL_HOLD_STATUS:
        raise _bad("Legal Hold must be either of 'ON' or 'OFF'", "x-amz-object-lock-legal-hold", hold)
    legal_hold = None if hold is None else hold == "ON"
    if mode is None and date is None:
        return Retention(legal_hold=legal_hold)
    if mode is None or date is None:
        raise InvalidArgument(
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            argument_name="x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date",
        )
    if mode not in MODES:
        raise _bad("Unknown wormMode directive.", "x-amz-object-lock-mode", mode)
    return Retention(mode, future_millis(date, now), legal_hold)


def future_millis(date: datetime, now: int) -> int:
    """The end of a retention in milliseconds since the epoch.

    Raises:
        InvalidArgument: it is not later than `now`.
    """
    until = to_millis(date)
    if until <= now:
        raise _bad(
            "The retain until date must be in the future!", "x-amz-object-lock-retain-until-date", date.isoformat()
        )
    return until


def _bad(message: str, name: str, value: str) -> InvalidArgument:
    return InvalidArgument(message, argument_name=name, argument_value=value)


async def shown_lock(caller: Caller, input: Reads, retention: Retention) -> dict[str, Any]:
    """How GetObject and HeadObject show a lock: members of their outputs.

    Retention and legal hold are each shown to those who may read it by its own operation, as on AWS.
    """
    shown: dict[str, Any] = {}
    mode, until, hold = retention.mode, retention.until, retention.legal_hold
    key, version_id = input.key or "", input.version_id
    if mode is not None and until is not None and await may_also(caller, "s3:GetObjectRetention", key, version_id):
        shown["object_lock_mode"] = mode
        shown["object_lock_retain_until_date"] = from_millis(until)
    if hold is not None and await may_also(caller, "s3:GetObjectLegalHold", key, version_id):
        shown["object_lock_legal_hold_status"] = shown_hold(hold)
    return shown


def shown_hold(held: bool) -> str:
    """A legal hold in the words of S3."""
    return "ON" if held else "OFF"
