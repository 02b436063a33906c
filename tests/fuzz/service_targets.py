"""Targets in post3tw.api and post3tw.service: documents, policies, and what headers and queries mean to S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.acl import ALL_USERS, Acl
from post3tw.model.cors import rule_for
from post3tw.model.errors import DomainError
from post3tw.model.identity import Identity, Owner
from post3tw.service.completion import requested_completion
from post3tw.service.cors import rules_of_document
from post3tw.service.deletions import check_document, target_of
from post3tw.service.grants import acl_from_text, acl_of_document, acl_of_headers, acl_to_text
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.multipart import upload_id_bytes
from post3tw.service.object_checksums import announced, parse_content_md5
from post3tw.service.paging import name_of_token, token_of_name
from post3tw.service.people import NoPeople
from post3tw.service.policy.access import ABSENT, UNREAD, BucketAccess, ObjectAccess
from post3tw.service.policy.decision import Outcome, Request, decide
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.public import is_public
from post3tw.service.policy.statement import resource_arn
from post3tw.service.tags import check_tags, tags_of_document, tags_of_header
from tests.fuzz.engine import Target
from tests.fuzz.wire_targets import attempt

_OWNER = Owner("owner", "Owner")
_DOCUMENTS = tuple(sorted((name for name, o in OPERATIONS.items() if o.body == "document")))


# -- documents --------------------------------------------------------------------------------------------------------


def documents(data: bytes) -> None:
    """Which operation, and its document; what is read is checked as the service checks it."""
    operation = OPERATIONS[_DOCUMENTS[data[0] % len(_DOCUMENTS)]] if data else OPERATIONS["DeleteObjects"]
    input = operation.input()
    try:
        operation.parse_payload(input, data[1:])
    except DomainError:
        return
    check = _CHECKS.get(operation.name)
    if check is not None:
        attempt(check, input)


def _check_deletions(input: types.DeleteObjectsInput) -> None:
    for entry in check_document(input.delete):
        attempt(target_of, entry, bytes(16))


def _check_cors(input: types.PutBucketCorsInput) -> None:
    rules = rules_of_document(input.cors_configuration)
    rule_for(rules, "https://example.com", "GET", ("x-amz-date", "a" * 100))
    for rule in rules:
        for name in rule.expose:
            assert name.isascii() and name.isprintable() and " " not in name


def _check_tags(input: Any) -> None:
    check_tags(tags_of_document(input.tagging, limit=10).items(), limit=10)


def _check_acl(input: Any) -> None:
    policy = input.access_control_policy
    if policy is not None:
        _kept(acl_of_document(NoPeople(), policy, _OWNER, (_OWNER,)))


def _kept(acl: Acl) -> None:
    """A list is what it was when it comes back from the index."""
    text = acl_to_text(acl)
    assert acl_from_text(acl.owner, text) == acl


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "DeleteObjects": _check_deletions,
    "PutBucketCors": _check_cors,
    "PutObjectTagging": _check_tags,
    "PutBucketTagging": _check_tags,
    "PutBucketAcl": _check_acl,
    "PutObjectAcl": _check_acl,
    "CompleteMultipartUpload": requested_completion,
}


def _document(operation: str, text: str) -> bytes:
    return bytes((_DOCUMENTS.index(operation),)) + text.encode()


_GROUP = "http://acs.amazonaws.com/groups/global/AllUsers"
_SEEDS = (
    _document(
        "DeleteObjects",
        "<Delete><Quiet>true</Quiet><Object><Key>k</Key><VersionId>null</VersionId><ETag>e</ETag><Size>1</Size>"
        "<LastModifiedTime>Wed, 18 Nov 2026 09:06:40 GMT</LastModifiedTime></Object></Delete>",
    ),
    _document(
        "PutBucketCors",
        "<CORSConfiguration><CORSRule><ID>i</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>GET"
        "</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5"
        "</MaxAgeSeconds></CORSRule></CORSConfiguration>",
    ),
    _document("PutObjectTagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"),
    _document(
        "PutObjectAcl",
        "<AccessControlPolicy><Owner><ID>owner</ID></Owner><AccessControlList><Grant><Grantee "
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>{_GROUP}</URI></Grantee>'
        "<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>",
    ),
    _document(
        "CompleteMultipartUpload",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag><ChecksumCRC32>AAAAAA=="
        "</ChecksumCRC32></Part></CompleteMultipartUpload>",
    ),
    _document("PutBucketVersioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    _document(
        "PutObjectRetention",
        "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01</RetainUntilDate></Retention>",
    ),
    _document(
        "PutObjectLockConfiguration",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE"
        "</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    _document(
        "PutBucketLifecycleConfiguration",
        "<LifecycleConfiguration><Rule><ID>i</ID><Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value>b</Value></Tag>"
        "</And></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    ),
)


# -- policies ---------------------------------------------------------------------------------------------------------


class _Context:
    """Values that try everybody's patience."""

    def values(self, key: str) -> tuple[str, ...] | None:
        return _VALUES.get(key, ())


_VALUES = {
    "aws:sourceip": ("127.0.0.1",),
    "aws:currenttime": ("2026-11-18T09:06:40Z",),
    "aws:username": ("a*?${x}",),
    "aws:referer": ("a" * 1000,),
    "s3:prefix": ("a/b",),
    "s3:max-keys": ("5",),
}
_ADA = Identity("ada", "Ada", "AKADA")
_CALLERS = (None, _ADA, Identity("owner", "Owner", "AKOWNER"), Identity("root", "root", "AKROOT", admin=True))


def policy(data: bytes) -> None:
    """A bucket policy: read it, and decide with it. Reading less never decides otherwise, and a policy that denies
    everything on top never grants."""
    found = attempt(parse_policy, data, bucket="bucket")
    attempt(parse_policy, data)
    if found is None:
        return
    is_public(found)
    bucket = BucketAccess("owner", policy=found)
    for identity in _CALLERS:
        for action, key in (("s3:GetObject", "a/b"), ("s3:PutObject", "a"), ("s3:ListBucket", None)):
            asked = Request(identity, action, resource_arn("bucket", key), _Context())
            early = decide(asked, bucket, UNREAD)
            for thing in (ABSENT, ObjectAccess("ada", tags={"a": "b"})):
                late = decide(asked, bucket, thing)
                assert late.outcome is not Outcome.UNDECIDED
                assert early.outcome is Outcome.UNDECIDED or early.allowed == late.allowed
                denied = decide(asked, BucketAccess("owner", policy=_DENY), thing)
                assert not denied.allowed


_DENY = parse_policy(
    json.dumps(
        {
            "Statement": {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
            }
        }
    ),
    bucket="bucket",
)
_POLICY = {
    "Version": "2012-10-17",
    "Id": "i",
    "Statement": [
        {
            "Sid": "s",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam:::user/ada", "research"], "CanonicalUser": "owner"},
            "Action": ["s3:Get*", "s3:PutObject"],
            "Resource": "arn:aws:s3:::bucket/${aws:username}/*",
            "Condition": {
                "StringLike": {"aws:Referer": ["*a?", "https://*"]},
                "IpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                "ForAllValues:StringNotEqualsIfExists": {"s3:ExistingObjectTag/a": "b"},
                "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
                "NumericLessThanEquals": {"s3:max-keys": 10},
                "Bool": {"aws:SecureTransport": "false"},
                "Null": {"s3:prefix": True},
                "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"},
            },
        },
        {"Effect": "Deny", "NotPrincipal": "*", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::bucket"},
    ],
}


# -- headers and queries ----------------------------------------------------------------------------------------------


def tagging(data: bytes) -> None:
    """An x-amz-tagging header."""
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        tags = attempt(tags_of_header, text)
        if tags is not None:
            again = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in tags.items())
            assert tags_of_header(again) == tags


def names(data: bytes) -> None:
    """Tokens, ids and keys of listings and versions."""
    assert name_of_token(token_of_name(data)) == data
    text = data.decode("utf-8", "surrogateescape")
    for value in (text, data.decode("latin-1")):
        found = attempt(name_of_token, value)
        if found is not None:
            assert token_of_name(found) == value
        attempt(check_version_id, value)
        attempt(upload_id_bytes, value)
        key = attempt(key_bytes, value)
        assert key is None or 1 <= len(key) <= 1024


def grants(data: bytes) -> None:
    """x-amz-acl, a line feed, x-amz-grant-read."""
    canned, _, granted = data.partition(b"\n")
    canned_name, header = canned.decode("latin-1"), granted.decode("latin-1")
    for acl, grant in ((canned_name, None), (None, header)):
        input = types.PutObjectInput(acl=acl, grant_read=grant)
        found = attempt(acl_of_headers, NoPeople(), input, _OWNER, _OWNER)
        if found is not None:
            _kept(found)


def checksums(data: bytes) -> None:
    """Content-MD5, x-amz-checksum-crc32, the name of an algorithm and that of a trailer, in lines."""
    md5, crc, algorithm, trailer = (data.decode("latin-1").split("\n") + [""] * 4)[:4]
    attempt(parse_content_md5, md5)
    input = types.PutObjectInput(checksum_crc32=crc or None, checksum_algorithm=algorithm or None)
    attempt(announced, input, (trailer,) if trailer else ())


def heads(data: bytes) -> None:
    """Which operation, and values for all of its headers and parameters, in lines."""
    operation = _ALL[data[0] % len(_ALL)] if data else _ALL[0]
    values = data[1:].decode("utf-8", "surrogateescape").split("\n")
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for number, (where, name) in enumerate(operation.bindings.values()):
        value = values[number % len(values)]
        if where == "query":
            query[name] = value
        elif where in ("header", "headers"):
            headers[name.lower() + ("x" if where == "headers" else "")] = value
    attempt(operation.parse_head, "bucket", "key", query, headers)


_ALL = tuple(OPERATIONS[name] for name in sorted(OPERATIONS))

TARGETS = (
    Target(
        "documents",
        documents,
        _SEEDS,
        (
            b"<Rule>",
            b"</Rule>",
            b"<Key>",
            b"<Status>",
            b"Enabled",
            b"xsi:type=",
            b"2030-01-01T00:00:00Z",
            b"true",
            b"<And>",
            b"<Days>",
        ),
        most=1 << 20,
    ),
    Target(
        "policy",
        policy,
        (json.dumps(_POLICY).encode(), b'{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}'),
        (
            b'"*"',
            b"*",
            b"?",
            b"${aws:username}",
            b"${*}",
            b"IfExists",
            b"ForAnyValue:",
            b"StringEqualsIgnoreCase",
            b"BinaryEquals",
            b"NotIpAddress",
            b"DateGreaterThan",
            b'"NotPrincipal"',
            b'"Deny"',
            b"[",
            b"{",
            b"\\ud800",
            b"::1/129",
            b"1.0e5",
            b"null",
        ),
        most=20480,
    ),
    Target("tagging", tagging, (b"a=b&c=d", b"a%2Bb=%C3%A9"), (b"&", b"=", b"%", b"+", b"aws:", b"%FF", b"a" * 130)),
    Target(
        "names", names, (b"AWFi", b"null", b"0" * 32, b"key/a"), (b"=", b"-", b"_", b"AQ==", b"\xc3\xa9", b"f" * 32)
    ),
    Target(
        "grants",
        grants,
        (b'public-read\nid="owner"', f'bucket-owner-read\nuri={ALL_USERS}, emailAddress="a@b"'.encode()),
        (b"id=", b"uri=", b"emailaddress=", b'"', b",", b" ", b'id="owner",', b"private"),
    ),
    Target(
        "checksums",
        checksums,
        (b"1B2M2Y8AsgTpgAmY7PhCfg==\nAAAAAA==\nCRC32\nx-amz-checksum-crc32", b"\n\nSHA256\nx-amz-checksum-sha256"),
        (b"CRC64NVME", b"x-amz-checksum-", b"=", b"AAAA", b"\n"),
    ),
    Target(
        "heads",
        heads,
        tuple(bytes((number,)) + b"1\nCRC32\nGOVERNANCE\n2030-01-01T00:00:00Z" for number in range(0, len(_ALL), 3)),
        (
            b"\n",
            b"1",
            b"true",
            b"ON",
            b"COMPLIANCE",
            b"REPLACE",
            b"Wed, 18 Nov 2026 09:06:40 GMT",
            b"requester",
            b"\xff",
        ),
    ),
)
