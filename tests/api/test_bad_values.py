"""Values that cannot be what they should be become errors in AWS's words; some are ignored, as the standards say."""

from __future__ import annotations

from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import (
    DomainError,
    InvalidArgument,
    InvalidRequest,
    InvalidStorageClass,
    MalformedXML,
    MissingRequestBody,
)

_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


class HeadTests(SynchronousTestCase):
    """Query values and headers."""

    def _parse(self, name: str, query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> object:
        return OPERATIONS[name].parse_head("b", "k", query or {}, headers or {})

    def _refused(
        self, error: type[DomainError], name: str, query: dict[str, str], headers: dict[str, str] | None = None
    ) -> DomainError:
        refused: DomainError = self.assertRaises(error, self._parse, name, query, headers)
        return refused

    def test_numbers(self) -> None:
        """What is no number, or none that fits, is InvalidArgument with name and value."""
        for value in ("x", "1.5", "1e3", " 1", "--1", "-", "²", "9" * 30, "1_0"):
            error = self._refused(InvalidArgument, "ListObjectsV2", {"max-keys": value})
            self.assertEqual(error.message, "Provided max-keys not an integer or within integer range")
            self.assertEqual(error.details, {"argument_name": "max-keys", "argument_value": value})

    def test_bounds(self) -> None:
        """A number beyond its bounds is InvalidArgument that names them; at its bounds it is taken."""
        for value in ("-1", "2147483648"):
            error = self._refused(InvalidArgument, "ListObjectsV2", {"max-keys": value})
            self.assertEqual(error.message, "Argument max-keys must be an integer between 0 and 2147483647")
        for value in ("0", "2147483647"):
            parsed = self._parse("ListObjectsV2", {"max-keys": value})
            self.assertEqual(parsed, types.ListObjectsV2Input(bucket="b", max_keys=int(value)))
        self._refused(InvalidArgument, "PutObject", {}, {"content-length": "9223372036854775808"})
        self._refused(InvalidArgument, "ListBuckets", {"max-buckets": "0"})

    def test_part_numbers(self) -> None:
        """A part number is one of 1 to 10000, and AWS has words of its own for others."""
        for value in ("0", "10001", "-1", "x"):
            error = self._refused(InvalidArgument, "UploadPart", {"partNumber": value, "uploadId": "u"})
            self.assertEqual(error.message, "Part number must be an integer between 1 and 10000, inclusive")
        for value in ("1", "10000"):
            parsed = self._parse("UploadPart", {"partNumber": value, "uploadId": "u"})
            self.assertEqual(parsed, types.UploadPartInput(bucket="b", key="k", part_number=int(value), upload_id="u"))

    def test_empty_values(self) -> None:
        """An empty number counts as absent, an empty text does not."""
        parsed = self._parse("ListObjectsV2", {"max-keys": "", "prefix": "", "fetch-owner": ""})
        self.assertEqual(parsed, types.ListObjectsV2Input(bucket="b", prefix=""))

    def test_booleans(self) -> None:
        """A boolean is true or false, in any case."""
        name = "x-amz-bypass-governance-retention"
        for value, expected in (("true", True), ("TRUE", True), ("False", False)):
            parsed = self._parse("DeleteObject", {}, {name: value})
            self.assertEqual(parsed, types.DeleteObjectInput(bucket="b", key="k", bypass_governance_retention=expected))
        for value in ("1", "yes", "true "):
            self._refused(InvalidArgument, "DeleteObject", {}, {name: value})

    def test_dates_of_http(self) -> None:
        """A date of HTTP that cannot be read is as if it had not come."""
        for value in ("yesterday", "", "Fri, 32 Jan 2026 00:00:00 GMT"):
            parsed = self._parse("GetObject", {}, {"if-modified-since": value})
            self.assertEqual(parsed, types.GetObjectInput(bucket="b", key="k"))
        parsed = self._parse("GetObject", {}, {"if-modified-since": "Fri, 02 Jan 2026 03:04:05 GMT"})
        self.assertEqual(
            parsed,
            types.GetObjectInput(bucket="b", key="k", if_modified_since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        )

    def test_dates_of_s3(self) -> None:
        """A condition or a retention of S3's own whose date cannot be read is refused, never ignored."""
        for name, header in (
            ("DeleteObject", "x-amz-if-match-last-modified-time"),
            ("CopyObject", "x-amz-copy-source-if-unmodified-since"),
            ("PutObject", "x-amz-object-lock-retain-until-date"),
        ):
            self._refused(InvalidArgument, name, {}, {header: "yesterday", "x-amz-copy-source": "/b/k"})
        expected = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        for value in ("2026-01-02T03:04:05Z", "Fri, 02 Jan 2026 03:04:05 GMT"):
            parsed = self._parse("PutObject", {}, {"x-amz-object-lock-retain-until-date": value})
            self.assertEqual(parsed, types.PutObjectInput(bucket="b", key="k", object_lock_retain_until_date=expected))

    def test_expires_is_text(self) -> None:
        """Expires is kept as it came."""
        parsed = self._parse("PutObject", {}, {"expires": "whenever"})
        self.assertEqual(parsed, types.PutObjectInput(bucket="b", key="k", expires="whenever"))

    def test_choices(self) -> None:
        """A value that an enumeration does not have is the error that AWS has for it."""
        error = self._refused(InvalidArgument, "ListObjects", {"encoding-type": "base64"})
        self.assertEqual(error.message, "Invalid Encoding Method specified in Request")
        self._refused(InvalidArgument, "PutObject", {}, {"x-amz-acl": "everybody"})
        self._refused(InvalidStorageClass, "PutObject", {}, {"x-amz-storage-class": "BASEMENT"})
        self._refused(InvalidRequest, "PutObject", {}, {"x-amz-sdk-checksum-algorithm": "CRC99"})
        copy = {"x-amz-copy-source": "/b/k", "x-amz-metadata-directive": "MERGE"}
        self.assertEqual(self._refused(InvalidArgument, "CopyObject", {}, copy).message, "Unknown metadata directive.")

    def test_canned_acls_of_objects_on_buckets(self) -> None:
        """A bucket may be created with a canned ACL that only means something for objects."""
        parsed = self._parse("CreateBucket", {}, {"x-amz-acl": "bucket-owner-full-control"})
        self.assertEqual(parsed, types.CreateBucketInput(bucket="b", acl="bucket-owner-full-control"))

    def test_lists(self) -> None:
        """A list in a header is separated by commas, with white space or without."""
        parsed = self._parse("GetObjectAttributes", {}, {"x-amz-object-attributes": "ETag, Checksum,ObjectSize"})
        expected = ["ETag", "Checksum", "ObjectSize"]
        self.assertEqual(parsed, types.GetObjectAttributesInput(bucket="b", key="k", object_attributes=expected))
        error = self._refused(InvalidArgument, "GetObjectAttributes", {}, {"x-amz-object-attributes": "ETag,Smell"})
        self.assertEqual(error.message, "Invalid attribute name specified.")

    def test_missing(self) -> None:
        """A request without a header or query key that the operation needs is InvalidRequest."""
        error = self._refused(InvalidRequest, "GetObjectAttributes", {})
        self.assertIn("x-amz-object-attributes", error.message)
        self._refused(InvalidRequest, "RenameObject", {"renameObject": ""})
        self._refused(InvalidRequest, "UploadPart", {"uploadId": "u", "partNumber": ""})

    def test_header_injection(self) -> None:
        """An override of the answer's headers cannot hold a line break."""
        self._refused(InvalidArgument, "GetObject", {"response-content-type": "a\r\nSet-Cookie: b"})
        parsed = self._parse("GetObject", {"response-content-disposition": 'attachment; filename="é"'})
        expected = 'attachment; filename="é"'
        self.assertEqual(parsed, types.GetObjectInput(bucket="b", key="k", response_content_disposition=expected))

    def test_metadata(self) -> None:
        """User metadata comes without its prefix; other headers are left alone."""
        parsed = self._parse("PutObject", {}, {"x-amz-meta-a": "1", "x-amz-meta-b-c": "", "host": "h", "x-amz-me": "2"})
        self.assertEqual(parsed, types.PutObjectInput(bucket="b", key="k", metadata={"a": "1", "b-c": ""}))


class DocumentTests(SynchronousTestCase):
    """Documents in bodies."""

    def _parse(self, name: str, document: str) -> object:
        operation = OPERATIONS[name]
        input = operation.input()
        operation.parse_payload(input, document.encode())
        return input

    def _refused(self, error: type[DomainError], name: str, document: str) -> None:
        self.assertRaises(error, self._parse, name, document)

    def test_namespaces(self) -> None:
        """A document is taken with the namespace of S3, with a prefix for it, and without."""
        expected = types.PutBucketTaggingInput(tagging=types.Tagging(tag_set=[types.Tag(key="k", value="v")]))
        for document in (
            "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
            f'<Tagging xmlns="{_XMLNS}"><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>',
            f'<s:Tagging xmlns:s="{_XMLNS}"><TagSet><s:Tag><Key>k</Key><Value>v</Value></s:Tag></TagSet></s:Tagging>',
        ):
            self.assertEqual(self._parse("PutBucketTagging", document), expected)

    def test_malformed(self) -> None:
        """Another root, a missing member, and values that are none are MalformedXML."""
        for name, document in (
            ("PutBucketTagging", "<TagSet/>"),
            (
                "PutBucketTagging",
                '<Tagging xmlns="urn:x"><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>',
            ),
            ("PutBucketTagging", "<Tagging/>"),
            ("PutBucketTagging", "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>"),
            ("PutBucketTagging", "<Tagging>"),
            ("PutBucketTagging", "no XML"),
            ("PutBucketTagging", "<Tagging><TagSet/><TagSet/></Tagging>"),
            ("PutObjectLegalHold", "<LegalHold><Status>ON</Status><Status>OFF</Status></LegalHold>"),
            ("DeleteObjects", "<Delete/>"),
            ("DeleteObjects", "<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object><Quiet>false</Quiet></Delete>"),
            ("DeleteObjects", "<Delete><Object><VersionId>1</VersionId></Object></Delete>"),
            ("DeleteObjects", "<Delete><Quiet>maybe</Quiet><Object><Key>k</Key></Object></Delete>"),
            (
                "CompleteMultipartUpload",
                "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
            ),
            (
                "CompleteMultipartUpload",
                f"<CompleteMultipartUpload><Part><PartNumber>{2**31}</PartNumber></Part></CompleteMultipartUpload>",
            ),
            ("PutBucketVersioning", "<VersioningConfiguration><Status>enabled</Status></VersioningConfiguration>"),
            ("PutBucketRequestPayment", "<RequestPaymentConfiguration><Payer>me</Payer></RequestPaymentConfiguration>"),
            ("PutObjectRetention", "<Retention><RetainUntilDate>soon</RetainUntilDate></Retention>"),
            (
                "PutObjectAcl",
                "<AccessControlPolicy><AccessControlList><Grant><Grantee><ID>i</ID></Grantee></Grant></AccessControlList></AccessControlPolicy>",
            ),
        ):
            self._refused(MalformedXML, name, document)

    def test_white_space(self) -> None:
        """White space around numbers, booleans and choices is of no interest; in text it is."""
        parsed = self._parse(
            "DeleteObjects", "<Delete>\n <Quiet> true\n</Quiet>\n<Object><Key> k\n</Key></Object></Delete>"
        )
        expected = types.Delete(quiet=True, objects=[types.ObjectIdentifier(key=" k\n")])
        self.assertEqual(parsed, types.DeleteObjectsInput(delete=expected))

    def test_unknown_elements(self) -> None:
        """Elements that the model does not know are skipped, with all that is inside."""
        document = (
            "<Tagging><New><TagSet/></New><TagSet><Other/><Tag><Key>k</Key><Value/><X>1</X></Tag></TagSet></Tagging>"
        )
        expected = types.PutBucketTaggingInput(tagging=types.Tagging(tag_set=[types.Tag(key="k", value="")]))
        self.assertEqual(self._parse("PutBucketTagging", document), expected)

    def test_no_document(self) -> None:
        """A missing document is an error where AWS has one, and no error where headers can say it all."""
        self._refused(MissingRequestBody, "PutBucketTagging", "")
        self._refused(MissingRequestBody, "PutBucketPolicy", "")
        self._refused(MalformedXML, "DeleteObjects", "")
        self._refused(MalformedXML, "CompleteMultipartUpload", "")
        for name in ("CreateBucket", "PutBucketAcl", "PutObjectAcl", "RestoreObject"):
            self.assertEqual(self._parse(name, ""), OPERATIONS[name].input())

    def test_text(self) -> None:
        """A policy is kept as it came, and must be text."""
        parsed = self._parse("PutBucketPolicy", '{"Version": "é"}')
        self.assertEqual(parsed, types.PutBucketPolicyInput(policy='{"Version": "é"}'))
        operation = OPERATIONS["PutBucketPolicy"]
        self.assertRaises(MalformedXML, operation.parse_payload, operation.input(), b"\xff")

    def test_regions_are_open(self) -> None:
        """Any region can be asked for: whether it is one is for the service to say."""
        document = (
            "<CreateBucketConfiguration><LocationConstraint>moon-1</LocationConstraint></CreateBucketConfiguration>"
        )
        expected = types.CreateBucketConfiguration(location_constraint="moon-1")
        self.assertEqual(
            self._parse("CreateBucket", document), types.CreateBucketInput(create_bucket_configuration=expected)
        )
