"""What the model does not say, or says otherwise than AWS answers. By hand, with reasons."""

from __future__ import annotations

DROPPED = frozenset({"GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"})
"""Deprecated operations with the same method and path as their successors."""

MODULES = {
    "buckets": (
        "ListBuckets",
        "ListDirectoryBuckets",
        "CreateBucket",
        "HeadBucket",
        "DeleteBucket",
        "location",
        "session",
    ),
    "bucket_access": (
        *("abac", "acl", "cors", "ownershipControls", "policy", "policyStatus"),
        *("publicAccessBlock", "requestPayment", "website"),
    ),
    "bucket_content": (
        *("accelerate", "encryption", "intelligent-tiering", "lifecycle"),
        *("object-lock", "replication", "tagging", "versioning"),
    ),
    "bucket_reports": (
        *("analytics", "inventory", "logging", "metadataAnnotationTable", "metadataConfiguration"),
        *("metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics", "notification"),
    ),
    "listings": ("ListObjects", "list-type", "versions"),
    "multipart": ("uploadId", "partNumber", "uploads"),
    "objects": (
        *("CopyObject", "DeleteObject", "GetObject", "HeadObject", "PutObject", "WriteGetObjectResponse"),
        *("attributes", "delete", "renameObject", "select", "torrent"),
    ),
}
"""Which module an operation of a bucket or the service is in: by its name, or by the query key that selects it."""

OBJECT_SETTINGS = ("acl", "annotation", "encryption", "legal-hold", "restore", "retention", "tagging")
"""Query keys at the level of objects that select what is in the module `object_settings`."""

HEADER_SELECTORS = {"CopyObject": "x-amz-copy-source", "UploadPartCopy": "x-amz-copy-source"}
"""Operations that only a header tells from another one with the same method and path."""

STATUSES = {
    # AWS answers these with 204 No Content, as the examples of their API pages show; the model says nothing, so 200.
    "PutBucketPolicy": "204",
    "PutBucketTagging": "204",
    # A part of an object is 206 Partial Content, and only a part has a Content-Range.
    "GetObject": "200 if output.content_range is None else 206",
    "HeadObject": "200 if output.content_range is None else 206",
}
"""Status of a success, as an expression, where the model's is not what AWS answers."""

ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
"""Root element of an answer's document, as the API pages have it, where it is not the name of the output's shape.

Payloads name their own."""

OPTIONAL_BODY = frozenset({"CreateBucket", "PutBucketAcl", "PutObjectAcl", "RestoreObject"})
"""Operations whose document may be missing: headers or defaults stand in for it."""

MALFORMED_WHEN_EMPTY = frozenset({"CompleteMultipartUpload", "DeleteObjects"})
"""Operations that AWS answers with MalformedXML, not MissingRequestBodyError, when there is no document."""

MORE_VALUES = {
    # "If you specify this canned ACL when creating a bucket, Amazon S3 ignores it" (user guide, canned ACL), and
    # log-delivery-write, which the guide lists and the model does not.
    "BucketCannedACL": ("aws-exec-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"),
}
"""Values of enumerations that AWS takes beside those of the model."""

OPEN = frozenset(
    {
        "BucketLocationConstraint",  # regions are what a server's owner calls them; another one is not malformed
        "Event",  # InvalidArgument, not MalformedXML, and up to who delivers them
    }
)
"""Enumerations that are not checked when a request is read."""

CHOICE_MESSAGES = {
    "EncodingType": "Invalid Encoding Method specified in Request",
    "MetadataDirective": "Unknown metadata directive.",
    "ObjectAttributes": "Invalid attribute name specified.",
    "OptionalObjectAttributes": "Invalid attribute name specified.",
    "TaggingDirective": "Unknown tagging directive.",
}
"""What AWS says of a value that is not in an enumeration."""

CHOICE_READERS = {"ChecksumAlgorithm": "checksum_algorithm", "StorageClass": "storage_class"}
"""Enumerations whose wrong values are another error than InvalidArgument, with the reader of `runtime.py` for them."""

_PART_NUMBER = 'integer(1, 10000, message="Part number must be an integer between 1 and 10000, inclusive")'

INTEGERS = {
    "MaxBuckets": "integer(1, 10000)",
    "MaxKeys": "integer(0)",
    "MaxParts": "integer(0)",
    "MaxUploads": "integer(0)",
    "PartNumber": _PART_NUMBER,
    "PartNumberMarker": "integer(0)",
    "ContentLength": "integer(0, bits=64)",
    "MpuObjectSize": "integer(0, bits=64)",
    "WriteOffsetBytes": "integer(0, bits=64)",
}
"""How numbers of a head are read that have bounds, by the name of their shape."""

LENIENT_DATES = frozenset({"If-Modified-Since", "If-Unmodified-Since"})
"""Headers of RFC 9110 that a recipient ignores when their date is invalid. S3's own conditions are never ignored."""

LISTED = frozenset({"CommonPrefix", "DeleteMarkerEntry", "Object", "ObjectVersion"})
"""Structures of which an answer has hundreds: lists of them may be tables (`api/table.py`)."""
