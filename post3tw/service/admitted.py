"""What an operation may rely on once its caller was admitted."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from attrs import field

from post3tw.model.bucket import Bucket
from post3tw.model.errors import AccessDenied
from post3tw.model.identity import Admission, Caller, Identity, Owner
from post3tw.model.values import value_class
from post3tw.model.version import Version
from post3tw.service.policy.access import BucketAccess
from post3tw.storage.index.transactions.buckets import ObjectName


class Judge(Protocol):
    """Decides what turns out to be asked only while an operation runs.

    Attributes:
        met: the objects that its decisions depended on, as they were; None is one that was not there.
    """

    @property
    def met(self) -> Mapping[ObjectName, Version | None]:
        """See above."""

    def may(self, action: str, key: str, version_id: str | None) -> Awaitable[bool]:
        """Whether the caller may do something with an object of the bucket. The answer is about the policies and lists
        that the admission rested on."""


@value_class
class Ruling(Admission):
    """An admission by AuthorizedService, with what the bucket's owner has configured, and a judge unless the caller
    may do everything in the bucket. `charged` says that the requester pays."""

    access: BucketAccess | None = None
    judge: Judge | None = field(default=None, repr=False, eq=False)
    charged: bool = False


def admitted_bucket(caller: Caller) -> Bucket:
    """The bucket that the decision was about."""
    if caller.admission is None or caller.admission.bucket is None:
        raise AccessDenied()
    return caller.admission.bucket


def admitted_source(caller: Caller) -> Bucket:
    """The bucket that a copy reads from."""
    if caller.admission is None or caller.admission.source is None:
        raise AccessDenied()
    return caller.admission.source


def admitted_identity(caller: Caller) -> Identity:
    """Who was admitted, when it cannot have been nobody."""
    if caller.admission is None or caller.identity is None:
        raise AccessDenied()
    return caller.identity


def admitted_access(caller: Caller) -> BucketAccess:
    """What the owner of the admitted bucket has configured about access to it."""
    admission = caller.admission
    if isinstance(admission, Ruling) and admission.access is not None:
        return admission.access
    bucket = admitted_bucket(caller)
    return BucketAccess(bucket.owner_id, bucket.tenant)


def is_judged(caller: Caller) -> bool:
    """Whether policies and lists have to be looked into for what an admitted caller may do."""
    return isinstance(caller.admission, Ruling) and caller.admission.judge is not None


async def may_also(caller: Caller, action: str, key: str, version_id: str | None = None) -> bool:
    """Whether an admitted caller may do something with an object of the bucket as well: for operations on many keys."""
    admission = caller.admission
    judge = admission.judge if isinstance(admission, Ruling) else None
    return judge is None or await judge.may(action, key, version_id)


def objects_decided_on(caller: Caller) -> Mapping[ObjectName, Version | None]:
    """The objects that the admission depended on; mostly there are none."""
    admission = caller.admission
    judge = admission.judge if isinstance(admission, Ruling) else None
    return {} if judge is None else judge.met


def owner_of_all(caller: Caller) -> Owner | None:
    """Who owns every object of the admitted bucket, whoever wrote it; None where each has an owner of its own."""
    bucket = admitted_bucket(caller)
    return Owner(bucket.owner_id, bucket.owner_name) if admitted_access(caller).acls_disabled else None
