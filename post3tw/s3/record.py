"""What is known of a request once it is over: one record each, for the access log, the metrics and others."""

from __future__ import annotations

import re
from typing import Protocol

from attrs import define

CLIENT_GONE = 499
"""The status of a request whose client did not wait for the answer; it never goes out."""

_SECRETS = re.compile(
    rb"(?i)((?:^|[?&])(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=)[^&]*"
)


@define
class RequestRecord:
    """One request.

    Attributes:
        time: when its head was complete, in seconds since the epoch.
        request_id: as in x-amz-request-id.
        method: of HTTP, "" when there was no request line to read.
        uri: the raw target; what signs a presigned one is left out.
        operation: the S3 name, "" when it did not get as far as having one.
        bucket: as the client named it.
        key: decoded.
        user_id: whose signature it was, None for nobody's.
        access_key: the same.
        status: of the answer, or CLIENT_GONE.
        error_code: S3's code, None when it went well.
        bytes_in: bytes of the body.
        bytes_out: bytes of the answer's body.
        duration: seconds until the last byte of the answer was written.
        time_to_first_byte: seconds until the first was; None when there was no answer.
        remote_ip: of the client, as far as proxies that we trust say so.
        user_agent: as sent.
        client_gone: whether the client went away before the answer was complete.
    """

    time: float
    request_id: str
    method: str
    uri: str
    remote_ip: str
    user_agent: str | None
    operation: str = ""
    bucket: str | None = None
    key: str | None = None
    user_id: str | None = None
    access_key: str | None = None
    status: int = 0
    error_code: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    duration: float = 0.0
    time_to_first_byte: float | None = None
    client_gone: bool = False


class RequestObserver(Protocol):
    """Is told of every request, on the reactor's thread; must be quick."""

    def observe(self, record: RequestRecord) -> None:
        """The request is over."""


def redacted(target: bytes) -> str:
    """A target without what would let its reader send the request again."""
    if b"=" in target:
        target = _SECRETS.sub(rb"\1REDACTED", target)
    return target.decode("ascii", "backslashreplace")
