"""Every output that we serialise is read by botocore as what it was."""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.wire.dates import from_millis
from tests.api.samples import MILLISECONDS, MODEL, NAMES, Sampler, instance

_PARSER = create_parser("rest-xml")

EXCEPTIONS = {
    "GetBucketLocation": "its root element is the value, which botocore reads in a handler of its own",
    "SelectObjectContent": "its body is a stream of events, which whoever answers frames",
}


def _parsed(name: str, output: Any) -> tuple[int, dict[str, Any]]:
    """Status and members as botocore reads them."""
    status, headers, body = OPERATIONS[name].serialise(output)
    response = {"status_code": status, "headers": HeadersDict(headers), "body": body}
    shape = MODEL.operation_model(name).output_shape
    parsed = _PARSER.parse(response, shape)
    del parsed["ResponseMetadata"]
    for member in list(parsed):
        if shape.members[member].serialization.get("streaming"):
            del parsed[member]
    return status, parsed


class AnswerTests(SynchronousTestCase):
    """Each output with all members, with none, and with some."""

    def _check(self, name: str, share: float) -> None:
        shape = MODEL.operation_model(name).output_shape
        members = Sampler(f"{name} {share}", share, MILLISECONDS).structure(shape) if shape else {}
        output = instance(OPERATIONS[name].output, members, shape) if shape else OPERATIONS[name].output()
        status, parsed = _parsed(name, output)
        payload = shape.serialization.get("payload") if shape else None
        if payload is not None and payload not in members:
            parsed.pop(payload, None)  # botocore makes an empty structure of an empty body
        if "Metadata" not in members:
            parsed.pop("Metadata", None)  # and an empty map of no headers
        self.assertEqual(parsed, members, name)
        partial = name in ("GetObject", "HeadObject") and "ContentRange" in members
        modelled = MODEL.operation_model(name).http.get("responseCode", 200)
        expected = 204 if name in ("PutBucketPolicy", "PutBucketTagging") else 206 if partial else modelled
        self.assertEqual(status, expected, name)
        self.assertEqual(OPERATIONS[name].status, 200 if partial else expected, name)

    def test_all_members(self) -> None:
        """An output with every member set is read as the same members."""
        for name in NAMES:
            if name not in EXCEPTIONS:
                self._check(name, 1.0)

    def test_some_members(self) -> None:
        """An output with any choice of members is read as these."""
        for name in NAMES:
            if name not in EXCEPTIONS:
                for share in (0.0, 0.3, 0.7):
                    self._check(name, share)


class DocumentTests(SynchronousTestCase):
    """What clients see beyond what botocore checks."""

    def _body(self, name: str, output: Any) -> str:
        return OPERATIONS[name].serialise(output)[2].decode()

    def test_bucket_location(self) -> None:
        """GetBucketLocation's root element is the location itself; that of us-east-1 is empty."""
        root = '<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        for location, text in (("eu-west-1", "eu-west-1"), (None, "")):
            document = self._body("GetBucketLocation", types.GetBucketLocationOutput(location_constraint=location))
            self.assertEqual(document, f"{root}{text}</LocationConstraint>")

    def test_roots(self) -> None:
        """Root elements are those of AWS's documents, in the namespace of S3."""
        for name, root in (
            ("ListBuckets", "ListAllMyBucketsResult"),
            ("ListObjects", "ListBucketResult"),
            ("ListObjectsV2", "ListBucketResult"),
            ("ListObjectVersions", "ListVersionsResult"),
            ("CreateMultipartUpload", "InitiateMultipartUploadResult"),
            ("CompleteMultipartUpload", "CompleteMultipartUploadResult"),
            ("DeleteObjects", "DeleteResult"),
            ("GetBucketTagging", "Tagging"),
            ("GetObjectAcl", "AccessControlPolicy"),
        ):
            document = self._body(name, OPERATIONS[name].output())
            self.assertTrue(document.endswith(f"</{root}>"), document)
            self.assertIn(f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', document)

    def test_payload_roots(self) -> None:
        """The root element of a payload is the payload's name."""
        output = types.CopyObjectOutput(copy_object_result=types.CopyObjectResult(last_modified=from_millis(1)))
        self.assertIn("<CopyObjectResult xmlns=", self._body("CopyObject", output))
        self.assertIn("<LastModified>1970-01-01T00:00:00.001Z</LastModified>", self._body("CopyObject", output))

    def test_lists(self) -> None:
        """An empty list with a wrapping element leaves the wrapper; an empty flattened list leaves nothing."""
        empty = self._body("ListBuckets", types.ListBucketsOutput(buckets=[]))
        self.assertIn("<Buckets></Buckets>", empty)
        document = self._body("ListObjectsV2", types.ListObjectsV2Output(contents=[], prefix=""))
        self.assertNotIn("Contents", document)
        self.assertIn("<Prefix></Prefix>", document)

    def test_escaping(self) -> None:
        """Keys that XML would misread are escaped, and quotes of ETags as AWS does."""
        listed = types.Object(key='<a&b>"\r\x01', etag='"0123456789abcdef-2"')
        document = self._body("ListObjectsV2", types.ListObjectsV2Output(contents=[listed]))
        self.assertIn("<Key>&lt;a&amp;b&gt;&quot;&#13;&#x1;</Key>", document)
        self.assertIn("<ETag>&quot;0123456789abcdef-2&quot;</ETag>", document)
        odd = self._body("ListObjectsV2", types.ListObjectsV2Output(contents=[types.Object(etag='"<&"')]))
        self.assertIn("<ETag>&quot;&lt;&amp;&quot;</ETag>", odd)

    def test_heads_have_no_body(self) -> None:
        """An answer to HEAD has headers only."""
        for name in ("HeadObject", "HeadBucket"):
            self.assertEqual(OPERATIONS[name].serialise(OPERATIONS[name].output())[2], b"")

    def test_content_types(self) -> None:
        """A document says that it is XML, a policy that it is JSON, and an answer without a body nothing."""
        for name, output, expected in (
            ("ListBuckets", types.ListBucketsOutput(), [("Content-Type", "application/xml")]),
            ("GetBucketPolicy", types.GetBucketPolicyOutput(policy="{}"), [("Content-Type", "application/json")]),
            ("PutObject", types.PutObjectOutput(), []),
        ):
            self.assertEqual(OPERATIONS[name].serialise(output)[1], expected)

    def test_secrets_are_not_shown(self) -> None:
        """The repr of an input has no customer key in it."""
        shown = repr(types.PutObjectInput(bucket="b", sse_customer_key="hush"))
        self.assertIn("bucket='b'", shown)
        self.assertNotIn("hush", shown)
