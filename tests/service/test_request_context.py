"""Values of condition keys, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.model.bucket import Bucket
from post3tw.model.identity import Caller, Identity
from post3tw.service.policy.keys import canonical_key
from post3tw.service.request_context import _KEYS, _MEMBERS, RequestContext
from tests.service.access_case import ADA, EVE, NOBODY

NOW = 1_700_000_000_000
BUCKET = Bucket(1, "lab", "bucket", "ada", "Ada", 0, "us-east-1")


def values(
    key: str, operation: str = "PutObject", input: Any = None, identity: Identity | None = ADA, **caller: Any
) -> Sequence[str] | None:
    """The values of a key, for a request with this input."""
    name = canonical_key(key)
    assert name is not None, key
    asked = types.PutObjectInput() if input is None else input
    return RequestContext(Caller(identity, **caller), operation, asked, BUCKET, "eu-west-1", lambda: NOW).values(name)


class ContextTests(SynchronousTestCase):
    """RequestContext.values."""

    def test_keys_are_known_to_the_language(self) -> None:
        """Every key that has a value here may be used in a policy."""
        for key in (*_MEMBERS, *_KEYS):
            self.assertEqual(canonical_key(key), key)

    def test_members(self) -> None:
        """What the request's headers and query say, as the operation takes them."""
        put = types.PutObjectInput(acl="private", storage_class="STANDARD_IA", grant_read="id=x", if_none_match="*")
        for key, value in {
            "s3:x-amz-acl": ("private",),
            "s3:x-amz-storage-class": ("STANDARD_IA",),
            "s3:x-amz-grant-read": ("id=x",),
            "s3:if-none-match": ("*",),
            "s3:x-amz-grant-write": None,
            "s3:prefix": None,
        }.items():
            self.assertEqual(values(key, input=put), value, key)
        listed = types.ListObjectsV2Input(prefix="", delimiter="/", max_keys=7)
        for key, value in {"s3:prefix": ("",), "s3:delimiter": ("/",), "s3:max-keys": ("7",)}.items():
            self.assertEqual(values(key, "ListObjectsV2", listed), value)

    def test_who(self) -> None:
        """Who asks: by id, as ids are unique and names are not; an anonymous caller has no name."""
        for key, of_eve, of_nobody in (
            ("aws:userid", ("eve",), ("anonymous",)),
            ("aws:username", ("eve",), None),
            ("aws:PrincipalArn", ("arn:aws:iam::lab:user/eve",), None),
            ("aws:PrincipalAccount", ("lab",), None),
            ("aws:PrincipalType", ("User",), ("Anonymous",)),
        ):
            self.assertEqual((values(key, identity=EVE), values(key, identity=NOBODY)), (of_eve, of_nobody), key)

    def test_when_and_where(self) -> None:
        """The server's clock, region and connection."""
        self.assertEqual(values("aws:CurrentTime"), ("2023-11-14T22:13:20Z",))
        self.assertEqual(values("aws:EpochTime"), ("1700000000",))
        self.assertEqual(values("aws:SecureTransport"), ("false",))
        self.assertEqual(values("aws:SecureTransport", secure=True), ("true",))
        self.assertEqual(values("aws:SourceIp", source_ip="192.0.2.1"), ("192.0.2.1",))
        self.assertIsNone(values("aws:SourceIp"))
        self.assertEqual(values("aws:RequestedRegion"), ("eu-west-1",))
        self.assertEqual(values("s3:ResourceAccount"), ("lab",))

    def test_facts(self) -> None:
        """What the protocol knows, and only under names that nothing else has."""
        known = {"aws:useragent": "curl", "aws:userid": "root"}
        self.assertEqual(values("aws:UserAgent", facts=lambda: known), ("curl",))
        self.assertEqual(values("aws:userid", facts=lambda: known), ("ada",))

    def test_tags(self) -> None:
        """Tags that the request brings, in a header or in its document; unreadable ones are none."""
        header = types.PutObjectInput(tagging="colour=red&size=big")
        self.assertEqual(values("s3:RequestObjectTag/colour", input=header), ("red",))
        self.assertEqual(values("s3:RequestObjectTagKeys", input=header), ("colour", "size"))
        self.assertIsNone(values("s3:RequestObjectTag/Colour", input=header))
        document = types.PutObjectTaggingInput(tagging=types.Tagging(tag_set=[types.Tag(key="colour", value="red")]))
        self.assertEqual(values("s3:RequestObjectTag/colour", "PutObjectTagging", document), ("red",))
        self.assertIsNone(values("s3:RequestObjectTagKeys", input=types.PutObjectInput(tagging="a=1&a=2")))
        for directive, value in (("REPLACE", ("red",)), ("COPY", None), (None, None)):
            copy = types.CopyObjectInput(tagging="colour=red", tagging_directive=directive)
            self.assertEqual(values("s3:RequestObjectTag/colour", "CopyObject", copy), value, directive)

    def test_copies(self) -> None:
        """The source of a copy, in the one spelling that it has for everybody."""
        for header in ("from/a/b", "/from/a/b", "from/a%2Fb", "/from%2Fa/b?versionId=null"):
            input = types.CopyObjectInput(copy_source=header)
            self.assertEqual(values("s3:x-amz-copy-source", "CopyObject", input, EVE), ("from/a/b",), header)
        for header, value in (("lab:from/a/b", "from/a/b"), (":from/a/b", ":from/a/b"), ("t:from/a", "t:from/a")):
            input = types.CopyObjectInput(copy_source=header)
            self.assertEqual(values("s3:x-amz-copy-source", "CopyObject", input, EVE), (value,), header)
        self.assertIsNone(values("s3:x-amz-copy-source"))

    def test_creations(self) -> None:
        """Which of the operations that put make an object appear."""
        for operation, value in {"PutObject": ("true",), "UploadPart": ("false",), "GetObject": None}.items():
            self.assertEqual(values("s3:ObjectCreationOperation", operation), value)

    def test_locks(self) -> None:
        """A lock that the request asks for, in headers or in its document; days are counted up."""
        until = datetime.fromtimestamp(NOW / 1000 + 1.5 * 86400, UTC)
        header = types.PutObjectInput(
            object_lock_mode="GOVERNANCE", object_lock_retain_until_date=until, object_lock_legal_hold_status="ON"
        )
        retention = types.ObjectLockRetention(mode="GOVERNANCE", retain_until_date=until)
        document = types.PutObjectRetentionInput(retention=retention)
        for input in (header, document):
            self.assertEqual(values("s3:object-lock-mode", input=input), ("GOVERNANCE",))
            self.assertEqual(values("s3:object-lock-retain-until-date", input=input), ("2023-11-16T10:13:20Z",))
            self.assertEqual(values("s3:object-lock-remaining-retention-days", input=input), ("2",))
        self.assertEqual(values("s3:object-lock-legal-hold", input=header), ("ON",))
        held = types.PutObjectLegalHoldInput(legal_hold=types.ObjectLockLegalHold(status="OFF"))
        self.assertEqual(values("s3:object-lock-legal-hold", input=held), ("OFF",))
        for key in ("mode", "retain-until-date", "remaining-retention-days", "legal-hold"):
            self.assertIsNone(values(f"s3:object-lock-{key}"))
