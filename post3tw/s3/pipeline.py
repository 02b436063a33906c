"""What happens to a request. The one module that calls everything.

Theory of operation
===================

    head  →  address  →  route  →  authenticate  →  parse  →  admit  →  100 Continue  →  run  →  serialise  →  reply
    →  record

All of it works on an IExchange. Errors of any step end in `_failed`: before the first byte of the reply they become
an error document, after it the connection is cut, because nothing else tells the client that what it has is not all.

An operation runs as one coroutine. At each STEP it waits for the others that came in the same turn of the reactor,
because they run through the same code (`turn`). When the client goes away it is cancelled, which reaches whatever it
waits for: a read stops, a write is given up unless it has begun to commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from post3tw.api.operation import Operation
from post3tw.api.routes import route
from post3tw.model.errors import ClientGone, CorruptedData, NotImplementedHere, SlowDown
from post3tw.model.identity import Caller, Identity
from post3tw.model.ids import IdSource
from post3tw.model.steps import STEP
from post3tw.s3.addressing import Address, Addressing
from post3tw.s3.authentication import Authenticator, Payload, hoisted_headers
from post3tw.s3.body import read_document, request_body, require_length, stored_headers
from post3tw.s3.cors import CrossOrigin
from post3tw.s3.error_replies import error_reply
from post3tw.s3.errors import S3ErrorCode, code_of
from post3tw.s3.exchange import IExchange, RequestHead
from post3tw.s3.facts import request_facts
from post3tw.s3.limits import Limits, Tally, tally_of_one
from post3tw.s3.post_form import NAME as POST_OBJECT
from post3tw.s3.post_form import PostForm, is_form
from post3tw.s3.proxies import TrustedProxies
from post3tw.s3.record import CLIENT_GONE, RequestObserver, RequestRecord, redacted
from post3tw.s3.turn import Serving, Turn
from post3tw.service.interfaces import IAuthorizedS3Service, Method


@define(eq=False)
class Pipeline:
    """Serves exchanges.

    Attributes:
        service: what runs the operations.
        authenticator: who is asking.
        addressing: for what.
        ids: clock and request ids.
        limits: how much at a time.
        proxies: which of them are believed.
        cross_origin: what pages of other origins are told.
        observers: are told of every request.
        host_id: x-amz-id-2: which server this is, meaningless to clients.
        running: how many requests are being served, here and by other processes of the server.
        turn: what has requests that come together go in step.
    """

    log: ClassVar[Logger] = Logger()

    service: IAuthorizedS3Service
    authenticator: Authenticator
    addressing: Addressing
    ids: IdSource
    limits: Limits
    proxies: TrustedProxies
    cross_origin: CrossOrigin
    observers: Sequence[RequestObserver] = ()
    host_id: str = ""
    running: Tally = field(factory=tally_of_one)
    turn: Turn = field(factory=Turn)
    _operations: Mapping[str, Method] = field(init=False)
    _forms: PostForm = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._operations = self.service.operations()
        self._forms = PostForm(self.service, self.authenticator, self.ids.now)

    def serve(self, exchange: IExchange) -> None:
        """Answer a request, now or later."""
        self.turn.join(Serving(self._serve, exchange, self.turn))

    def refuse(self, exchange: IExchange, error: Exception) -> None:
        """Answer what is not a request, or not one that we want to serve."""
        record = self._opened(exchange)
        self._failed(exchange, record, error)
        self._closed(exchange, record)

    # -- one request

    async def _serve(self, exchange: IExchange) -> None:
        record = self._opened(exchange)
        running = self.running.own
        running[0] += 1
        try:
            await self._perform(exchange, record)
            await STEP
        except Exception as error:
            self._failed(exchange, record, error)
        finally:
            running[0] -= 1
            self._closed(exchange, record)

    async def _perform(self, exchange: IExchange, record: RequestRecord) -> None:
        head = exchange.head
        if sum(self.running.everywhere) > self.limits.max_requests:
            raise SlowDown()
        address = self.addressing.locate(head)
        record.bucket, record.key = address.bucket, address.key
        if head.method == "OPTIONS":
            self._answer(exchange, record, 200, [*await self.cross_origin.preflight(head, address)])
            return
        if "origin" in head.headers:
            exchange.also = await self.cross_origin.headers(head, address)
        if is_form(head, address):
            await self._take_form(exchange, record, address)
            return
        arguments: Mapping[str, str] = address.arguments
        headers = stored_headers(head.headers)
        if arguments:
            headers, arguments = hoisted_headers(headers, arguments)
        operation = route(head.method, address.level, arguments, headers)
        record.operation = operation.name
        await STEP
        identity, payload = self.authenticator.authenticate(head, address)
        if identity is not None:
            record.user_id, record.access_key = identity.user_id, identity.access_key
        await STEP
        method = self._operations.get(operation.name)
        if method is None:
            raise NotImplementedHere(f"{operation.name} is not implemented here.", operation=operation.name)
        caller = self._caller(identity, record, head)
        input = operation.parse_head(address.bucket, address.key, arguments, headers)
        await self.service.admit(caller, operation.name, input)
        await STEP
        output = await self._run(exchange, operation, method, caller, input, payload)
        await STEP
        caller.admission = None  # which may know the caller: a circle, for the garbage collector to find
        await self._reply(exchange, record, operation, output)

    async def _run(
        self,
        exchange: IExchange,
        operation: Operation,
        method: Method,
        caller: Caller,
        input: Any,
        payload: Payload,
    ) -> Any:
        if operation.body == "none":
            return await method(caller, input)
        body = request_body(exchange, payload)
        if operation.body == "stream":
            require_length(exchange, payload)
            return await method(caller, input, body)
        document = await read_document(
            body,
            exchange.head.headers,
            self.limits.document_size,
            with_checksum="checksum_crc32" not in operation.bindings,
        )
        operation.parse_payload(input, document)
        return await method(caller, input)

    async def _take_form(self, exchange: IExchange, record: RequestRecord, address: Address) -> None:
        record.operation = POST_OBJECT
        reply = await self._forms.upload(
            exchange, address, record, lambda identity: self._caller(identity, record, exchange.head)
        )
        self._answer(exchange, record, *reply)

    def _answer(
        self, exchange: IExchange, record: RequestRecord, status: int, headers: list[tuple[str, str]], body: bytes = b""
    ) -> None:
        """Answer in one go."""
        record.status = status
        headers += [("x-amz-request-id", record.request_id), ("x-amz-id-2", self.host_id)]
        exchange.reply(status, headers, body)

    async def _reply(self, exchange: IExchange, record: RequestRecord, operation: Operation, output: Any) -> None:
        status, headers, document = operation.serialise(output)
        body = getattr(output, "body", None)
        if body is None:
            self._answer(exchange, record, status, headers, document)
            return
        headers += [("x-amz-request-id", record.request_id), ("x-amz-id-2", self.host_id)]
        record.status = status
        length = len(body) if isinstance(body, bytes) else body.length
        if output.content_length is None:
            headers.append(("Content-Length", str(length)))
        sink = exchange.start(status, headers)
        if isinstance(body, bytes):
            sink.write(body)
        else:
            await body.deliver_to(sink)
        if exchange.bytes_out != length and not exchange.gone:
            raise CorruptedData("The body did not have the length that was announced.")
        exchange.finish()

    # -- its end

    def _failed(self, exchange: IExchange, record: RequestRecord, error: Exception) -> None:
        """The one exit for errors."""
        code = code_of(error)
        vanished = exchange.gone and isinstance(error, (ClientGone, CancelledError))
        if code is S3ErrorCode.InternalError and not vanished:
            self.log.failure("Request {request_id} failed.", request_id=record.request_id)
        record.error_code = None if vanished else code.code
        if exchange.gone:
            return
        if exchange.started:
            exchange.drop()
            return
        resource = record.uri.partition("?")[0]
        self._answer(exchange, record, *error_reply(error, resource, record.request_id, self.host_id))

    def _caller(self, identity: Identity | None, record: RequestRecord, head: RequestHead) -> Caller:
        facts = partial(request_facts, head, identity is not None, self.ids.now, self.proxies)
        return Caller(identity, record.request_id, record.remote_ip, self.proxies.secure(head), facts=facts)

    def _opened(self, exchange: IExchange) -> RequestRecord:
        head = exchange.head
        return RequestRecord(
            self.ids.seconds(),
            self.ids.request_id(),
            head.method,
            redacted(head.target),
            self.proxies.client_of(head),
            head.headers.get("user-agent"),
        )

    def _closed(self, exchange: IExchange, record: RequestRecord) -> None:
        record.bytes_in, record.bytes_out = exchange.bytes_in, exchange.bytes_out
        record.duration = self.ids.seconds() - record.time
        if exchange.first_byte is not None:
            record.time_to_first_byte = exchange.first_byte - record.time
        if exchange.gone:
            record.client_gone, record.status = True, CLIENT_GONE
        for observer in self.observers:
            try:
                observer.observe(record)
            except Exception:
                self.log.failure("An observer of requests failed.")
