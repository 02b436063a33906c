"""Names of Python for names of the model."""

from __future__ import annotations

import keyword
import re

_ONE_WORD = re.compile(
    r"CRC64NVME|CRC32C|CRC32|SHA1|SHA256|SHA512|XXHASH128|XXHASH64|XXHASH3|MD5|ETag|SSEKMS|SSES3|SSE|KMS|MFA|ACL|ACP|ARN"
    r"|ID|URI|URL|CORS|CSV|JSON|S3|HTTP|[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+"
)
_TWO_WORDS = {"ssekms": "sse_kms", "sses3": "sse_s3"}


def snake(name: str) -> str:
    """`SSECustomerKeyMD5` as `sse_customer_key_md5`: an acronym is one word, a keyword gets an underscore behind it."""
    words = [word.lower() for word in _ONE_WORD.findall(name)]
    result = "_".join(_TWO_WORDS.get(word, word) for word in words)
    return result + "_" if keyword.iskeyword(result) else result
