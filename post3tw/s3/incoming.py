"""The body of a request on its way in."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from post3tw.s3.chunks import ChunkedDecoder


class BodyFeed(Protocol):
    """Where body bytes come from: the channel, which reads the connection only as fast as `wants_body` allows."""

    def regulate(self) -> None:
        """Look again at whether bytes are wanted, and at those that wait."""

    def offer(self) -> None:
        """Pass on what waits, now that somebody takes it."""


@implementer(IPushProducer)
class IncomingBody:
    """Passes the bytes of one request on to one consumer, as they come; keeps none.

    The channel calls `decode` with bytes of the connection while `wanted`, then `end`, or `fail` when it will not end.
    """

    __slots__ = ("_chunks", "_consumer", "_done", "_error", "_feed", "_left", "_paused", "complete", "received")

    def __init__(self, feed: BodyFeed, length: int | None) -> None:
        self._feed = feed
        self._chunks = ChunkedDecoder() if length is None else None
        self._left = length or 0
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._paused = False
        self._error: Exception | None = None
        self.complete = length == 0
        self.received = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody takes bytes now."""
        return self._consumer is not None and not self._paused

    @property
    def left(self) -> int | None:
        """How many bytes are still to come; None when nobody knows."""
        return None if self._chunks is not None else self._left

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IExchange."""
        done: Deferred[None] = Deferred(self._cancelled)
        self._done = done
        self._consumer = consumer
        consumer.registerProducer(self, True)
        if self._error is not None:
            self.fail(self._error)
        elif self.complete:
            self.end()
        else:
            self._feed.offer()
        return done

    def decode(self, data: bytes) -> bytes | None:
        """Pass on the body bytes in `data`; what follows the body, None while it has not ended. Without a consumer
        they are thrown away.

        Raises:
            BadRequest: bad chunks.
        """
        rest: bytes | None = None
        if self._chunks is not None:
            data = self._chunks.decode(data)
            rest = self._chunks.rest
        else:
            if len(data) >= self._left:
                data, rest = data[: self._left], data[self._left :]
            self._left -= len(data)
        self.complete = rest is not None
        self.received += len(data)
        if data and self._consumer is not None:
            self._consumer.write(data)
        return rest

    def end(self) -> None:
        """Tell the consumer that all is there."""
        done = self._let_go()
        if done is not None:
            done.callback(None)

    def fail(self, error: Exception) -> None:
        """Tell the consumer, now or when there is one, that the body will not be complete."""
        self._error = error
        done = self._let_go()
        if done is not None:
            done.errback(error)

    def _let_go(self) -> Deferred[None] | None:
        consumer, done = self._consumer, self._done
        self._consumer = self._done = None
        if consumer is not None:
            consumer.unregisterProducer()
        return done

    def _cancelled(self, _: Deferred[None]) -> None:
        self._let_go()
        self._feed.regulate()

    # -- IPushProducer, called by the consumer

    def pauseProducing(self) -> None:
        self._paused = True
        self._feed.regulate()

    def resumeProducing(self) -> None:
        self._paused = False
        self._feed.regulate()

    def stopProducing(self) -> None:
        self.fail(CancelledError())
        self._feed.regulate()
