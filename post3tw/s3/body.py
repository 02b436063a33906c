"""The body of a request as the service gets it: without framing, with what vouches for it.

`100 Continue` leaves when somebody takes the body, and not before: by then the caller is known and admitted, and the
service has refused what it can refuse without the body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.model.errors import (
    BodyTooLarge,
    ContentSHA256Mismatch,
    DomainError,
    InvalidArgument,
    InvalidRequest,
    MissingContentLength,
)
from post3tw.s3.authentication import Payload
from post3tw.s3.exchange import IExchange
from post3tw.s3.passage import Passage
from post3tw.service.digests import Digests
from post3tw.service.interfaces import IRequestBody
from post3tw.service.object_checksums import CHECKSUM_MEMBER, announced, parse_content_md5, verify_md5
from post3tw.wire.aws_chunked import ChunkedDecoder

_DECODED_LENGTH = "x-amz-decoded-content-length"
_NO_TRAILERS: Mapping[str, str] = {}
_CHECKSUM = "x-amz-checksum-"
_ABOUT_CHECKSUMS = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})


def request_body(exchange: IExchange, payload: Payload) -> RawBody | ChunkedBody:
    """The body of a request.

    Raises:
        InvalidRequest: trailers are announced for a body that has none.
        InvalidArgument: x-amz-decoded-content-length is not a number.
        MissingContentLength: an aws-chunked body does not say how long it is without its chunks.
    """
    headers = exchange.head.headers
    names = tuple(name for text in headers.get("x-amz-trailer", "").split(",") if (name := text.strip().lower()))
    if names and not payload.trailer:
        raise InvalidRequest("x-amz-trailer needs an x-amz-content-sha256 that has trailers.", header="x-amz-trailer")
    if not payload.chunked:
        return RawBody(exchange, payload.sha256)
    length = _decoded_length(headers)
    decoder = ChunkedDecoder(length, chain=payload.chain, trailers=names if payload.trailer else None)
    return ChunkedBody(exchange, length, names, decoder)


def require_length(exchange: IExchange, payload: Payload) -> None:
    """Refuse a streaming request that does not say how its body ends.

    Raises:
        MissingContentLength: neither Content-Length nor chunks.
    """
    head = exchange.head
    if not payload.chunked and head.content_length is not None and "content-length" not in head.headers:
        raise MissingContentLength()


def _decoded_length(headers: Mapping[str, str]) -> int:
    text = headers.get(_DECODED_LENGTH)
    if text is None:
        raise MissingContentLength()
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise InvalidArgument("Not a length.", argument_name=_DECODED_LENGTH, argument_value=text)
    return int(text)


@implementer(IRequestBody)
class RawBody:
    """A body that is its payload."""

    __slots__ = ("_exchange", "length", "sha256")

    trailer_names: tuple[str, ...] = ()
    trailers = _NO_TRAILERS

    def __init__(self, exchange: IExchange, sha256: str | None) -> None:
        self._exchange = exchange
        self.length = exchange.head.content_length
        self.sha256 = sha256

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IByteSource."""
        self._exchange.send_continue()
        return self._exchange.deliver_to(consumer)


@implementer(IRequestBody, IConsumer)
class ChunkedBody(Passage):
    """A body in the framing of aws-chunked: consumes what came, produces the payload in it.

    Signatures of chunks and trailers, the announced trailers and the declared length are all checked before
    `deliver_to` fires without an error.
    """

    sha256 = None

    def __init__(self, exchange: IExchange, length: int, names: tuple[str, ...], decoder: ChunkedDecoder) -> None:
        super().__init__()
        self.length = length
        self.trailer_names = names
        self.trailers: Mapping[str, str] = {}
        self._exchange = exchange
        self._decoder = decoder
        self._consumer: Any = None
        self._error: DomainError | None = None

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IByteSource."""
        self._consumer = consumer
        consumer.registerProducer(self, True)
        self._exchange.send_continue()
        incoming = self._exchange.deliver_to(self)
        return incoming.addCallbacks(self._ended, self._failed)

    def _ended(self, _: None) -> None:
        self._consumer.unregisterProducer()
        self.trailers = self._decoder.finish()

    def _failed(self, failure: Failure) -> Failure:
        self._consumer.unregisterProducer()
        return failure if self._error is None else Failure(self._error)

    def write(self, data: bytes) -> None:
        """Take framing off; bad framing stops the body."""
        try:
            for piece in self._decoder.feed(data):
                self._consumer.write(piece)
        except DomainError as error:
            self._error = error
            self._producer.stopProducing()


# -- documents --------------------------------------------------------------------------------------------------------


async def read_document(
    body: RawBody | ChunkedBody, headers: Mapping[str, str], limit: int, *, with_checksum: bool
) -> bytes:
    """A whole small body, checked against all that came with it.

    Args:
        body: not yet taken.
        headers: of the request.
        limit: the most bytes it may have.
        with_checksum: whether x-amz-checksum-* is about this body. In CompleteMultipartUpload it is about the object.

    Raises:
        BodyTooLarge, ContentSHA256Mismatch, InvalidDigest, BadDigest, InvalidRequest, MalformedTrailer, and what
        ended the flow.
    """
    content_md5 = parse_content_md5(headers.get("content-md5"))
    checksum = announced(_checksum_headers(headers), body.trailer_names) if with_checksum else None
    if body.length is not None and body.length > limit:
        raise BodyTooLarge(max_message_length_bytes=limit)
    collected = _Collector(limit)
    try:
        await body.deliver_to(collected)
    except Exception:
        if collected.size > limit:
            raise BodyTooLarge(max_message_length_bytes=limit) from None
        raise
    data = b"".join(collected.pieces)
    if body.sha256 is not None and hashlib.sha256(data).hexdigest() != body.sha256:
        raise ContentSHA256Mismatch(
            client_computed_content_sha256=body.sha256, s3_computed_content_sha256=hashlib.sha256(data).hexdigest()
        )
    digests = Digests(() if checksum is None else (checksum.algorithm,))
    digests.update(data)
    verify_md5(content_md5, digests.md5())
    if checksum is not None:
        checksum.verify(digests.results(), body.trailers)
    return data


def _checksum_headers(headers: Mapping[str, str]) -> SimpleNamespace:
    """The checksum headers as members of an input, which is how the service reads them."""
    known = {f"{_CHECKSUM}{algorithm.value.lower()}": member for algorithm, member in CHECKSUM_MEMBER.items()}
    for name in headers:
        if name.startswith(_CHECKSUM) and name not in known and name not in _ABOUT_CHECKSUMS:
            raise InvalidRequest(f"The checksum {name} is not supported.", header=name)
    members = {member: headers.get(name) for name, member in known.items()}
    return SimpleNamespace(checksum_algorithm=headers.get("x-amz-sdk-checksum-algorithm"), **members)


@implementer(IConsumer)
class _Collector:
    """Keeps all that comes, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self._limit = limit
        self._producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= self._limit:
            self.pieces.append(data)
        elif self._producer is not None:
            self._producer.stopProducing()


# -- headers ----------------------------------------------------------------------------------------------------------


def stored_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers as the service reads them: aws-chunked is how a body travelled, not how its content is encoded."""
    encoding = headers.get("content-encoding")
    if encoding is None or "aws-chunked" not in encoding:
        return headers
    codings = [coding.strip() for coding in encoding.split(",")]
    kept = ",".join([coding for coding in codings if coding and coding != "aws-chunked"])
    changed = dict(headers)
    if kept:
        changed["content-encoding"] = kept
    else:
        del changed["content-encoding"]
    return changed
