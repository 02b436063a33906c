"""What happens to a request, from its head to its record."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import NoSuchKey, NotModified, SlowDown
from tests.s3.doubles import Source
from tests.s3.serving import NOW, ServingTestCase, wire


class ReplyTests(ServingTestCase):
    """Replies of operations."""

    def setUp(self) -> None:
        super().setUp()
        self.service.objects["b", "k"] = b"hello"

    async def test_get(self) -> None:
        """A body in one piece, with the headers that every reply has."""
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assertEqual((reply.status, reply.body), (200, b"hello"))
        headers = reply.headers
        self.assertEqual(headers["server"], "post3")
        self.assertEqual(headers["content-length"], "5")
        self.assertEqual(headers["accept-ranges"], "bytes")
        self.assertRegex(headers["x-amz-request-id"], "^[0-9A-F]{16}$")
        self.assertGreater(len(headers["x-amz-id-2"]), 20)
        self.assertRegex(headers["date"], r"^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$")
        self.assertNotIn("connection", headers)

    async def test_head(self) -> None:
        """HEAD says how long the body would be and sends none, also when it fails."""
        client = await self.connect()
        client.send(self.signed(b"HEAD", b"/b/k") + self.signed(b"HEAD", b"/b/none") + self.signed(b"GET", b"/b/k"))
        reply = await client.reply("HEAD")
        self.assertEqual((reply.status, reply.headers["content-length"]), (200, "5"))
        reply = await client.reply("HEAD")
        self.assertEqual((reply.status, reply.headers.get("content-length")), (404, None))
        self.assertEqual((await client.reply()).body, b"hello")

    async def test_no_content(self) -> None:
        """204 has neither body nor length."""
        reply = await self.ask(self.signed(b"DELETE", b"/b/k"))
        self.assertEqual((reply.status, reply.headers.get("content-length")), (204, None))

    async def test_document(self) -> None:
        """Operations that answer with XML."""
        reply = await self.ask(self.signed(b"GET", b"/"))
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "application/xml"))
        self.assertIn(b"<ListAllMyBucketsResult", reply.body)

    async def test_source(self) -> None:
        """A body that flows, a part of the object."""
        source = Source(6)

        async def get(caller: object, input: object) -> types.GetObjectOutput:
            return types.GetObjectOutput(body=source, content_length=6, content_range="bytes 0-5/100")

        self.service.instead["GetObject"] = get
        client = await self.connect()
        client.send(self.signed(b"GET", b"/b/k"))
        while source.delivering is None:
            await self.turn()
        self.assertEqual(bytes(client.received), b"")
        source.consumer.write(b"abc")
        source.consumer.write(b"def")
        source.end()
        reply = await client.reply()
        self.assertEqual((reply.status, reply.body), (206, b"abcdef"))
        self.assertEqual(reply.headers["content-range"], "bytes 0-5/100")
        self.assertEqual(self.records.all[0].bytes_out, 6)

    async def test_an_empty_body(self) -> None:
        """No bytes are a body too."""
        self.service.objects["b", "k"] = b""
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "0", b""))

    async def test_not_modified(self) -> None:
        """304 has the validators and no body."""

        async def get(caller: object, input: object) -> types.GetObjectOutput:
            raise NotModified(etag="abc")

        self.service.instead["GetObject"] = get
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assertEqual((reply.status, reply.headers["etag"], reply.body), (304, '"abc"', b""))

    async def test_PAR_7_header_injection(self) -> None:
        """A value that would end its header line is refused: on a raw socket there is no such header."""

        async def get(caller: object, input: types.GetObjectInput) -> types.GetObjectOutput:
            return types.GetObjectOutput(body=b"x", content_length=1, content_type=input.response_content_type)

        self.service.instead["GetObject"] = get
        for value in (b"a%0D%0AEvil:%20yes", b"a%0AEvil:%20yes", b"a%0DEvil:%20yes", b"a%00"):
            reply = await self.ask(self.signed(b"GET", b"/b/k?response-content-type=" + value))
            self.assertEqual((reply.status, reply.code), (400, "InvalidArgument"), value)
            self.assertNotIn("evil", reply.headers)
        reply = await self.ask(self.signed(b"GET", b"/b/k?response-content-type=caf%C3%A9"))
        self.assertEqual(reply.headers["content-type"], "café")

    async def test_TW_3_errors_are_escaped(self) -> None:
        """Words of the client in an error document are text."""
        reply = await self.ask(self.signed(b"GET", b"/b/%3Cscript%3E"))
        self.assertIn(b"<Key>&lt;script&gt;</Key>", reply.body)
        self.assertEqual(reply.headers["content-type"], "application/xml")


class RefusalTests(ServingTestCase):
    """What never reaches an operation."""

    async def test_not_implemented(self) -> None:
        """Every operation that the service does not have is 501, for those who may know."""
        here = self.service.operations()
        for name in ("GetBucketPolicy", "PutBucketLifecycleConfiguration", "RestoreObject", "DeleteBucketCors"):
            operation = OPERATIONS[name]
            self.assertNotIn(name, here)
            target = (b"/", b"/b", b"/b/k")[operation.level] + b"?" + operation.selectors[0][0].encode()
            reply = await self.ask(self.signed(operation.method.encode(), target))
            self.assertEqual((reply.status, reply.code), (501, "NotImplemented"), name)
        self.assertEqual(self.service.admitted, [])

    async def test_unknown_sub_resources(self) -> None:
        """A query that we do not know never falls through to a plain operation."""
        self.service.objects["b", "k"] = b"hello"
        for method in (b"PUT", b"DELETE"):
            reply = await self.ask(self.signed(method, b"/b/k?frobnicate"))
            self.assertEqual((reply.status, reply.code), (501, "NotImplemented"))
        self.assertEqual(self.service.objects, {("b", "k"): b"hello"})

    async def test_unknown_methods(self) -> None:
        """A method that S3 has not is 405, and says which there are."""
        for method in (b"BREW", b"PATCH", b"TRACE", b"get"):
            reply = await self.ask(self.signed(method, b"/b/k"))
            self.assertEqual((reply.status, reply.code), (405, "MethodNotAllowed"), method)
            self.assertIn("GET", reply.headers["allow"])

    async def test_other_services(self) -> None:
        """A form for IAM or STS is refused at once."""
        form = b"Action=ListRoles&Version=2010-05-08"
        fields = [(b"Host", b"h"), (b"Content-Type", b"application/x-www-form-urlencoded"), (b"Content-Length", b"35")]
        reply = await self.ask(wire(b"POST", b"/", fields, form))
        self.assertEqual(reply.status, 405)

    async def test_PAR_6_odd_targets(self) -> None:
        """Targets that crashed others are answered with 4xx, and the next request is served."""
        client = await self.connect()
        for target, status in (
            (b"//", 400),
            (b"///", 400),
            (b"//k", 400),
            (b"/%", 400),
            (b"/b/%FF", 400),
            (b"/b/k?x=%", 400),
            (b"*", 400),
            (b"http://h", 403),
            (b"http://h//", 400),
        ):
            client.send(wire(b"GET", target, [(b"Host", b"h")]))
            self.assertEqual((await client.reply()).status, status, target)
        client.send(self.signed(b"PUT", b"/b/k", [(b"x-amz-copy-source", b"")]))
        self.assertLess((await client.reply()).status, 500)

    async def test_unexpected_errors(self) -> None:
        """An error that nobody expected is a 500 without details, logged once under the request's id."""

        async def get(caller: object, input: object) -> types.GetObjectOutput:
            raise ZeroDivisionError("secret")

        self.service.instead["GetObject"] = get
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assertEqual((reply.status, reply.code), (500, "InternalError"))
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_slow_down(self) -> None:
        """An error that passes says when to come back."""

        async def get(caller: object, input: object) -> types.GetObjectOutput:
            raise SlowDown()

        self.service.instead["GetObject"] = get
        reply = await self.ask(self.signed(b"GET", b"/b/k"))
        self.assertEqual((reply.status, reply.headers["retry-after"]), (503, "1"))


class RecordTests(ServingTestCase):
    """One record a request."""

    async def test_says_what_happened(self) -> None:
        """Operation, address, bytes, times, client."""
        admission: Deferred[None] = Deferred()
        self.service.before_admission = lambda: admission
        client = await self.connect()
        client.send(self.signed(b"PUT", b"/b/a%20k?x-id=PutObject", [(b"user-agent", b"me")], b"abc"))
        while not self.site.requests:
            await self.turn()
        self.clock.advance(0.25)
        admission.callback(None)
        await client.reply()
        (record,) = self.records.all
        self.assertEqual(
            (record.method, record.uri, record.operation, record.bucket, record.key),
            ("PUT", "/b/a%20k?x-id=PutObject", "PutObject", "b", "a k"),
        )
        self.assertEqual((record.status, record.error_code, record.client_gone), (200, None, False))
        self.assertEqual((record.bytes_in, record.bytes_out), (3, 0))
        self.assertEqual((record.time, record.duration, record.time_to_first_byte), (NOW, 0.25, 0.25))
        self.assertEqual((record.remote_ip, record.user_agent), ("127.0.0.1", "me"))

    async def test_of_errors(self) -> None:
        """A request that fails is recorded with its code, and one that was no request as well."""
        await self.ask(self.signed(b"GET", b"/b/none"))
        await self.ask(b"nonsense\r\n\r\n")
        found, nonsense = self.records.all
        self.assertEqual((found.operation, found.status, found.error_code), ("GetObject", 404, "NoSuchKey"))
        self.assertEqual((nonsense.operation, nonsense.status, nonsense.error_code), ("", 400, "BadRequest"))

    async def test_an_observer_that_fails(self) -> None:
        """An observer's error is its own: the reply is given, the other observers are told."""

        class Broken:
            """Fails."""

            def observe(self, record: Any) -> None:
                """Fail."""
                raise NoSuchKey()

        self.site.pipeline.observers = (Broken(), self.records)
        self.assertEqual((await self.ask(self.signed(b"GET", b"/b/none"))).status, 404)
        self.assertEqual(len(self.records.all), 1)
        self.assertEqual(len(self.flushLoggedErrors(NoSuchKey)), 1)
