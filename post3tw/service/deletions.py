"""What DeleteObjects is asked and answers, entry by entry.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

from collections.abc import Mapping

from post3tw.api import types
from post3tw.model.conditions import WriteConditions
from post3tw.model.errors import (
    AccessDenied,
    DomainError,
    KeyTooLong,
    MalformedXML,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
)
from post3tw.model.values import value_class
from post3tw.model.version import NULL_VERSION, parse_version_token
from post3tw.service.conditions import millis
from post3tw.service.keys import key_bytes
from post3tw.storage.index.transactions.objects import Deletion

MAX_ENTRIES = 1000

_ERRORS: Mapping[type[DomainError], tuple[str, str]] = {
    AccessDenied: ("AccessDenied", "Access Denied"),
    KeyTooLong: ("KeyTooLongError", "Your key is too long"),
    NoSuchKey: ("NoSuchKey", "The specified key does not exist."),
    NoSuchVersion: ("NoSuchVersion", "The specified version does not exist."),
    PreconditionFailed: (
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    ),
}
"""Code and message of what may go wrong with one entry; it is data of the answer here, not a failure of the request."""


@value_class
class Target:
    """One thing to delete. `new_id` is for its delete marker and its change; `bypass_governance` says that retention in
    governance mode is no obstacle."""

    key: bytes
    version_id: str | None
    conditions: WriteConditions
    new_id: bytes
    bypass_governance: bool = False


def check_document(delete: types.Delete | None) -> list[types.ObjectIdentifier]:
    """The entries of the document.

    Raises:
        MalformedXML: none, more than 1000, or one without a key.
    """
    entries = delete.objects if delete is not None else None
    if not entries or len(entries) > MAX_ENTRIES or not all(entry.key for entry in entries):
        raise MalformedXML()
    return entries


def target_of(entry: types.ObjectIdentifier, new_id: bytes) -> Target:
    """What an entry asks for.

    Raises:
        KeyTooLong, NoSuchVersion: nothing can be there. AWS says NoSuchVersion in this place.
    """
    key, version_id = key_bytes(entry.key), entry.version_id or None
    if version_id is not None and version_id != NULL_VERSION and parse_version_token(version_id) is None:
        raise NoSuchVersion(key=entry.key, version_id=version_id)
    conditions = WriteConditions(
        if_match=entry.etag, if_match_size=entry.size, if_match_modified=millis(entry.last_modified_time)
    )
    return Target(key, version_id, conditions, new_id)


def deleted_entry(entry: types.ObjectIdentifier, deletion: Deletion) -> types.DeletedObject:
    """How the answer shows what was deleted."""
    return types.DeletedObject(
        key=entry.key,
        version_id=entry.version_id or None,
        delete_marker=deletion.delete_marker or None,
        delete_marker_version_id=deletion.version_id if deletion.delete_marker else None,
    )


def error_entry(entry: types.ObjectIdentifier, error: DomainError) -> types.Error:
    """How the answer shows what could not be deleted. An error that is not about one entry is raised again."""
    if type(error) not in _ERRORS:
        raise error
    code, message = _ERRORS[type(error)]
    return types.Error(key=entry.key, version_id=entry.version_id or None, code=code, message=error.message or message)
