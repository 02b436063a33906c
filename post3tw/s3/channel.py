"""One connection.

Theory of operation
===================
The stock channel reads a whole body before anybody sees the request, and answers `100 Continue` before anybody asked
who is there. This one dispatches when the head is complete. What it reads goes, in this order, to

    a head being collected  →  the body of the request being served  →  the next request's head, once the reply is given

so replies leave in the order of their requests. `_advance` is that loop and the only place that takes bytes out of
`_buffer`; `regulate` decides after every change whether the transport shall read on. It reads while a head is wanted,
while somebody takes the body, and else only until `_AHEAD` bytes wait, which is enough to notice a client that goes
away.

A reply to a request whose body was not read (an early error) leaves at once. Then the rest of the body is thrown
away, as far as it is small; where it is not, the connection closes, but not before the client had a chance to read
the reply: closing a socket with unread data in it would make the kernel throw away the reply as well.

Timers cost more than requests when there are many, so there are none here: the site looks at each connection once a
second (`check`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from post3tw.model.errors import (
    BadRequest,
    ClientGone,
    DomainError,
    HeadTooLarge,
    IncompleteBody,
    RequestTimeout,
    SlowDown,
)
from post3tw.s3.departures import AT_ONCE, Departure
from post3tw.s3.exchange import RequestHead
from post3tw.s3.head import parse_head
from post3tw.s3.incoming import IncomingBody
from post3tw.s3.outgoing import Outgoing
from post3tw.s3.request import S3Request

if TYPE_CHECKING:
    from post3tw.s3.site import S3Site

_AHEAD = 65536
_READ = 64 * 1024
_READ_LARGE = 256 * 1024
"""How many bytes of a connection one call reads; more of them while a large body comes in."""


@implementer(IHalfCloseableProtocol)
class S3Channel(http.HTTPChannel):
    """See the module's text. Made by S3Site.buildProtocol; `refused` says that it is one connection too many."""

    site: S3Site
    transport: Any
    _departure: Departure

    def __init__(self, site: S3Site, refused: bool) -> None:
        super().__init__()
        self.site = site
        self.peer: str | None = None
        self.secure = False
        self._refused = refused
        self._buffer = b""
        self._advancing = False
        self._reading = True
        self._request: S3Request | None = None
        self._body: IncomingBody | None = None  # of the request, or of one already answered, while it is not complete
        self._last = False  # the connection closes after this reply
        self._lingering: int | None = None  # how many bytes are still thrown away before it does
        self._closed = False
        self._since = 0.0  # when the present wait for the client began
        self._mark = 0  # bytes of the body that were there then
        self._unread = False  # bytes may still come that nobody will read
        self._outgoing = Outgoing(site.clock)

    @property
    def idle(self) -> bool:
        """Whether nothing is being served."""
        return self._request is None

    # -- the connection

    def connectionMade(self) -> None:
        """Called by the transport."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            self.transport.SEND_LIMIT = AT_ONCE  # instead of pieces of 128 KiB, each a call
        self.secure = ISSLTransport(transport, None) is not None
        self._since = self.site.seconds()
        self._departure = Departure(transport, self.site.departures)
        transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by the transport."""
        self._closed = True
        self._buffer = b""
        self._departure.drop()
        request, self._request = self._request, None
        if request is not None:
            request.gone = True
        self._outgoing.stop()
        self._fail_body(ClientGone())
        if request is not None:
            request.connection_lost(reason)
        self.site.connection_lost(self)

    def readConnectionLost(self) -> None:
        """The client sends no more. When it owes us a part of a body it is told so; else it is gone, we suppose."""
        body = self._body
        if self._request is None:
            self.close()
        elif body is None or (body.left is not None and body.left <= len(self._buffer)):
            self.abort()
        else:
            self._last = True
            self._fail_body(IncompleteBody())

    def writeConnectionLost(self) -> None:
        """Our half is closed, as we asked for; wait until the client closes its own."""

    def close(self) -> None:
        """Close after what was written."""
        if not self._closed:
            self._closed = True
            self._since = self.site.seconds()
            self._departure.end()
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self._closed = True
        self.transport.abortConnection()

    # -- what comes in

    def dataReceived(self, data: bytes) -> None:
        """Called by the transport."""
        if self._closed:
            return
        if self.peer is None:  # only now, because behind the PROXY protocol the first bytes say who it is
            self.peer = str(getattr(self.transport.getPeer(), "host", ""))
        if self._lingering is not None:
            self._lingering -= len(data)
            if self._lingering < 0:
                self.close()
            return
        if self._buffer:
            self._buffer += data
        else:
            self._buffer = data
            if self._request is None and self._body is None:
                self._since = self.site.seconds()
        self.regulate()

    def regulate(self) -> None:
        """See BodyFeed."""
        if self._advancing or self._closed:
            return
        self._advancing = True
        try:
            self._advance()
        finally:
            self._advancing = False
        self._read_on()

    def offer(self) -> None:
        """See BodyFeed. A small body mostly came with its head: whoever asks for it while the head is dispatched has it
        at once, instead of waiting for `_advance` to come by."""
        if self._advancing and self._buffer and self._body is not None and self._takes_body():
            self._read_body(self._body)
        self.regulate()

    def _read_on(self) -> None:
        """Let the transport read, or not."""
        if self._closed:
            return
        if self._lingering is not None:
            reading = True
        elif self._request is None and self._body is None:
            reading = not self._outgoing.blocked
        else:
            reading = len(self._buffer) < _AHEAD or (self._body is not None and self._takes_body())
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def _advance(self) -> None:
        while self._buffer and self._lingering is None and not self._closed:
            if self._body is not None:
                if not self._takes_body():
                    return
                self._read_body(self._body)
            elif self._request is not None or self._outgoing.blocked or not self._read_head():
                return

    def _takes_body(self) -> bool:
        """Whether body bytes go anywhere: to the request's consumer, or, after the reply, nowhere on purpose."""
        return self._body is not None and (self._request is None or self._body.wanted)

    def _read_body(self, body: IncomingBody) -> None:
        data, self._buffer = self._buffer, b""
        try:
            rest = body.decode(data)
        except BadRequest as error:
            self._last = self._unread = True
            self._fail_body(error)
            if self._request is None and self._lingering is None:
                self._linger()  # what was refused is the rest of a body that was answered before
            return
        if rest is not None:
            self._buffer = rest
            self._body = None
            self.transport.bufferSize = _READ
            self._since = self.site.seconds()
            body.end()

    def _read_head(self) -> bool:
        """Take a head out of the buffer and dispatch it; False when it is not complete."""
        data, limits = self._buffer, self.site.limits
        end = data.find(b"\r\n\r\n")
        if end > limits.head_size or (end < 0 and len(data) > limits.head_size):
            self._refuse(HeadTooLarge(max_size_allowed=limits.head_size))
            return True
        if data.startswith(b"\r\n"):
            # A client may send one empty line too many after a body (RFC 9112 section 2.2).
            self._buffer = data[2:]
            return True
        if end < 0:
            if b"\n\n" in data:
                self._refuse(BadRequest("The lines of a head end with CR and LF."))
                return True
            return False
        self._buffer = data[end + 4 :]
        try:
            head = parse_head(data[: end + 2], limits.head_fields)
        except DomainError as error:
            self._refuse(error)
            return True
        self._dispatch(head)
        return True

    def _dispatch(self, head: RequestHead) -> None:
        head.peer, head.secure = self.peer or "", self.secure
        if self.secure:
            head.tls_version = self._tls_version()
        body = IncomingBody(self, head.content_length)
        self._body = None if body.complete else body
        if (body.left or 0) > _READ_LARGE:
            self.transport.bufferSize = _READ_LARGE
        self._since, self._mark = self.site.seconds(), 0
        request = self._request = S3Request(self, head, body)
        if self._refused:
            self.site.refuse(request, SlowDown())
        else:
            request.process()

    def _tls_version(self) -> str:
        """Which TLS the handshake, long over when a request is here, agreed on."""
        name: str = self.transport.getHandle().get_protocol_version_name()
        return name.removeprefix("TLSv")

    def _refuse(self, error: DomainError) -> None:
        """Answer what is not a request. Nothing after it can be trusted to begin where we think it does."""
        self._buffer = b""
        self._last = True
        head = RequestHead("", b"", "HTTP/1.1", [], {}, peer=self.peer or "", secure=self.secure)
        self._request = S3Request(self, head, IncomingBody(self, None))
        self._body = self._request.body
        self.site.refuse(self._request, error)

    def _fail_body(self, error: Exception) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.fail(error)

    # -- what goes out

    def keeps(self, request: S3Request) -> bool:
        """Whether the connection stays open after the reply to `request` that is about to leave."""
        body = self._body
        if body is not None and not self._last:
            left = body.left
            self._last = left is None or left > self.site.limits.drain_size or request.awaits_continue
        self._last = self._last or not request.head.keep_alive or self._refused or self.site.draining
        return not self._last

    def requestDone(self, request: S3Request) -> None:
        """The reply to the request is written."""
        self._request = None
        self._since = self.site.seconds()
        if self._last:
            if self._unread or self._body is not None:
                self._linger()
            else:
                self.close()
        self.regulate()

    def _linger(self) -> None:
        """Close soon: when the client has, when it sent too much, or when it took too long (`check`)."""
        self._lingering = self.site.limits.drain_size
        self._buffer = b""
        self._since = self.site.seconds()
        if not self.secure:
            self._departure.end()
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of a reply's body."""
        self._departure.streams = True
        self._outgoing.register(producer, streaming)

    def unregisterProducer(self) -> None:
        """That producer is done."""
        self._departure.streams = False
        self._outgoing.unregister()

    def write(self, data: bytes) -> None:
        """Write bytes of a reply. They leave when the reactor's turn is over."""
        self._departure.write(data)
        self._outgoing.wrote()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write bytes of a reply."""
        self._departure.writeSequence(iovec)
        self._outgoing.wrote()

    def pauseProducing(self) -> None:
        """Called by the transport when it has no room: requests that wait behind this reply have to wait longer."""
        self._outgoing.pause()
        self.regulate()

    def resumeProducing(self) -> None:
        """Called by the transport when it has room again."""
        if self._departure.go_on():
            self._outgoing.resume()
            self.regulate()

    def stopProducing(self) -> None:
        """Called by the transport before it calls connectionLost, which does the rest."""

    # -- time

    def check(self, now: float) -> None:
        """Close what waits for its client for too long. Called by the site once a second."""
        limits = self.site.limits
        waited = now - self._since
        if self._closed:
            if waited >= limits.idle_timeout:
                self.abort()
        elif self._outgoing.blocked:
            if now - self._outgoing.since >= limits.idle_timeout:
                self.abort()
        elif self._lingering is not None or (self._request is None and self._body is not None):
            if waited >= limits.drain_time:
                self.close()
        elif self._request is None:
            self._check_head(waited)
        elif self._body is not None:
            self._check_rate(self._body, now)

    def _check_head(self, waited: float) -> None:
        if not self._buffer:
            if waited >= self.site.limits.idle_timeout:
                self.close()
        elif waited >= self.site.limits.head_timeout:
            self._refuse(RequestTimeout())

    def _check_rate(self, body: IncomingBody, now: float) -> None:
        limits = self.site.limits
        if not body.wanted:
            self._since, self._mark = now, body.received
        elif now - self._since >= limits.body_timeout:
            if body.received - self._mark < limits.body_rate * limits.body_timeout:
                self._last = self._unread = True
                self._fail_body(RequestTimeout())
            self._since, self._mark = now, body.received
