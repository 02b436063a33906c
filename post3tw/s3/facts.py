"""What the protocol knows of a request that policies may have conditions about; worked out only when one has.

https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from post3tw.s3.exchange import RequestHead
from post3tw.s3.proxies import TrustedProxies
from post3tw.wire.dates import parse_amz_date
from post3tw.wire.uri import parse_query

_VERSION_4, _VERSION_2 = "AWS4-HMAC-SHA256", "AWS"
_PRESIGNED = "REST-QUERY-STRING"
_HEADERS = {"aws:referer": "referer", "aws:useragent": "user-agent"}
"""Condition keys whose value is a header. Only these: no other header can become a key."""


def request_facts(
    head: RequestHead, signed: bool, now: Callable[[], int], proxies: TrustedProxies
) -> Mapping[str, str]:
    """Values by the names of condition keys in lower case.

    Args:
        head: of the request.
        signed: whether somebody signed it.
        now: milliseconds since the epoch.
        proxies: which of them are believed. Which TLS the client spoke with one of them is not known.
    """
    facts = {key: head.headers[name] for key, name in _HEADERS.items() if name in head.headers}
    # Of repeated parameters the first counts, as it does where signatures are checked.
    query = dict(reversed(parse_query(head.target.partition(b"?")[2])))
    if head.tls_version and not proxies.forwarded(head):
        facts["s3:tlsversion"] = head.tls_version
    if signed:
        facts |= _signature(head, query, now)
    content = head.headers.get("x-amz-content-sha256") or query.get("X-Amz-Content-Sha256")
    if content is None and facts.get("s3:authtype") == _PRESIGNED:
        content = "UNSIGNED-PAYLOAD"  # nothing else can be meant
    if content is not None:
        facts["s3:x-amz-content-sha256"] = content
    return facts


def _signature(head: RequestHead, query: Mapping[str, str], now: Callable[[], int]) -> dict[str, str]:
    """How the request was signed, and for a presigned one how long ago, in milliseconds; 0 in version 2, as on AWS."""
    header = head.headers.get("authorization")
    if header:  # an empty one is none
        version = _VERSION_4 if header.startswith(_VERSION_4) else _VERSION_2
        return {"s3:authtype": "REST-HEADER", "s3:signatureversion": version}
    if "X-Amz-Signature" in query:
        facts = {"s3:authtype": _PRESIGNED, "s3:signatureversion": _VERSION_4}
        time = parse_amz_date(query.get("X-Amz-Date", ""))
        return facts if time is None else {**facts, "s3:signatureage": str(now() - time)}
    if "Signature" in query:
        return {"s3:authtype": _PRESIGNED, "s3:signatureversion": _VERSION_2, "s3:signatureage": "0"}
    return {"s3:authtype": "POST", "s3:signatureversion": _VERSION_4}
