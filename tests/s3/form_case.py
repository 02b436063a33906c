"""What the tests of forms share."""

from __future__ import annotations

from typing import Any

from post3tw.api import types
from tests.s3.forms import CONTENT_TYPE, signed
from tests.s3.rawhttp import Reply
from tests.s3.serving import ServingTestCase, wire

PUBLIC = ({"bucket": "b"}, ["starts-with", "$key", ""])
FIELDS = {"key": "k"}
TAGGING = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>"


class FormCase(ServingTestCase):
    """Posts forms to bucket `b`."""

    async def post(
        self,
        body: bytes,
        *,
        target: bytes = b"/b",
        content_type: bytes | None = CONTENT_TYPE,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Reply:
        """Post a body."""
        fields = [(b"Host", b"localhost:9000"), *headers]
        if content_type is not None:
            fields.append((b"Content-Type", content_type))
        fields.append((b"Content-Length", b"%d" % len(body)))
        return await self.ask(wire(b"POST", target, fields, body), "POST")

    def fields(self, fields: dict[str, str], *conditions: Any, **how: Any) -> dict[str, str]:
        """Fields signed by alice, for bucket `b` and any key unless the conditions say something else."""
        return signed(fields, conditions or PUBLIC, now=self.ids.now(), **how)

    def assert_refused(self, reply: Reply, status: int, code: str) -> None:
        """The reply is this error, and nothing was stored."""
        self.assertEqual((reply.status, reply.code), (status, code), reply.body)
        self.assertEqual(self.service.objects, {})

    @property
    def input(self) -> types.PutObjectInput:
        """What the last operation was asked."""
        found: types.PutObjectInput = self.service.inputs[-1]
        return found
