"""Forms as browsers send them, and policies signed as servers of pages sign them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from post3tw.wire import sigv2, sigv4
from post3tw.wire.dates import amz_date, iso8601

BOUNDARY = b"----WebKitFormBoundaryPOST3"
CONTENT_TYPE = b"multipart/form-data; boundary=" + BOUNDARY


def part(name: str, value: bytes, file_name: str | None = None) -> bytes:
    """One part with the delimiter before it."""
    file = "" if file_name is None else f'; filename="{file_name}"\r\nContent-Type: text/plain'
    return b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        BOUNDARY,
        name.encode(),
        file.encode(),
        value,
    )


def form(
    fields: Mapping[str, str], file: bytes | None = b"content", file_name: str = "file.txt", after: bytes = b""
) -> bytes:
    """A whole body."""
    parts = [part(name, value.encode()) for name, value in fields.items()]
    if file is not None:
        parts.append(part("file", file, file_name))
    return b"".join([*parts, after, b"--%b--\r\n" % BOUNDARY])


def policy(conditions: Iterable[Any], *, expires: int) -> str:
    """A policy as the field has it; `expires` in ms since the epoch."""
    document = {"expiration": iso8601(expires), "conditions": list(conditions)}
    return base64.b64encode(json.dumps(document).encode()).decode()


def signed(
    fields: Mapping[str, str],
    conditions: Iterable[Any],
    *,
    now: int,
    access_key: str = "ALICEKEY",
    secret_key: str = "alice-secret",
    region: str = "us-east-1",
    lasts: int = 600_000,
) -> dict[str, str]:
    """Fields with a policy of these conditions, in version 4; its own fields get conditions."""
    credential = sigv4.Credential(access_key, amz_date(now)[:8], region, "s3")
    proof = {
        "x-amz-algorithm": sigv4.ALGORITHM,
        "x-amz-credential": f"{access_key}/{credential.scope}",
        "x-amz-date": amz_date(now),
    }
    text = policy([*conditions, *({name: value} for name, value in proof.items())], expires=now + lasts)
    signature = sigv4.signature(sigv4.signing_key(secret_key, credential), text.encode()).decode()
    return {**fields, **proof, "policy": text, "x-amz-signature": signature}


def signed_by_version_2(
    fields: Mapping[str, str],
    conditions: Iterable[Any],
    *,
    now: int,
    access_key: str = "ALICEKEY",
    secret_key: str = "alice-secret",
) -> dict[str, str]:
    """Fields with a policy of these conditions, in version 2."""
    text = policy(conditions, expires=now + 600_000)
    signature = sigv2.signature(secret_key, text.encode()).decode()
    return {**fields, "AWSAccessKeyId": access_key, "policy": text, "signature": signature}
