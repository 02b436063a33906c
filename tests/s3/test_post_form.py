"""Uploads from forms, on a real port. Names PAR-n are those of the advisories they come from."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from twisted.internet.defer import Deferred

from post3tw.model.errors import AccessDenied
from post3tw.model.identity import Caller
from post3tw.s3.limits import Limits
from tests.s3.doubles import taken
from tests.s3.form_case import FIELDS, PUBLIC, TAGGING, FormCase
from tests.s3.forms import BOUNDARY, CONTENT_TYPE, form, part, signed_by_version_2
from tests.s3.rawhttp import Reply
from tests.s3.serving import wire


class UploadTests(FormCase):
    """Forms that are taken."""

    async def test_version_4(self) -> None:
        """A form is a PutObject by whoever signed it."""
        reply = await self.post(form(self.fields(FIELDS), b"hello"))
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertEqual(self.service.objects, {("b", "k"): b"hello"})
        self.assertEqual(self.service.admitted, ["PutObject"])
        self.assertEqual(self.service.callers[0].identity.user_id, "alice-id")  # type: ignore[union-attr]
        (record,) = self.records.all
        self.assertEqual(
            (record.operation, record.bucket, record.key, record.user_id, record.status),
            ("PostObject", "b", "k", "alice-id", 204),
        )

    async def test_version_2(self) -> None:
        """Old signatures are taken too."""
        fields = signed_by_version_2(FIELDS, PUBLIC, now=self.ids.now())
        self.assertEqual((await self.post(form(fields))).status, 204)

    async def test_anonymous(self) -> None:
        """A form without a policy is nobody's, and taken where the service lets everybody write."""
        self.assert_refused(await self.post(form(FIELDS)), 403, "AccessDenied")
        self.service.public = True
        self.assertEqual((await self.post(form({**FIELDS, "unknown": "ignored", "content-length": "x"}))).status, 204)
        self.assertIsNone(self.service.callers[0].identity)

    async def test_facts(self) -> None:
        """AUZ-11: policies see how the form itself was signed, whatever its request's headers and query pretend."""
        headers = ((b"x-amz-content-sha256", b"0" * 64), (b"User-Agent", b"browser"))
        by_version_2 = signed_by_version_2(FIELDS, PUBLIC, now=self.ids.now())
        by_version_4 = self.fields(FIELDS)
        self.clock.advance(60)
        for fields, version, age in ((by_version_4, "AWS4-HMAC-SHA256", "60000"), (by_version_2, "AWS", "0")):
            self.assertEqual((await self.post(form(fields), headers=headers)).status, 204)
            self.assertEqual(
                self.service.callers[-1].facts(),
                {
                    "aws:useragent": "browser",
                    "s3:authtype": "POST",
                    "s3:signatureage": age,
                    "s3:signatureversion": version,
                    "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD",
                },
            )

    async def test_any_pieces(self) -> None:
        """However the network cuts it, a form is the same; the file has the boundary of another one in it."""
        content = b"\r\n--" + BOUNDARY[:-1] + b"\r\n" * 20
        body = form(self.fields(FIELDS), content, after=part("submit", b"Upload"))
        head = wire(
            b"POST",
            b"/b",
            [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))],
        )
        for step in (1, 7, 100, len(body)):
            client = await self.connect()
            client.send(head)
            for at in range(0, len(body), step):
                client.send(body[at : at + step])
                if step > 1 or at > len(body) - 400:
                    await self.turn()
            self.assertEqual((await client.reply("POST")).status, 204)
            self.assertEqual(self.service.objects.pop(("b", "k")), content)

    async def test_chunked(self) -> None:
        """HTTP's own chunks are fine."""
        body = form(self.fields(FIELDS), b"hello")
        fields = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Transfer-Encoding", b"chunked")]
        reply = await self.ask(wire(b"POST", b"/b", fields, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)), "POST")
        self.assertEqual((reply.status, self.service.objects["b", "k"]), (204, b"hello"))

    async def test_expect_continue(self) -> None:
        """A client that waits is asked for the body, because only that says whose it is."""
        body = form(self.fields(FIELDS))
        client = await self.connect()
        fields = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
        client.send(wire(b"POST", b"/b", [*fields, (b"Expect", b"100-continue")]))
        self.assertEqual((await client.reply("POST")).status, 100)
        client.send(body)
        self.assertEqual((await client.reply("POST")).status, 204)

    async def test_connection_goes_on(self) -> None:
        """The next request on the connection is served, after a form that was taken and one that was refused."""
        client = await self.connect()
        for fields, status in ((self.fields(FIELDS), 204), (FIELDS, 403), (self.fields(FIELDS), 204)):
            body = form(fields, b"x" * 100_000)
            head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
            client.send(wire(b"POST", b"/b", head, body))
            self.assertEqual((await client.reply("POST")).status, status)

    async def test_headers_of_the_object(self) -> None:
        """Fields say what the headers of a PUT say; the part's own type and the request's headers say nothing."""
        said = {
            "key": "k",
            "acl": "private",
            "Content-Type": "image/png",
            "Cache-Control": "no-store",
            "x-amz-meta-who": "Ada ☂",
            "x-amz-checksum-crc32": "AAAAAA==",
            "tagging": TAGGING,
            "x-ignore-this": "x",
        }
        conditions = [*PUBLIC, *(["starts-with", f"${name}", ""] for name in said if not name.startswith("x-ignore"))]
        headers = ((b"x-amz-meta-evil", b"1"), (b"x-amz-storage-class", b"GLACIER"))
        reply = await self.post(form(self.fields(said, *conditions)), headers=headers)
        self.assertEqual(reply.status, 204, reply.body)
        self.assertEqual(
            (self.input.acl, self.input.content_type, self.input.cache_control, self.input.tagging),
            ("private", "image/png", "no-store", "a+b=1%262"),
        )
        self.assertEqual((self.input.metadata, self.input.checksum_crc32), ({"who": "Ada ☂"}, "AAAAAA=="))
        self.assertIsNone(self.input.storage_class)

    async def test_file_name(self) -> None:
        """`${filename}` is the last piece of the path that was sent, in every field, before the policy looks."""
        said = {"key": "up/${filename}", "x-amz-meta-from": "${filename}"}
        conditions = [{"bucket": "b"}, {"key": "up/a.txt"}, {"x-amz-meta-from": "a.txt"}]
        for sent in ("a.txt", "C:\\docs\\a.txt", "/home/ada/a.txt"):
            reply = await self.post(form(self.fields(said, *conditions), b"x", sent))
            self.assertEqual(reply.status, 204)
            self.assertEqual((self.input.key, self.input.metadata), ("up/a.txt", {"from": "a.txt"}))

    async def test_no_file_name(self) -> None:
        """Without one the variable is empty."""
        self.assertEqual((await self.post(form(self.fields({"key": "up/${filename}"}), b"x", ""))).status, 204)
        self.assertEqual(self.input.key, "up/")

    async def test_length_range(self) -> None:
        """The file's size, and not the form's, is between the bounds."""
        for size in (3, 5):
            fields = self.fields(FIELDS, *PUBLIC, ["content-length-range", 3, 5])
            self.assertEqual((await self.post(form(fields, b"x" * size))).status, 204)

    async def test_PAR_2_keys_are_literal(self) -> None:
        """PAR-2: a key is what the field says, and so is what the policy compares."""
        for key in ("public/../private", "public/%2e%2e/private", "public%2F..%2Fprivate", "public//x", "./a", "a\\b"):
            self.assertEqual((await self.post(form(self.fields({"key": key})))).status, 204)
            self.assertEqual((self.input.bucket, self.input.key), ("b", key))
        refused = self.fields({"key": "private/x"}, {"bucket": "b"}, ["starts-with", "$key", "public/"])
        self.assertEqual((await self.post(form(refused))).status, 403)


class AnswerTests(FormCase):
    """What a form gets back."""

    async def answered(self, **wanted: str) -> Reply:
        """The answer to a form with these fields."""
        self.service.public = True
        return await self.post(form({"key": "a b/k", **wanted}, b"hello"))

    async def test_nothing(self) -> None:
        """204, where the object is, and its ETag; the same for a status that is none of three."""
        for wanted in ({}, {"success_action_status": "204"}, {"success_action_status": "404"}):
            reply = await self.answered(**wanted)
            self.assertEqual((reply.status, reply.body), (204, b""))
            self.assertEqual(reply.headers["location"], "http://localhost:9000/b/a%20b/k")
            self.assertEqual(reply.headers["etag"], '"5d41402abc4b2a76b9719d911017c592"')

    async def test_ok(self) -> None:
        """200 without a body."""
        reply = await self.answered(success_action_status="200")
        self.assertEqual((reply.status, reply.body), (200, b""))

    async def test_created(self) -> None:
        """201 with a document."""
        reply = await self.answered(success_action_status="201", key="a&b")
        self.assertEqual((reply.status, reply.headers["content-type"]), (201, "application/xml"))
        self.assertEqual(
            {element.tag: element.text for element in ElementTree.fromstring(reply.body)},
            {
                "Location": "http://localhost:9000/b/a%26b",
                "Bucket": "b",
                "Key": "a&b",
                "ETag": '"5d41402abc4b2a76b9719d911017c592"',
            },
        )

    async def test_redirect(self) -> None:
        """The browser is sent on, with what was stored; the fragment stays last."""
        added = "bucket=b&key=a%20b%2Fk&etag=%225d41402abc4b2a76b9719d911017c592%22"
        for name in ("success_action_redirect", "redirect"):
            for url, where in (
                ("https://page.example/done", f"https://page.example/done?{added}"),
                ("http://page.example/?a=1#top", f"http://page.example/?a=1&{added}#top"),
                ("http://page.example/ü ", f"http://page.example/%C3%BC%20?{added}"),
            ):
                reply = await self.answered(**{name: url, "success_action_status": "201"})
                self.assertEqual((reply.status, reply.body, reply.headers["location"]), (303, b"", where))

    async def test_no_redirect(self) -> None:
        """What is no URL of the web counts as not given."""
        for url in ("javascript:alert(1)", "//evil.example", "done.html", "http://", "http://[", ""):
            reply = await self.answered(success_action_redirect=url)
            self.assertEqual((reply.status, reply.headers["location"]), (204, "http://localhost:9000/b/a%20b/k"))

    async def test_PAR_7_line_breaks(self) -> None:
        """PAR-7: CR, LF and NUL in what becomes a header are refused before anything is stored."""
        for name in ("success_action_redirect", "redirect", "x-amz-meta-a", "Content-Type", "Cache-Control"):
            for text in ("http://a/\r\nSet-Cookie: a=b", "http://a/\nb", "http://a/\0"):
                self.assert_refused(await self.answered(**{name: text}), 400, "InvalidArgument")
        self.assert_refused(await self.answered(**{"x-amz-meta-a b: c": "d"}), 400, "InvalidArgument")


class PressureTests(FormCase):
    """A file flows only as fast as it is taken."""

    def options(self) -> dict[str, Any]:
        return {"limits": Limits(body_timeout=5.0)}

    async def test_PAR_5_waits_for_the_service(self) -> None:
        """PAR-5: while the service decides, and while it does not take bytes, no more than one piece is held."""
        body = form(self.fields(FIELDS), b"x" * 5_000_000)
        client = await self.connect()
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
        decided: Deferred[None] = Deferred()
        self.service.before_admission = lambda: decided
        client.send(wire(b"POST", b"/b", head, body))
        await self.until_read(1)
        for _ in range(50):
            await self.turn()
        (channel,) = self.site._channels
        assert channel._body is not None
        self.assertLess(channel._body.received, 200_000)
        self.assertGreater(client.unsent, 0)
        decided.callback(None)
        self.assertEqual((await client.reply("POST")).status, 204)
        self.assertEqual(len(self.service.objects["b", "k"]), 5_000_000)

    async def test_slow_files(self) -> None:
        """A file that comes too slowly is a RequestTimeout."""
        body = form(self.fields(FIELDS), b"x" * 5000)
        client = await self.connect()
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
        client.send(wire(b"POST", b"/b", head, body[:-4000]))
        await self.until_read(len(body) - 4000)
        for _ in range(14):
            self.clock.advance(1)
        self.assert_refused(await client.reply("POST"), 400, "RequestTimeout")

    async def test_errors_of_the_service(self) -> None:
        """What the operation raises after it took some of the file is the answer."""

        async def fail(caller: Caller, input: Any, body: Any) -> Any:
            await taken(body)
            raise AccessDenied()

        self.service.instead["PutObject"] = fail
        self.assert_refused(await self.post(form(self.fields(FIELDS), b"x" * 300_000)), 403, "AccessDenied")
