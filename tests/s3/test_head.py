"""Reading heads: what is taken, what is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import BadRequest, DomainError, HeadTooLarge, NotImplementedHere
from post3tw.s3.exchange import RequestHead
from post3tw.s3.head import parse_head


def head(*lines: bytes) -> RequestHead:
    """The head of these lines."""
    return parse_head(b"".join(line + b"\r\n" for line in lines), 500)


GET = b"GET /b/k HTTP/1.1"
HOST = b"Host: h"


class ParseHeadTests(SynchronousTestCase):
    """`parse_head` is strict."""

    def test_reads_a_head(self) -> None:
        """Method, target and version are as they came, header names in lower case, values without surrounding space."""
        read = head(b"PUT /b/%41?x=1 HTTP/1.1", b"HOST:h", b"X-Amz-Meta-A: \t v  w ", b"Content-Length: 12")
        self.assertEqual((read.method, read.target, read.version), ("PUT", b"/b/%41?x=1", "HTTP/1.1"))
        self.assertEqual(read.headers, {"host": "h", "x-amz-meta-a": "v  w", "content-length": "12"})
        self.assertEqual(read.fields[1], (b"x-amz-meta-a", b"v  w"))
        self.assertEqual(read.content_length, 12)
        self.assertEqual(read.repeated, frozenset())

    def test_joins_repeated_headers(self) -> None:
        """Values of a repeated header are joined by a comma, and its name is known to be repeated."""
        read = head(GET, HOST, b"a: 1", b"A: 2")
        self.assertEqual(read.headers["a"], "1,2")
        self.assertEqual(read.repeated, {"a"})
        self.assertEqual(read.fields[1:], [(b"a", b"1"), (b"a", b"2")])

    def test_values_are_utf8_or_latin1(self) -> None:
        """A value that is not UTF-8 is read as Latin-1; in user metadata its bytes are kept."""
        read = head(GET, HOST, "a: é".encode(), "b: é".encode("latin-1"), "x-amz-meta-c: é".encode("latin-1"))
        self.assertEqual((read.headers["a"], read.headers["b"]), ("é", "é"))
        self.assertEqual(read.headers["x-amz-meta-c"].encode("utf-8", "surrogateescape"), "é".encode("latin-1"))

    def test_chunked_body_has_no_length(self) -> None:
        """Transfer-Encoding: chunked leaves the length open."""
        self.assertIsNone(head(GET, HOST, b"Transfer-Encoding: Chunked").content_length)

    def test_keeps_alive_by_version_and_connection(self) -> None:
        """1.1 keeps a connection unless told not to, 1.0 only when told."""
        for version, connection, kept in (
            (b"1.1", b"x", True),
            (b"1.1", b"Close", False),
            (b"1.0", b"x", False),
            (b"1.0", b"Keep-Alive", True),
        ):
            read = head(b"GET / HTTP/" + version, HOST, b"Connection: " + connection)
            self.assertEqual(read.keep_alive, kept, (version, connection))

    def test_http_1_0_needs_no_host(self) -> None:
        """HTTP/1.0 had no Host header."""
        self.assertEqual(head(b"GET / HTTP/1.0").headers, {})

    def test_refuses(self) -> None:
        """What could be read as another request by a proxy in front of us is refused."""
        for lines in (
            (b"GET /",),
            (b"GET  / HTTP/1.1", HOST),
            (b" GET / HTTP/1.1", HOST),
            (b"GET / HTTP/1.1 ", HOST),
            (b"GET / HTTP/1.2", HOST),
            (b"GET / HTTP/2.0", HOST),
            (b"GET / http/1.1", HOST),
            (b"GET / HTTP/11", HOST),
            (b"G(T / HTTP/1.1", HOST),
            (b"GET k HTTP/1.1", HOST),
            (b"GET ftp://h/ HTTP/1.1", HOST),
            (b"GET /\x00 HTTP/1.1", HOST),
            (b"GET /\x7f HTTP/1.1", HOST),
            (b"CONNECT h:80 HTTP/1.1", HOST),
            (GET,),
            (GET, HOST, HOST),
            (GET, b" Host: h"),
            (GET, HOST, b"a"),
            (GET, HOST, b": a"),
            (GET, HOST, b"a : b"),
            (GET, HOST, b"a\t: b"),
            (GET, HOST, b"a: 1", b" folded"),
            (GET, HOST, b"a: 1", b"\tfolded"),
            (GET, HOST, b"a: 1\x002"),
            (GET, HOST, b"a: 1\r2"),
            (GET, HOST, b"a: 1\n2"),
            (GET, HOST, b"a: 1\x7f"),
            (GET, HOST, "é: 1".encode()),
            (GET, HOST, b"Content-Length: 1", b"Content-Length: 1"),
            (GET, HOST, b"Content-Length: 1, 1"),
            (GET, HOST, b"Content-Length: +1"),
            (GET, HOST, b"Content-Length: -1"),
            (GET, HOST, b"Content-Length: 0x1"),
            (GET, HOST, b"Content-Length: 1_0"),
            (GET, HOST, b"Content-Length: 1 1"),
            (GET, HOST, b"Content-Length:"),
            (GET, HOST, "Content-Length: ١".encode()),
            (GET, HOST, b"Content-Length: 99999999999999999999"),
            (GET, HOST, b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            (GET, HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
            (b"GET / HTTP/1.0", HOST, b"Transfer-Encoding: chunked"),
        ):
            with self.assertRaises(BadRequest, msg=repr(lines)):
                head(*lines)

    def test_refuses_other_codings(self) -> None:
        """A coding that we cannot take off is 501, in whatever disguise."""
        for value in (b"gzip, chunked", b"chunked, chunked", b"xchunked", b"chunked;q=1", b"identity", b'"chunked"'):
            with self.assertRaises(NotImplementedHere, msg=repr(value)):
                head(GET, HOST, b"Transfer-Encoding: " + value)

    def test_bounds_the_number_of_headers(self) -> None:
        """One header more than allowed is too many; the error says how many are not."""
        self.assertEqual(len(head(GET, HOST, *[b"a%d: 1" % n for n in range(499)]).fields), 500)
        with self.assertRaises(HeadTooLarge) as refused:
            head(GET, HOST, *[b"a%d: 1" % n for n in range(500)])
        self.assertEqual(refused.exception.message, "There are more than 500 headers.")
        self.assertEqual(refused.exception.details, {})

    def test_any_byte_anywhere_is_a_domain_error_or_taken(self) -> None:
        """Whatever byte replaces another one, the answer is a head or a clear refusal."""
        good = b"GET /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
        for at in range(len(good)):
            for byte in range(256):
                try:
                    parse_head(good[:at] + bytes([byte]) + good[at + 1 :], 500)
                except DomainError:
                    continue
