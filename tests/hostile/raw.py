"""A blocking client that sends exactly the bytes it is told, signed or not, and reads what comes back.

Nothing here tidies up: targets, header values and bodies go out as they are, because that is what is tested.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from attrs import define, field, frozen

from post3tw.wire.signer import Signer

PATIENCE = 20.0
"""Seconds after which an answer that has not come counts as a hang."""

Fields = Sequence[tuple[bytes, bytes]]

_CODE = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@frozen
class Reply:
    """One reply. Header names are in lower case; of repeated ones the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def code(self) -> str:
        """The S3 error code in the body, "" when there is none."""
        found = _CODE.search(self.body)
        return found[1].decode() if found else ""


@define
class Connection:
    """One connection to a server."""

    host: str
    port: int
    patience: float = PATIENCE
    _socket: socket.socket = field(init=False)
    _received: bytes = field(init=False, default=b"")

    def __attrs_post_init__(self) -> None:
        self._socket = socket.create_connection((self.host, self.port), self.patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError when the server has closed."""
        self._socket.sendall(data)

    def offer(self, data: bytes) -> None:
        """Send bytes to a server that may refuse them half-way: its answer counts, not how far they got."""
        with suppress(ConnectionError):
            self._socket.sendall(data)

    def drip(self, data: bytes, pause: float) -> None:
        """Send a byte at a time, with pauses, until all is sent or the server has something to say."""
        for at in range(len(data)):
            if select.select([self._socket], [], [], pause)[0]:
                return
            self.offer(data[at : at + 1])

    def half_close(self) -> None:
        """Send no more, but read on."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Go away in good order."""
        self._socket.close()

    def reset(self) -> None:
        """Go away at once, with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def reply(self, method: str = "GET") -> Reply:
        """The next reply that is not `100 Continue`; `method` is the request's, for replies without a body.

        Raises:
            ConnectionError: the connection ended before the reply did.
            TimeoutError: the server hangs.
        """
        while True:
            head = self._until(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status != 100:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        bodiless = method == "HEAD" or status in (204, 304)
        return Reply(status, headers, b"" if bodiless else self._take(int(headers.get("content-length", "0"))))

    def begun(self) -> bool:
        """Wait until the reply has begun: whether it does."""
        self._received += self._read()
        return bool(self._received)

    def continued(self) -> bool:
        """Whether the next line of the server is `100 Continue`, which is then taken."""
        head = self._until(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100 "):
            return True
        self._received = head + b"\r\n\r\n" + self._received
        return False

    def everything(self) -> bytes:
        """All that comes until the server closes, or says nothing for as long as one is patient."""
        with suppress(TimeoutError):
            while data := self._read():
                self._received += data
        return self._received

    def closed(self) -> bool:
        """Wait until the server closes: whether it does so without a further byte."""
        return not self._received and not self._read()

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        taken, _, self._received = self._received.partition(end)
        return taken

    def _take(self, size: int) -> bytes:
        pieces, have = [self._received], len(self._received)
        while have < size:
            piece = self._read()
            if not piece:
                raise ConnectionError(f"closed after {have} of {size} bytes")
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self._received = data[size:]
        return data[:size]

    def _more(self) -> None:
        data = self._read()
        if not data:
            raise ConnectionError(f"closed after {self._received!r}")
        self._received += data

    def _read(self) -> bytes:
        try:
            return self._socket.recv(1 << 18)
        except ConnectionResetError:
            return b""


@define
class Client:
    """Makes signed requests to one endpoint, each on a connection of its own unless one is given."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    host: str = field(init=False)
    port: int = field(init=False)
    signer: Signer = field(init=False)

    def __attrs_post_init__(self) -> None:
        address = urlsplit(self.endpoint)
        self.host, self.port = address.hostname or "", address.port or 0
        self.signer = Signer(self.access_key, self.secret_key)

    def connect(self, patience: float = PATIENCE) -> Connection:
        """A new connection."""
        return Connection(self.host, self.port, patience)

    def head(
        self,
        method: str,
        target: bytes | str,
        headers: Fields = (),
        *,
        payload_hash: bytes = b"UNSIGNED-PAYLOAD",
        signer: Signer | None = None,
        now: int | None = None,
    ) -> bytes:
        """A request's head, with every header signed, Host among them."""
        target = target if isinstance(target, bytes) else target.encode()
        fields = [(b"host", f"{self.host}:{self.port}".encode()), *headers]
        time_ms = int(time.time() * 1000) if now is None else now
        signed = (signer or self.signer).sign_request(
            method.encode(), target, fields, time=time_ms, payload_hash=payload_hash
        )
        lines = b"".join(b"%b: %b\r\n" % field for field in signed)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target, lines)

    def message(
        self,
        method: str,
        target: bytes | str,
        headers: Fields = (),
        body: bytes = b"",
        *,
        payload_hash: bytes = b"UNSIGNED-PAYLOAD",
        signer: Signer | None = None,
    ) -> bytes:
        """A whole request; Content-Length is added when there is a body, or one is expected, and none is given."""
        names = {name for name, _ in headers}
        if (body or method in ("PUT", "POST")) and not names & {b"content-length", b"transfer-encoding"}:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        return self.head(method, target, headers, payload_hash=payload_hash, signer=signer) + body

    def ask(
        self,
        method: str,
        target: bytes | str,
        headers: Fields = (),
        body: bytes = b"",
        *,
        payload_hash: bytes = b"UNSIGNED-PAYLOAD",
        signer: Signer | None = None,
    ) -> Reply:
        """Send a request on a connection of its own; its reply."""
        with self.connect() as connection:
            connection.offer(self.message(method, target, headers, body, payload_hash=payload_hash, signer=signer))
            return connection.reply(method)
