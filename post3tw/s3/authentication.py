"""Who is asking: signature version 4 or 2 in the Authorization header or in the query, or nobody.

The answer says two things: whose request it is, and how its body is vouched for (the payload mode of x-amz-content-
sha256). The second is part of the first: a body is only trusted as far as the signature reaches.

Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import field, frozen

from post3tw.model.errors import (
    AccessDenied,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    NotImplementedHere,
    SignatureDoesNotMatch,
)
from post3tw.model.identity import Identity
from post3tw.model.values import value_class
from post3tw.s3.addressing import Address
from post3tw.s3.exchange import RequestHead
from post3tw.wire import sigv2, sigv4
from post3tw.wire.aws_chunked import SignatureChain


class Credential(Protocol):
    """What is kept with an access key."""

    @property
    def identity(self) -> Identity:
        """Whose it is."""

    @property
    def secret(self) -> str:
        """What it signs with."""

    @property
    def disabled(self) -> bool:
        """Whether it is refused."""


class IdentitySource(Protocol):
    """Where access keys are looked up."""

    def credential(self, access_key: str) -> Credential | None:
        """The credential of an access key, None when nobody has it."""


@value_class
class Payload:
    """How a body is vouched for, and so how it is framed.

    Attributes:
        sha256: of the whole body in lower-case hexadecimal, when it was signed; None otherwise.
        chunked: whether the body has the framing of aws-chunked.
        trailer: whether trailing headers follow its chunks.
        chain: checks the signatures of chunks that are signed.
    """

    sha256: str | None = None
    chunked: bool = False
    trailer: bool = False
    chain: SignatureChain | None = None


UNSIGNED = Payload()

_SIGNED_CHUNKS = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": False,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": True,
}
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_NOT_OURS = re.compile("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD(-TRAILER)?")
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_CONTENT_SHA256 = "x-amz-content-sha256"
_AUTHORIZATION_OF_VERSION_2 = "AWS "
_VERSION_4 = frozenset({"X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential"})
_VERSION_2 = frozenset({"AWSAccessKeyId", "Signature"})
_SESSION = frozenset({"X-Amz-Security-Token", "x-amz-security-token"})


@frozen
class Authenticator:
    """Checks signatures.

    Args:
        identities: where access keys are looked up.
        region: what a scope must name.
        now: milliseconds since the epoch.
    """

    identities: IdentitySource
    region: str
    now: Callable[[], int]
    _nobody: str = field(factory=lambda: secrets.token_urlsafe(30), init=False, repr=False)
    """Stands in for the secret of an unknown access key, so that finding it unknown takes as long as checking a known
    one."""

    def authenticate(self, head: RequestHead, address: Address) -> tuple[Identity | None, Payload]:
        """Who signed the request, None when nobody did; and how its body is to be read.

        Raises:
            InvalidAccessKeyId, SignatureDoesNotMatch, UnsignedHeaders, RequestTimeTooSkewed, ExpiredToken,
            AccessDenied, AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidArgument,
            InvalidRequest, InvalidToken, NotImplementedHere.
        """
        _refuse_repeated(head)
        header = head.headers.get("authorization")
        arguments = address.arguments
        if "x-amz-security-token" in head.headers or not _SESSION.isdisjoint(arguments):
            raise InvalidToken()
        if arguments:
            version_4 = not _VERSION_4.isdisjoint(arguments)
            version_2 = not _VERSION_2.isdisjoint(arguments)
            if version_4 + version_2 + (header is not None) > 1:
                raise _two_mechanisms(header, arguments)
            if version_4:
                return self._presigned(head, address)
            if version_2:
                return self._presigned_by_version_2(head, address)
        if header and header.startswith(_AUTHORIZATION_OF_VERSION_2):
            return self._signed_by_version_2(head, address, header)
        if header:  # an empty one names nobody
            return self._signed(head, address, header)
        return None, _payload(head.headers.get(_CONTENT_SHA256, "UNSIGNED-PAYLOAD"), None)

    def holder(self, access_key: str, verify: Callable[[str], None]) -> Identity:
        """Whose an access key is, after `verify` found a signature to be made with its secret; for signatures that are
        not in the request's head.

        Raises:
            InvalidAccessKeyId, and what `verify` raises.
        """
        return self._credential(access_key, verify).identity

    def claimed_tenant(self, head: RequestHead, address: Address) -> str:
        """The tenant of the access key that a request names, whether or not its signature is good; "" when it names
        none. Good for nothing but finding out which bucket is meant."""
        arguments = address.arguments
        access_key = arguments.get("X-Amz-Credential", "").partition("/")[0] or arguments.get("AWSAccessKeyId", "")
        access_key = access_key or _claimed_key(head.headers.get("authorization", ""))
        credential = self.identities.credential(access_key) if access_key else None
        return credential.identity.tenant if credential is not None else ""

    def _signed(self, head: RequestHead, address: Address, header: str) -> tuple[Identity, Payload]:
        authorization = sigv4.parse_authorization(header.encode())
        timestamp, time = sigv4.request_time(head.headers.get("x-amz-date"), head.headers.get("date"))
        sigv4.check_scope(authorization.credential, self.region, timestamp)
        sigv4.check_skew(time, self.now())
        content = head.headers.get(_CONTENT_SHA256)
        if content is None:
            raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
        return self._verify(authorization, head, address, timestamp, content, presigned=False)

    def _presigned(self, head: RequestHead, address: Address) -> tuple[Identity, Payload]:
        presigned = sigv4.parse_presigned(address.parameters)
        authorization = presigned.authorization
        sigv4.check_scope(authorization.credential, self.region, presigned.timestamp, presigned=True)
        sigv4.check_expiry(presigned, self.now())
        content = head.headers.get(_CONTENT_SHA256) or address.arguments.get("X-Amz-Content-Sha256")
        return self._verify(
            authorization, head, address, presigned.timestamp, content or "UNSIGNED-PAYLOAD", presigned=True
        )

    def _signed_by_version_2(self, head: RequestHead, address: Address, header: str) -> tuple[Identity, Payload]:
        line, time = sigv2.request_time(head.headers.get("x-amz-date"), head.headers.get("date"))
        authorization = sigv2.parse_authorization(header, line)
        sigv4.check_skew(time, self.now())
        return self._verify_version_2(authorization, head, address, sigv2.signed_headers(head.fields, ()))

    def _presigned_by_version_2(self, head: RequestHead, address: Address) -> tuple[Identity, Payload]:
        presigned = sigv2.parse_presigned(address.parameters)
        sigv2.check_expiry(presigned, self.now())
        headers = sigv2.signed_headers(head.fields, address.parameters)
        return self._verify_version_2(presigned, head, address, headers)

    def _verify_version_2(
        self,
        signed: sigv2.Presigned | sigv2.Authorization,
        head: RequestHead,
        address: Address,
        headers: Mapping[bytes, bytes],
    ) -> tuple[Identity, Payload]:
        def verify(secret: str) -> None:
            sigv2.verify(
                signed,
                secret,
                method=head.method.encode("latin-1"),
                path=f"/{address.bucket}".encode() + address.path if address.hosted else address.path,
                parameters=address.parameters,
                headers=headers,
            )

        credential = self._credential(signed.access_key, verify)
        content = headers.get(_CONTENT_SHA256.encode(), b"UNSIGNED-PAYLOAD").decode("latin-1")
        return credential.identity, _payload(content, None)

    def _verify(
        self,
        authorization: sigv4.Authorization,
        head: RequestHead,
        address: Address,
        timestamp: str,
        content: str,
        *,
        presigned: bool,
    ) -> tuple[Identity, Payload]:
        scope = authorization.credential

        def verify(secret: str) -> None:
            sigv4.verify(
                authorization,
                secret,
                method=head.method.encode("latin-1"),
                path=address.path,
                query=address.query,
                headers=head.fields,
                timestamp=timestamp,
                payload_hash=content.encode(),
                presigned=presigned,
            )

        credential = self._credential(scope.access_key, verify)
        chain = None
        if content in _SIGNED_CHUNKS:
            key = sigv4.signing_key(credential.secret, scope)
            chain = SignatureChain(key, timestamp, scope.scope, authorization.signature)
        return credential.identity, _payload(content, chain)

    def _credential(self, access_key: str, verify: Callable[[str], None]) -> Credential:
        """The credential of an access key, after `verify` found a signature to be made with its secret."""
        credential = self.identities.credential(access_key)
        known = credential if credential is not None and not credential.disabled else None
        try:
            verify(known.secret if known is not None else self._nobody)
        except SignatureDoesNotMatch:
            if known is not None:
                raise
        if known is None:
            raise InvalidAccessKeyId(aws_access_key_id=access_key)
        return known


def _claimed_key(header: str) -> str:
    """The access key in an Authorization header, or something else. No regular expression, which strangers could keep
    busy: this is read before anything is checked."""
    if header.startswith(_AUTHORIZATION_OF_VERSION_2):
        return header.removeprefix(_AUTHORIZATION_OF_VERSION_2).partition(":")[0]
    return header.partition("Credential=")[2].partition("/")[0]


def hoisted_headers(
    headers: Mapping[str, str], arguments: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Headers and query of a presigned request, with headers that its signer put into the query back among the headers.

    SDKs do that so that whoever uses the URL need not send them. They are as signed as headers are. A checksum stays
    where it is: see docs/decisions/0002-checksum-in-presigned-query.md. In version 2, a header that came as itself as
    well is the one that is signed, and counts.

    Raises:
        InvalidRequest: a header came as itself as well, in version 4; or it could not have come as one: kept with an
            object, it would keep that from being answered.
    """
    version_2 = "Signature" in arguments
    if not version_2 and "X-Amz-Signature" not in arguments:
        return headers, arguments
    hoisted = {name: name.lower() for name in arguments if _is_hoisted(name.lower(), version_2)}
    if not hoisted:
        return headers, arguments
    merged = dict(headers)
    for name, header in hoisted.items():
        if not sigv2.can_be_header(header, arguments[name]):
            raise InvalidRequest(f"The parameter {header} cannot be a header.", header=header)
        if header not in merged:
            merged[header] = arguments[name]
        elif not version_2:
            raise InvalidRequest(f"The header {header} must come once.", header=header)
    return merged, {name: value for name, value in arguments.items() if name not in hoisted}


_AUTHENTICATING = frozenset(
    f"x-amz-{name}"
    for name in (
        "algorithm",
        "content-sha256",
        "credential",
        "date",
        "expires",
        "security-token",
        "signature",
        "signedheaders",
    )
)


def _is_hoisted(name: str, version_2: bool) -> bool:
    return (
        (name.startswith("x-amz-") or (version_2 and sigv2.is_signed_header(name)))
        and name not in _AUTHENTICATING
        and not name.startswith(("x-amz-checksum-", "x-amz-sdk-"))
    )


def _two_mechanisms(header: str | None, arguments: Mapping[str, str]) -> InvalidArgument:
    return InvalidArgument(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified",
        argument_name="Authorization" if header is not None else "Signature",
        argument_value=header if header is not None else arguments.get("Signature", ""),
    )


def _refuse_repeated(head: RequestHead) -> None:
    """One of a pair of headers might be signed and the other one used."""
    for name in head.repeated:
        if name.startswith("x-amz-") or name == "authorization":
            raise InvalidRequest(f"The header {name} must come once.", header=name)


def _payload(content: str, chain: SignatureChain | None) -> Payload:
    """The payload mode that a value of x-amz-content-sha256 names."""
    if content == "UNSIGNED-PAYLOAD":
        return UNSIGNED
    if _SHA256.fullmatch(content) is not None:
        return Payload(sha256=content.lower())
    if content == _UNSIGNED_TRAILER:
        return Payload(chunked=True, trailer=True)
    trailer = _SIGNED_CHUNKS.get(content)
    if trailer is not None:
        if chain is None:
            raise AccessDenied("Signed chunks need a request that is signed with AWS4-HMAC-SHA256.")
        return Payload(chunked=True, trailer=trailer, chain=chain)
    if _NOT_OURS.fullmatch(content) is not None:
        raise NotImplementedHere("Signature version 4A is not implemented.", header=_CONTENT_SHA256)
    raise InvalidArgument(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid sha256 value.",
        argument_name=_CONTENT_SHA256,
        argument_value=content,
    )
