"""The two things the protocol layer and the service layer share: operations and bytes in flow."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from post3tw.model.cors import CorsRule
from post3tw.model.identity import Caller

Method = Callable[..., Coroutine[Any, Any, Any]]
"""The bound method of an operation: `await method(caller, input)`, or with the body behind when one streams in."""


class IByteSource(Interface):
    """Bytes that can be asked to flow, once. Bodies of requests and of answers are both such sources."""

    length = Attribute("int | None: how many bytes will come, when that is known beforehand")

    def deliver_to(consumer: IConsumer) -> Deferred[None]:
        """Register a producer with `consumer`, write every byte in order, unregister, and fire.

        Honours the consumer's pauseProducing and resumeProducing. Fails with the domain error that ended the flow; what
        was written until then must be discarded. Cancelling the Deferred stops the flow.
        """


class IRequestBody(IByteSource):
    """The body of a request, decoded: what S3 calls the payload, without chunk framing."""

    sha256 = Attribute("str | None: the hex SHA-256 that the whole payload must have; whoever consumes it checks it")
    trailer_names = Attribute("tuple[str, ...]: lower-case names of the trailing headers that were announced")
    trailers = Attribute("Mapping[str, str]: the trailing headers; filled when deliver_to has fired")


class IS3Service(Interface):
    """A provider of S3 operations: the local store, the edge gateway, or a wrapper around either.

    One method per operation, declared by `post3tw.service.operation`: `async def put_object(self, caller, input,
    body)`, where `input` and the answer are types of `post3tw.api`, `body` an IRequestBody that only operations with a
    streaming body get. Where bytes flow out, the answer's `body` is `bytes` or an IByteSource. An
    input need not come from a protocol that checked it: what an operation relies on, it checks.
    """

    def operations() -> Mapping[str, Method]:
        """S3 operation name (`"PutObject"`) to bound method. What is not in it answers 501 NotImplemented."""


class IAuthorizedS3Service(IS3Service):
    """A provider that decides before it runs; what protocols are handed."""

    async def admit(caller: Caller, operation: str, input: Any) -> None:
        """Decide whether `caller` may run `operation` with `input` (its payload not yet read), and note that in
        `caller.admission`. Called before `100 Continue`; the operation's method refuses a caller that was not admitted.

        Raises:
            AccessDenied, NoSuchBucket, NotImplementedHere (a member that this provider does not honour), …
        """


class ICorsRules(Interface):
    """Where the protocol learns what pages of other origins may do with a bucket. Nobody is asked for permission: a
    browser's preflight request has no signature, and the rules give nothing but headers."""

    async def rules_of(tenant: str, bucket: str) -> Sequence[CorsRule] | None:
        """The rules of a bucket, named as clients do (`bucket` in this tenant, or `tenant:bucket`); None when there is
        no such bucket."""
