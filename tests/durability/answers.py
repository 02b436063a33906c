"""What is comparable in the answers of two servers: everything but times and the names that each gives by itself.

Ids of versions and uploads, and tokens of listings, are different by design. Each becomes a symbol, «1», «2» …,
numbered as they appear, so that two answers that say the same read the same, and a later request can name what an
earlier answer named: each server is sent its own.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import md5
from typing import Protocol
from urllib.parse import quote

from attrs import define, field, frozen

from tests.hostile.raw import Fields, Reply

_NAMED = re.compile(
    r"<((?:Next)?(?:VersionId|DeleteMarkerVersionId|VersionIdMarker|UploadId|UploadIdMarker|ContinuationToken))>([^<]+)</",
    re.ASCII,
)
STRANGE_ID, STRANGE_UPLOAD = "0000000000000001" + "ab" * 8, "ab" * 16
"""A version id and an upload's id as ours look, of nothing that there is."""

UNCHANGED = ("null", STRANGE_ID, STRANGE_UPLOAD)
"""Names that are the same everywhere."""

_NAMED_HEADERS = ("x-amz-version-id", "x-amz-copy-source-version-id")
_TIME = re.compile(r"<(LastModified|CreationDate|Initiated|Date)>([^<]+)</")
_PERSONAL = re.compile(r"<(RequestId|HostId)>[^<]*</\1>")
_IGNORED = {"", "date", "last-modified", "x-amz-request-id", "x-amz-id-2", "server", "x-amz-abort-date"}
_ECHO = re.compile("(?<=<ArgumentValue>)[^<]*")
_SYMBOL = re.compile("«\\d+»")


@frozen
class Step:
    """A request; its texts may contain symbols.

    Attributes:
        path: quoted already.
        query: names and values, not quoted; a value of None is a name alone.
        signed: whether root asks, or nobody.
        payload: the value of x-amz-content-sha256, when it is not that of an unsigned payload.
    """

    method: str
    path: str
    query: tuple[tuple[str, str | None], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=lambda body: repr(body if len(body) < 400 else (body[:16], len(body))))
    signed: bool = True
    payload: str = "UNSIGNED-PAYLOAD"


@frozen
class Answer:
    """An answer in which only what must be equal is left."""

    status: int
    headers: dict[str, str]
    body: str


class Asker(Protocol):
    """Sends requests to a server, and restarts it."""

    def ask(self, method: str, target: str, headers: Fields, body: bytes, *, payload: bytes, signed: bool) -> Reply:
        """The reply to a request."""

    def restart(self, gently: bool) -> None:
        """Stop or kill the server, and start it on what it has left."""


@define
class Side:
    """One of several servers, and what it calls what all have."""

    client: Asker
    _symbols: dict[str, str] = field(factory=dict)
    _names: dict[str, str] = field(factory=dict)

    def ask(self, step: Step) -> Answer:
        """Send a step; what came of it."""
        query = "&".join(
            quote(name, safe="-") if value is None else f"{quote(name, safe='-')}={quote(self._own(value), safe='')}"
            for name, value in step.query
        )
        target = f"{step.path}?{query}" if query else step.path
        headers = [(name.encode(), self._own(value).encode()) for name, value in step.headers]
        body = step.body
        if body.startswith(b"<"):
            body = self._own(body.decode()).encode()
            headers.append((b"content-md5", b64encode(md5(body).digest())))
        reply = self.client.ask(step.method, target, headers, body, payload=step.payload.encode(), signed=step.signed)
        return self._comparable(reply)

    def _own(self, text: str) -> str:
        """A text with symbols, as this server knows them."""
        return _SYMBOL.sub(lambda found: self._names.get(found[0], found[0]), text)

    def _symbol(self, name: str) -> str:
        """The symbol for a name."""
        if name in UNCHANGED:
            return name
        symbol = self._symbols.setdefault(name, f"«{len(self._symbols) + 1}»")
        self._names[symbol] = name
        return symbol

    def _comparable(self, reply: Reply) -> Answer:
        headers = {name: value for name, value in reply.headers.items() if name not in _IGNORED}
        for name in _NAMED_HEADERS:
            if name in headers:
                headers[name] = self._symbol(headers[name])
        if not reply.headers.get("content-type", "").startswith("application/xml"):
            return Answer(reply.status, headers, reply.body.hex())
        headers.pop("content-length", None)  # names are not equally long
        text = _TIME.sub(r"<\1>time</", _PERSONAL.sub("", reply.body.decode()))
        text = _NAMED.sub(lambda found: f"<{found[1]}>{self._symbol(found[2])}</", text)
        return Answer(reply.status, headers, _ECHO.sub(lambda found: self._symbols.get(found[0], found[0]), text))
