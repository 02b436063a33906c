"""Who is calling, and with what the call was admitted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field, frozen

from post3tw.model.bucket import Bucket
from post3tw.model.values import value_class


@value_class
class Owner:
    """The canonical user that S3 shows as owner of a bucket, an object or an upload."""

    id: str
    display_name: str


@frozen
class Identity:
    """A user whose signature was verified. Its secret is not here, so that no log line can show it."""

    user_id: str
    display_name: str
    access_key: str
    tenant: str = ""
    email: str | None = None
    admin: bool = False

    @property
    def owner(self) -> Owner:
        """This user as the owner of what it creates."""
        return Owner(self.user_id, self.display_name)


@value_class
class Admission:
    """That a call was decided on, and what the decision rested on; checked again inside the transaction.

    `bucket` is the row that was read, None for an operation without a bucket (ListBuckets, CreateBucket); `source` the
    row of the bucket that a copy reads from. `renew` decides again for the same caller, on the bucket as it is now, and
    raises what a refusal raises; None where nobody decided, as in tests of single operations. (It is handed the caller
    because holding it would make a circle of every request, for the garbage collector to find.)
    """

    operation: str
    bucket: Bucket | None = None
    source: Bucket | None = None
    renew: Callable[[Caller], Awaitable[None]] | None = field(default=None, repr=False, eq=False)


def _no_facts() -> Mapping[str, str]:
    """Nothing is known."""
    return {}


@define
class Caller:
    """One call: who asks, from where, under which request id. `identity` is None for anonymous callers.

    `facts` works out what else the protocol knows about the request, when a policy asks: values by the names of policy
    condition keys in lower case, such as "aws:useragent".
    """

    identity: Identity | None
    request_id: str = ""
    source_ip: str = ""
    secure: bool = False
    admission: Admission | None = field(default=None, repr=False)
    facts: Callable[[], Mapping[str, str]] = field(default=_no_facts, repr=False)

    @property
    def tenant(self) -> str:
        """The bucket namespace that a plain bucket name is looked up in."""
        return self.identity.tenant if self.identity is not None else ""
