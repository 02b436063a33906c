"""The body of a form between what brings it and what takes its file."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import EntityTooLarge, InvalidArgument
from post3tw.s3.form_body import FormBody
from post3tw.wire.multipart_form import MultipartForm
from tests.s3.doubles import Collector
from tests.s3.forms import BOUNDARY, form, part


class Upstream:
    """An exchange whose body comes when the test says so, and the producer of that body."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.done: Deferred[None] = Deferred(lambda _: self.calls.append("cancel"))
        self.consumer: Any = None

    def send_continue(self) -> None:
        self.calls.append("continue")

    def deliver_to(self, consumer: Any) -> Deferred[None]:
        self.consumer = consumer
        consumer.registerProducer(self, True)
        return self.done

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")
        self.consumer.unregisterProducer()
        self.done.errback(CancelledError())


class Full(Collector):
    """Takes bytes, but asks for a pause at once."""

    def write(self, data: bytes) -> None:
        super().write(data)
        self.producer.pauseProducing()


HEAD = part("key", b"k") + part("file", b"")[:-2]
"""A form up to the first byte of its file."""


class FormBodyTests(SynchronousTestCase):
    """One form, step by step."""

    def setUp(self) -> None:
        self.upstream = Upstream()
        self.body = FormBody(cast(Any, self.upstream), MultipartForm(BOUNDARY))
        self.fields = Deferred.fromCoroutine(self.body.read_fields())

    def test_waits_between_fields_and_file(self) -> None:
        """When the file begins the flow pauses; it goes on when somebody takes the file."""
        self.upstream.consumer.write(HEAD + b"abc")
        self.successResultOf(self.fields)
        self.assertEqual(self.upstream.calls, ["continue", "pause"])
        taking = Collector()
        taken = self.body.deliver_to(taking)
        self.assertEqual((bytes(taking.data), self.upstream.calls), (b"abc", ["continue", "pause", "resume"]))
        self.upstream.consumer.write(b"def\r\n--" + BOUNDARY + b"--\r\n")
        self.assertNoResult(taken)
        self.upstream.done.callback(None)
        self.successResultOf(taken)
        self.assertEqual((bytes(taking.data), taking.producer), (b"abcdef", None))

    def test_a_consumer_that_is_full(self) -> None:
        """Who asks for a pause when it gets what was held is not sent more."""
        self.upstream.consumer.write(HEAD + b"abc")
        taking = Full()
        self.body.deliver_to(taking)
        self.assertEqual(self.upstream.calls, ["continue", "pause", "pause"])
        taking.producer.resumeProducing()
        self.assertEqual(self.upstream.calls[-1], "resume")

    def test_a_consumer_that_wants_no_more(self) -> None:
        """Its wish is passed on."""
        self.upstream.consumer.write(HEAD)
        taking = Collector()
        taken = self.body.deliver_to(taking)
        taking.producer.stopProducing()
        self.failureResultOf(taken, CancelledError)

    def test_all_at_once(self) -> None:
        """A form that came whole is delivered whole."""
        self.upstream.consumer.write(form({"key": "k"}, b"abc"))
        self.upstream.consumer.unregisterProducer()
        self.upstream.done.callback(None)
        taking = Collector()
        self.successResultOf(self.body.deliver_to(taking))
        self.assertEqual(bytes(taking.data), b"abc")

    def test_nothing_after_an_error(self) -> None:
        """Once the file is too large the rest of what was held is not passed on, and the flow is stopped."""
        self.body.bound(0, 4)
        for piece in (HEAD + b"abc", b"def", b"g"):
            self.upstream.consumer.write(piece)
        taking = Collector()
        error = self.failureResultOf(self.body.deliver_to(taking), EntityTooLarge)
        self.assertEqual(error.value.details, {"proposed_size": 6, "max_size_allowed": 4})
        self.assertEqual((bytes(taking.data), self.upstream.calls[-1]), (b"abc", "stop"))

    def test_too_large_at_once(self) -> None:
        """The same when all of it has come already."""
        self.body.bound(0, 2)
        self.upstream.consumer.write(form({"key": "k"}, b"abc"))
        self.upstream.consumer.unregisterProducer()
        self.upstream.done.callback(None)
        self.failureResultOf(self.body.deliver_to(Collector()), EntityTooLarge)

    def test_errors_of_the_form(self) -> None:
        """A bad field stops the flow and is what whoever waits is told."""
        self.upstream.consumer.write(part("a", b"1") + part("A", b"2") + part("b", b""))
        self.failureResultOf(self.fields, InvalidArgument)
        self.assertEqual(self.upstream.calls[-1], "stop")

    def test_close(self) -> None:
        """A form that nobody wants any more is let go, once."""
        self.upstream.consumer.write(HEAD)
        self.body.close()
        self.body.close()
        self.assertEqual(self.upstream.calls, ["continue", "pause", "cancel"])

    def test_cancelling(self) -> None:
        """Whoever gives up waiting for fields or file lets the body go."""
        self.fields.cancel()
        self.failureResultOf(self.fields, CancelledError)
        self.assertEqual(self.upstream.calls[-1], "cancel")

    def test_cancelling_the_file(self) -> None:
        """The same with the file."""
        self.upstream.consumer.write(HEAD)
        taken = self.body.deliver_to(Collector())
        taken.cancel()
        self.failureResultOf(taken, CancelledError)
        self.assertEqual(self.upstream.calls[-1], "cancel")
