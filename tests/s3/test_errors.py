"""The error catalogue, and errors as replies."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model import errors as domain
from post3tw.s3 import errors
from post3tw.s3.error_replies import element_name, error_reply
from post3tw.s3.errors import CODES, S3ErrorCode, code_of

PACKAGE = Path(errors.__file__).parents[1]


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*(_subclasses(sub) for sub in kind.__subclasses__()))


def _document(error: Exception) -> dict[str, str]:
    _, _, body = error_reply(error, "/b/k", "REQUEST", "HOST")
    return {element.tag: element.text or "" for element in ElementTree.fromstring(body)}


class CatalogueTests(SynchronousTestCase):
    """The table from domain errors to S3's."""

    def test_has_every_domain_error(self) -> None:
        """Each class of the model has its code."""
        classes = {kind for kind in _subclasses(domain.DomainError) if kind.__module__ == domain.__name__}
        self.assertEqual(classes - set(CODES), {domain.DomainError})

    def test_every_domain_error_is_raised(self) -> None:
        """None is kept that no other module names."""
        declaring = {PACKAGE / "model" / "errors.py", PACKAGE / "s3" / "errors.py"}
        words = {
            word
            for path in PACKAGE.rglob("*.py")
            if path not in declaring
            for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
        }
        self.assertEqual({kind.__name__ for kind in CODES} - words, set())

    def test_every_code_is_documented(self) -> None:
        """After each member stands what it means."""
        source = inspect.getsource(errors)
        for code in S3ErrorCode:
            self.assertRegex(source, re.compile(rf"    {code.name} = .*?\n    \"\"\"[A-Z]", re.DOTALL), code)

    def test_every_code_is_used(self) -> None:
        """What nothing is mapped to is not in the catalogue."""
        self.assertEqual(set(S3ErrorCode) - set(CODES.values()), set())

    def test_unknown_errors_are_internal(self) -> None:
        """What nobody expected is an InternalError, a subclass is what its base is."""

        class Special(domain.NoSuchKey):
            """A kind of NoSuchKey."""

        self.assertIs(code_of(ValueError()), S3ErrorCode.InternalError)
        self.assertIs(code_of(domain.DomainError()), S3ErrorCode.InternalError)
        self.assertIs(code_of(Special()), S3ErrorCode.NoSuchKey)


class ErrorReplyTests(SynchronousTestCase):
    """What goes over the wire."""

    def test_document(self) -> None:
        """Code, Message, details, Resource, RequestId and HostId, in this order."""
        status, headers, body = error_reply(domain.NoSuchKey(key="k"), "/b/k", "REQUEST", "HOST")
        expected = [("x-amz-delete-marker", "false"), ("Content-Type", "application/xml")]
        self.assertEqual((status, headers), (404, expected))
        self.assertEqual(
            body,
            b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not '
            b"exist.</Message><Key>k</Key><Resource>/b/k</Resource><RequestId>REQUEST</RequestId>"
            b"<HostId>HOST</HostId></Error>",
        )

    def test_says_more_when_there_is_more(self) -> None:
        """A message of the error replaces the catalogue's; details that are None are not there."""
        document = _document(domain.InvalidArgument("Oh no", argument_name="a", argument_value=None))
        self.assertEqual(document["Message"], "Oh no")
        self.assertEqual(document["ArgumentName"], "a")
        self.assertNotIn("ArgumentValue", document)

    def test_escapes(self) -> None:
        """Words of the client are text, even those that XML cannot have."""
        document = _document(domain.NoSuchKey(key="<a>&\x00\x1b\ud800é\U0001f600"))
        self.assertEqual(document["Key"], "<a>&\ufffd\ufffd\ufffdé\U0001f600")

    def test_hides_internal_errors(self) -> None:
        """An unexpected error says nothing about itself."""
        for error in (ValueError("secret"), domain.CorruptedData("secret", blob="secret")):
            status, _, body = error_reply(error, "/", "R", "H")
            self.assertEqual(status, 500)
            self.assertNotIn(b"secret", body)

    def test_element_names(self) -> None:
        """Details are named as AWS names them."""
        for detail, name in (
            ("key", "Key"),
            ("bucket_name", "BucketName"),
            ("aws_access_key_id", "AWSAccessKeyId"),
            ("upload_id", "UploadId"),
            ("version_id", "VersionId"),
            ("etag", "ETag"),
            ("part_number", "PartNumber"),
            ("content_md5", "Content-MD5"),
            ("x_amz_expires", "X-Amz-Expires"),
            ("client_computed_content_sha256", "ClientComputedContentSHA256"),
            ("s3_computed_content_sha256", "S3ComputedContentSHA256"),
            ("max_allowed_skew_milliseconds", "MaxAllowedSkewMilliseconds"),
        ):
            self.assertEqual(element_name(detail), name)

    def test_not_modified(self) -> None:
        """A 304 has validators and no body."""
        error = domain.NotModified(
            etag="abc", last_modified=datetime(2026, 1, 2, tzinfo=UTC), version_id="v", cache_control="no-cache"
        )
        status, headers, body = error_reply(error, "/b/k", "R", "H")
        self.assertEqual((status, body), (304, b""))
        self.assertEqual(
            dict(headers),
            {
                "ETag": '"abc"',
                "Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT",
                "x-amz-version-id": "v",
                "Cache-Control": "no-cache",
            },
        )

    def test_delete_markers(self) -> None:
        """That a delete marker is why is said in headers."""
        _, headers, _ = error_reply(domain.NoSuchKey(key="k", delete_marker=True, version_id="v"), "/", "R", "H")
        self.assertIn(("x-amz-delete-marker", "true"), headers)
        self.assertIn(("x-amz-version-id", "v"), headers)
        error = domain.MethodNotAllowed(
            resource_type="DeleteMarker", delete_marker=True, version_id="v", last_modified=0
        )
        status, headers, body = error_reply(error, "/", "R", "H")
        self.assertEqual(status, 405)
        self.assertIn(("Allow", "DELETE"), headers)
        self.assertIn(("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"), headers)
        self.assertNotIn(b"DeleteMarker>true", body)

    def test_methods_allowed(self) -> None:
        """A 405 says what would be allowed."""
        _, headers, _ = error_reply(domain.MethodNotAllowed(method="POST", resource_type="SERVICE"), "/", "R", "H")
        self.assertIn(("Allow", "GET"), headers)

    def test_when_to_come_back(self) -> None:
        """A 503 says when to try again."""
        for error in (domain.SlowDown(), domain.ServiceUnavailable()):
            status, headers, _ = error_reply(error, "/", "R", "H")
            self.assertEqual(status, 503)
            self.assertIn(("Retry-After", "1"), headers)

    def test_PAR_7_headers_stay_on_their_line(self) -> None:
        """Whatever a detail is, it does not end its header."""
        error = domain.NoSuchKey(key="k", delete_marker=True, version_id="v\r\nEvil: yes")
        _, headers, _ = error_reply(error, "/", "R", "H")
        self.assertIn(("x-amz-version-id", "v  Evil: yes"), headers)
