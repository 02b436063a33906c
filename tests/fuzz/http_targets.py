"""Targets in post3tw.s3: heads, chunks, whole connections, and what stands in front of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from post3tw.model.cors import CorsRule, matches, rule_for
from post3tw.model.ids import IdSource
from post3tw.s3.addressing import Addressing
from post3tw.s3.body import stored_headers
from post3tw.s3.channel import S3Channel
from post3tw.s3.chunks import ChunkedDecoder
from post3tw.s3.exchange import RequestHead
from post3tw.s3.head import parse_head
from post3tw.s3.proxies import TrustedProxies
from post3tw.s3.site import S3Site, make_site
from post3tw.server.proxy_protocol import ProxiedFactory
from tests.fuzz.cuts import cuts, read_alike
from tests.fuzz.engine import Target
from tests.fuzz.wire_targets import attempt
from tests.s3.doubles import MemoryService, Users

_ADDRESSING = Addressing(("s3.example.com",))
_PROXIES = TrustedProxies((ip_network("127.0.0.0/8"), ip_network("fd00::/8")))


def head(data: bytes) -> None:
    """A head, and where it leads."""
    found = attempt(parse_head, data + b"\r\n", 500)
    if found is None:
        return
    assert found.content_length is None or 0 <= found.content_length < 10**19
    assert not {"host", "content-length", "transfer-encoding"} & found.repeated
    assert ("transfer-encoding" in found.headers) == (found.content_length is None)
    for _, value in found.fields:
        assert not set(value) & {0, 10, 13}
    found.peer = "127.0.0.1"
    attempt(_ADDRESSING.locate, found)
    stored_headers(found.headers)
    _PROXIES.client_of(found)
    _PROXIES.secure(found)


def chunks(data: bytes) -> None:
    """HTTP's own chunks."""

    def read(pieces: Iterable[bytes]) -> Any:
        decoder, content = ChunkedDecoder(), []
        left = list(pieces)
        while left and decoder.rest is None:
            content.append(decoder.decode(left.pop(0)))
        return b"".join(content), None if decoder.rest is None else decoder.rest + b"".join(left)

    read_alike(data, read)


# -- connections ------------------------------------------------------------------------------------------------------


class _Wire(StringTransport):
    """A connection in memory that can be half closed."""

    closing = False

    def loseWriteConnection(self) -> None:
        """See ITCPTransport."""
        self.closing = True

    def loseConnection(self) -> None:
        """See ITransport."""
        self.closing = True

    def abortConnection(self) -> None:
        """See ITCPTransport."""
        self.closing = True


def _site() -> S3Site:
    clock = Clock()
    service = MemoryService()
    service.public = True
    service.objects["b", "k"] = b"content"
    return make_site(service, Users(), clock=clock, ids=IdSource(lambda: 1_795_000_000.0, bytes))


_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_UNFORESEEN = re.compile(rb"HTTP/1\.1 500 ")


def connection(data: bytes) -> None:
    """A whole connection: replies do not depend on how it is cut, none is a 500, and nobody is answered who did not
    ask."""
    failures: list[Any] = []

    @provider(ILogObserver)
    def observe(event: Any) -> None:
        if event.get("log_failure") is not None:
            failures.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    try:
        outcomes = []
        for number, pieces in enumerate(cuts(data)):
            if number > 12:
                break
            outcomes.append(_talk(pieces))
    finally:
        globalLogPublisher.removeObserver(observe)
    assert not failures, failures[0].getTraceback()
    for outcome in outcomes:
        assert outcome == outcomes[0], (outcomes[0], outcome)


def _talk(pieces: Iterable[bytes]) -> list[bytes]:
    """The statuses of the replies, up to the first after which the connection closes."""
    channel = _site().buildProtocol(None)
    assert isinstance(channel, S3Channel)
    wire = _Wire()
    channel.makeConnection(wire)
    for piece in pieces:
        if wire.closing:
            break
        channel.dataReceived(piece)
    channel.connectionLost(Failure(ConnectionDone()))
    said = wire.value()
    assert not _UNFORESEEN.search(said), said
    assert b"X-Evil" not in said
    return _STATUS.findall(said)


class _Ignored:
    """Stands behind the PROXY protocol."""

    def buildProtocol(self, address: Any) -> Any:
        return _site().buildProtocol(None)

    def doStart(self) -> None:
        """Nothing to do."""

    def doStop(self) -> None:
        """Nothing to do."""


def proxy_protocol(data: bytes) -> None:
    """What a load balancer says before the first request, whole and in two pieces; and X-Forwarded-For."""
    text = data.decode("latin-1")
    request = RequestHead(
        "GET", b"/", "HTTP/1.1", [], {"x-forwarded-for": text, "x-forwarded-proto": text}, peer="127.0.0.1"
    )
    _PROXIES.client_of(request)
    _PROXIES.secure(request)
    for pieces in ([data], [data[:8], data[8:]], [data[:16], data[16:]]):
        protocol = ProxiedFactory(_Ignored()).buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        wire = _Wire(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        protocol.makeConnection(wire)
        for piece in pieces:
            if piece and not wire.closing:
                protocol.dataReceived(piece)


def cors(data: bytes) -> None:
    """A pattern, an origin, and the name of a header, in lines."""
    pattern, origin, name = (data.decode("latin-1").split("\n") + [""] * 3)[:3]
    rule = CorsRule((pattern,), ("GET",), (name,))
    rule_for((rule,), origin, "GET", (name.lower(),))
    assert matches("*", origin)
    if "*" not in pattern:
        assert matches(pattern, origin) == (pattern == origin)


_HOST = b"Host: h\r\n"
_GET = b"GET /b/k HTTP/1.1\r\nHost: h\r\n"
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ncontent\r\n--b--\r\n'
)

TARGETS = (
    Target(
        "head",
        head,
        (
            b"GET /b/k?x HTTP/1.1\r\nHost: b.s3.example.com\r\nX-Amz-Meta-A:  b \r\n",
            b"PUT http://h/b HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
            b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Encoding: aws-chunked,gzip\r\n",
        ),
        (
            b"\r\n",
            b": ",
            b" ",
            b"\t",
            b"Content-Length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"HTTP/1.1",
            _HOST,
            b"%2e",
            b"\r\n ",
        ),
    ),
    Target(
        "chunks",
        chunks,
        (b"5\r\nhello\r\n0\r\n\r\nrest", b"a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n"),
        (b"\r\n", b"0\r\n\r\n", b"5\r\n", b";", b"fffffffffffffff", b"0x5", b"\n"),
        most=1 << 18,
    ),
    Target(
        "connection",
        connection,
        (
            _GET + b"\r\n" + _GET + b"Connection: close\r\n\r\n",
            b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + _GET + b"\r\n",
            b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + _GET + b"\r\n",
            b"PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            + b"Content-Length: %d\r\n\r\n%b" % (len(_FORM), _FORM),
            b"POST /b?delete HTTP/1.1\r\nHost: h\r\nContent-Length: 54\r\n\r\n"
            b"<Delete><Object><Key>k</Key></Object></Delete>",
            b"OPTIONS /b/k HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        ),
        (
            b"\r\n\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"0\r\n\r\n",
            _GET + b"\r\n",
            b"Expect: 100-continue\r\n",
            b"Range: bytes=0-1\r\n",
            b"HEAD",
            b"HTTP/1.0",
            b"Authorization: ",
            b"x-amz-content-sha256: ",
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            b"x-amz-decoded-content-length: 3\r\n",
            b"?uploads",
            b"?partNumber=1&uploadId=1",
        ),
        most=1 << 18,
    ),
    Target(
        "proxy_protocol",
        proxy_protocol,
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + _GET + b"\r\n",
            b"PROXY TCP6 ::1 ::2 1 2\r\n",
            b"PROXY UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x1f\x90\x01\xbb" + _GET + b"\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            b"10.0.0.1, 127.0.0.1",
        ),
        (
            b"PROXY ",
            b"TCP4 ",
            b"\r\n",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"\x21\x21\0\x24",
            b"\x21\x31\0\xd8",
            b"65536",
            b"::ffff:",
            b"https",
        ),
    ),
    Target("cors", cors, (b"https://*.a.b\nhttps://x.a.b\nX-Amz-*", b"*\nnull\n*"), (b"*", b"\n", b"https://", b"**")),
)
