"""Which operation a request is, above all when it is none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api.operations import OPERATIONS
from post3tw.api.routes import NOT_ROUTED, route
from post3tw.model.errors import DomainError, InvalidArgument, InvalidRequest, MethodNotAllowed, NotImplementedHere

_COPY = {"x-amz-copy-source": "/b/k"}
_PRESIGNED = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "a/20260101/us-east-1/s3/aws4_request",
    "X-Amz-Date": "20260101T000000Z",
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "0",
    "X-Amz-Security-Token": "t",
    "x-id": "GetObject",
}


def _query(text: str) -> dict[str, str]:
    """`acl&prefix=a` as the protocol layer decodes it."""
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {key: value for key, _, value in pairs}


class RouteTests(SynchronousTestCase):
    """The table of traps."""

    def _check(self, method: str, level: int, query: str, expected: str, headers: dict[str, str] | None = None) -> None:
        operation = route(method, level, _query(query), headers or {})
        self.assertEqual(operation.name, expected, f"{method} {level} ?{query}")

    def _refused(self, error: type[DomainError], method: str, level: int, query: str) -> None:
        self.assertRaises(error, route, method, level, _query(query), {})

    def test_plain(self) -> None:
        """Without a query, method and path say everything."""
        for method, level, expected in (
            ("GET", 0, "ListBuckets"),
            ("GET", 1, "ListObjects"),
            ("PUT", 1, "CreateBucket"),
            ("HEAD", 1, "HeadBucket"),
            ("DELETE", 1, "DeleteBucket"),
            ("GET", 2, "GetObject"),
            ("HEAD", 2, "HeadObject"),
            ("PUT", 2, "PutObject"),
            ("DELETE", 2, "DeleteObject"),
        ):
            self._check(method, level, "", expected)

    def test_siblings(self) -> None:
        """Operations of the same method and path are told apart by what they need."""
        for method, level, query, headers, expected in (
            ("GET", 1, "list-type=2&prefix=a", {}, "ListObjectsV2"),
            ("GET", 1, "prefix=a&max-keys=1", {}, "ListObjects"),
            ("GET", 1, "versions&prefix=a", {}, "ListObjectVersions"),
            ("GET", 1, "uploads", {}, "ListMultipartUploads"),
            ("GET", 1, "session", {}, "CreateSession"),
            ("GET", 1, "analytics", {}, "ListBucketAnalyticsConfigurations"),
            ("GET", 1, "analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
            ("GET", 1, "inventory&continuation-token=1", {}, "ListBucketInventoryConfigurations"),
            ("POST", 1, "delete", {}, "DeleteObjects"),
            ("GET", 2, "partNumber=1", {}, "GetObject"),
            ("HEAD", 2, "partNumber=1&versionId=x", {}, "HeadObject"),
            ("GET", 2, "uploadId=1", {}, "ListParts"),
            ("GET", 2, "annotation", {}, "ListObjectAnnotations"),
            ("GET", 2, "annotation&annotationName=a", {}, "GetObjectAnnotation"),
            ("PUT", 2, "", _COPY, "CopyObject"),
            ("PUT", 2, "acl", _COPY, "PutObjectAcl"),
            ("PUT", 2, "partNumber=1&uploadId=1", {}, "UploadPart"),
            ("PUT", 2, "partNumber=1&uploadId=1", _COPY, "UploadPartCopy"),
            ("PUT", 2, "renameObject", {}, "RenameObject"),
            ("PUT", 2, "", {"x-amz-rename-source": "/b/k"}, "RenameObject"),
            ("POST", 2, "uploads", {}, "CreateMultipartUpload"),
            ("POST", 2, "uploadId=1", {}, "CompleteMultipartUpload"),
            ("POST", 2, "select&select-type=2", {}, "SelectObjectContent"),
            ("DELETE", 2, "uploadId=1", {}, "AbortMultipartUpload"),
            ("DELETE", 2, "versionId=1", {}, "DeleteObject"),
        ):
            self._check(method, level, query, expected, headers)

    def test_flags(self) -> None:
        """A sub-resource is the same with and without a value."""
        for query in ("acl", "acl=", "acl=x"):
            self._check("GET", 2, query, "GetObjectAcl")
            self._check("PUT", 1, query, "PutBucketAcl")

    def test_unknown_sub_resources_never_fall_through(self) -> None:
        """A flag that nobody knows is 501 on every method and level; with a value too, where something would change."""
        for method, level in (
            ("GET", 1),
            ("GET", 2),
            ("HEAD", 2),
            ("PUT", 1),
            ("PUT", 2),
            ("DELETE", 1),
            ("DELETE", 2),
        ):
            self._refused(NotImplementedHere, method, level, "nobodyKnowsThis")
            self._refused(NotImplementedHere, method, level, "ACL")
        for method, level in (("PUT", 1), ("PUT", 2), ("DELETE", 1), ("DELETE", 2)):
            self._refused(NotImplementedHere, method, level, "nobodyKnowsThis=1")
            self._refused(NotImplementedHere, method, level, "id=1")
            self._refused(NotImplementedHere, method, level, "prefix=a")
        self._refused(NotImplementedHere, "POST", 2, "uploads&nobodyKnowsThis=1")
        self._refused(NotImplementedHere, "GET", 0, "nobodyKnowsThis")

    def test_every_sub_resource_on_every_method(self) -> None:
        """A sub-resource of any operation never ends in an operation that does not know it."""
        keys = {key for operation in OPERATIONS.values() for key, _ in operation.selectors}
        for key in sorted(keys - {"id", "annotationName"}):
            for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
                for level in (0, 1, 2):
                    try:
                        operation = route(method, level, {key: ""}, {})
                    except (NotImplementedHere, MethodNotAllowed, InvalidRequest, InvalidArgument):
                        continue
                    self.assertIn(key, operation.query_keys, f"{method} {level} ?{key}")

    def test_the_wrong_method(self) -> None:
        """A sub-resource that has other methods here is 405, one that is of another level or server 501."""
        self._refused(MethodNotAllowed, "DELETE", 2, "acl")
        self._refused(MethodNotAllowed, "HEAD", 2, "uploadId=1")
        self._refused(MethodNotAllowed, "GET", 1, "delete")
        self._refused(MethodNotAllowed, "DELETE", 1, "versioning")
        self._refused(MethodNotAllowed, "HEAD", 1, "list-type=2")
        self._refused(NotImplementedHere, "GET", 2, "versioning")
        self._refused(NotImplementedHere, "POST", 2, "delete")
        self._refused(NotImplementedHere, "PUT", 2, "append&position=0")
        self._refused(NotImplementedHere, "GET", 0, "usage")

    def test_methods(self) -> None:
        """A method that nothing has here is 405; a form upload is 501."""
        for method, level in (
            ("PATCH", 2),
            ("HEAD", 0),
            ("POST", 0),
            ("DELETE", 0),
            ("OPTIONS", 1),
            ("get", 2),
            ("", 2),
        ):
            error = self.assertRaises(MethodNotAllowed, route, method, level, {}, {})
            self.assertEqual(error.details["method"], method)
        self._refused(MethodNotAllowed, "POST", 2, "")
        self._refused(NotImplementedHere, "POST", 1, "")

    def test_contradictions(self) -> None:
        """Two sub-resources at once are refused, as is one without what belongs to it."""
        self._refused(InvalidArgument, "GET", 2, "acl&tagging")
        self._refused(InvalidArgument, "DELETE", 1, "cors&policy")
        self._refused(InvalidArgument, "GET", 2, "uploadId=1&partNumber=1")
        self._refused(InvalidArgument, "GET", 1, "list-type=1")
        self._refused(InvalidRequest, "PUT", 2, "partNumber=1")
        self._refused(InvalidRequest, "PUT", 2, "uploadId=1")
        self._refused(InvalidRequest, "POST", 2, "select")
        self._refused(InvalidRequest, "DELETE", 1, "analytics")
        self._refused(InvalidArgument, "PUT", 2, "versionId=1")
        self._refused(InvalidArgument, "GET", 1, "versionId=1")

    def test_neutral_keys(self) -> None:
        """Keys that sign a request or change the answer's headers say nothing about the operation."""
        for method, level, expected in (
            ("GET", 2, "GetObject"),
            ("PUT", 2, "PutObject"),
            ("DELETE", 1, "DeleteBucket"),
        ):
            self.assertEqual(route(method, level, _PRESIGNED, {}).name, expected)
            self._check(method, level, "AWSAccessKeyId=a&Signature=b&Expires=1", expected)
            self._check(method, level, "x-amz-checksum-crc32=a&x-amz-sdk-checksum-algorithm=CRC32", expected)
        self._check("GET", 2, "response-content-type=a&response-expires=b", "GetObject")
        self.assertEqual(route("PUT", 2, {**_PRESIGNED, "tagging": ""}, {}).name, "PutObjectTagging")

    def test_hoisted_headers(self) -> None:
        """A header of the model that is in the query is refused, in any case: it would be ignored otherwise."""
        for query in ("x-amz-acl=public-read", "X-Amz-Storage-Class=GLACIER", "x-amz-meta-a=b"):
            self._refused(NotImplementedHere, "PUT", 2, query)
        self._check("DELETE", 2, "x-amz-acl=public-read", "DeleteObject")

    def test_cache_busters(self) -> None:
        """A GET or HEAD may have any key with a value, and members of other operations."""
        self._check("GET", 2, "v=1", "GetObject")
        self._check("HEAD", 2, "v=1&prefix=", "HeadObject")
        self._check("GET", 1, "location&prefix=", "GetBucketLocation")
        self._check("GET", 1, "id=1", "ListObjects")

    def test_not_routed(self) -> None:
        """Every operation has a request but those of AWS's other hosts."""
        for name, operation in OPERATIONS.items():
            query = {key: value or "1" for key, value in operation.selectors}
            headers = {operation.header: "1"} if operation.header else {}
            if name not in NOT_ROUTED:
                self.assertIs(route(operation.method, operation.level, query, headers), operation)
        self._check("GET", 0, "continuation-token=a&max-directory-buckets=1", "ListBuckets")
