"""What a bucket begins with when its creator says nothing about access.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
"""

from __future__ import annotations

from collections.abc import Mapping

from post3tw.service.ownership_controls import OWNERSHIP_KIND
from post3tw.service.policy.access import ObjectOwnership
from post3tw.service.public_access import ALL_BLOCKED, PUBLIC_ACCESS_KIND, public_access_to_bytes

NEW_BUCKET_DEFAULTS: Mapping[str, Mapping[str, bytes]] = {
    "classic": {},
    "aws": {
        OWNERSHIP_KIND: ObjectOwnership.BUCKET_OWNER_ENFORCED.value.encode(),
        PUBLIC_ACCESS_KIND: public_access_to_bytes(ALL_BLOCKED),
    },
}
"""Documents of a new bucket, by kind; which of them, `--new-bucket-defaults` says."""
