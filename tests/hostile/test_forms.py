"""Forms and policies on a real server: what a signed form must not get around. SIG-n, PAR-n name the advisories."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from tests.hostile.attacks import mangled
from tests.hostile.case import HostileCase
from tests.hostile.raw import Reply
from tests.hostile.test_keys import KEYS
from tests.s3.forms import CONTENT_TYPE, form, part, signed

_USERS = """
[[user]]
access_key = "ADAKEY"
secret_key = "ada-secret-of-forms"
id = "ada-id"
display_name = "Ada"
"""
_ADA = {"access_key": "ADAKEY", "secret_key": "ada-secret-of-forms"}
_KEYS = (
    "public/../private",
    "public/%2e%2e/private",
    "public%2F..%2Fprivate",
    "public/..%2fprivate",
    "public//private",
)


def _identities() -> Path:
    """A file with a user who owns nothing."""
    directory = Path(tempfile.mkdtemp(prefix="post3-forms-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "identities.toml"
    path.touch(0o600)
    path.write_text(_USERS)
    return path


class FormCase(HostileCase):
    """A server that knows Ada, and a bucket that is root's."""

    options = (*HostileCase.options, f"--identities={_identities()}")

    def post(self, body: bytes, bucket: str | None = None) -> Reply:
        """Post a body to a bucket."""
        lines = [
            b"POST /%b HTTP/1.1" % (self.bucket if bucket is None else bucket).encode(),
            b"Host: h",
            b"Content-Type: " + CONTENT_TYPE,
            b"Content-Length: %d" % len(body),
        ]
        with self.client.connect() as connection:
            connection.offer(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            return connection.reply("POST")

    def fields(self, said: dict[str, str], *conditions: Any, **who: str) -> dict[str, str]:
        """Fields signed by root, or by Ada."""
        signer = who or {"access_key": self.server.access_key, "secret_key": self.server.secret_key}
        wanted = [*conditions] or [{"bucket": self.bucket}, *({name: value} for name, value in said.items())]
        return signed(said, wanted, now=int(time.time() * 1000), **signer)  # type: ignore[arg-type]

    def put_policy(self, *statements: dict[str, Any]) -> None:
        """Give the bucket a policy."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()
        self.assertEqual(self.client.ask("PUT", f"/{self.bucket}?policy", (), document).status, 204)

    def statement(self, effect: str, action: str, resource: str) -> dict[str, Any]:
        """A statement about everybody and objects of the bucket."""
        return {
            "Effect": effect,
            "Principal": "*",
            "Action": action,
            "Resource": f"arn:aws:s3:::{self.bucket}/{resource}",
        }

    def content(self, key: str) -> bytes | None:
        """What root finds under a key, quoted as it is in a URL; None for nothing."""
        reply = self.client.ask("GET", self.target(key))
        return reply.body if reply.status == 200 else None


class AuthorizationTests(FormCase):
    """A form is admitted like a PUT."""

    def test_SIG_9_without_permission(self) -> None:
        """SIG-9: a form that is signed well by somebody who may not write is refused, and leaves nothing."""
        before = self.inside.holdings()
        for size in (1, 300_000):
            reply = self.post(form(self.fields({"key": "k"}, **_ADA), b"x" * size))
            self.assert_error(reply, 403, "AccessDenied")
        self.assert_error(self.post(form({"key": "k"})), 403, "AccessDenied")
        self.assert_nothing_left(before)

    def test_SIG_9_by_policy(self) -> None:
        """SIG-9: a policy that lets Ada write lets her form; one that denies a part of the keys denies that."""
        self.put_policy(
            self.statement("Allow", "s3:PutObject", "*"), self.statement("Deny", "s3:PutObject", "read-only/*")
        )
        self.assertEqual(self.post(form(self.fields({"key": "k"}, **_ADA), b"hers")).status, 204)
        self.assertEqual(self.content("k"), b"hers")
        for signer in (_ADA, {}):
            reply = self.post(form(self.fields({"key": "read-only/k"}, **signer)))
            self.assert_error(reply, 403, "AccessDenied")
        tagged = self.fields({"key": "k", "tagging": "<Tagging><TagSet></TagSet></Tagging>"}, **_ADA)
        self.assert_error(self.post(form(tagged)), 403, "AccessDenied", "AUZ-10: tags need a right of their own")

    def test_SIG_10_other_buckets(self) -> None:
        """SIG-10: names that are no bucket's, or an inside of the server's, are not written to."""
        before = self.inside.holdings()
        for name in (".post3", ".minio.sys", "-", "..", "%2e%2e", "data", "blobs", "tmp", "index.sqlite", "%00", ":x"):
            conditions = (["starts-with", "$bucket", ""], ["starts-with", "$key", ""])
            reply = self.post(form(self.fields({"key": "k"}, *conditions)), name)
            self.assertTrue(400 <= reply.status < 500, (name, reply))
        other = self.fields({"key": "k", "bucket": "other"}, ["starts-with", "$bucket", ""], {"key": "k"})
        self.assert_error(self.post(form(other)), 400, "InvalidArgument")
        self.assert_nothing_left(before)

    def test_PAR_2_keys(self) -> None:
        """PAR-2: whoever may write or read below `public/` gets at nothing else, however the key is spelt: what the
        policy is asked about is what is stored, byte by byte."""
        self.put("private", b"secret")
        self.put_policy(
            self.statement("Allow", "s3:PutObject", "public/*"), self.statement("Allow", "s3:GetObject", "public/*")
        )
        for key in _KEYS:
            reply = self.post(form({"key": key}, b"mine"))
            self.assertEqual(reply.status, 204 if key.startswith("public/") else 403, key)
            with self.client.connect() as connection:
                connection.send(f"GET /{self.bucket}/{key} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                reply = connection.reply()
            self.assertNotIn(b"secret", reply.body, key)
            self.assertIn(reply.status, (200, 400, 403), key)
        self.assertEqual(self.content("private"), b"secret")
        self.assertEqual(self.content("public/%252e%252e/private"), b"mine")

    def test_every_key(self) -> None:
        """Whatever looks like a path or an escape in a form's key is a name like any other, and names no file."""
        for key in KEYS:
            fields = self.fields({"key": key}, {"bucket": self.bucket}, ["starts-with", "$key", ""])
            self.assertEqual(self.post(form(fields, key.encode())).status, 204, key)
            self.assertEqual(self.content(quote(key, safe="")), key.encode())


class StreamTests(FormCase):
    """What comes is bounded, and what is broken off leaves nothing."""

    def test_PAR_5_fields_without_end(self) -> None:
        """PAR-5: fields beyond 20 KiB are refused at once, not when all of them have come."""
        head = b"POST /%b HTTP/1.1\r\nHost: h\r\nContent-Type: %b\r\nContent-Length: 1000000000\r\n\r\n"
        with self.client.connect() as connection:
            connection.send(head % (self.bucket.encode(), CONTENT_TYPE))
            connection.offer(part("key", b"x" * 100_000))
            self.assert_error(connection.reply(), 400, "MaxPostPreDataLengthExceededError")

    def test_broken_off(self) -> None:
        """A client that goes away in the middle of a large file leaves nothing, nor does a form without an end."""
        before = self.inside.holdings()
        body = form(self.fields({"key": "k"}), b"x" * 3_000_000)
        for cut in (body[:2_000_000], body[:-10]):
            with self.client.connect() as connection:
                connection.send(b"POST /%b HTTP/1.1\r\nHost: h\r\n" % self.bucket.encode())
                connection.send(b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (CONTENT_TYPE, len(body)))
                connection.send(cut)
                connection.reset()
        self.assert_error(self.post(body[:-10]), 400, "MalformedPOSTRequest")
        self.assert_nothing_left(before)
        self.assertIsNone(self.content("k"))

    def test_SIG_9_too_large(self) -> None:
        """SIG-9: a file that passes its bound after some of it was written leaves nothing."""
        before = self.inside.holdings()
        fields = self.fields(
            {"key": "k"}, {"bucket": self.bucket}, {"key": "k"}, ["content-length-range", 0, 3_000_000]
        )
        self.assert_error(self.post(form(fields, b"x" * 3_000_001)), 400, "EntityTooLarge")
        self.assert_nothing_left(before)
        self.assertEqual(self.post(form(fields, b"x" * 3_000_000)).status, 204)

    def test_mangled(self) -> None:
        """Mangled forms are refused or taken: never an accident."""
        random = Random(int(os.environ.get("POST3_SEED", "20261121")))
        body = form(self.fields({"key": "k"}), b"x" * 200)
        for _ in range(300):
            reply = self.post(mangled(body, random))
            self.assertLess(reply.status, 500)
            self.assertNotIn("x-evil", reply.headers)


class HeaderTests(HostileCase):
    """Line breaks in what becomes a header of an answer."""

    def test_PAR_7_cors(self) -> None:
        """PAR-7: a configuration that would expose two lines is refused."""
        for text in ("X-A&#13;&#10;X-Evil: 1", "X-A&#10;X-Evil: 1", "X-A\r\nX-Evil: 1", "X-A%0d%0aX-Evil:1"):
            for element in ("ExposeHeader", "AllowedHeader", "AllowedOrigin"):
                rule = f"<AllowedMethod>GET</AllowedMethod><{element}>{text}</{element}>"
                if element != "AllowedOrigin":
                    rule += "<AllowedOrigin>*</AllowedOrigin>"
                elif "%" in text:
                    continue
                body = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>".encode()
                reply = self.client.ask("PUT", f"/{self.bucket}?cors", (), body)
                self.assert_error(reply, 400, "InvalidRequest", (element, text))
        self.assert_error(self.client.ask("GET", f"/{self.bucket}?cors"), 404, "NoSuchCORSConfiguration")

    def test_preflight_of_anything(self) -> None:
        """A preflight request for what is no bucket, from what is no origin, is refused like one for a bucket without
        rules."""
        for target in ("/", "/%00/k", "/..", "/.post3/k", f"/{self.bucket}/%ff", "/:/k", "/a:b:c/k", "/" + "x" * 5000):
            for origin in (b"null", b"*", b"\xff", b"http://a, http://b", b"x" * 5000):
                with self.client.connect() as connection:
                    fields = (b"Origin: " + origin, b"Access-Control-Request-Method: GET", b"Host: h")
                    connection.send(b"OPTIONS %b HTTP/1.1\r\n%b\r\n\r\n" % (target.encode(), b"\r\n".join(fields)))
                    reply = connection.reply("OPTIONS")
                self.assertIn(reply.status, (400, 403), (target, origin))
                self.assertNotIn("access-control-allow-origin", reply.headers)

    def test_PAR_7_overrides(self) -> None:
        """PAR-7: so is a `response-*` parameter that would be two headers."""
        self.put("key", b"content")
        for text in ("a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "a%0dX-Evil:%201", "a%00"):
            for name in ("content-disposition", "content-type", "cache-control"):
                reply = self.client.ask("GET", self.target("key", f"response-{name}={text}"))
                self.assertEqual((reply.status, reply.headers.get("x-evil")), (400, None), (name, text))

    def test_SIG_5_presigned(self) -> None:
        """SIG-5: no x-amz-* header that a PUT knows can be added to a presigned URL, least of all a source to copy."""
        self.put("secret", b"secret")
        before = self.inside.holdings()
        now = int(time.time() * 1000)
        fields = [(b"host", f"{self.client.host}:{self.client.port}".encode())]
        target = self.client.signer.presign(b"PUT", self.target("new").encode(), fields, time=now, expires=60)
        for name, value in _ADDED:
            with self.client.connect() as connection:
                lines = b"".join(b"%b: %b\r\n" % each for each in (*fields, (name, value), (b"content-length", b"0")))
                connection.send(b"PUT %b HTTP/1.1\r\n%b\r\n" % (target, lines))
                self.assert_error(connection.reply("PUT"), 403, "AccessDenied", name)
        self.assert_nothing_left(before)


_ADDED = (
    (b"x-amz-acl", b"public-read"),
    (b"x-amz-copy-source", b"/b/secret"),
    (b"x-amz-grant-full-control", b'id="ada-id"'),
    (b"x-amz-meta-a", b"b"),
    (b"x-amz-object-lock-legal-hold", b"ON"),
    (b"x-amz-object-lock-mode", b"COMPLIANCE"),
    (b"x-amz-rename-source", b"/b/secret"),
    (b"x-amz-storage-class", b"STANDARD"),
    (b"x-amz-tagging", b"a=b"),
    (b"x-amz-website-redirect-location", b"https://evil.example"),
)
