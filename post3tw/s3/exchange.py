"""One request and its answer, as the pipeline sees them: a head, a body that can be asked to flow, a place for the
reply.

The pipeline knows nothing else of HTTP, so that what lies below (today twisted.web's channel) can be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

Fields = Sequence[tuple[str, str]]
"""Headers of a reply, in order."""


@define
class RequestHead:
    """What came before the body.

    Attributes:
        method: as it came; methods are case-sensitive.
        target: the raw request target, neither decoded nor normalised.
        version: "HTTP/1.1" or "HTTP/1.0".
        fields: lower-case name and raw value of each header in the order received, as signatures are made over them.
        headers: the same as text by name; values of a repeated header are joined by commas. Values are UTF-8, or
            Latin-1 where they are not; in user metadata other bytes are lone surrogates (surrogateescape) instead.
        repeated: names that came more than once.
        content_length: the declared length of the body, None for a chunked one.
        keep_alive: whether the client wants to use the connection again.
        peer: the address at the other end of the connection.
        secure: whether the connection is TLS.
        tls_version: of the connection, such as "1.3"; empty when it is not TLS.
    """

    method: str
    target: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    headers: dict[str, str]
    repeated: frozenset[str] = frozenset()
    content_length: int | None = 0
    keep_alive: bool = False
    peer: str = ""
    secure: bool = False
    tls_version: str = ""


class IExchange(Interface):
    """One request and the way to answer it."""

    head = Attribute("RequestHead")
    bytes_in = Attribute("int: body bytes received, after the chunks of HTTP were taken off")
    bytes_out = Attribute("int: body bytes written")
    first_byte = Attribute("float | None: when the reply's head left, in seconds since the epoch")
    started = Attribute("bool: whether anything of the reply was written, so that it cannot become another one")
    also = Attribute("Fields: headers that the reply gets, whichever it becomes; none at first")
    gone = Attribute("bool: whether nobody is there any more to read the reply")

    def send_continue() -> None:
        """Ask for the body, if its sender waits to be asked."""

    def deliver_to(consumer: IConsumer) -> Deferred[None]:
        """Let the raw body flow, once, as IByteSource says. Bytes come as soon as the consumer takes them: nothing is
        kept.

        Fails with ClientGone, IncompleteBody, RequestTimeout or BadRequest (bad chunks).
        """

    def reply(status: int, headers: Fields, body: bytes = b"") -> None:
        """Answer in one write and finish. Content-Length is added, unless there cannot be a body (HEAD, 204, 304).

        Raises:
            InvalidArgument: a header's value has control characters; nothing was written.
        """

    def start(status: int, headers: Fields) -> IConsumer:
        """Begin a reply whose body flows; `headers` have its Content-Length. The head leaves with the first bytes, so
        until then another reply can still be given instead. Raises what `reply` raises."""

    def finish() -> None:
        """The last byte of a started reply was written."""

    def drop() -> None:
        """Cut the connection: the reply that was begun cannot be finished, and its reader must notice."""

    def on_gone(callback: Callable[[], object]) -> None:
        """Call `callback` when the client goes away before the reply is finished. There is one; the last one counts."""
