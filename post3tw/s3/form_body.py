"""The body of a form, as two things: its fields, and then the file as the body that a PUT would have.

Theory of operation. The exchange's body flows into a parser. When the file begins the flow is paused, and whoever waits
for the fields gets them; what of the file came in the same piece is held, one piece at most. When somebody takes the
file, held bytes go first and the flow resumes. The file is complete when the whole body is: only its end shows that the
form was one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.model.errors import DomainError, EntityTooLarge, EntityTooSmall
from post3tw.s3.exchange import IExchange
from post3tw.s3.passage import Passage
from post3tw.service.interfaces import IRequestBody
from post3tw.wire.multipart_form import MultipartForm


@implementer(IRequestBody, IConsumer)
class FormBody(Passage):
    """Consumes a form; produces its file.

    Attributes:
        form: what was read so far.
        length: of the file: nobody knows.
        size: bytes of the file so far.
    """

    length = None
    sha256 = None
    trailer_names: tuple[str, ...] = ()

    def __init__(self, exchange: IExchange, form: MultipartForm) -> None:
        super().__init__()
        self.form = form
        self.trailers: dict[str, str] = {}
        self.size = 0
        self._exchange = exchange
        self._least = 0
        self._most: int | None = None
        self._incoming: Deferred[None] | None = None
        self._fields: Deferred[None] | None = None
        self._file: Deferred[None] | None = None
        self._outcome: Failure | bool = False  # True when all came and is a form
        self._error: DomainError | None = None
        self._consumer: Any = None
        self._held: list[bytes] = []

    async def read_fields(self) -> None:
        """Let the body flow until the file begins.

        Raises:
            MalformedForm, FormTooLarge, WrongNumberOfFiles, InvalidArgument, NotImplementedHere, and what ended the
            flow.
        """
        fields = self._fields = Deferred(self._cancelled)
        self._exchange.send_continue()
        self._incoming = self._exchange.deliver_to(self)
        self._incoming.addCallbacks(self._ended, self._failed)
        await fields

    def bound(self, least: int, most: int | None) -> None:
        """Say how many bytes the file must and may have; `deliver_to` fails with EntityTooSmall or EntityTooLarge."""
        self._least, self._most = least, most

    def deliver_to(self, consumer: IConsumer) -> Deferred[None]:
        """See IByteSource; only after `read_fields`."""
        file: Deferred[None] = Deferred(self._cancelled)
        self._file, self._consumer = file, consumer
        consumer.registerProducer(self, True)
        held, self._held = self._held, []
        for piece in held:
            self._give(piece)
        if self._outcome:
            self._settle()
        elif not self._paused:
            self.resumeProducing()
        return file

    def close(self) -> None:
        """Nobody wants the rest, which may be nothing."""
        if self._incoming is not None and not self._outcome:
            self._incoming.cancel()

    # -- called by what brings the body

    def write(self, data: bytes) -> None:
        """Take the form apart; what is none stops the body."""
        try:
            content = self.form.feed(data)
        except DomainError as error:
            self._stop(error)
            return
        for piece in content:
            self._give(piece)
        fields = self._fields
        if fields is not None and self.form.file is not None:
            self._fields = None
            if self._producer is not None:
                self._producer.pauseProducing()
            fields.callback(None)

    def _give(self, piece: bytes) -> None:
        if self._consumer is None:
            self._held.append(piece)
            return
        self.size += len(piece)
        if self._most is not None and self.size > self._most:
            self._stop(EntityTooLarge(proposed_size=self.size, max_size_allowed=self._most))
        else:
            self._consumer.write(piece)

    def _stop(self, error: DomainError) -> None:
        """Take no more; the first reason counts."""
        if self._error is None:
            self._error = error
            if self._producer is not None:
                self._producer.stopProducing()
            else:
                self._outcome = Failure(error)

    def _ended(self, _: None) -> None:
        try:
            self.form.finish()
            self._outcome = True
        except DomainError as error:
            self._outcome = Failure(error)
        self._settle()

    def _failed(self, failure: Failure) -> None:
        self._outcome = failure if self._error is None else Failure(self._error)
        self._settle()

    def _settle(self) -> None:
        """Tell whoever waits that the body is over."""
        outcome = self._outcome
        fields, self._fields = self._fields, None
        if fields is not None and isinstance(outcome, Failure):
            fields.errback(outcome)
        file, self._file = self._file, None
        if file is None:
            return
        consumer, self._consumer = self._consumer, None
        consumer.unregisterProducer()
        if isinstance(outcome, Failure):
            file.errback(outcome)
        elif self.size < self._least:
            file.errback(Failure(EntityTooSmall(proposed_size=self.size, min_size_allowed=self._least)))
        else:
            file.callback(None)

    def _cancelled(self, _: Deferred[None]) -> None:
        self.close()
