"""AWS Signature Version 2, in the query of a URL or in the Authorization header: reading it, checking it, making it.

Theory of operation
===================

The signature is HMAC-SHA1, with the secret as its key, of a *string to sign*: method, Content-MD5, Content-Type, the
time, every x-amz-* header, and the path with those parameters of the query that S3 calls sub-resources. The time is
when a URL expires, or the Date of a request; nothing when it has x-amz-date, which is signed with its kind.

It covers less than version 4: no other parameter, no other header, not the host. Therefore all sub-resources that make
another operation of a path are in `SIGNED_PARAMETERS`, those that Amazon's list leaves out as well: such a one that was
added to a URL breaks its signature.

The signer of a URL may write a header that it signs into the query instead, as botocore does. The header counts when
both come.

Source: "Signing and authenticating REST requests (AWS signature version 2)", Amazon S3 User Guide, with its "Query
string request authentication alternative".
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping

from attrs import field

from post3tw.model.errors import AccessDenied, ExpiredToken, InvalidArgument, InvalidRequest, SignatureDoesNotMatch
from post3tw.model.values import value_class
from post3tw.wire.canonical import Headers
from post3tw.wire.dates import iso8601, parse_amz_date, parse_http_date

SIGNED_PARAMETERS = frozenset(
    {
        "abac",
        "accelerate",
        "acl",
        "analytics",
        "annotation",
        "append",
        "attributes",
        "cors",
        "defaultObjectAcl",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "partNumber",
        "policy",
        "policyStatus",
        "position",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "retention",
        "select",
        "select-type",
        "session",
        "storageClass",
        "symlink",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "usage",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""Parameters of the query that are part of what is signed, if they are there."""

_PRESIGNED = ("AWSAccessKeyId", "Signature", "Expires")
_MAX_EXPIRES_DIGITS = 10

_second_parameter = re.compile(f"&(?:{'|'.join(sorted(SIGNED_PARAMETERS))})(?:[=&]|\\Z)").search
_header_name = re.compile("[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_control = re.compile("[\x00-\x1f\x7f]").search


@value_class
class Presigned:
    """What a query says: whose key, until when (seconds since the epoch, as sent), and the signature, as sent."""

    access_key: str
    expires: str
    signature: str = field(repr=False)

    @property
    def time(self) -> str:
        """The line of the string to sign that says when."""
        return self.expires


@value_class
class Authorization:
    """What an Authorization header says, and the line of the string to sign that says when it was signed."""

    access_key: str
    time: str
    signature: str = field(repr=False)


def parse_authorization(header: str, time: str) -> Authorization:
    """Read an Authorization header, `AWS access-key:signature`.

    Args:
        header: as sent.
        time: see `request_time`.

    Raises:
        InvalidArgument: it is none.
    """
    access_key, colon, signature = header.removeprefix("AWS ").strip().rpartition(":")
    if not (access_key and colon and signature) or not header.startswith("AWS "):
        raise InvalidArgument(
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
            argument_name="Authorization",
            argument_value=header,
        )
    return Authorization(access_key, time, signature)


def request_time(x_amz_date: str | None, date: str | None) -> tuple[str, int]:
    """The line of the string to sign for a request with an Authorization header, and when it was signed, in ms.

    Args:
        x_amz_date: the x-amz-date header; it wins, and leaves the line empty.
        date: the Date header.

    Raises:
        AccessDenied: neither is there, or the one that counts is unreadable or before 1970.
    """
    text = (date if x_amz_date is None else x_amz_date) or ""
    time = parse_http_date(text)
    if time is None:
        time = parse_amz_date(text)
    if time is None or time < 0:
        raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    return text if x_amz_date is None else "", time


def parse_presigned(parameters: Iterable[tuple[str, str]]) -> Presigned:
    """Read the authorization of a presigned request.

    Args:
        parameters: all parameters of the query, as `post3tw.wire.uri.parse_query` gives them.

    Raises:
        AccessDenied: one is missing, or Expires is not a number.
        InvalidRequest: one is repeated.
    """
    values: dict[str, str] = {}
    for name, value in parameters:
        if name in _PRESIGNED:
            if name in values:
                raise InvalidRequest(f"{name} must be given once.")
            values[name] = value
    if len(values) != len(_PRESIGNED):
        raise AccessDenied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    expires = values["Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _MAX_EXPIRES_DIGITS):
        raise AccessDenied("Invalid date (should be seconds since epoch)", expires=expires)
    return Presigned(values["AWSAccessKeyId"], expires, values["Signature"])


def check_expiry(presigned: Presigned, now: int) -> None:
    """Refuse a presigned request past its time; `now` in ms.

    Raises:
        ExpiredToken: it has expired; says when.
    """
    end = int(presigned.expires) * 1000
    if now > end:
        raise ExpiredToken("Request has expired", expires=iso8601(end), server_time=iso8601(now))


def is_signed_header(name: str) -> bool:
    """Whether a header, its name in lower case, is part of what is signed."""
    return name.startswith("x-amz-") or name in ("content-md5", "content-type")


def can_be_header(name: str, value: str) -> bool:
    """Whether a parameter, its name in lower case, could have come as a header."""
    return _header_name(name) is not None and _control(value) is None


def signed_headers(headers: Headers, parameters: Iterable[tuple[str, str]]) -> dict[bytes, bytes]:
    """The headers that are signed, and parameters that stand for one that did not come; by lower-case name.

    Raises:
        InvalidRequest: a parameter comes twice, or could not be a header. (With a line break in it, one could be
            signed as two.)
    """
    signed: dict[bytes, bytes] = {}
    for field_name, sent in headers:
        if is_signed_header(field_name.decode("latin-1")):
            text = sent.strip(b" \t")
            signed[field_name] = b"%b,%b" % (signed[field_name], text) if field_name in signed else text
    hoisted: dict[str, str] = {}
    for parameter, value in parameters:
        name = parameter.lower()
        if is_signed_header(name):
            if name in hoisted or not can_be_header(name, value):
                raise InvalidRequest(f"The parameter {name} is not a header that comes once.", header=name)
            hoisted[name] = value
    for name, value in hoisted.items():
        signed.setdefault(name.encode(), value.strip(" \t").encode())
    return signed


def canonical_resource(path: bytes, parameters: Iterable[tuple[str, str]]) -> bytes:
    """What a request is about, as it is signed.

    Args:
        path: raw; `/bucket` stands in front when only the host names the bucket.
        parameters: of the query, decoded, as they are signed.
    """
    signed = sorted((pair for pair in parameters if pair[0] in SIGNED_PARAMETERS), key=lambda pair: pair[0])
    if not signed:
        return path
    return path + b"?" + "&".join(f"{name}={value}" if value else name for name, value in signed).encode()


def string_to_sign(method: bytes, time: str, headers: Mapping[bytes, bytes], resource: bytes) -> bytes:
    """What is signed.

    Args:
        method: as sent.
        time: when it expires, or the date, as sent.
        headers: of `signed_headers`.
        resource: of `canonical_resource`.
    """
    lines = [method, headers.get(b"content-md5", b""), headers.get(b"content-type", b""), time.encode()]
    lines += [b"%b:%b" % (name, headers[name]) for name in sorted(headers) if name.startswith(b"x-amz-")]
    return b"\n".join([*lines, resource])


def signature(secret_key: str, text: bytes) -> bytes:
    """The signature of a string to sign, in Base64."""
    return base64.b64encode(hmac.digest(secret_key.encode(), text, "sha1"))


def verify(
    signed: Presigned | Authorization,
    secret_key: str,
    *,
    method: bytes,
    path: bytes,
    parameters: list[tuple[str, str]],
    headers: Mapping[bytes, bytes],
) -> None:
    """Check a request's signature. The time is checked apart.

    Args:
        signed: what the client sent.
        secret_key: the secret of `signed.access_key`.
        method: as sent.
        path: as `canonical_resource` takes it.
        parameters: all of the query, decoded.
        headers: of `signed_headers`.

    Raises:
        InvalidRequest: a parameter reads like two once it is signed.
        SignatureDoesNotMatch: with the string to sign, for the client to compare.
    """
    _refuse_ambiguous(parameters)
    text = string_to_sign(method, signed.time, headers, canonical_resource(path, parameters))
    accepted = [text]
    if path.count(b"/") == 1 and path != b"/":
        # A bucket: Amazon's clients sign a slash after it that they do not send.
        accepted.append(string_to_sign(method, signed.time, headers, canonical_resource(path + b"/", parameters)))
    provided = signed.signature.encode()
    if not any(hmac.compare_digest(signature(secret_key, each), provided) for each in accepted):
        raise SignatureDoesNotMatch(
            aws_access_key_id=signed.access_key,
            string_to_sign=text.decode("utf-8", "backslashreplace"),
            signature_provided=signed.signature,
        )


def _refuse_ambiguous(parameters: Iterable[tuple[str, str]]) -> None:
    """What is signed is decoded, so the name of a file with `&versionId=…` in it would sign as another version of the
    object, and whoever has a URL of that version could ask for the latest one."""
    for name, value in parameters:
        if name in SIGNED_PARAMETERS and _second_parameter(value) is not None:
            raise InvalidRequest(f"The value of the parameter {name} reads like another parameter.", parameter=name)
