"""The error catalogue of S3, and the one bridge to it from domain errors.

Codes, statuses and texts: "Error responses", Amazon S3 API Reference. A domain error that the table does not know is an
InternalError to the client: errors of the layers below are never shown unless they are meant to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from post3tw.model import errors as domain


class S3ErrorCode(Enum):
    """Every code we answer with: its name on the wire, its HTTP status, what AWS says unless there is more to say."""

    code: str
    status: int
    message: str

    def __init__(self, status: int, message: str) -> None:
        self.code = self.name
        self.status = status
        self.message = message

    AccessControlListNotSupported = 400, "The bucket does not allow ACLs"
    """The bucket's owner owns every object in it."""
    AccessDenied = 403, "Access Denied"
    """The caller may not do this."""
    AccessForbidden = 403, "CORSResponse: CORS is not enabled for this bucket."
    """A preflight request to a bucket that does not answer them."""
    AmbiguousGrantByEmailAddress = 400, "The email address you provided is associated with more than one account."
    """Several users have the address."""
    AuthorizationHeaderMalformed = 400, "The authorization header you provided is invalid."
    """The Authorization header or its scope cannot be understood."""
    AuthorizationQueryParametersError = 400, "Error parsing the X-Amz-Credential parameter."
    """The parameters of a presigned request cannot be understood."""
    BadDigest = 400, "The Content-MD5 you specified did not match what we received."
    """The body is not the one its digest or checksum promised."""
    BadRequest = 400, "The request could not be understood."
    """Not HTTP as it should be."""
    BucketAlreadyExists = (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    )
    """The bucket belongs to somebody else."""
    BucketAlreadyOwnedByYou = (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    )
    """The bucket is already the caller's."""
    BucketNotEmpty = 409, "The bucket you tried to delete is not empty"
    """A bucket is deleted when nothing is in it, old versions included."""
    EntityTooLarge = 400, "Your proposed upload exceeds the maximum allowed size"
    """More than 5 GiB in one piece."""
    EntityTooSmall = 400, "Your proposed upload is smaller than the minimum allowed size"
    """A part under 5 MiB that is not the last."""
    IllegalLocationConstraintException = (
        400,
        "The specified location constraint is incompatible for the region specific endpoint this request was sent to.",
    )
    """A bucket in another region than the endpoint's."""
    IncompleteBody = 400, "You did not provide the number of bytes specified by the Content-Length HTTP header"
    """The body ended early."""
    IncorrectNumberOfFilesInPostRequest = 400, "POST requires exactly one file upload per request."
    """A form without a file, or with two."""
    InsufficientStorage = 507, "There is not enough storage left to fulfil the request."
    """The disk is full. Not a code of AWS."""
    InternalError = 500, "We encountered an internal error. Please try again."
    """Our fault; the log has the rest under the request id."""
    InvalidAccessKeyId = 403, "The AWS Access Key Id you provided does not exist in our records."
    """Nobody has this key, or it is disabled."""
    InvalidArgument = 400, "Invalid Argument"
    """A parameter or header that S3 does not take."""
    InvalidBucketAclWithObjectOwnership = (
        400,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    )
    """Grants to others contradict what object ownership is to be."""
    InvalidBucketName = 400, "The specified bucket is not valid."
    """Not a name for a bucket."""
    InvalidBucketState = 409, "The request is not valid with the current state of the bucket."
    """What asks for versioning that is not enabled, or suspends what object lock needs."""
    InvalidDigest = 400, "The Content-MD5 you specified was invalid."
    """Content-MD5 is not a digest at all."""
    InvalidLocationConstraint = 400, "The specified location-constraint is not valid"
    """No such region."""
    InvalidPart = (
        400,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag.",
    )
    """Completing an upload with a part that is not there, or a GET of one."""
    InvalidPartOrder = 400, "The list of parts was not in ascending order. Parts must be ordered by part number."
    """Completing an upload with parts out of order."""
    InvalidPolicyDocument = (
        400,
        "The content of the form does not meet the conditions specified in the policy document.",
    )
    """The policy of a form is none."""
    InvalidRange = 416, "The requested range is not satisfiable"
    """A range that begins past the end."""
    InvalidRequest = 400, "Invalid Request"
    """Parts of the request contradict each other."""
    InvalidRetentionPeriod = 400, "Default retention period must be a positive integer value."
    """A default retention of no days or years, or of too many."""
    InvalidStorageClass = 400, "The storage class you specified is not valid"
    """No such class."""
    InvalidTag = 400, "The tag provided was not a valid tag."
    """A tag with characters or a length that tags have not."""
    InvalidToken = 400, "The provided token is malformed or otherwise invalid."
    """A security token, and there are none here."""
    InvalidURI = 400, "Couldn't parse the specified URI."
    """Bad escapes or bytes that are not UTF-8."""
    KeyTooLongError = 400, "Your key is too long"
    """More than 1024 bytes of UTF-8."""
    MalformedACLError = (
        400,
        "The ACL you provided was not well-formed or did not validate against our published schema",
    )
    """An access control list that is none."""
    MalformedPolicy = 400, "Policies must be valid JSON and the first byte must be '{'"
    """A policy that is none."""
    MalformedPOSTRequest = 400, "The body of your POST request is not well-formed multipart/form-data."
    """Not a form."""
    MalformedTrailerError = (
        400,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
    """The trailer of an aws-chunked body."""
    MalformedXML = (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
    """A document that is not XML, or not the one asked for."""
    MaxMessageLengthExceeded = 400, "Your request was too big."
    """A document longer than documents get."""
    MaxPostPreDataLengthExceededError = 400, "Your POST request fields preceding the upload file were too large."
    """More than 20 KiB of a form beside its file."""
    MetadataConfigurationNotFound = 404, "The metadata configuration does not exist."
    """The bucket has no metadata tables."""
    MetadataTooLarge = 400, "Your metadata headers exceed the maximum allowed metadata size"
    """More than 2 KiB of user metadata."""
    MethodNotAllowed = 405, "The specified method is not allowed against this resource."
    """The resource is there, the method is not."""
    MissingContentLength = 411, "You must provide the Content-Length HTTP header."
    """A body of which nobody knows how long it is."""
    MissingRequestBodyError = 400, "Request body is empty."
    """A document was to come and none did."""
    NoSuchBucket = 404, "The specified bucket does not exist"
    """No such bucket."""
    NoSuchBucketPolicy = 404, "The bucket policy does not exist"
    """The bucket has no policy."""
    NoSuchConfiguration = 404, "The specified configuration does not exist."
    """The bucket has no analytics, inventory, metrics or tiering configuration of this id."""
    NoSuchCORSConfiguration = 404, "The CORS configuration does not exist"
    """The bucket has no rules for other origins."""
    NoSuchKey = 404, "The specified key does not exist."
    """No such object, or a delete marker is its latest version."""
    NoSuchLifecycleConfiguration = 404, "The lifecycle configuration does not exist"
    """Nothing in the bucket expires by itself."""
    NoSuchObjectLockConfiguration = 404, "The specified object does not have a ObjectLock configuration"
    """The version has no retention, or no legal hold."""
    NoSuchPublicAccessBlockConfiguration = 404, "The public access block configuration was not found"
    """The bucket has no Public Access Block."""
    NoSuchTagSet = 404, "The TagSet does not exist"
    """The bucket has no tags."""
    NoSuchUpload = (
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    )
    """No such multipart upload."""
    NoSuchVersion = 404, "The specified version does not exist."
    """No such version of an object."""
    NoSuchWebsiteConfiguration = 404, "The specified bucket does not have a website configuration"
    """The bucket is no website."""
    NotImplemented = 501, "A header you provided implies functionality that is not implemented."
    """S3 has it and we have not, yet."""
    NotModified = 304, "Not Modified"
    """Nothing new; an answer without a body."""
    ObjectLockConfigurationNotFoundError = 404, "Object Lock configuration does not exist for this bucket"
    """The bucket has no object lock."""
    OperationAborted = (
        409,
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    )
    """What the decision rested on changed meanwhile."""
    OwnershipControlsNotFoundError = 404, "The bucket ownership controls were not found"
    """The bucket has no ownership controls."""
    PreconditionFailed = 412, "At least one of the pre-conditions you specified did not hold"
    """A condition does not hold."""
    ReplicationConfigurationNotFoundError = 404, "The replication configuration was not found"
    """The bucket is not replicated."""
    RequestHeaderSectionTooLarge = 400, "Your request header section exceeds the maximum allowed size."
    """A request line and headers longer than we read."""
    RequestTimeTooSkewed = 403, "The difference between the request time and the current time is too large."
    """More than 15 minutes between their clock and ours."""
    RequestTimeout = (
        400,
        "Your socket connection to the server was not read from or written to within the timeout period. Idle "
        "connections will be closed.",
    )
    """A head or a body that came too slowly."""
    ServerSideEncryptionConfigurationNotFoundError = 404, "The server side encryption configuration was not found"
    """The bucket encrypts nothing by default."""
    ServiceUnavailable = 503, "Service is unable to handle request."
    """Try again later, somewhere else perhaps."""
    SignatureDoesNotMatch = (
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    )
    """A wrong secret, or something changed the request on its way."""
    SlowDown = 503, "Please reduce your request rate."
    """More requests or connections than we take."""
    UnexpectedContent = 400, "This request contains unsupported content."
    """An access control list described in two ways at once."""
    UnresolvableGrantByEmailAddress = 400, "The email address you provided does not match any account on record."
    """Nobody has the address."""
    XAmzContentSHA256Mismatch = 400, "The provided 'x-amz-content-sha256' header does not match what was computed."
    """The body is not the one that was signed."""


CODES: Mapping[type[domain.DomainError], S3ErrorCode] = {
    domain.AccessDenied: S3ErrorCode.AccessDenied,
    domain.AclsNotSupported: S3ErrorCode.AccessControlListNotSupported,
    domain.AclsWithEnforcedOwner: S3ErrorCode.InvalidBucketAclWithObjectOwnership,
    domain.AmbiguousGrant: S3ErrorCode.AmbiguousGrantByEmailAddress,
    domain.AuthorizationHeaderMalformed: S3ErrorCode.AuthorizationHeaderMalformed,
    domain.AuthorizationQueryParametersError: S3ErrorCode.AuthorizationQueryParametersError,
    domain.BadDigest: S3ErrorCode.BadDigest,
    domain.BadRequest: S3ErrorCode.BadRequest,
    domain.BodyTooLarge: S3ErrorCode.MaxMessageLengthExceeded,
    domain.BucketAlreadyExists: S3ErrorCode.BucketAlreadyExists,
    domain.BucketAlreadyOwnedByYou: S3ErrorCode.BucketAlreadyOwnedByYou,
    domain.BucketChanged: S3ErrorCode.OperationAborted,
    domain.BucketNotEmpty: S3ErrorCode.BucketNotEmpty,
    domain.BlobGone: S3ErrorCode.SlowDown,  # clients send it again, as they must
    domain.ClientGone: S3ErrorCode.IncompleteBody,
    domain.CorsNotAllowed: S3ErrorCode.AccessForbidden,
    domain.CorsNotEnabled: S3ErrorCode.AccessForbidden,
    domain.ContentSHA256Mismatch: S3ErrorCode.XAmzContentSHA256Mismatch,
    domain.CorruptedData: S3ErrorCode.InternalError,
    domain.EntityTooLarge: S3ErrorCode.EntityTooLarge,
    domain.EntityTooSmall: S3ErrorCode.EntityTooSmall,
    domain.ExpiredToken: S3ErrorCode.AccessDenied,
    domain.FormTooLarge: S3ErrorCode.MaxPostPreDataLengthExceededError,
    domain.HeadTooLarge: S3ErrorCode.RequestHeaderSectionTooLarge,
    domain.IllegalLocationConstraint: S3ErrorCode.IllegalLocationConstraintException,
    domain.IncompleteBody: S3ErrorCode.IncompleteBody,
    domain.InsufficientStorage: S3ErrorCode.InsufficientStorage,
    domain.InvalidAccessKeyId: S3ErrorCode.InvalidAccessKeyId,
    domain.InvalidArgument: S3ErrorCode.InvalidArgument,
    domain.InvalidBucketName: S3ErrorCode.InvalidBucketName,
    domain.InvalidBucketState: S3ErrorCode.InvalidBucketState,
    domain.InvalidDigest: S3ErrorCode.InvalidDigest,
    domain.InvalidLocationConstraint: S3ErrorCode.InvalidLocationConstraint,
    domain.InvalidPart: S3ErrorCode.InvalidPart,
    domain.InvalidPartOrder: S3ErrorCode.InvalidPartOrder,
    domain.InvalidPolicyDocument: S3ErrorCode.InvalidPolicyDocument,
    domain.InvalidRange: S3ErrorCode.InvalidRange,
    domain.InvalidRequest: S3ErrorCode.InvalidRequest,
    domain.InvalidRetentionPeriod: S3ErrorCode.InvalidRetentionPeriod,
    domain.InvalidStorageClass: S3ErrorCode.InvalidStorageClass,
    domain.InvalidTag: S3ErrorCode.InvalidTag,
    domain.InvalidToken: S3ErrorCode.InvalidToken,
    domain.InvalidURI: S3ErrorCode.InvalidURI,
    domain.KeyTooLong: S3ErrorCode.KeyTooLongError,
    domain.MalformedACL: S3ErrorCode.MalformedACLError,
    domain.MalformedForm: S3ErrorCode.MalformedPOSTRequest,
    domain.MalformedPolicy: S3ErrorCode.MalformedPolicy,
    domain.MalformedTrailer: S3ErrorCode.MalformedTrailerError,
    domain.MalformedXML: S3ErrorCode.MalformedXML,
    domain.MetadataTooLarge: S3ErrorCode.MetadataTooLarge,
    domain.MethodNotAllowed: S3ErrorCode.MethodNotAllowed,
    domain.MissingContentLength: S3ErrorCode.MissingContentLength,
    domain.MissingRequestBody: S3ErrorCode.MissingRequestBodyError,
    domain.NoEncryptionConfiguration: S3ErrorCode.ServerSideEncryptionConfigurationNotFoundError,
    domain.NoMetadataConfiguration: S3ErrorCode.MetadataConfigurationNotFound,
    domain.NoObjectLockConfiguration: S3ErrorCode.ObjectLockConfigurationNotFoundError,
    domain.NoReplicationConfiguration: S3ErrorCode.ReplicationConfigurationNotFoundError,
    domain.NoOwnershipControls: S3ErrorCode.OwnershipControlsNotFoundError,
    domain.NoPublicAccessBlock: S3ErrorCode.NoSuchPublicAccessBlockConfiguration,
    domain.NoSuchBucket: S3ErrorCode.NoSuchBucket,
    domain.NoSuchConfiguration: S3ErrorCode.NoSuchConfiguration,
    domain.NoSuchCorsConfiguration: S3ErrorCode.NoSuchCORSConfiguration,
    domain.NoSuchBucketPolicy: S3ErrorCode.NoSuchBucketPolicy,
    domain.NoSuchKey: S3ErrorCode.NoSuchKey,
    domain.NoSuchLifecycleConfiguration: S3ErrorCode.NoSuchLifecycleConfiguration,
    domain.NoSuchObjectLock: S3ErrorCode.NoSuchObjectLockConfiguration,
    domain.NoSuchTagSet: S3ErrorCode.NoSuchTagSet,
    domain.NoSuchUpload: S3ErrorCode.NoSuchUpload,
    domain.NoSuchVersion: S3ErrorCode.NoSuchVersion,
    domain.NoSuchWebsiteConfiguration: S3ErrorCode.NoSuchWebsiteConfiguration,
    domain.NotImplementedHere: S3ErrorCode.NotImplemented,
    domain.NotModified: S3ErrorCode.NotModified,
    domain.OperationAborted: S3ErrorCode.OperationAborted,
    domain.PreconditionFailed: S3ErrorCode.PreconditionFailed,
    domain.RequestTimeTooSkewed: S3ErrorCode.RequestTimeTooSkewed,
    domain.RequestTimeout: S3ErrorCode.RequestTimeout,
    domain.ServiceUnavailable: S3ErrorCode.ServiceUnavailable,
    domain.SignatureDoesNotMatch: S3ErrorCode.SignatureDoesNotMatch,
    domain.SlowDown: S3ErrorCode.SlowDown,
    domain.StorageFailed: S3ErrorCode.InternalError,
    domain.UnexpectedContent: S3ErrorCode.UnexpectedContent,
    domain.UnresolvableGrant: S3ErrorCode.UnresolvableGrantByEmailAddress,
    domain.UnsignedHeaders: S3ErrorCode.AccessDenied,
    domain.WrongNumberOfFiles: S3ErrorCode.IncorrectNumberOfFilesInPostRequest,
}
"""Domain error to S3's; subclasses that are not in it are what their base is."""


def code_of(error: BaseException) -> S3ErrorCode:
    """What S3 calls an error. What nobody expected is an InternalError."""
    for kind in type(error).__mro__:
        code = CODES.get(kind)
        if code is not None:
            return code
    return S3ErrorCode.InternalError
