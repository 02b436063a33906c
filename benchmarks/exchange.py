"""Requests as bytes, where they go, and one of them sent and answered: what the load and the preparations share."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from http.client import HTTPResponse
from typing import Self
from urllib.parse import urlsplit

from attrs import frozen

PATIENCE = 60.0
"""Seconds after which an answer that does not come counts as none."""

_PIECE = 1 << 20


@frozen
class Request:
    """A request, signed and ready to be sent.

    Attributes:
        head: request line and headers, with the empty line.
        body: as it goes over the wire, chunks included.
        expected: bytes that the answer's body must have; None: any.
        waits: the body goes when the server has said 100 Continue, or after a second, as botocore does it.
    """

    head: bytes
    body: bytes = b""
    expected: int | None = None
    waits: bool = False


@frozen
class Endpoint:
    """Where a server listens."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Of http://host:port or https://host:port.

        Raises:
            ValueError: it is not such a URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"not an endpoint, http://host:port: {url}")
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls)

    @property
    def scheme(self) -> str:
        """http or https."""
        return "https" if self.tls else "http"

    @property
    def authority(self) -> bytes:
        """For the Host header."""
        if self.port == (443 if self.tls else 80):
            return self.host.encode()
        return f"{self.host}:{self.port}".encode()

    def connect(self) -> socket.socket:
        """A connection, blocking, its TLS handshake done. Certificates are not checked: nothing here is secret."""
        connection = socket.create_connection((self.host, self.port), timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.tls:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(connection, server_hostname=self.host)


@frozen
class Answer:
    """What came back."""

    status: int
    body: bytes
    etag: str


def exchange(endpoint: Endpoint, request: Request, pieces: Iterable[bytes] = (), keep: int | None = None) -> Answer:
    """Send one request on a connection of its own.

    Args:
        endpoint: where to.
        request: head and body.
        pieces: more of the body, which is too large to be held at once.
        keep: how much of the answer's body to keep, of which all is read; None: all of it.
    """
    with endpoint.connect() as connection:
        connection.sendall(request.head)
        connection.sendall(request.body)
        for piece in pieces:
            connection.sendall(piece)
        response = HTTPResponse(connection, method=request.head.partition(b" ")[0].decode())
        response.begin()
        body = response.read(keep)
        while response.read(_PIECE):
            pass
        return Answer(response.status, body, response.getheader("etag", ""))
