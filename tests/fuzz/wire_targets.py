"""Targets in post3tw.wire: signatures, framings and forms."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from post3tw.model.errors import DomainError
from post3tw.wire import sigv2, sigv4
from post3tw.wire.aws_chunked import ChunkedDecoder, SignatureChain, encode
from post3tw.wire.canonical import canonical_query
from post3tw.wire.form_signature import parse_form_signature
from post3tw.wire.multipart_form import MultipartForm, boundary_of, parse_parameters
from post3tw.wire.post_policy import parse_post_policy
from post3tw.wire.uri import parse_query
from tests.fuzz.cuts import read_alike
from tests.fuzz.engine import Target

_NOW = 1_795_000_000_000


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a parser makes of something; None when it refuses, in an error of S3's."""
    try:
        return function(*arguments, **options)
    except DomainError:
        return None


# -- bodies -----------------------------------------------------------------------------------------------------------


class _Agreeable(SignatureChain):
    """Every signature is the same, so that a fuzzer can write chunks that are signed."""

    def _next(self, kind: bytes, hashes: bytes) -> bytes:
        return b"5" * 64


_KINDS: tuple[tuple[bool, tuple[str, ...] | None], ...] = (
    (False, None),
    (False, ()),
    (False, ("x-amz-checksum-crc32",)),
    (True, None),
    (True, ("x-amz-checksum-crc32",)),
    (True, ("a", "b")),
)


def _chain() -> SignatureChain:
    return _Agreeable(b"", "", "", b"")


def aws_chunked(data: bytes) -> None:
    """The kind of body, its declared length, and the stream."""
    signed, trailers = _KINDS[data[0] % len(_KINDS)] if data else _KINDS[0]
    declared, stream = int.from_bytes(data[1:3], "big"), data[3:]

    def read(pieces: Iterable[bytes]) -> Any:
        decoder = ChunkedDecoder(declared, chain=_chain() if signed else None, trailers=trailers)
        content = b"".join([bytes(part) for piece in pieces for part in decoder.feed(piece)])
        found = decoder.finish()
        assert len(content) == declared
        assert found.keys() == set(trailers or ())
        return content, found

    read_alike(stream, read)


def _framed(kind: int, *chunks: bytes) -> bytes:
    signed, names = _KINDS[kind]
    trailers = None if names is None else dict.fromkeys(names, "AAAAAA==")
    body = b"".join(encode(chunks, chain=_chain() if signed else None, trailers=trailers))
    return bytes((kind,)) + sum(map(len, chunks)).to_bytes(2, "big") + body


def post_form(data: bytes) -> None:
    """A Content-Type, a line feed, and the body."""
    value, _, body = data.partition(b"\n")
    text = value.decode("latin-1")
    attempt(parse_parameters, text)
    boundary = attempt(boundary_of, text) or b"b"

    def read(pieces: Iterable[bytes]) -> Any:
        form = MultipartForm(boundary)
        content = b"".join([part for piece in pieces for part in form.feed(piece)])
        form.finish()
        return form.fields, form.file, content

    read_alike(body, read, one_refusal=False)  # too large, and no form
    form = MultipartForm(boundary)
    if attempt(form.feed, body) is not None and form.file is not None:
        attempt(parse_form_signature, form.fields, "us-east-1")


_FORM = (
    b'multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f\\"g"\r\nContent-Type: text/plain\r\n\r\ncontent'
    b"\r\n-\r\n--b--\r\n"
)


def post_policy(data: bytes) -> None:
    """A policy as JSON, a NUL, and a file's size as text; also as it would come, in base64 or not."""
    document, _, size = data.partition(b"\0")
    for text in (b64encode(document).decode(), document.decode("latin-1")):
        policy = attempt(parse_post_policy, text)
        if policy is not None:
            fields = {"bucket": "b", "key": "k", "policy": text, "content-type": size.decode("latin-1")}
            attempt(policy.check, fields, _NOW)


# -- signatures -------------------------------------------------------------------------------------------------------


def authorization(data: bytes) -> None:
    """An Authorization header, a line feed, and a date."""
    value, _, date = data.partition(b"\n")
    text = date.decode("latin-1")
    fields = [(b"host", b"h"), (b"x-amz-date", date), (b"x-amz-meta-a", value)]
    found = attempt(sigv4.parse_authorization, value)
    time = attempt(sigv4.request_time, text, None) or attempt(sigv4.request_time, None, text)
    if found is not None:
        assert found.credential.access_key and found.signed_headers
        attempt(sigv4.check_scope, found.credential, "us-east-1", text)
        _refuses(sigv4.verify, found, method=b"GET", path=b"/", query=b"", headers=fields, timestamp=text)
    if time is not None:
        attempt(sigv4.check_skew, time[1], _NOW)
    line = attempt(sigv2.request_time, text, None) or attempt(sigv2.request_time, None, text) or ("", 0)
    older = attempt(sigv2.parse_authorization, value.decode("latin-1"), line[0])
    if older is not None:
        attempt(sigv2.check_expiry, sigv2.Presigned(older.access_key, "1", older.signature), _NOW)
        _refuses(
            sigv2.verify,
            older,
            method=b"GET",
            path=b"/",
            parameters=[],
            headers=attempt(sigv2.signed_headers, fields, ()),
        )


def presigned(data: bytes) -> None:
    """A query."""
    parameters = attempt(parse_query, data)
    canonical = canonical_query(data, presigned=True)
    assert canonical_query(canonical, presigned=True) == canonical
    if parameters is None:
        return
    found = attempt(sigv4.parse_presigned, parameters)
    if found is not None:
        assert 1 <= found.expires <= sigv4.MAX_EXPIRES
        attempt(sigv4.check_expiry, found, _NOW)
        attempt(sigv4.check_scope, found.authorization.credential, "us-east-1", found.timestamp, presigned=True)
        _refuses(
            sigv4.verify,
            found.authorization,
            method=b"GET",
            path=b"/",
            query=data,
            headers=[(b"host", b"h")],
            timestamp=found.timestamp,
        )
    older = attempt(sigv2.parse_presigned, parameters)
    headers = attempt(sigv2.signed_headers, [(b"x-amz-meta-a", b"b")], parameters)
    if older is not None:
        attempt(sigv2.check_expiry, older, _NOW)
        if headers is not None:
            _refuses(sigv2.verify, older, method=b"GET", path=b"/b", parameters=parameters, headers=headers)


def _refuses(verify: Callable[..., None], found: Any, **request: Any) -> None:
    """No fuzzer makes a signature of a secret that it does not know."""
    if isinstance(found, sigv4.Authorization):
        request["payload_hash"] = b"UNSIGNED-PAYLOAD"
    try:
        verify(found, "a secret that is in no input", **request)
    except DomainError:
        return
    raise AssertionError("a made-up signature was taken")


_SCOPE = b"AKID/20261118/us-east-1/s3/aws4_request"
_VERSION_4 = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261118%2Fus-east-1%2Fs3%2Faws4_request"
    b"&X-Amz-Date=20261118T090640Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + b"0" * 64
)
_POLICY = {
    "expiration": "2030-01-01T00:00:00Z",
    "conditions": [
        {"bucket": "b"},
        ["starts-with", "$key", ""],
        ["eq", "$Content-Type", "a"],
        ["content-length-range", 0, "10"],
    ],
}

TARGETS = (
    Target(
        "aws_chunked",
        aws_chunked,
        tuple(_framed(kind, b"hello", b"world\r\n0\r\n\r\n") for kind in range(len(_KINDS))),
        (
            b"\r\n",
            b"0\r\n",
            b"5\r\n",
            b";chunk-signature=" + b"5" * 64,
            b"x-amz-checksum-crc32:",
            b"x-amz-trailer-signature:",
        ),
        most=1 << 18,
    ),
    Target(
        "post_form",
        post_form,
        (_FORM,),
        (
            b"\r\n--b",
            b"--b--\r\n",
            b"\r\n\r\n",
            b'; filename="',
            b'name="file"',
            b"x-ignore-a",
            b"x-amz-signature",
            b'\\"',
        ),
        most=1 << 18,
    ),
    Target(
        "post_policy",
        post_policy,
        (json.dumps(_POLICY).encode() + b"\0" + b"5",),
        (
            b"[",
            b"{",
            b'"$key"',
            b'"eq"',
            b'"starts-with"',
            b'"content-length-range"',
            b'"conditions"',
            b"null",
            b"1e999",
        ),
        most=20480,
    ),
    Target(
        "authorization",
        authorization,
        (
            b"AWS4-HMAC-SHA256 Credential="
            + _SCOPE
            + b", SignedHeaders=host;x-amz-date, Signature=0\n20261118T090640Z",
            b"AWS AKID:c2lnbmF0dXJl\nWed, 18 Nov 2026 09:06:40 GMT",
        ),
        (
            b"Credential=",
            b"SignedHeaders=",
            b"Signature=",
            b"/aws4_request",
            b"host;",
            b"x-amz-meta-a",
            b"AWS ",
            b" +0000",
        ),
    ),
    Target(
        "presigned",
        presigned,
        (_VERSION_4, b"AWSAccessKeyId=AKID&Signature=c2ln&Expires=1795000060&x-amz-meta-a=b&acl&versionId=1"),
        (
            b"&X-Amz-Expires=",
            b"&Expires=",
            b"&x-amz-tagging=",
            b"&versionId=",
            b"%26acl",
            b"%0a",
            b"+",
            b"&&",
            b"=",
            b"%2F",
        ),
    ),
)
