"""A pytest plugin for s3-tests: headers that test_headers.py changes are changed on the signed request.

Some of its tests mean to send a request without Authorization, with an empty one, or without Content-Length. They say
so before botocore signs and prepares the request, which puts both headers back, so what is sent is a good request and
the test fails against every server ("remove 'fails_on_rgw' once we have learned how to manipulate the authorization
header", says the suite). With this plugin the same functions of the tests are applied again to what is about to be
sent. The suite itself is not changed, nor is what it expects.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.hooks import EventAliaser

LATE = ("Authorization", "Content-Length")
"""What botocore sets after the tests changed it."""

_register = EventAliaser.register


def register(events: Any, event_name: str, handler: Any, *arguments: Any, **options: Any) -> None:
    """Register a handler as botocore does, and those of test_headers.py once more behind the signature."""
    _register(events, event_name, handler, *arguments, **options)
    if event_name.startswith("before-call.s3.") and handler.__module__.endswith("test_headers"):
        _register(events, event_name.replace("before-call", "before-send", 1), _late(handler))


EventAliaser.register = register


def _late(handler: Callable[..., object]) -> Callable[..., AWSResponse | None]:
    def before_send(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        before = {name: request.headers[name] for name in LATE if name in request.headers}
        after = dict(before)
        handler(params={"headers": after})
        for name in LATE:
            if name in before:
                del request.headers[name]
            if name in after:
                request.headers[name] = after[name]
        return _send(request) if "Content-Length" in before and "Content-Length" not in after else None

    return before_send


def _send(request: AWSPreparedRequest) -> AWSResponse:
    """Send a request as it is: urllib3 would add Content-Length again."""
    url = urlsplit(request.url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=30)
    connection.putrequest(request.method, f"{url.path}?{url.query}" if url.query else url.path)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return AWSResponse(request.url, answer.status, dict(answer.getheaders()), _Raw(body))


class _Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """All of it."""
        yield self.read()
