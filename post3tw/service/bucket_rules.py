"""What a bucket's owner has configured about access, read and parsed once for each generation of the bucket.

The bucket's row is read in every request anyway, and its generation rises with every change of the row or of a
document; so what was parsed under a generation holds as long as the row has it. A document that cannot be read is noted
as such, and denies (see policy.access).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from attrs import define, field, frozen

from post3tw.model.acl import Acl
from post3tw.model.bucket import Bucket
from post3tw.model.errors import MalformedPolicy
from post3tw.service.acls import ACL_KIND
from post3tw.service.bucket_policies import POLICY_KIND
from post3tw.service.grants import acl_from_text
from post3tw.service.owners import owner_of_bucket
from post3tw.service.ownership_controls import OWNERSHIP_KIND
from post3tw.service.policy.access import BucketAccess, ObjectOwnership, PublicAccessBlock
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.statement import Policy
from post3tw.service.public_access import PUBLIC_ACCESS_KIND, public_access_from_bytes
from post3tw.service.request_payment import PAYMENT_KIND, REQUESTER
from post3tw.storage.index.transactions.documents import get_documents
from post3tw.storage.interfaces import IIndex

T = TypeVar("T")

MAX_KEPT = 4096
"""Buckets whose rules are kept."""

MAX_KEPT_SIZE = 1 << 20
"""Bytes of documents whose parsed forms are kept; those take several times as much."""


@frozen
class BucketRules:
    """The rules of one bucket at one generation. `plain` says that nothing can keep its owner from anything; `size` is
    that of the documents, in bytes."""

    generation: int
    access: BucketAccess
    requester_pays: bool
    plain: bool
    size: int


def rules_of(bucket: Bucket, documents: Mapping[str, bytes]) -> BucketRules:
    """The rules that a bucket's row and its documents make."""
    unreadable: set[str] = set()

    def read(kind: str, parse: Callable[[bytes], T], default: T) -> T:
        body = documents.get(kind)
        if body is None:
            return default
        try:
            return parse(body)
        except (ValueError, MalformedPolicy):
            unreadable.add(kind)
            return default

    none: Policy | None = None
    private: Acl | None = None
    owner = owner_of_bucket(bucket)
    access = BucketAccess(
        bucket.owner_id,
        bucket.tenant,
        policy=read(POLICY_KIND, lambda body: parse_policy(body, bucket=bucket.name), none),
        acl=read(ACL_KIND, lambda body: acl_from_text(owner, body.decode()), private),
        public_access=read(PUBLIC_ACCESS_KIND, public_access_from_bytes, PublicAccessBlock()),
        ownership=read(OWNERSHIP_KIND, lambda body: ObjectOwnership(body.decode()), ObjectOwnership.OBJECT_WRITER),
        uniform=not bucket.object_acls,
        unreadable=frozenset(unreadable),
    )
    return BucketRules(
        bucket.generation,
        access,
        requester_pays=documents.get(PAYMENT_KIND) == REQUESTER.encode(),
        plain=not access.denies and (access.uniform or access.acls_disabled),
        size=sum(map(len, documents.values())),
    )


@define(eq=False)
class RulesOfBuckets:
    """The rules of the buckets that were read last, as many as fit."""

    index: IIndex
    max_kept: int = MAX_KEPT
    max_size: int = MAX_KEPT_SIZE
    _kept: dict[int, BucketRules] = field(factory=dict, init=False)
    _size: int = field(default=0, init=False)

    def kept(self, bucket: Bucket) -> BucketRules | None:
        """The rules of a bucket as its row says it is, if they are known."""
        rules = self._kept.get(bucket.id)
        return rules if rules is not None and rules.generation == bucket.generation else None

    async def read(self, bucket: Bucket) -> BucketRules:
        """The rules of a bucket, read anew."""
        documents = await self.index.read(partial(get_documents, bucket_id=bucket.id))
        rules = rules_of(bucket, documents)
        self._forget(bucket.id)
        self._kept[bucket.id] = rules
        self._size += rules.size
        while len(self._kept) > self.max_kept or self._size > self.max_size:
            self._forget(next(iter(self._kept)))
        return rules

    def _forget(self, bucket_id: int) -> None:
        forgotten = self._kept.pop(bucket_id, None)
        if forgotten is not None:
            self._size -= forgotten.size
