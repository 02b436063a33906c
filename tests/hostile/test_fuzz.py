"""Every operation with every member spoilt in every way, and every document mangled: no accident, whatever comes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from random import Random

from post3tw.api.operation import Operation
from tests.hostile.attacks import Place, Request, mangled, routed, sound, spoilt
from tests.hostile.case import HostileCase, assert_well_formed
from tests.hostile.raw import Reply

LONG = os.environ.get("POST3_LONG") == "1"
SEED = int(os.environ.get("POST3_SEED", "20261121"))
"""Set it to see a failure again, or to look for others."""

OF_IMPLEMENTED, OF_OTHERS = (1, 1) if LONG else (3, 40)
"""One request in so many is sent."""

MANGLED = 3000 if LONG else 60
"""Documents of each operation."""


class FuzzTests(HostileCase):
    """Signed correctly, so that what is bad gets as far as it can."""

    def setUp(self) -> None:
        """Make a bucket that cannot be deleted, because something is in it, and one for objects."""
        super().setUp()
        self.random = Random(SEED)
        self.put("key", b"content")
        self.objects = f"{self.bucket}-objects"
        self.assertEqual(self.client.ask("PUT", f"/{self.objects}").status, 200)

    def place(self) -> Place:
        """A key, the source of a copy, and an upload of one part."""
        target = f"/{self.objects}/key"
        for key in ("key", "source"):
            self.assertEqual(self.client.ask("PUT", f"/{self.objects}/{key}", (), b"content").status, 200)
        created = self.client.ask("POST", f"{target}?uploads")
        upload = created.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        part = self.client.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", (), b"part")
        return Place(self.bucket, self.objects, "key", "source", upload, part.headers["etag"])

    def ask(self, request: Request) -> Reply:
        """Send a request."""
        return self.client.ask(request.operation.method, request.target, request.fields, request.body)

    def assert_sane(self, reply: Reply, told: object) -> None:
        """Whatever was asked, the reply is no accident and says nothing that the client put into its mouth."""
        self.assertTrue(reply.status < 500 or reply.status in (501, 503), (told, reply.status, reply.body))
        self.assertNotIn("x-evil", reply.headers, told)
        if reply.status >= 400 and reply.body:
            self.assertNotEqual(reply.code, "", told)
            assert_well_formed(self, reply.body)

    def sample(self, operation: Operation, requests: Iterable[tuple[str, bytes, Request]], rate: int) -> None:
        """Send some of the requests."""
        for name, value, request in requests:
            if self.random.randrange(rate) == 0:
                self.assert_sane(self.ask(request), (operation.name, name, value[:80]))

    def test_members(self) -> None:
        """Bad values in headers and queries are refused, ignored or taken: never an accident."""
        implemented = set()
        for operation in routed():
            request = sound(operation, self.place())
            if self.ask(request).status != 501:
                implemented.add(operation.name)
            rate = OF_IMPLEMENTED if operation.name in implemented else OF_OTHERS
            self.sample(operation, spoilt(sound(operation, self.place())), rate)
        self.assertLess({"CopyObject", "GetObject", "ListObjectsV2", "PutObject", "UploadPart"}, implemented)

    def test_documents(self) -> None:
        """Mangled documents are refused or taken: never an accident."""
        documents = [operation for operation in routed() if operation.body == "document"]
        for operation in documents:
            request = sound(operation, self.place())
            if self.ask(request).status == 501 or not request.body:
                continue
            for number in range(MANGLED):
                body = mangled(request.body, self.random)
                again = Request(operation, request.place, request.headers, request.query, body)
                self.assert_sane(self.ask(again), (operation.name, number, body[:200]))
