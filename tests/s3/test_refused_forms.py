"""Forms that are refused, on a real port. Names SIG-n are those of the advisories they come from."""

from __future__ import annotations

from typing import Any

from post3tw.api import types
from post3tw.model.errors import AccessDenied
from post3tw.model.identity import Caller
from post3tw.wire.multipart_form import MAX_FORM
from tests.s3.form_case import FIELDS, PUBLIC, TAGGING, FormCase
from tests.s3.forms import BOUNDARY, CONTENT_TYPE, form, part
from tests.s3.serving import wire


class RefusedTests(FormCase):
    """Forms that are refused, and leave nothing behind."""

    async def test_SIG_9_every_condition(self) -> None:
        """SIG-9: each kind of condition, violated."""
        for fields, conditions in (
            ({"key": "K"}, [{"bucket": "b"}, {"key": "k"}]),
            ({"key": "k"}, [{"bucket": "b"}, ["eq", "$key", "other"]]),
            ({"key": "private/k"}, [{"bucket": "b"}, ["starts-with", "$key", "public/"]]),
            ({"key": "k", "acl": "public-read"}, [*PUBLIC, {"acl": "private"}]),
            ({"key": "k", "acl": "public-read"}, PUBLIC),
            ({"key": "k", "x-amz-meta-a": "b"}, PUBLIC),
            ({"key": "k", "tagging": TAGGING}, PUBLIC),
            ({"key": "k"}, [*PUBLIC, {"x-amz-meta-a": "b"}]),
            ({"key": "k"}, [{"bucket": "other"}, ["starts-with", "$key", ""]]),
            ({"key": "k"}, [["starts-with", "$key", ""]]),
        ):
            reply = await self.post(form(self.fields(fields, *conditions)))
            self.assert_refused(reply, 403, "AccessDenied")
        self.assertEqual(self.service.admitted, [])

    async def test_SIG_9_expired(self) -> None:
        """SIG-9: a policy ends."""
        body = form(self.fields(FIELDS, lasts=1000))
        self.clock.advance(1)
        self.assert_refused(await self.post(body), 403, "AccessDenied")

    async def test_SIG_9_sizes(self) -> None:
        """SIG-9: too small or too large a file is refused with the codes of AWS."""
        for size, code in ((2, b"EntityTooSmall"), (6, b"EntityTooLarge"), (100_000, b"EntityTooLarge")):
            fields = self.fields(FIELDS, *PUBLIC, ["content-length-range", 3, 5])
            self.assert_refused(await self.post(form(fields, b"x" * size)), 400, code.decode())

    async def test_SIG_9_a_large_file_is_stopped(self) -> None:
        """SIG-9: the bound is enforced while the file streams: what comes after it is not asked for."""
        fields = self.fields(FIELDS, *PUBLIC, ["content-length-range", 0, 1000])
        client = await self.connect()
        start = form(fields, b"x" * 1001).removesuffix(b"\r\n--" + BOUNDARY + b"--\r\n")
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Transfer-Encoding", b"chunked")]
        client.send(wire(b"POST", b"/b", head, b"%x\r\n%b\r\n" % (len(start), start)))
        self.assert_refused(await client.reply("POST"), 400, "EntityTooLarge")

    async def test_SIG_9_a_large_form_is_refused_at_once(self) -> None:
        """SIG-9: a form that says how long it is, and is longer than the file may be, is not read."""
        fields = self.fields(FIELDS, *PUBLIC, ["content-length-range", 0, 1000])
        client = await self.connect()
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"30000")]
        client.send(wire(b"POST", b"/b", head, form(fields, b"x").removesuffix(b"\r\n--" + BOUNDARY + b"--\r\n")))
        self.assert_refused(await client.reply("POST"), 400, "EntityTooLarge")

    async def test_SIG_9_no_permission(self) -> None:
        """SIG-9: a good policy does not help who may not put the object."""

        async def refuse(caller: Caller, input: Any, *body: Any) -> Any:
            raise AssertionError("it ran")

        async def admit(caller: Caller, operation: str, input: Any) -> None:
            self.assertEqual((operation, input.key, caller.identity.user_id), ("PutObject", "k", "alice-id"))  # type: ignore[union-attr]
            raise AccessDenied()

        self.patch(self.service, "admit", admit)
        self.service.instead["PutObject"] = refuse
        self.assert_refused(await self.post(form(self.fields(FIELDS))), 403, "AccessDenied")

    async def test_SIG_10_another_bucket(self) -> None:
        """SIG-10: the bucket is that of the address; a field that names another one is refused, signed or not."""
        conditions = [["starts-with", "$bucket", ""], ["starts-with", "$key", ""]]
        body = form(self.fields({"bucket": "other", "key": "k"}, *conditions))
        self.assert_refused(await self.post(body), 400, "InvalidArgument")
        self.assert_refused(await self.post(form(self.fields(FIELDS)), target=b"/other"), 403, "AccessDenied")
        body = form(self.fields({"bucket": "other", "key": "k"}, {"bucket": "other"}, {"key": "k"}))
        self.assert_refused(await self.post(body), 403, "AccessDenied")
        self.service.public = True
        self.assert_refused(await self.post(form({"bucket": "other", "key": "k"})), 400, "InvalidArgument")

    async def test_SIG_2_signatures(self) -> None:
        """SIG-2: a wrong secret, a changed policy, an unknown or disabled key, a part of a signature."""
        self.service.public = True
        good = self.fields(FIELDS)
        for fields, status, code in (
            (self.fields(FIELDS, secret_key="guess"), 403, "SignatureDoesNotMatch"),
            ({**good, "policy": self.fields({"key": "x"}, {"bucket": "x"})["policy"]}, 403, "SignatureDoesNotMatch"),
            (self.fields(FIELDS, access_key="NOBODY"), 403, "InvalidAccessKeyId"),
            (self.fields(FIELDS, access_key="BOBKEY", secret_key="bob-secret"), 403, "InvalidAccessKeyId"),
            (self.fields(FIELDS, region="eu-west-1"), 400, "InvalidArgument"),
            ({n: v for n, v in good.items() if n != "x-amz-signature"}, 400, "InvalidArgument"),
            ({n: v for n, v in good.items() if n != "policy"}, 400, "InvalidArgument"),
            ({**good, "x-amz-security-token": "t"}, 400, "InvalidToken"),
            ({**good, "policy": good["policy"][4:]}, 403, "SignatureDoesNotMatch"),
        ):
            self.assert_refused(await self.post(form(fields)), status, code)

    async def test_SIG_5_headers_of_the_request(self) -> None:
        """SIG-5: x-amz-* headers beside a form have no effect, not even that of making it a copy."""
        headers = (
            (b"x-amz-copy-source", b"/b/secret"),
            (b"x-amz-acl", b"public-read"),
            (b"x-amz-tagging", b"a=b"),
            (b"x-amz-object-lock-mode", b"COMPLIANCE"),
        )
        self.assertEqual((await self.post(form(self.fields(FIELDS), b"hello"), headers=headers)).status, 204)
        self.assertEqual(self.service.objects, {("b", "k"): b"hello"})
        self.assertEqual(self.input, types.PutObjectInput(bucket="b", key="k", metadata=self.input.metadata))
        self.assertFalse(self.input.metadata)

    async def test_two_mechanisms(self) -> None:
        """A form is signed by its fields, and by nothing else."""
        reply = await self.ask(
            self.signed(b"POST", b"/b", [(b"content-type", CONTENT_TYPE)], form(self.fields(FIELDS))), "POST"
        )
        self.assert_refused(reply, 400, "InvalidArgument")

    async def test_fields(self) -> None:
        """No key, an empty one, a field that says something twice, bad tags, a checksum that nobody knows."""
        self.service.public = True
        for fields, code in (
            ({}, "InvalidArgument"),
            ({"key": ""}, "InvalidArgument"),
            ({"key": "a\x85b"}, "InvalidArgument"),
            ({"key": "k", "acl": "private", "x-amz-acl": "private"}, "InvalidArgument"),
            ({"key": "k", "tagging": "<Tagging>"}, "MalformedXML"),
            ({"key": "k", "tagging": TAGGING, "x-amz-tagging": "a=b"}, "InvalidArgument"),
            ({"key": "k", "x-amz-checksum-crc99": "AAAA"}, "InvalidRequest"),
            ({"key": "k", "policy": "e30="}, "InvalidArgument"),
        ):
            self.assert_refused(await self.post(form(fields)), 400, code)

    async def test_policies(self) -> None:
        """A policy that is none is told so, by whoever signed it."""
        bad: list[list[Any]] = [[{}], [["content-length-range", 0]], ["eq"]]
        for conditions in bad:
            self.assert_refused(await self.post(form(self.fields(FIELDS, *conditions))), 400, "InvalidPolicyDocument")

    async def test_bodies(self) -> None:
        """What is no form, no end of one, or not one file."""
        self.service.public = True
        for body, code in (
            (b"", "MalformedPOSTRequest"),
            (b"hello", "MalformedPOSTRequest"),
            (form(FIELDS)[:-4], "MalformedPOSTRequest"),
            (form(FIELDS)[:-60], "MalformedPOSTRequest"),
            (form(FIELDS, None), "IncorrectNumberOfFilesInPostRequest"),
            (form(FIELDS, after=part("file", b"2", "b")), "IncorrectNumberOfFilesInPostRequest"),
            (form({**FIELDS, "x-amz-meta-a": "x" * MAX_FORM}), "MaxPostPreDataLengthExceededError"),
            (form(FIELDS, after=part("late", b"x" * MAX_FORM)), "MaxPostPreDataLengthExceededError"),
        ):
            self.assert_refused(await self.post(body), 400, code)

    async def test_variables(self) -> None:
        """A long file name, many times, does not make a form larger than forms are."""
        self.service.public = True
        body = form({"key": "${filename}" * 100}, b"", "x" * 1000)
        self.assert_refused(await self.post(body), 400, "MaxPostPreDataLengthExceededError")

    async def test_content_types(self) -> None:
        """Another POST on a bucket is told what was expected."""
        for content_type in (None, b"application/x-www-form-urlencoded", b"text/plain"):
            reply = await self.post(b"a=b", content_type=content_type)
            self.assert_refused(reply, 412, "PreconditionFailed")
            self.assertIn(b"<Condition>Bucket POST must be of the enclosure-type multipart/form-data", reply.body)
        reply = await self.post(form(FIELDS), content_type=b"multipart/form-data")
        self.assert_refused(reply, 400, "MalformedPOSTRequest")

    async def test_no_length(self) -> None:
        """A form says how its body ends."""
        reply = await self.ask(wire(b"POST", b"/b", [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE)]), "POST")
        self.assert_refused(reply, 411, "MissingContentLength")

    async def test_the_rest_is_thrown_away(self) -> None:
        """What comes after a refusal is not looked at any more, and the next request on the connection is served."""
        body = form(FIELDS, b"x" * 100_000)
        client = await self.connect()
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
        client.send(wire(b"POST", b"/b", head, body[:500]))
        self.assert_refused(await client.reply("POST"), 403, "AccessDenied")
        (channel,) = self.site._channels
        assert channel._body is not None
        self.assertIsNone(channel._body._consumer)
        client.send(body[500:] + self.signed(b"GET", b"/b/missing"))
        self.assertEqual((await client.reply()).status, 404)

    async def test_client_goes_away(self) -> None:
        """A client that leaves in the middle of the file leaves nothing, and no traceback."""
        client = await self.connect()
        body = form(self.fields(FIELDS), b"x" * 1000)
        head = [(b"Host", b"h"), (b"Content-Type", CONTENT_TYPE), (b"Content-Length", b"%d" % len(body))]
        client.send(wire(b"POST", b"/b", head, body[:-500]))
        await self.until_read(len(body) - 500)
        client.abort()
        await self.records.until(1)
        self.assertEqual((self.service.objects, self.records.all[0].client_gone), ({}, True))
