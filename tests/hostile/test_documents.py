"""Documents that are too large, too deep or bombs: refused soon, and in little memory."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path

from tests.hostile.case import HostileCase
from tests.hostile.raw import Reply

MIB = 1 << 20

BOMB = b"".join(
    [
        b'<?xml version="1.0"?><!DOCTYPE Delete [<!ENTITY a0 "lol">',
        *(b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)),
        b"]><Delete><Object><Key>&a9;</Key></Object></Delete>",
    ]
)
QUADRATIC = b'<!DOCTYPE Delete [<!ENTITY a "%b">]><Delete><Object><Key>%b</Key></Object></Delete>' % (
    b"a" * 50_000,
    b"&a;" * 50_000,
)
EXTERNAL = (
    b'<!DOCTYPE Delete [<!ENTITY a SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&a;</Key></Object></Delete>'
)
OBJECT = b"<Object><Key>key</Key></Object>"


def resident(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


class DocumentTests(HostileCase):
    """Everything is sent to DeleteObjects, and what matters to all operations with a document."""

    targets = ("delete", "tagging", "versioning", "lifecycle", "cors", "policy")

    def setUp(self) -> None:
        """Store an object that bad documents want to delete."""
        super().setUp()
        self.put("key", b"content")
        self.before = self.inside.holdings()

    def delete(self, document: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
        """Send a document to DeleteObjects."""
        return self.client.ask("POST", f"/{self.bucket}?delete", headers, document)

    def assert_malformed(self, document: bytes) -> None:
        """A document is refused, and soon."""
        begun = time.monotonic()
        self.assert_error(self.delete(document), 400, "MalformedXML", document[:100])
        self.assertLess(time.monotonic() - begun, 5)
        self.assert_nothing_left(self.before)

    def test_malformed(self) -> None:
        """What is no XML, or another document, is malformed."""
        good = b"<Delete>" + OBJECT + b"</Delete>"
        for document in (
            b"no xml",
            b"<",
            good[:-1],
            good + b"x",
            good + good,
            b"\0" + good,
            good.replace(b"key", b"\xff"),
            good.replace(b"key", b"&#0;"),
            good.replace(b"key", b"&nbsp;"),
            good.replace(b"Delete", b"Deleted"),
            good.replace(b"Object", b"Subject"),
            good.replace(b"Key", b"key"),
            gzip.compress(good),
            b"",
            b"{}",
            b"<Delete/>",
            b"<Delete>" + OBJECT * 1001 + b"</Delete>",
        ):
            self.assert_malformed(document)

    def test_bombs(self) -> None:
        """Document types and entities are refused before they grow, and nothing outside is read."""
        memory = resident(self.server.pid)
        for document in (BOMB, QUADRATIC, EXTERNAL, b"<!DOCTYPE Delete><Delete>" + OBJECT + b"</Delete>"):
            self.assert_malformed(document)
        self.assertLess(resident(self.server.pid) - memory, 64 * MIB)

    def test_depth(self) -> None:
        """So are deep documents, and those of endless elements or attributes."""
        self.assert_malformed(b"<Delete>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</Delete>")
        self.assert_malformed(b"<Delete>" + b"<a/>" * 400_000 + b"</Delete>")
        self.assert_malformed(b"<Delete " + b" ".join(b'a%d=""' % n for n in range(100_000)) + b"/>")
        self.assert_malformed(b"<Delete><" + b"a" * MIB + b"/></Delete>")

    def test_policies(self) -> None:
        """Policies that nest, repeat or number without bounds are refused as soon, and in as little memory."""
        memory = resident(self.server.pid)
        statement = b'{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"%b}'
        conditional = b'{"Statement":%b}' % (statement % b',"Condition":{%b}}')
        for document in (
            b"[" * 10_000 + b"]" * 10_000,
            b'{"Statement":' * 5_000 + b"1" + b"}" * 5_000,
            b'{"Statement":[' + b",".join([statement % b""] * 20_000) + b"]}",
            conditional % (b'"NumericEquals":{"s3:max-keys":%b' % (b"9" * 15_000)),
            conditional % (b'"StringLike":{"aws:Referer":"%b"' % (b"*?" * 50_000)),
            b'"' + b"\\" * 1_000_000,
            b"{" + b" " * 2_000_000,
            gzip.compress(statement),
        ):
            begun = time.monotonic()
            reply = self.client.ask("PUT", f"/{self.bucket}?policy", (), document)
            self.assertIn(reply.status, (400, 413), document[:80])
            self.assert_error(reply, reply.status, reply.code)
            self.assertLess(time.monotonic() - begun, 5)
        self.assertLess(resident(self.server.pid) - memory, 64 * MIB)
        self.assert_nothing_left(self.before)

    def test_large(self) -> None:
        """A document of a gigabyte is refused when it is declared; nobody waits for it."""
        memory = resident(self.server.pid)
        for query in self.targets:
            method = "POST" if query == "delete" else "PUT"
            with self.client.connect() as connection:
                connection.send(
                    self.client.head(method, f"/{self.bucket}?{query}", [(b"content-length", b"1073741824")])
                )
                reply = connection.reply()
            self.assertIn(
                (reply.status, reply.code), ((400, "MaxMessageLengthExceeded"), (501, "NotImplemented")), query
            )
        with self.client.connect() as connection:
            connection.send(b"POST /%b?delete HTTP/1.1\r\nhost: a\r\n" % self.bucket.encode())
            connection.send(b"content-length: 1073741824\r\n\r\n")
            self.assert_error(connection.reply(), 403, "AccessDenied")
        self.assertLess(resident(self.server.pid) - memory, 16 * MIB)

    def test_expected(self) -> None:
        """A client that waits for `100 Continue` before it sends too much is never asked to."""
        headers = [(b"content-length", b"1073741824"), (b"expect", b"100-continue")]
        with self.client.connect() as connection:
            connection.send(self.client.head("POST", f"/{self.bucket}?delete", headers))
            self.assertFalse(connection.continued())
            self.assert_error(connection.reply(), 400, "MaxMessageLengthExceeded")

    def test_endless(self) -> None:
        """A document in chunks without end is refused once it is too large."""
        memory = resident(self.server.pid)
        headers = [(b"transfer-encoding", b"chunked")]
        with self.client.connect() as connection:
            connection.send(self.client.head("POST", f"/{self.bucket}?delete", headers))
            with self.assertRaises(ConnectionError):
                for _ in range(4096):
                    connection.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
        self.assertLess(resident(self.server.pid) - memory, 32 * MIB)
        self.assert_nothing_left(self.before)

    def test_endless_chunk_lines(self) -> None:
        """So are chunk sizes, extensions and trailers without end."""
        for piece in (b"0" * 65536, b"1;" + b"a" * 65536, b"0\r\n" + b"a: b\r\n" * 10_000):
            with self.client.connect() as connection:
                connection.send(
                    self.client.head("POST", f"/{self.bucket}?delete", [(b"transfer-encoding", b"chunked")])
                )
                connection.offer(piece)
                self.assert_error(connection.reply(), 400, "BadRequest", piece[:10])
        self.assert_nothing_left(self.before)
