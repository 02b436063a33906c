"""Errors as replies: S3's document, and the headers that some errors have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from post3tw.api.operations import OPERATIONS
from post3tw.api.routes import NOT_ROUTED
from post3tw.model.errors import DomainError
from post3tw.s3.errors import S3ErrorCode, code_of
from post3tw.wire.dates import http_date, http_date_of
from post3tw.wire.xml import escape

Reply = tuple[int, list[tuple[str, str]], bytes]

_RETRY_AFTER = 1
"""Seconds that a client is asked to wait."""

_RETRIED = frozenset({S3ErrorCode.SlowDown, S3ErrorCode.ServiceUnavailable})

_WORDS = {"aws": "AWS", "etag": "ETag", "md5": "MD5", "sha256": "SHA256", "uri": "URI"}
_ELEMENTS = {"content_md5": "Content-MD5", "x_amz_expires": "X-Amz-Expires"}

_AS_HEADERS = frozenset({"delete_marker", "last_modified"})
"""Details that are said in headers only."""

_ROUTED = [operation for name, operation in OPERATIONS.items() if name not in NOT_ROUTED]
_LEVELS = ("SERVICE", "BUCKET", "OBJECT")
_ALLOWED = {
    **{
        name: ", ".join(sorted({op.method for op in _ROUTED if op.level == level}))
        for level, name in enumerate(_LEVELS)
    },
    "DeleteMarker": "DELETE",
}
"""Methods by what MethodNotAllowed calls resource_type."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def error_reply(error: BaseException, resource: str, request_id: str, host_id: str) -> Reply:
    """Status, headers and body of the answer to a request that failed. For HEAD its sender leaves the body out."""
    code = code_of(error)
    details = error.details if isinstance(error, DomainError) and code is not S3ErrorCode.InternalError else {}
    headers = _headers(code, details)
    if code is S3ErrorCode.NotModified:
        return code.status, headers, b""
    message = error.message if isinstance(error, DomainError) and code is not S3ErrorCode.InternalError else ""
    headers.append(("Content-Type", "application/xml"))
    return code.status, headers, error_document(code, message, resource, request_id, host_id, details)


def error_document(
    code: S3ErrorCode, message: str, resource: str, request_id: str, host_id: str, details: Mapping[str, object]
) -> bytes:
    """S3's error document.

    Args:
        code: what went wrong.
        message: in place of the catalogue's text, if there is more to say.
        resource: path of what the request was about.
        request_id: as in x-amz-request-id.
        host_id: as in x-amz-id-2.
        details: further elements, their names in snake_case; what is None is left out.
    """
    elements = {"Code": code.code, "Message": _text(message or code.message)}
    for name, value in details.items():
        if value is not None and name not in _AS_HEADERS:
            elements[element_name(name)] = _text(value)
    elements.update(Resource=_text(resource), RequestId=request_id, HostId=host_id)
    body = "".join([f"<{name}>{escape(text)}</{name}>" for name, text in elements.items()])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'.encode("utf-8", "replace")


@lru_cache(maxsize=256)
def element_name(detail: str) -> str:
    """The element of a detail: `bucket_name` is BucketName, `aws_access_key_id` is AWSAccessKeyId."""
    named = _ELEMENTS.get(detail)
    return named or "".join(_WORDS.get(word) or word[:1].upper() + word[1:] for word in detail.split("_"))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if text.isprintable() else _NOT_XML.sub("\ufffd", text)


def _headers(code: S3ErrorCode, details: Mapping[str, object]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if details.get("delete_marker") or code is S3ErrorCode.NoSuchKey:
        headers.append(("x-amz-delete-marker", "true" if details.get("delete_marker") else "false"))
    if details.get("version_id") is not None and ("delete_marker" in details or code is S3ErrorCode.NotModified):
        headers.append(("x-amz-version-id", _header(details["version_id"])))
    if details.get("last_modified") is not None:
        headers.append(("Last-Modified", _date(details["last_modified"])))
    if code is S3ErrorCode.NotModified:
        headers.append(("ETag", f'"{details["etag"]}"'))
        headers += [(name, _header(details[d])) for name, d in _VALIDATORS if details.get(d) is not None]
    elif code is S3ErrorCode.MethodNotAllowed:
        headers.append(("Allow", _ALLOWED.get(str(details.get("resource_type")), "GET, HEAD")))
    elif code in _RETRIED:
        headers.append(("Retry-After", str(_RETRY_AFTER)))
    return headers


_VALIDATORS = (("Cache-Control", "cache_control"), ("Expires", "expires"))


def _header(value: object) -> str:
    """A header's value, on one line whatever the detail is: an error must not fail."""
    return _CONTROL.sub(" ", str(value))


def _date(value: object) -> str:
    """A date header from a datetime or milliseconds since the epoch."""
    if isinstance(value, datetime):
        return http_date_of(value)
    return http_date(value) if isinstance(value, int) else str(value)
