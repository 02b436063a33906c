"""Sources and consumers that do what a test tells them."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from post3tw.service.interfaces import IByteSource
from post3tw.storage.threads import IThreads


@implementer(IByteSource, IPushProducer)
@define(eq=False)
class HandFed:
    """A source whose bytes the test hands over: a client's connection.

    Attributes:
        length: what the client declared.
        sha256: what the payload must have.
        paused: whether the consumer wants no more.
        pauses: how often it said so.
        cancelled: whether the flow was cancelled.
    """

    length: int | None = None
    sha256: str | None = None
    paused: bool = False
    pauses: int = 0
    cancelled: bool = False
    consumer: IConsumer | None = None
    done: Deferred[None] = field(init=False)

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IByteSource."""
        self.consumer = consumer
        self.done = Deferred(self._cancel)
        consumer.registerProducer(self, True)
        return self.done

    def _cancel(self, _: object) -> None:
        self.cancelled = True

    def feed(self, data: bytes, chunk: int = 65_536) -> None:
        """Hand bytes over, whether the consumer is paused or not."""
        assert self.consumer is not None
        for at in range(0, len(data), chunk):
            self.consumer.write(data[at : at + chunk])

    def end(self) -> None:
        """That was all."""
        assert self.consumer is not None
        self.consumer.unregisterProducer()
        self.done.callback(None)

    def fail(self, error: Exception) -> None:
        """The client is gone, or sent nonsense."""
        assert self.consumer is not None
        self.consumer.unregisterProducer()
        self.done.errback(error)

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self.paused = False

    def stopProducing(self) -> None:
        """See IPushProducer."""
        self.cancelled = True


@implementer(IConsumer)
@define(eq=False)
class Connection:
    """A consumer like a connection to a client: it pauses its producer when it was given something, until the test says
    that the client took it.

    Attributes:
        stuck: whether it pauses.
        taken: the chunks it was given.
        gone_at_once: whether it turns away whoever registers.
    """

    stuck: bool = False
    gone_at_once: bool = False
    taken: list[bytes] = field(factory=list)
    producer: Any = None
    registered: int = 0
    unregistered: int = 0

    @property
    def data(self) -> bytes:
        """Everything it was given."""
        return b"".join(self.taken)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See IConsumer."""
        assert streaming
        self.registered += 1
        self.producer = producer
        if self.gone_at_once:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        """See IConsumer."""
        self.unregistered += 1
        self.producer = None

    def write(self, data: bytes) -> None:
        """See IConsumer."""
        self.taken.append(data)
        if self.stuck:
            self.producer.pauseProducing()


@implementer(IThreads)
@define(eq=False)
class HeldThreads:
    """Threads that run nothing until the test lets them."""

    waiting: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = field(factory=list)

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def run(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """Remember what to run."""
        result: Deferred[Any] = Deferred()
        self.waiting.append((result, function, arguments))
        return result

    def work(self) -> bool:
        """Run one function; whether there was one. Like a real thread it runs what nobody waits for any more."""
        if not self.waiting:
            return False
        result, function, arguments = self.waiting.pop(0)
        try:
            value = function(*arguments)
        except Exception as error:
            if not result.called:
                result.errback(error)
        else:
            if not result.called:
                result.callback(value)
        return True

    def work_all(self) -> None:
        """Run until nothing is left."""
        while self.work():
            pass
