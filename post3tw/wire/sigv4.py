"""AWS Signature Version 4: reading what a client signed, checking it, and making the same.

Theory of operation
===================

A request is signed by reducing it to a *canonical request* (method, path, query, chosen headers, payload hash), hashing
that into a *string to sign* together with time and scope, and HMAC-ing it with a key derived from the secret and the
scope. The server does the same from the raw request and compares.

Everything works on the raw bytes of the request head, because the canonical form is defined on them:

* path and query are those of `post3tw.wire.uri.split_target`, still encoded;
* `Headers` is the list of (lower-case name, value) pairs in the order received, both bytes, values as they came. A name
  may repeat; its values are joined by commas, as AWS does.

A caller goes: `parse_authorization` or `parse_presigned`, `check_scope`, the time (`request_time` and `check_skew`, or
`check_expiry`), then `verify`. Credentials, header lists and derived keys repeat from request to request, so they are
kept in bounded caches.

Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from attrs import field

from post3tw.model.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    ExpiredToken,
    InvalidArgument,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    UnsignedHeaders,
)
from post3tw.model.values import value_class
from post3tw.wire.canonical import Headers, canonical_query, canonical_request
from post3tw.wire.dates import amz_date, iso8601, parse_amz_date, parse_http_date
from post3tw.wire.hmac_keys import derived_key, hmac_hex

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINAL = "aws4_request"
UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest().encode()
MAX_SKEW = 15 * 60 * 1000
MAX_EXPIRES = 7 * 24 * 3600

_PRESIGNED = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")

_header_names = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+(?:;[!#$%&'*+\-.^_`|~0-9a-z]+)*").fullmatch
_scope_date = re.compile("[0-9]{8}").fullmatch
_SIGNATURE = re.compile(b"[0-9a-f]{64}").fullmatch
_LONGEST_CLAIMS = 1024
"""Bytes of an Authorization header without its signature that are worth keeping."""


@value_class
class Credential:
    """Who signed, and for what: `ACCESS_KEY/DATE/REGION/SERVICE/aws4_request`."""

    access_key: str
    date: str
    region: str
    service: str
    terminal: str = TERMINAL

    @property
    def scope(self) -> str:
        """What stands after the access key."""
        return f"{self.date}/{self.region}/{self.service}/{self.terminal}"


@value_class
class Authorization:
    """A signature and what it claims to cover.

    Attributes:
        credential: whose key, and its scope.
        signed_headers: names in the order that the client listed them.
        signature: as sent; nothing is known about its form.
    """

    credential: Credential
    signed_headers: tuple[bytes, ...]
    signature: bytes = field(repr=False)


@value_class
class Presigned:
    """An authorization in the query. `timestamp` is its X-Amz-Date, `time` the same in ms, `expires` is in seconds."""

    authorization: Authorization
    timestamp: str
    time: int
    expires: int


# -- what the client says ----------------------------------------------------------------------------------------------


def parse_authorization(value: bytes) -> Authorization:
    """Read an Authorization header; its three components may come in any order, with or without spaces.

    Raises:
        InvalidArgument: another kind of authorization.
        AuthorizationHeaderMalformed: version 4, but components are missing, repeated or unreadable.
    """
    claims, _, signature = value.rpartition(b"Signature=")
    if _SIGNATURE(signature) is not None and len(claims) <= _LONGEST_CLAIMS:
        try:
            return Authorization(*_parsed_claims(claims), signature)
        except (InvalidArgument, AuthorizationHeaderMalformed):
            pass  # it is said below, with the header as it came
    return _parse_authorization(value)


@lru_cache(maxsize=1024)
def _parsed_claims(claims: bytes) -> tuple[Credential, tuple[bytes, ...]]:
    """Whose key, and which headers, of an Authorization header whose signature stands at its end: until the date
    changes a client sends the same claims with each request."""
    parsed = _parse_authorization(claims + b"Signature=")
    return parsed.credential, parsed.signed_headers


def _parse_authorization(value: bytes) -> Authorization:
    algorithm, _, rest = value.strip(b" \t").partition(b" ")
    if algorithm != b"AWS4-HMAC-SHA256":
        raise _unsupported(value)
    components = {}
    pieces = rest.split(b",")
    for piece in pieces:
        name, _, text = piece.strip(b" \t").partition(b"=")
        components[name] = text
    if len(components) != len(pieces) or components.keys() != {b"Credential", b"SignedHeaders", b"Signature"}:
        raise _header_malformed(
            "the authorization header requires three components: Credential, SignedHeaders, and Signature."
        )
    credential = parse_credential(components[b"Credential"])
    if credential is None:
        raise _header_malformed(_EXPECTED_CREDENTIAL)
    signed_headers = _signed_headers(components[b"SignedHeaders"])
    if signed_headers is None:
        raise _header_malformed("the SignedHeaders are mal-formed; expecting lower-case names, each once.")
    return Authorization(credential, signed_headers, components[b"Signature"])


def parse_presigned(parameters: Iterable[tuple[str, str]]) -> Presigned:
    """Read the authorization of a presigned request.

    Args:
        parameters: all parameters of the query, as `post3tw.wire.uri.parse_query` gives them.

    Raises:
        AuthorizationQueryParametersError: one is missing, repeated or unreadable.
    """
    values: dict[str, str] = {}
    for name, value in parameters:
        if name.startswith("X-Amz-") and name[6:] in _PRESIGNED:
            if name[6:] in values:
                raise AuthorizationQueryParametersError(f"{name} must be given once.")
            values[name[6:]] = value
    if len(values) != len(_PRESIGNED):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if values["Algorithm"] != ALGORITHM:
        raise AuthorizationQueryParametersError(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    credential = parse_credential(values["Credential"].encode())
    if credential is None:
        raise AuthorizationQueryParametersError(f"Error parsing the X-Amz-Credential parameter; {_EXPECTED_CREDENTIAL}")
    signed_headers = _signed_headers(values["SignedHeaders"].encode())
    if signed_headers is None:
        raise AuthorizationQueryParametersError("X-Amz-SignedHeaders must hold lower-case names, each once.")
    time = parse_amz_date(values["Date"])
    if time is None:
        raise AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    authorization = Authorization(credential, signed_headers, values["Signature"].encode())
    return Presigned(authorization, values["Date"], time, _expires(values["Expires"]))


_EXPECTED_CREDENTIAL = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'


def _header_malformed(why: str, **details: object) -> AuthorizationHeaderMalformed:
    return AuthorizationHeaderMalformed(f"The authorization header is malformed; {why}", **details)


def _unsupported(value: bytes) -> InvalidArgument:
    shown = value.decode("ascii", "backslashreplace")
    return InvalidArgument("Unsupported Authorization Type", argument_name="Authorization", argument_value=shown)


def _expires(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    if text.startswith("-"):
        raise AccessDenied("X-Amz-Expires must be non-negative")
    if len(text) > 10 or not 1 <= int(text) <= MAX_EXPIRES:
        raise AccessDenied(f"X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds, a week")
    return int(text)


@lru_cache(maxsize=1024)
def parse_credential(text: bytes) -> Credential | None:
    """Read `ACCESS_KEY/DATE/REGION/SERVICE/aws4_request`; None when it is not that."""
    try:
        access_key, date, region, service, terminal = text.decode("ascii").rsplit("/", 4)
    except ValueError:
        return None
    if not (access_key and region and _scope_date(date)):
        return None
    return Credential(access_key, date, region, service, terminal)


@lru_cache(maxsize=256)
def _signed_headers(text: bytes) -> tuple[bytes, ...] | None:
    if not _header_names(text):
        return None
    names = tuple(text.split(b";"))
    return names if len(set(names)) == len(names) else None


# -- whether it may say so ---------------------------------------------------------------------------------------------


def check_scope(credential: Credential, region: str, timestamp: str, *, presigned: bool = False) -> None:
    """Refuse a scope that is not of this region, this service and the day of the request.

    Args:
        credential: what the client sent.
        region: ours.
        timestamp: the request's time as in X-Amz-Date.
        presigned: whether it came in the query.

    Raises:
        AuthorizationHeaderMalformed: in the header. Details: region, when that is wrong.
        AuthorizationQueryParametersError: in the query.
    """
    why = scope_fault(credential, region, timestamp)
    if why is None:
        return
    details: dict[str, object] = {} if credential.region == region else {"region": region}
    if presigned:
        raise AuthorizationQueryParametersError(f"Error parsing the X-Amz-Credential parameter; {why}", **details)
    raise _header_malformed(why, **details)


def scope_fault(credential: Credential, region: str, timestamp: str) -> str | None:
    """What is wrong with a scope that is to be of `region`, of this service and the day of `timestamp`; None if
    nothing is."""
    if credential.date != timestamp[:8]:
        return (
            f'Invalid credential date "{credential.date}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        )
    if credential.region != region:
        return f"the region '{credential.region}' is wrong; expecting '{region}'"
    if credential.service != "s3":
        return f'incorrect service "{credential.service}". This endpoint belongs to "s3".'
    if credential.terminal != TERMINAL:
        return f'incorrect terminal "{credential.terminal}". This endpoint uses "{TERMINAL}".'
    return None


def request_time(x_amz_date: str | None, date: str | None) -> tuple[str, int]:
    """When a request with an Authorization header was signed: as X-Amz-Date has it, and in ms.

    Args:
        x_amz_date: the x-amz-date header; it wins.
        date: the Date header, in that form or as an HTTP date.

    Raises:
        AccessDenied: neither is there, or the one that counts is unreadable.
    """
    text = date if x_amz_date is None else x_amz_date
    if text is not None:
        time = parse_amz_date(text)
        if time is not None:
            return text, time
        time = parse_http_date(text)
        if time is not None and x_amz_date is None:
            return amz_date(time), time
    raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")


def check_skew(time: int, now: int) -> None:
    """Refuse a request signed more than 15 minutes ago or ahead. Both in ms.

    Raises:
        RequestTimeTooSkewed: with both times.
    """
    if not -MAX_SKEW <= now - time <= MAX_SKEW:
        raise RequestTimeTooSkewed(
            request_time=amz_date(time),
            server_time=iso8601(now),
            max_allowed_skew_milliseconds=MAX_SKEW,
        )


def check_expiry(presigned: Presigned, now: int) -> None:
    """Refuse a presigned request past its time, or signed more than 15 minutes ahead of `now` (ms).

    Raises:
        ExpiredToken: it has expired; says when.
        AccessDenied: it is not valid yet.
    """
    end = presigned.time + presigned.expires * 1000
    if now > end:
        raise ExpiredToken(
            "Request has expired", x_amz_expires=presigned.expires, expires=iso8601(end), server_time=iso8601(now)
        )
    if now < presigned.time - MAX_SKEW:
        raise AccessDenied("Request is not valid yet", server_time=iso8601(now))


def unsigned_headers(headers: Headers, signed_headers: Sequence[bytes]) -> list[bytes]:
    """Names of headers that must be signed and are not: `host`, and every `x-amz-*` header that is there."""
    unsigned = [name for name, _ in headers if name[:6] == b"x-amz-" and name not in signed_headers]
    if b"host" not in signed_headers:
        unsigned.insert(0, b"host")
    return list(dict.fromkeys(unsigned)) if unsigned else unsigned


def verify(
    authorization: Authorization,
    secret_key: str,
    *,
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Headers,
    timestamp: str,
    payload_hash: bytes,
    presigned: bool = False,
) -> None:
    """Check a request's signature. Scope and time are checked apart.

    Args:
        authorization: what the client sent.
        secret_key: the secret of `authorization.credential.access_key`.
        method: as sent.
        path: raw, without query.
        query: raw, without `?`.
        headers: all of them, see `Headers`.
        timestamp: of `request_time`, or of `Presigned`.
        payload_hash: the value of x-amz-content-sha256; `UNSIGNED_PAYLOAD` for a presigned request that has none.
        presigned: whether the signature came in the query, which then is signed without it.

    Raises:
        UnsignedHeaders: host, or an x-amz-* header, is not among the signed ones.
        SignatureDoesNotMatch: with the string to sign and the canonical request, for the client to compare.
    """
    signed = authorization.signed_headers
    unsigned = unsigned_headers(headers, signed)
    if unsigned:
        raise UnsignedHeaders(
            "There were headers present in the request which were not signed",
            headers_not_signed=", ".join(name.decode("ascii", "backslashreplace") for name in unsigned),
        )
    credential = authorization.credential
    request = canonical_request(
        method, path, canonical_query(query, presigned=presigned), headers, signed, payload_hash
    )
    text = string_to_sign(timestamp, credential.scope, request)
    if not hmac.compare_digest(signature(signing_key(secret_key, credential), text), authorization.signature):
        raise SignatureDoesNotMatch(
            aws_access_key_id=credential.access_key,
            string_to_sign=text.decode(),
            signature_provided=authorization.signature.decode("ascii", "backslashreplace"),
            canonical_request=request.decode("utf-8", "backslashreplace"),
        )


# -- the signature -----------------------------------------------------------------------------------------------------


def string_to_sign(timestamp: str, scope: str, request: bytes) -> bytes:
    """What is signed for a canonical request."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(request).hexdigest()}".encode()


def signature(key: bytes, text: bytes) -> bytes:
    """The signature of a string to sign: 64 lower-case hex digits."""
    return hmac_hex(key, text).encode("ascii")


def signing_key(secret_key: str, credential: Credential) -> bytes:
    """The key for a scope, derived from a secret. Cached: deriving costs four HMACs."""
    return derived_key(secret_key, credential.date, credential.region, credential.service, TERMINAL)
