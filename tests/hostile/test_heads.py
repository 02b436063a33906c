"""Heads that are too large, or wrong in a part: the right error, and no accident whatever bytes a header has."""

from __future__ import annotations

import time
from collections.abc import Iterator

from post3tw.api.operations import OPERATIONS
from post3tw.wire.signer import Signer
from tests.hostile.case import HostileCase, assert_well_formed
from tests.hostile.raw import Fields, Reply

BYTES = (b"\xff", b"a\xff\xfeb", b"\xed\xa0\x80", b"\xc3", b"\x80abc", b"\xf4\x90\x80\x80", "\u00fc\u20ac".encode())
"""Not UTF-8 but for the last, which is not Latin-1."""

ELSEWHERE = (
    "authorization",
    "connection",
    "content-length",
    "date",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-metadata-directive",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-trailer",
    "x-forwarded-for",
    "x-amz-unheard-of",
    "unheard-of",
)
"""Headers that no operation binds, or that make a PUT another operation."""


def header_names(operation: str) -> Iterator[str]:
    """Every header that matters to an operation, in lower case."""
    for where, name in OPERATIONS[operation].bindings.values():
        if where == "header":
            yield name.lower()
        elif where == "headers":
            yield name + "name"
    yield from ELSEWHERE


class SizeTests(HostileCase):
    """Heads are bounded, and what is too much is told so, in the words of S3."""

    def assert_too_large(self, head: bytes) -> None:
        """The head is refused as such, and the connection closed."""
        with self.client.connect() as connection:
            connection.offer(head)
            self.assert_error(connection.reply(), 400, "RequestHeaderSectionTooLarge")
            self.assertTrue(connection.closed())

    def test_size(self) -> None:
        """More than 16 KiB are too much: in one header, in the target, in many headers, without an end."""
        self.assert_too_large(self.client.head("GET", self.target(), [(b"x-amz-meta-a", b"a" * 16384)]))
        self.assert_too_large(self.client.head("GET", self.target("k" * 16384)))
        self.assert_too_large(self.client.head("GET", self.target(), [(b"a%d" % n, b"a" * 100) for n in range(200)]))
        self.assert_too_large(b"GET / HTTP/1.1\r\nhost: a\r\na: " + b"a" * 20000)
        self.assert_too_large(b"G" * 20000)

    def test_largest(self) -> None:
        """A head of almost 16 KiB is none too large."""
        reply = self.client.ask("GET", self.target(), [(b"unheard-of", b"a" * 15600)])
        self.assert_error(reply, 404, "NoSuchKey")

    def test_count(self) -> None:
        """More than 500 headers are too much."""
        self.assert_too_large(self.client.head("GET", "/", [(b"a%d" % n, b"") for n in range(501)]))

    def test_huge(self) -> None:
        """A head without end is not read to its end."""
        with self.client.connect() as connection:
            connection.offer(b"GET / HTTP/1.1\r\nhost: a\r\n")
            for _ in range(100):
                connection.offer(b"a: " + b"a" * 100_000)
            try:
                reply = connection.reply()
            except ConnectionError:
                return  # A reset: what was sent after the reply has overtaken it.
            self.assert_error(reply, 400, "RequestHeaderSectionTooLarge")


class ByteTests(HostileCase):
    """Any byte but a control character may stand in any header, and breaks nothing."""

    def setUp(self) -> None:
        """Store an object to read."""
        super().setUp()
        self.put("key", b"content")

    def ask(self, method: str, fields: Fields, name: bytes, value: bytes) -> Reply:
        """A request with another value in one header: signed with it, or, if the signature has a part in it, as
        well as can be."""
        own = (b"host", b"x-amz-date", b"x-amz-content-sha256", b"authorization", b"content-length")
        if name not in own:
            return self.client.ask(method, self.target(), [*fields, (name, value)], b"data" if method == "PUT" else b"")
        message = self.client.message(method, self.target(), fields, b"data" if method == "PUT" else b"")
        lines = message.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(name + b":")]
        with self.client.connect() as connection:
            connection.offer(b"\r\n".join([kept[0], name + b": " + value, *kept[1:]]))
            return connection.reply(method)

    def assert_no_accident(self, method: str, operation: str, fields: Fields = ()) -> None:
        """Requests with odd bytes in each header are answered, and without an accident."""
        for name in header_names(operation):
            for value in BYTES:
                reply = self.ask(method, fields, name.encode(), value)
                self.assertTrue(200 <= reply.status < 500 or reply.status == 501, (operation, name, value, reply))
                if reply.status >= 400 and reply.body:
                    assert_well_formed(self, reply.body)

    def test_put(self) -> None:
        """In a PUT, and a GET of what it stored."""
        for name in header_names("PutObject"):
            for value in BYTES:
                reply = self.ask("PUT", (), name.encode(), value)
                self.assertTrue(200 <= reply.status < 500 or reply.status == 501, (name, value, reply))
                if reply.status == 200:
                    for method in ("GET", "HEAD"):
                        read = self.client.ask(method, self.target())
                        self.assertEqual(read.status, 200, (name, value, read))
                        if name == "x-amz-meta-name":
                            self.assertEqual(read.headers[name].encode("latin-1"), value)
                    listed = self.client.ask("GET", f"/{self.bucket}?list-type=2")
                    self.assertEqual(listed.status, 200)
                    assert_well_formed(self, listed.body)

    def test_get(self) -> None:
        """In a GET and a HEAD."""
        self.assert_no_accident("GET", "GetObject")
        self.assert_no_accident("HEAD", "HeadObject")

    def test_copy(self) -> None:
        """In a copy, and in the beginning of an upload."""
        self.assert_no_accident("PUT", "CopyObject", [(b"x-amz-metadata-directive", b"REPLACE")])
        self.assert_no_accident("POST", "CreateMultipartUpload")

    def test_delete(self) -> None:
        """In a DELETE."""
        self.assert_no_accident("DELETE", "DeleteObject")

    def test_authorization(self) -> None:
        """In each piece of the Authorization header, and of a presigned query."""
        whole = self.client.head("GET", self.target()).partition(b"authorization: ")[2].partition(b"\r\n")[0]
        for piece in (b"AWS4-HMAC-SHA256", b"Credential=", b"/us-east-1/", b"/s3/", b"SignedHeaders=", b"Signature="):
            for value in BYTES:
                spoilt = whole.replace(piece, piece + value)
                reply = self.ask("GET", (), b"authorization", spoilt)
                self.assertIn(reply.status, (400, 403), spoilt)
                self.assert_error(reply, reply.status, reply.code)
        now = int(time.time() * 1000)
        fields = [(b"host", f"{self.client.host}:{self.client.port}".encode())]
        target = self.client.signer.presign(b"GET", self.target().encode(), fields, time=now, expires=60)
        for piece in target.partition(b"?")[2].split(b"&"):
            for odd in (b"%FF", b"%00", b"%", b"%C3%BC", b"\xff"):
                spoilt = target.replace(piece, piece + odd)
                with self.client.connect() as connection:
                    connection.send(b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (spoilt, fields[0][1]))
                    reply = connection.reply()
                self.assertIn(reply.status, (400, 403), spoilt)
                self.assert_error(reply, reply.status, reply.code)


class ValueTests(HostileCase):
    """What S3 says of values that make no sense."""

    def setUp(self) -> None:
        """Store an object to read."""
        super().setUp()
        self.put("key", b"0123456789")

    def test_methods(self) -> None:
        """Methods that S3 does not have are not allowed."""
        for method in ("PATCH", "TRACE", "PROPFIND", "BREW", "get", "G" * 100, "CONNECT"):
            reply = self.client.ask(method, self.target())
            self.assert_error(reply, 405, "MethodNotAllowed", method)
            self.assertIn("GET", reply.headers["allow"])

    def test_ranges(self) -> None:
        """A range past the end is not satisfiable; one that is no range is ignored; a large end is the object's."""
        for value in (b"bytes=10-", b"bytes=%d-" % 2**63, b"bytes=%d-%d" % (2**64, 2**65), b"bytes=-0"):
            reply = self.client.ask("GET", self.target(), [(b"range", value)])
            self.assert_error(reply, 416, "InvalidRange", value)
        for value in (b"bytes=5-3", b"bytes=a-b", b"bytes=", b"bytes", b"bytes=--1", b"octets=0-1", b"bytes=\xb2-\xb3"):
            reply = self.client.ask("GET", self.target(), [(b"range", value)])
            self.assertEqual((reply.status, reply.body), (200, b"0123456789"), value)
        for value in (b"bytes=5-%d" % 2**64, b"bytes=5-" + b"9" * 1000, b"bytes=-5"):
            reply = self.client.ask("GET", self.target(), [(b"range", value)])
            self.assertEqual((reply.status, reply.body), (206, b"56789"), value)

    def test_dates(self) -> None:
        """Conditions with dates that are none are ignored (RFC 9110 section 13.1.3)."""
        for value in (b"", b"yesterday", b"Thu, 31 Feb 2026 10:00:00 GMT", b"9" * 500, b"-1", b"\xff"):
            for name in (b"if-modified-since", b"if-unmodified-since"):
                reply = self.client.ask("GET", self.target(), [(name, value)])
                self.assertEqual((reply.status, reply.body), (200, b"0123456789"), (name, value))

    def test_time(self) -> None:
        """The time of a request must be one, and one of now."""
        for minutes in (-16, 16):
            now = int(time.time() * 1000) + minutes * 60_000
            with self.client.connect() as connection:
                connection.send(self.client.head("GET", self.target(), now=now))
                self.assert_error(connection.reply(), 403, "RequestTimeTooSkewed")
        good = self.client.head("GET", self.target())
        sent = good.partition(b"x-amz-date: ")[2][:16]
        for value in (b"", b"20261301T000000Z", b"99999999T999999Z", b"2026-11-21T00:00:00Z", b"00000000T000000Z"):
            with self.client.connect() as connection:
                connection.send(good.replace(b"x-amz-date: " + sent, b"x-amz-date: " + value))
                self.assert_error(connection.reply(), 403, "AccessDenied", value)

    def test_scope(self) -> None:
        """A signature for another region or service, and one under a date that is not the request's, are malformed."""
        keys = self.client.access_key, self.client.secret_key
        for signer in (Signer(*keys, region="eu-west-9"), Signer(*keys, service="iam"), Signer(*keys, region="S3")):
            self.assert_error(
                self.client.ask("GET", self.target(), signer=signer), 400, "AuthorizationHeaderMalformed", signer
            )
        good = self.client.head("GET", self.target())
        today = good.partition(b"x-amz-date: ")[2][:8]
        for old, new in ((today + b"/us", b"20200101/us"), (today + b"/us", b"today/us"), (b"aws4_request", b"aws5")):
            with self.client.connect() as connection:
                connection.send(good.replace(old, new))
                self.assert_error(connection.reply(), 400, "AuthorizationHeaderMalformed", new)

    def test_nothing_left(self) -> None:
        """A PUT that is refused for its head changes nothing."""
        before = self.inside.holdings()
        for fields in (
            [(b"x-amz-tagging", b"a=b&a=c")],
            [(b"x-amz-storage-class", b"COLD")],
            [(b"x-amz-meta-a", b"a" * 2049)],
            [(b"x-amz-acl", b"everybody")],
            [(b"x-amz-server-side-encryption", b"AES256")],
            [(b"expires", b"a"), (b"x-amz-checksum-crc32", b"a")],
            [(b"if-match", b'"other"')],
            [(b"if-none-match", b"*")],
            [(b"content-encoding", b"aws-chunked"), (b"x-amz-trailer", b"x-amz-checksum-crc32")],
        ):
            reply = self.client.ask("PUT", self.target(), fields, b"other")
            self.assertIn(reply.status, (400, 412, 501), fields)
            self.assert_error(reply, reply.status, reply.code)
        self.assert_nothing_left(before)
        self.assertEqual(self.client.ask("GET", self.target()).body, b"0123456789")
