"""Domain errors: what can go wrong, in the words of S3 but without HTTP.

Each class says one thing. Its keyword details become the extra elements of the error document (`key=` is shown as
`<Key>`, `bucket_name=` as `<BucketName>`); its optional text replaces the catalogue's default message. The only bridge
to status codes is the table in `post3tw.s3.errors`; a class that the table does not know is an InternalError there.
"""

from __future__ import annotations


class DomainError(Exception):
    """Base of everything a layer below the protocol may raise on purpose.

    Args:
        message: replaces the catalogue's default text when given; shown to the client, so it holds no secret.
        details: extra elements of the error document, in snake_case.
    """

    def __init__(self, message: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


# -- who may do what ------------------------------------------------------------------------------------------------


class AccessDenied(DomainError):
    """The caller may not do this, or is nobody."""


class InvalidAccessKeyId(DomainError):
    """No user has this access key, or the user is disabled. Details: aws_access_key_id."""


class SignatureDoesNotMatch(DomainError):
    """The signature is not the one that this secret makes of this request."""


class AuthorizationHeaderMalformed(DomainError):
    """The Authorization header or its credential scope cannot be understood. Details: region, when that is what is
    wrong."""


class AuthorizationQueryParametersError(DomainError):
    """The X-Amz-* query parameters of a presigned request cannot be understood."""


class RequestTimeTooSkewed(DomainError):
    """The request's time is more than 15 minutes away from ours. Details: request_time, server_time."""


class UnsignedHeaders(AccessDenied):
    """x-amz-* headers came with a signed request but were not signed. Details: headers_not_signed."""


class InvalidToken(DomainError):
    """A security token of a session; there are no sessions."""


class BucketChanged(DomainError):
    """The bucket is not in the state any more that the request was decided on; it is decided and run again."""


class MalformedPolicy(DomainError):
    """A policy that is no policy; the message says why."""


class MalformedACL(DomainError):
    """An access control list that is none; the message says why."""


class UnresolvableGrant(DomainError):
    """Nobody has the e-mail address of a grant."""


class AmbiguousGrant(DomainError):
    """Several users have the e-mail address of a grant."""


class AclsNotSupported(DomainError):
    """The bucket's owner owns every object in it (BucketOwnerEnforced), and lists are not taken."""


class UnexpectedContent(DomainError):
    """An access control list was described in two ways at once."""


class CorsNotEnabled(AccessDenied):
    """A preflight request to a bucket that does not answer them. Details: method, resource_type."""


class CorsNotAllowed(CorsNotEnabled):
    """No rule of the bucket allows what a preflight request asks for. Details: method, resource_type."""


class ExpiredToken(AccessDenied):
    """A presigned URL past its expiry ("Request has expired"). Details: expires, server_time."""


# -- buckets ----------------------------------------------------------------------------------------------------------


class NoSuchBucket(DomainError):
    """Details: bucket_name."""


class BucketAlreadyExists(DomainError):
    """The name is taken by somebody else. Details: bucket_name."""


class BucketAlreadyOwnedByYou(DomainError):
    """The name is taken, by the caller. Details: bucket_name."""


class BucketNotEmpty(DomainError):
    """Versions, delete markers or objects are left. Details: bucket_name."""


class InvalidBucketName(DomainError):
    """Details: bucket_name."""


class InvalidLocationConstraint(DomainError):
    """Details: location_constraint."""


class IllegalLocationConstraint(DomainError):
    """The constraint is incompatible with the region of this endpoint. Details: location_constraint."""


class NoSuchTagSet(DomainError):
    """The bucket has no tags. Details: bucket_name."""


class NoSuchCorsConfiguration(DomainError):
    """Details: bucket_name."""


class NoSuchBucketPolicy(DomainError):
    """Details: bucket_name."""


class NoPublicAccessBlock(DomainError):
    """Details: bucket_name."""


class NoOwnershipControls(DomainError):
    """Details: bucket_name."""


class AclsWithEnforcedOwner(DomainError):
    """A bucket with grants to others, or a list, cannot enforce its owner on every object."""


class InvalidBucketState(DomainError):
    """The bucket's versioning and object lock do not allow that. Details: bucket_name."""


class NoSuchConfiguration(DomainError):
    """The bucket has no configuration of this kind and id. Details: bucket_name."""


class NoSuchLifecycleConfiguration(DomainError):
    """Details: bucket_name."""


class NoSuchWebsiteConfiguration(DomainError):
    """Details: bucket_name."""


class NoReplicationConfiguration(DomainError):
    """Details: bucket_name."""


class NoEncryptionConfiguration(DomainError):
    """Details: bucket_name."""


class NoMetadataConfiguration(DomainError):
    """Details: bucket_name."""


class NoObjectLockConfiguration(DomainError):
    """The bucket was not made with object lock. Details: bucket_name."""


class InvalidRetentionPeriod(DomainError):
    """A default retention that is not a positive number of days or years, or too many."""


# -- objects ----------------------------------------------------------------------------------------------------------


class NoSuchKey(DomainError):
    """Details: key. `delete_marker` (bool) and `version_id` say that a delete marker is why."""


class NoSuchVersion(DomainError):
    """Details: key, version_id."""


class NoSuchObjectLock(DomainError):
    """The version has no retention, or no legal hold. Details: key."""


class MethodNotAllowed(DomainError):
    """The resource does not allow the method, for instance GET of a delete marker by version id.

    Details: method, resource_type; `delete_marker`, `version_id`, `last_modified` when a delete marker is why.
    """


class KeyTooLong(DomainError):
    """A key of more than 1024 bytes of UTF-8. Details: size, max_size_allowed."""


class EntityTooLarge(DomainError):
    """Details: proposed_size, max_size_allowed."""


class EntityTooSmall(DomainError):
    """A part but the last is under 5 MiB. Details: proposed_size, min_size_allowed, part_number, etag."""


class InvalidRange(DomainError):
    """The range starts past the end. Details: range_requested, actual_object_size."""


class PreconditionFailed(DomainError):
    """A condition of the request does not hold. Details: condition (the header's name)."""


class NotModified(DomainError):
    """A conditional read that needs no body. Carries the validators for the 304.

    Details: etag, last_modified (datetime), version_id, cache_control, expires, as far as they exist.
    """


class OperationAborted(DomainError):
    """What the decision rested on changed meanwhile; the client should try again."""


class MetadataTooLarge(DomainError):
    """User metadata over 2 KiB. Details: size, max_size_allowed."""


class InvalidStorageClass(DomainError):
    """Details: storage_class_requested."""


class InvalidTag(DomainError):
    """A tag key or value that S3 does not take. Details: tag_key, tag_value."""


# -- multipart --------------------------------------------------------------------------------------------------------


class NoSuchUpload(DomainError):
    """Details: upload_id."""


class InvalidPart(DomainError):
    """A listed part does not exist or has another ETag. Details: upload_id, part_number, etag."""


class InvalidPartOrder(DomainError):
    """Part numbers must ascend. Details: upload_id."""


# -- what the client sent ----------------------------------------------------------------------------------------------


class InvalidArgument(DomainError):
    """Details: argument_name, argument_value."""


class InvalidRequest(DomainError):
    """A request whose parts contradict each other, or that S3 does not take; the message says why."""


class InvalidURI(DomainError):
    """The request target cannot be read. Details: uri."""


class MalformedXML(DomainError):
    """The XML is not well-formed, not the published schema, too deep, too large, or has a DTD."""


class MissingRequestBody(DomainError):
    """A body was needed and none came."""


class MalformedTrailer(DomainError):
    """The trailer of an aws-chunked body cannot be read, or is not the one that was announced."""


class IncompleteBody(DomainError):
    """The body ended before the declared length."""


class ClientGone(DomainError):
    """The client closed the connection before its request was complete: nobody reads the answer."""


class RequestTimeout(DomainError):
    """The body came too slowly or stopped coming."""


class MissingContentLength(DomainError):
    """A body without any declared length."""


class InvalidDigest(DomainError):
    """Content-MD5 is not base64 of 16 bytes. Details: content_md5."""


class BadDigest(DomainError):
    """A body whose digest or checksum is not the declared one.

    Details: expected_digest, calculated_digest; the message names a checksum other than Content-MD5.
    """


class ContentSHA256Mismatch(DomainError):
    """x-amz-content-sha256 is not the body's. Details: client_computed_content_sha256, s3_computed_content_sha256."""


class HeadTooLarge(DomainError):
    """Request line and headers are more than we read: RequestHeaderSectionTooLarge. Details: max_size_allowed
    (bytes), when the size is why."""


class BodyTooLarge(DomainError):
    """A document body over its limit: MaxMessageLengthExceeded. Details: max_message_length_bytes."""


class BadRequest(DomainError):
    """Not HTTP as we read it; the message says why."""


# -- forms ------------------------------------------------------------------------------------------------------------


class MalformedForm(DomainError):
    """The body of a form is not well-formed multipart/form-data."""


class FormTooLarge(DomainError):
    """A form has too many bytes beside its file."""


class WrongNumberOfFiles(DomainError):
    """A form has no file, or two."""


class InvalidPolicyDocument(DomainError):
    """The policy of a form is no policy; the message says why."""


# -- the server -------------------------------------------------------------------------------------------------------


class NotImplementedHere(DomainError):
    """S3 has it and we do not (yet): `501 NotImplemented`. Details: operation, header, as far as they apply."""


class SlowDown(DomainError):
    """Too many requests or connections; try again later."""


class ServiceUnavailable(DomainError):
    """The store cannot answer now, shutting down for instance; try again later."""


class InsufficientStorage(DomainError):
    """The disk is full: `507 InsufficientStorage`."""


class StorageFailed(DomainError):
    """The disk or the file system failed. An internal error to the client; its text names the file and is for the log.

    Details: path, reason.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}", path=path, reason=reason)


class CorruptedData(DomainError):
    """Stored bytes do not match their checksum. An internal error to the client, and a loud one to us.

    Details: blob, frame.
    """


class BlobGone(DomainError):
    """A blob lost its lease or is condemned, so a row must not refer to it. The write has to start again."""
