"""Keys are opaque: whatever looks like a path, an escape or an attack is a name like any other, or refused."""

from __future__ import annotations

import os
import re
from html import unescape
from urllib.parse import quote, unquote

from tests.hostile.case import HostileCase
from tests.hostile.raw import Reply

KEYS = (
    ".",
    "..",
    "../other",
    "../../../../etc/passwd",
    "a/../b",
    "a/./b",
    "a/b/..",
    "/",
    "//",
    "/leading",
    "a//b",
    "a/",
    "a/b/",
    "%2e%2e/a",
    "%2F",
    "%252F",
    "%",
    "%zz",
    "%00",
    "a\\..\\b",
    "C:\\windows",
    "a+b",
    "a b",
    " a ",
    "a&b=c;d?e#f",
    "<a>]]>&amp;",
    "'\"`$(id);|",
    "nul\0nul",
    "line\r\nX-Evil: yes\r\n",
    "tab\tbell\x07escape\x1b[2Jdelete\x7f",
    "emoji \U0001f600 \u00e9 e\u0301 \u202e right to left",
    "\ufffe\uffff\ufeff",
    "\U0010ffff",
    "post3.lock",
    "index.sqlite3",
    "a" * 1024,
    "\u00e9" * 512,
    "/".join("a" * 255 for _ in range(4)),
    "b" * 256 + "/" + "c" * 256,
    "/" * 1024,
)
"""Every one a key, at most 1024 bytes long."""

BROKEN = ("%FF", "a%C3", "%ED%A0%80", "%C0%AE%C0%AE%2F", "%F4%90%80%80", "a%", "%4", "%zz", "%u002e")
"""Escapes that are none, and bytes that are not UTF-8."""

LARGE = 100_000
"""Bytes of a body that becomes a file."""


def escaped(text: str) -> str:
    """A text for a document; control characters as references, which is not XML but all that one can try."""
    return "".join(char if char.isalnum() else f"&#{ord(char)};" for char in text)


class KeyTests(HostileCase):
    """The corpus, in every place where a request can name a key."""

    def listed(self, query: str = "") -> list[str]:
        """All keys in the bucket, as a listing with encoding-type=url has them."""
        reply = self.client.ask("GET", f"/{self.bucket}?list-type=2&encoding-type=url{query}")
        self.assertEqual(reply.status, 200, query)
        return [unquote(unescape(key)) for key in re.findall("<Key>([^<]*)</Key>", reply.body.decode())]

    def ask_of(self, method: str, key: str, body: bytes = b"", **headers: str) -> Reply:
        """A request about a key, every byte of it escaped."""
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return self.client.ask(method, self.target(quote(key, safe="")), fields, body)

    def store(self, size: int) -> dict[str, bytes]:
        """Store something else under every key."""
        bodies = {key: os.urandom(16) * (size // 16) for key in KEYS}
        for key, body in bodies.items():
            self.assertEqual(self.ask_of("PUT", key, body).status, 200, key)
        return bodies

    def test_round_trip(self) -> None:
        """Every key is a key of its own, listed as it was given and read under it; files have names of ours."""
        bodies = self.store(LARGE)
        self.assertEqual(self.listed(), sorted(KEYS, key=str.encode))
        for key, body in bodies.items():
            self.assertEqual(self.ask_of("GET", key).body, body, key)
            self.assertEqual(self.ask_of("HEAD", key).status, 200, key)
        for path in self.data_dir.rglob("*"):
            name = str(path.relative_to(self.data_dir))
            self.assertRegex(
                name, r"\A(blobs(/[0-9a-f]{2}){0,2}(/[0-9a-f]{32})?|tmp|post3\.lock|index\.sqlite3(-\w+)?)\Z"
            )
        for key in KEYS:
            self.assertEqual(self.ask_of("DELETE", key).status, 204, key)
        self.assertEqual(self.listed(), [])

    def test_verbatim(self) -> None:
        """Nobody cleans a target: dots and slashes that are not escaped are part of the key too."""
        for key in ("..", "../other", "a/../b", "a//b", "//", "/leading", "a/./b", "a/"):
            self.assertEqual(self.client.ask("PUT", self.target(key), (), key.encode()).status, 200, key)
            self.assertEqual(self.ask_of("GET", key).body, key.encode())
        absolute = f"http://elsewhere.example{self.target('a/../b')}"
        self.assertEqual(self.client.ask("GET", absolute).body, b"a/../b")

    def test_copy(self) -> None:
        """In x-amz-copy-source, escaped once, with and without the slash before the bucket."""
        bodies = self.store(32)
        for key, body in bodies.items():
            for slash in ("", "/"):
                source = f"{slash}{self.bucket}/{quote(key, safe='/')}"
                reply = self.client.ask("PUT", self.target("copy"), [(b"x-amz-copy-source", source.encode())])
                self.assertEqual(reply.status, 200, (key, reply.body))
                self.assertEqual(self.client.ask("GET", self.target("copy")).body, body, key)

    def test_rename(self) -> None:
        """As the source and as the target of a rename."""
        for key, body in self.store(32).items():
            source = f"/{quote(key, safe='/')}".encode()
            moved = self.client.ask("PUT", self.target("moved", "renameObject"), [(b"x-amz-rename-source", source)])
            self.assertEqual(moved.status, 200, (key, moved.body))
            self.assertEqual(self.client.ask("GET", self.target("moved")).body, body, key)
            target = self.target(quote(key, safe=""), "renameObject")
            back = self.client.ask("PUT", target, [(b"x-amz-rename-source", b"moved")])
            self.assertEqual(back.status, 200, key)
        self.assertEqual(self.listed(), sorted(KEYS, key=str.encode))

    def test_prefix(self) -> None:
        """As the prefix of a listing, as its marker and as its delimiter."""
        self.store(16)
        for key in KEYS:
            escape = quote(key, safe="")
            self.assertEqual(self.listed(f"&prefix={escape}"), [k for k in self.listed() if k.startswith(key)], key)
            self.assertNotIn(key, self.listed(f"&start-after={escape}"))
            self.listed(f"&delimiter={escape}")

    def test_delete_objects(self) -> None:
        """In the document of DeleteObjects, as far as XML can say them; one that it cannot deletes nothing."""
        self.store(16)
        sayable = [key for key in KEYS if not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", key)]
        self.assertLess(len(sayable), len(KEYS))
        for key in KEYS:
            document = f"<Delete><Object><Key>{escaped(key)}</Key></Object></Delete>".encode()
            reply = self.client.ask("POST", f"/{self.bucket}?delete", (), document)
            if key in sayable:
                self.assertEqual((reply.status, b"<Error>" in reply.body), (200, False), key)
            else:
                self.assert_error(reply, 400, "MalformedXML", key)
        self.assertEqual(self.listed(), sorted(set(KEYS) - set(sayable), key=str.encode))

    def test_broken(self) -> None:
        """What is not UTF-8, or no escape, is no key."""
        before = self.inside.holdings()
        for text in BROKEN:
            for target in (self.target(text), f"/{self.bucket}?prefix={text}", f"/{text}/key"):
                for method in ("PUT", "GET"):
                    self.assert_error(self.client.ask(method, target), 400, "InvalidURI", (method, target))
            copied = self.client.ask("PUT", self.target(), [(b"x-amz-copy-source", f"/{self.bucket}/{text}".encode())])
            self.assertIn(copied.status, (400, 404), text)
            self.assert_error(copied, copied.status, copied.code)
        for raw in (b"\xff", b"a\xc3", b"\xed\xa0\x80"):
            self.assert_error(self.client.ask("PUT", self.target().encode() + raw), 400, "InvalidURI", raw)
        self.assert_nothing_left(before)

    def test_too_long(self) -> None:
        """A key has at most 1024 bytes, wherever it is named."""
        before = self.inside.holdings()
        for key in ("a" * 1025, "\u00e9" * 513, "/" * 1025):
            self.assert_error(self.ask_of("PUT", key, b"data"), 400, "KeyTooLongError")
            for method, query in (("POST", "uploads"), ("PUT", "partNumber=1&uploadId=" + "0" * 32)):
                reply = self.client.ask(method, self.target(quote(key), query))
                self.assert_error(reply, 400, "KeyTooLongError", query)
        self.assert_nothing_left(before)

    def test_other_names(self) -> None:
        """The corpus as bucket, upload id, version id and continuation: refused, and nothing is made."""
        before = self.inside.holdings()
        for name in KEYS:
            escape = quote(name, safe="")
            for method in ("GET", "PUT", "DELETE"):
                reply = self.client.ask(method, f"/{escape}/key")
                self.assertIn(reply.status, (400, 404), (method, name))
                self.assert_error(reply, reply.status, reply.code)
            if name not in ("post3.lock", "index.sqlite3"):
                self.assert_error(self.client.ask("PUT", f"/{escape}"), 400, "InvalidBucketName", name)
            for query in (f"uploadId={escape}", f"uploadId={escape}&partNumber=1", f"versionId={escape}"):
                reply = self.client.ask("GET" if "part" not in query else "PUT", self.target("key", query))
                self.assertIn(reply.status, (400, 404), (query, reply.body))
                self.assert_error(reply, reply.status, reply.code)
            reply = self.client.ask("GET", f"/{self.bucket}?list-type=2&continuation-token={escape}")
            self.assertIn(reply.status, (200, 400), name)
        self.assert_nothing_left(before)
