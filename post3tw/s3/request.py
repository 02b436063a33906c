"""twisted.web's request, made lean and streaming: it is the exchange that the pipeline works on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http_headers import Headers
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from post3tw.model.errors import InvalidArgument
from post3tw.s3.exchange import Fields, IExchange, RequestHead
from post3tw.s3.incoming import IncomingBody

if TYPE_CHECKING:
    from post3tw.s3.channel import S3Channel

_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {reason.decode('ascii')}\r\nServer: post3\r\nDate: "
    for status, reason in http.RESPONSES.items()
}
_WITHOUT_BODY = frozenset({204, 304})
OWN_PAGES = b"/-"
"""What the targets begin with that the tree of resources is asked about. All others can only be S3's."""
_JOINED = 65536
"""Up to this size head and body are joined before they are written: one write is cheaper than one copy."""


@implementer(IExchange, IConsumer)
class S3Request(http.Request):
    """An IExchange. The base class's constructor is not called: what it makes for every request costs more than a small
    S3 operation, and is made here when a stock Resource asks for it."""

    channel: S3Channel

    def __init__(self, channel: S3Channel, head: RequestHead, body: IncomingBody) -> None:
        self.channel = channel
        self.head = head
        self.body = body
        self.method = head.method.encode("latin-1")
        self.uri = head.target
        self.bytes_out = 0
        self.first_byte: float | None = None
        self.started = False
        self.gone = False
        self.also: Fields = ()
        self._pending: bytes | None = None
        self._continued = False
        self._gone_callback: Callable[[], object] | None = None

    @property
    def bytes_in(self) -> int:
        """See IExchange."""
        return self.body.received

    @property
    def awaits_continue(self) -> bool:
        """Whether the client holds its body back until it is asked for."""
        return (
            not self._continued
            and self.head.version == "HTTP/1.1"
            and self.head.headers.get("expect", "").lower() == "100-continue"
        )

    def process(self) -> None:
        """Have the request served. Called when the head is complete."""
        site = self.channel.site
        if not self.uri.startswith(OWN_PAGES):
            site.pipeline.serve(self)
            return
        self.path = self.uri.partition(b"?")[0]
        self.prepath: list[bytes] = []
        self.postpath = self.path[1:].split(b"/", 3)
        result = site.getResourceFor(self).render(self)
        if result is not NOT_DONE_YET:
            self.reply(self.code, self._stock_headers(), result)

    # -- the body

    def send_continue(self) -> None:
        """See IExchange."""
        if self.awaits_continue and not self.gone:
            self._continued = True
            if not self.body.received:
                self.channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IExchange."""
        return self.body.deliver_to(consumer)

    # -- the reply

    def reply(self, status: int, headers: Fields, body: bytes = b"") -> None:
        """See IExchange."""
        if self.head.method == "HEAD" or status in _WITHOUT_BODY:
            head, body = self._head(status, headers, ""), b""
        else:
            head = self._head(status, headers, f"Content-Length: {len(body)}\r\n")
        if self.gone:
            return
        self._begin(head, body)
        self._finished()

    def start(self, status: int, headers: Fields) -> IConsumer:
        """See IExchange."""
        self._pending = self._head(status, headers, "")
        return self

    def write(self, data: bytes) -> None:
        """Write body bytes, the head before the first of them."""
        if self.gone or self.finished:
            return
        if not self.started:
            if self._pending is None:
                self.start(self.code, self._stock_headers())
            self._begin(self._pending or b"", b"" if self.head.method == "HEAD" else data)
        elif self.head.method != "HEAD":
            self.bytes_out += len(data)
            self.channel.write(data)

    def finish(self) -> None:
        """See IExchange."""
        if self.gone or self.finished:
            return
        if not self.started:
            self.write(b"")
        self._finished()

    def drop(self) -> None:
        """See IExchange."""
        if not self.gone:
            self.channel.transport.abortConnection()

    def on_gone(self, callback: Callable[[], object]) -> None:
        """See IExchange."""
        self._gone_callback = callback

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take a producer for the reply's body; the first thing it writes brings the head with it."""
        if self.gone:
            producer.stopProducing()
        else:
            self.channel.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer has written all."""
        if not self.gone:
            self.channel.unregisterProducer()

    def _begin(self, head: bytes, data: bytes) -> None:
        """Write the head and the first bytes of the body."""
        self.started = True
        self._pending = None
        self.first_byte = self.channel.site.wall_time()
        self.bytes_out = len(data)
        if len(data) <= _JOINED:
            self.channel.write(head + data)
        else:
            self.channel.writeSequence((head, data))

    def _finished(self) -> None:
        self.finished = 1
        self._gone_callback = None
        self.channel.requestDone(self)

    def _head(self, status: int, headers: Fields, length: str) -> bytes:
        """The reply's head as bytes. Values that would end their line early are refused: they may hold the client's
        words."""
        channel = self.channel
        connection = "" if channel.keeps(self) else "Connection: close\r\n"
        if self.head.version == "HTTP/1.0" and not connection:
            connection = "Connection: keep-alive\r\n"
        if self.also:
            headers = [*headers, *self.also]
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        count = len(headers)
        if lines.count("\n") != count or lines.count("\r") != count or "\0" in lines:
            raise InvalidArgument("A response header value must not have control characters.")
        text = f"{_STATUS_LINES[status]}{channel.site.date()}\r\n{connection}{lines}{length}\r\n"
        return text.encode("utf-8", "surrogateescape")

    # -- the connection

    def connection_lost(self, reason: Failure) -> None:
        """The client went away before the reply was finished; `gone` is set already."""
        callback, self._gone_callback = self._gone_callback, None
        if callback is not None:
            callback()
        for waiting in self.__dict__.pop("notifications", ()):
            waiting.errback(reason)

    # -- what a stock Resource may ask for

    @cached_property
    def requestHeaders(self) -> Headers:  # type: ignore[override]
        """The request's headers as twisted.web has them."""
        return Headers({name: [value] for name, value in self.head.headers.items()})

    @cached_property
    def responseHeaders(self) -> Headers:  # type: ignore[override]
        """Headers set by a stock Resource; those of `reply` and `start` are not here."""
        return Headers()

    def _stock_headers(self) -> list[tuple[str, str]]:
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in self.responseHeaders.getAllRawHeaders()
            for value in values
        ]
