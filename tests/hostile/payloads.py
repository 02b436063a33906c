"""Requests in which two readers of HTTP may see different things: where one ends, and so where the next begins.

Each has an outer request and, somewhere inside, an inner one, which is only bytes of a body,
of a header or of nothing, unless the payload says that it is a request of its own. Whoever reads the inner one as a
request after all, while a proxy in front did not, serves a request that the proxy never saw.

Sources: RFC 9112 sections 2.2, 3, 5, 6, 7 and 11.2; RFC 9110 sections 5.5, 7.6.1 and 8.6. The families are those in
which implementations are known to differ; the payloads are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

_SIZE, _SIZE_CHUNKED, _SIZE_HEX = b"<size>", b"<size with chunks>", b"<size in hex>"
"""Stand for the length of the inner request, and of what the chunked payloads send, which depend on its target."""

_HELLO = b"5\r\nhello\r\n"
_END = b"0\r\n\r\n"
_SMUGGLED = b"GET INNER HTTP/1.1\r\nHost: h\r\n\r\n"


@frozen
class Payload:
    """Bytes to send.

    Attributes:
        name: says what is odd about them.
        requests: how many requests there are at most, to a strict reader; one that is malformed counts.
    """

    name: str
    _data: bytes = field(repr=False)
    requests: int = 1

    def bytes(self, outer: str, inner: str) -> bytes:
        """What is sent, with these targets."""
        size = len(_SMUGGLED.replace(b"INNER", inner.encode()))
        return (
            self._data.replace(_SIZE, b"%d" % size)
            .replace(_SIZE_CHUNKED, b"%d" % (size + len(_END)))
            .replace(_SIZE_HEX, b"%x" % size)
            .replace(b"OUTER", outer.encode())
            .replace(b"INNER", inner.encode())
        )


def _put(fields: bytes, body: bytes, version: bytes = b"1.1", method: bytes = b"PUT") -> bytes:
    return b"%b OUTER HTTP/%b\r\nHost: h\r\n%b\r\n\r\n%b" % (method, version, fields, body)


def _lengths() -> Iterator[Payload]:
    """Content-Length."""
    size = _SIZE
    yield Payload("two lengths, the same", _put(b"Content-Length: 5\r\nContent-Length: 5", b"hello" + _SMUGGLED))
    yield Payload("two lengths, short first", _put(b"Content-Length: 0\r\nContent-Length: " + size, _SMUGGLED))
    yield Payload("two lengths, long first", _put(b"Content-Length: " + size + b"\r\nContent-Length: 0", _SMUGGLED))
    yield Payload("a list of lengths", _put(b"Content-Length: 0, " + size, _SMUGGLED))
    yield Payload("a list of equal lengths", _put(b"Content-Length: 0,0", _SMUGGLED))
    for value in (
        b"+0",
        b"-0",
        b"-1",
        b"0x0",
        b"0.0",
        b"0e0",
        b"0_0",
        b"0 0",
        b"0;",
        b"0\x0b",
        b"0\x00",
        b"'0'",
        b"\xd9\xa0",
        b"\xb2",
        b"18446744073709551616",
        b"4294967296",
        b"9" * 40,
        b"",
        b"NaN",
        b"0\t,",
    ):
        yield Payload(f"length {value!r}", _put(b"Content-Length: " + value, _SMUGGLED))
    yield Payload("a space before the colon of the length", _put(b"Content-Length : " + size, _SMUGGLED))
    yield Payload("a tab before the colon of the length", _put(b"Content-Length\t: " + size, _SMUGGLED))
    yield Payload(
        "an underscore in the length's name", _put(b"Content_Length: " + size + b"\r\nContent-Length: 0", b"")
    )
    yield Payload("a NUL in the length's name", _put(b"Content-Length\x00: " + size, _SMUGGLED))
    yield Payload("a length in a folded line", _put(b"X: y\r\n Content-Length: " + size, _SMUGGLED, method=b"GET"), 2)
    yield Payload("a folded length", _put(b"Content-Length:\r\n " + size, _SMUGGLED))
    yield Payload("a length after a bare line feed", _put(b"X: y\nContent-Length: " + size, _SMUGGLED))
    yield Payload("a length after a bare carriage return", _put(b"X: y\rContent-Length: " + size, _SMUGGLED))
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        body = _put(b"Content-Length: " + size, _SMUGGLED, method=method)
        yield Payload(f"a request in the body of {method.decode()}", body)
    yield Payload("a request in a body that was refused", _put(b"x-amz-acl: no\r\nContent-Length: " + size, _SMUGGLED))
    yield Payload(
        "a length that the connection names", _put(b"Connection: Content-Length\r\nContent-Length: " + size, _SMUGGLED)
    )
    yield Payload("a length of HTTP/1.0", _put(b"Content-Length: " + size, _SMUGGLED, b"1.0"))
    yield Payload(
        "a body that was not to be sent yet", _put(b"Expect: 100-continue\r\nContent-Length: " + size, _SMUGGLED)
    )
    yield Payload("an expectation nobody has", _put(b"Expect: 100-continue, x\r\nContent-Length: " + size, _SMUGGLED))
    yield Payload("two requests", _put(b"Content-Length: 5", b"hello" + _SMUGGLED), 2)
    yield Payload("two requests, an empty line between", _put(b"Content-Length: 5", b"hello\r\n" + _SMUGGLED), 2)
    yield Payload("no length, then a request", _put(b"X: y", _SMUGGLED, method=b"GET"), 2)


def _codings() -> Iterator[Payload]:
    """Transfer-Encoding."""
    chunked = _END + _SMUGGLED
    sizes = b"Content-Length: " + _SIZE_CHUNKED + b"\r\n"
    yield Payload("a length before chunks", _put(sizes + b"Transfer-Encoding: chunked", chunked))
    yield Payload("a length after chunks", _put(b"Transfer-Encoding: chunked\r\n" + sizes[:-2], chunked))
    yield Payload("a short length and chunks", _put(b"Content-Length: 5\r\nTransfer-Encoding: chunked", chunked))
    yield Payload("chunks of HTTP/1.0", _put(b"Transfer-Encoding: chunked", chunked, b"1.0"))
    yield Payload("chunks of HTTP/1.0 with a length", _put(sizes + b"Transfer-Encoding: chunked", chunked, b"1.0"))
    for value in (
        b"xchunked",
        b"chunkedx",
        b"chunk",
        b"identity",
        b"gzip",
        b"gzip, chunked",
        b"identity, chunked",
        b"chunked, identity",
        b"chunked, chunked",
        b"chunked,",
        b",chunked",
        b"chunked;q=1",
        b'"chunked"',
        b"'chunked'",
        b"chunked\x0b",
        b"\x0bchunked",
        b"\x00chunked",
        b"chunked\x00",
        b"ch\xc3\xbcnked",
        b"\xef\xbb\xbfchunked",
        b"chunked\xa0",
        b"",
    ):
        yield Payload(f"coding {value!r}", _put(b"Transfer-Encoding: " + value, chunked))
        yield Payload(f"coding {value!r} and a length", _put(sizes + b"Transfer-Encoding: " + value, chunked))
    for line in (
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b"Transfer_Encoding: chunked",
        b"Transfer Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"X: y\r\n Transfer-Encoding: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding\r\n: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"\x00Transfer-Encoding: chunked",
        b"Transfer-Encoding\x00: chunked",
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    ):
        yield Payload(f"{line!r} and a length", _put(sizes + line, chunked))
    yield Payload("two requests, the first in chunks", _put(b"Transfer-Encoding: CHUNKED", _HELLO + chunked), 2)
    size = _SIZE_HEX + b"\r\n" + _SMUGGLED + b"\r\n"
    yield Payload("a request in a chunk", _put(b"Transfer-Encoding: chunked", size + _END))


def _chunks() -> Iterator[Payload]:
    """The chunks themselves: every body here goes wrong before the inner request, or has it as data."""
    for name, body in {
        "a size with 0x": b"0x0\r\n\r\n",
        "a size with a plus": b"+0\r\n\r\n",
        "a negative size": b"-0\r\n\r\n",
        "a size with an underscore": b"0_0\r\n\r\n",
        "a space before the size": b" 0\r\n\r\n",
        "a tab before the size": b"\t0\r\n\r\n",
        "an empty size": b"\r\n\r\n",
        "a size that ends in LF": b"5\nhello\r\n0\r\n\r\n",
        "a size that ends in CR": b"5\rhello\r\n0\r\n\r\n",
        "a last size that ends in LF": b"0\n\r\n",
        "only line feeds": b"0\n\n",
        "a size of 17 digits": b"00000000000000000\r\n\r\n",
        "a size that wraps": b"10000000000000000\r\n\r\n",
        "a size of all ones": b"ffffffffffffffff\r\n\r\n",
        "a NUL in the size": b"0\x00\r\n\r\n",
        "a size in other digits": b"\xd9\xa0\r\n\r\n",
        "an extension with LF": b"5;a\nhello\r\n0\r\n\r\n",
        "an extension with CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "data that ends in LF": b"5\r\nhello\n0\r\n\r\n",
        "data that ends in CR": b"5\r\nhello\r0\r\n\r\n",
        "data that does not end": b"5\r\nhello0\r\n\r\n",
        "data that is too long": b"5\r\nhello!\r\n0\r\n\r\n",
        "data that is too short": b"6\r\nhello\r\n0\r\n\r\n",
        "a trailer that ends in LF": b"0\r\nA: b\n\r\n",
    }.items():
        yield Payload(name, _put(b"Transfer-Encoding: chunked", body + _SMUGGLED))
    yield Payload("no end of the chunks", _put(b"Transfer-Encoding: chunked", b"0\r\n" + _SMUGGLED))
    for name, end in {
        "an extension": b"0;a=b\r\n\r\n",
        "a quoted extension": b'0;a="b;c"\r\n\r\n',
        "a trailer": b"0\r\nContent-Length: 100\r\nTransfer-Encoding: x\r\n\r\n",
        "many zeros": b"000000\r\n\r\n",
    }.items():
        yield Payload(f"{name}, then a request", _put(b"Transfer-Encoding: chunked", _HELLO + end + _SMUGGLED), 2)


def _heads() -> Iterator[Payload]:
    """Request lines and headers."""
    rest = b"\r\nHost: h\r\n\r\n"
    for name, line in {
        "two spaces": b"GET  OUTER HTTP/1.1",
        "tabs": b"GET\tOUTER\tHTTP/1.1",
        "a space at the end": b"GET OUTER HTTP/1.1 ",
        "a space in front": b" GET OUTER HTTP/1.1",
        "no version": b"GET OUTER",
        "a version of 0.9": b"GET OUTER HTTP/0.9",
        "a version of 1.2": b"GET OUTER HTTP/1.2",
        "a version of 2.0": b"GET OUTER HTTP/2.0",
        "a version in lower case": b"GET OUTER http/1.1",
        "a version with zeros": b"GET OUTER HTTP/01.1",
        "a NUL in the target": b"GET OUTER\x00 HTTP/1.1",
        "a CR in the target": b"GET OUTER\rX HTTP/1.1",
        "a fragment": b"GET OUTER#INNER HTTP/1.1",
        "a form feed": b"GET OUTER\x0cHTTP/1.1 HTTP/1.1",
        "a colon in the method": b"GET: OUTER HTTP/1.1",
        "the preface of HTTP/2": b"PRI * HTTP/2.0",
        "another version in the target": b"GET OUTER?HTTP/1.1 HTTP/1.1",
    }.items():
        yield Payload(name, line + rest)
    yield Payload("empty lines in front", b"\r\n\r\nGET OUTER HTTP/1.1" + rest)
    yield Payload("only line feeds in a head", b"GET OUTER HTTP/1.1\nHost: h\n\n" + _SMUGGLED, 2)
    yield Payload("only carriage returns in a head", b"GET OUTER HTTP/1.1\rHost: h\r\r" + _SMUGGLED)
    yield Payload("a line feed that ends a head", b"GET OUTER HTTP/1.1\r\nHost: h\r\n\n" + _SMUGGLED)
    yield Payload(
        "a request in a header", b"GET OUTER HTTP/1.1\r\nHost: h\r\nX: y\n\nGET INNER HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    for name, line in {
        "two hosts": b"Host: g",
        "no name": b": x",
        "no colon": b"GET INNER HTTP/1.1",
        "a space in a name": b"X y: z",
        "a bracket in a name": b"X[y]: z",
        "a NUL in a value": b"X: \x00",
        "a folded line": b"X: y\r\n z",
        "a name in UTF-8": b"X\xc3\xbc: y",
        "an upgrade": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
        "a web socket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "a connection that closes": b"Connection: close, keep-alive",
        "a proxy's connection": b"Proxy-Connection: keep-alive",
    }.items():
        yield Payload(
            f"{name}, then a request", b"GET OUTER HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n" + _SMUGGLED, 2
        )
    yield Payload("another host in the target", b"GET http://gOUTER HTTP/1.1\r\nHost: h\r\n\r\n")
    yield Payload("no host", b"GET OUTER HTTP/1.1\r\n\r\n" + _SMUGGLED, 2)
    yield Payload(
        "a request in a long header", b"GET OUTER HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 17000 + b"\r\n\r\n" + _SMUGGLED
    )


def payloads() -> list[Payload]:
    """All of them."""
    return [*_lengths(), *_codings(), *_chunks(), *_heads()]
