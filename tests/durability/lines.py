"""The client's end of a connection in memory: signed requests go in, parsed replies come out."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define, field

from tests.durability.wires import Wire
from tests.durability.world import ACCESS_KEY, SECRET_KEY, World
from tests.hostile.raw import Client, Fields, Reply

CLIENT = Client("http://127.0.0.1:9000", ACCESS_KEY, SECRET_KEY)
_BODILESS = (204, 304)


def unsigned_head(method: str, target: str, headers: Fields) -> bytes:
    """The head of a request that nobody signs."""
    lines = b"".join(b"%b: %b\r\n" % each for each in [(b"host", b"127.0.0.1:9000"), *headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target.encode(), lines)


@define(eq=False)
class Line:
    """One connection to a world.

    Attributes:
        world: the server.
        answered: is called with each reply, and with None when the server closes before it is complete.
        pieces: cuts what is sent into pieces; None for none.
        busy: whether a reply is awaited.
        closed: whether the connection is gone.
    """

    world: World
    answered: Callable[[Reply | None], None]
    pieces: Random | None = None
    busy: bool = field(default=False, init=False)
    closed: bool = field(default=False, init=False)
    _wire: Wire = field(init=False)
    _received: bytearray = field(factory=bytearray, init=False)
    _method: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._wire = self.world.connect(self._receive, self._lost, self.pieces)

    def ask(
        self,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes = b"",
        *,
        payload: bytes = b"UNSIGNED-PAYLOAD",
        signed: bool = True,
    ) -> None:
        """Send a request. Its Content-Length is added."""
        if body or method in ("PUT", "POST"):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if signed:
            now = int(self.world.scheduler.rightNow * 1000)
            head = CLIENT.head(method, target, headers, payload_hash=payload, now=now)
        else:
            head = unsigned_head(method, target, headers)
        self.busy, self._method = True, method
        self._wire.send(head + body)

    def hang_up(self) -> None:
        """Go away at once."""
        self._wire.hang_up()

    def _receive(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        status_line, *fields = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in fields)}
        status = int(status_line.split(" ")[1])
        bodiless = self._method == "HEAD" or status in _BODILESS
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        self._received.clear()
        self.busy = False
        self.closed = self.closed or headers.get("connection") == "close"
        self.answered(Reply(status, headers, body))

    def _lost(self) -> None:
        self.closed = True
        if self.busy:
            self.busy = False
            self.answered(None)
