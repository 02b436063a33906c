"""Ports: bound early, opened late, and with certificates that can be read again.

Theory of operation. Ports are bound in `privilegedStartService`, before the process gives up root and before the
store is opened, so that a port that is taken is known first. They do not accept until `open_gate`: who connects
meanwhile waits in the kernel's queue instead of being refused.

Twisted's `ssl:` reads its certificate once, and `tls:` reads its directory again only when a client names a host that
it does not know. So the endpoint is given a reactor that puts a `Replaceable` factory under the port: reading
certificates again is parsing the same endpoint string again and exchanging what is under it. Connections that are
open keep what they have.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Protocol

from attrs import define, field
from twisted.internet import protocol, tcp
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from post3tw.server.handshake import is_usable
from post3tw.server.proxy_protocol import Proxied

_WITH_CERTIFICATES = ("ssl", "tls")
_BACKLOG = 1024
"""Connections that may wait to be accepted, unless the endpoint says how many. Twisted's 50 are few when a server
starts again and all its clients come back at once."""
_UNSENT = 1024 * 1024
"""Bytes of a reply that the system may keep for a connection beyond what is on its way. It would take megabytes for
each client that asks and does not read, all of which we had to read and verify first."""


class CannotListen(Exception):
    """An endpoint string makes no sense, or its port cannot be had. The text is one clear line."""


def layers(description: str) -> list[str]:
    """The kinds of an endpoint, outermost first: ["haproxy", "tls"] of `haproxy:tls:…`."""
    kinds = [description.partition(":")[0].lower()]
    if kinds[0] == "haproxy":
        kinds += layers(description.partition(":")[2])
    return kinds


def is_secure(description: str) -> bool:
    """Whether clients of this endpoint speak TLS."""
    return layers(description)[-1] in _WITH_CERTIFICATES


@implementer(IProtocolFactory)
@define
class Replaceable:
    """Passes connections to a factory that can be exchanged while the port stays open."""

    current: Any

    def buildProtocol(self, address: IAddress) -> IProtocol | None:
        """See IProtocolFactory."""
        made: IProtocol | None = self.current.buildProtocol(address)
        return made

    def doStart(self) -> None:
        """See IProtocolFactory."""
        self.current.doStart()

    def doStop(self) -> None:
        """See IProtocolFactory."""
        self.current.doStop()


@define
class _CertificateReactor:
    """A reactor as endpoints with certificates see it. It keeps the factory that they put under the port, and with
    `listens` False binds none."""

    _reactor: Any
    _listens: bool = True
    factory: Replaceable | None = None

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, **options: Any) -> Any:
        """See IReactorSSL."""
        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory, clock=self._reactor), **options)

    def listenTCP(self, port: int, factory: Any, *arguments: Any, **options: Any) -> Any:
        """See IReactorTCP."""
        self.factory = Replaceable(factory)
        return self._reactor.listenTCP(port, self.factory, *arguments, **options) if self._listens else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def parse_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """The endpoint of a string, its certificate files read.

    Raises:
        CannotListen: not an endpoint, or its files cannot be used.
    """
    try:
        return _endpoint_of(reactor, description)
    except Exception as error:
        # Whatever a parser raises, among it TypeError for a wrong keyword and OpenSSL's own errors, means this.
        hint = f"; a port alone is tcp:{description}" if description.isdecimal() else ""
        raise CannotListen(f"{description}: {_reason(error)}{hint}") from None


def _endpoint_of(reactor: Any, description: str) -> IStreamServerEndpoint:
    kind, _, behind = description.partition(":")
    if kind.lower() == "haproxy":
        return Proxied(_endpoint_of(reactor, behind))
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    return endpoint


def _under_the_port(reactor: Any, description: str, factory: Any) -> Any:
    """The factory that an endpoint puts under its port for `factory`, with certificates as they are now."""
    capture = _CertificateReactor(reactor, listens=False)
    listen_at_once(parse_endpoint(capture, description), description, factory)
    assert capture.factory is not None
    return capture.factory.current


def listen_at_once(endpoint: IStreamServerEndpoint, description: str, factory: Any) -> Any:
    """The port of an endpoint, which must have it at once: a server that is starting has no later."""
    ports: list[Any] = []
    failures: list[Failure] = []
    maybeDeferred(endpoint.listen, factory).addCallbacks(ports.append, failures.append)
    if failures:
        raise CannotListen(f"{description}: {_reason(failures[0].value)}")
    if not ports:
        raise CannotListen(f"{description}: this kind of endpoint does not listen at once")
    return ports[0]


def check_certificates(reactor: Any, description: str) -> None:
    """Look whether an endpoint has a certificate that a client could use.

    Raises:
        CannotListen: it has none.
    """
    if not is_usable(_under_the_port(reactor, description, protocol.Factory.forProtocol(protocol.Protocol))):
        raise CannotListen(f"{description}: there is no certificate, with its key, that a client could use")


def _reason(error: BaseException | None) -> str:
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"not an endpoint ({text})" if isinstance(error, TypeError | IndexError) else text


def _keep_little_unsent(listening: socket.socket) -> None:
    """Bound what the system keeps for each connection of a port; they inherit it. Not every system can."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        with suppress(OSError):  # the constant is Python's; a kernel may know nothing of it
            listening.setsockopt(socket.IPPROTO_TCP, option, _UNSENT)


class IListener(Protocol):
    """What a server does with an endpoint."""

    def bind(self) -> None:
        """Have a port, without accepting yet. Raises CannotListen."""

    def open_gate(self) -> None:
        """Begin to accept."""

    def close(self) -> Deferred[None]:
        """Let go of the port; connections stay."""

    def reload_certificates(self) -> None:
        """Read certificates again; bad ones are logged and change nothing."""

    def url(self) -> str:
        """Where clients on this machine reach it."""


def bind_all(listeners: Sequence[IListener], admin: IListener | None) -> None:
    """Have all ports of a server.

    Raises:
        CannotListen: one cannot be had; the text names the option that asks for it.
    """
    for option, listener in (*(("--listen", each) for each in listeners), ("--admin", admin)):
        try:
            if listener is not None:
                listener.bind()
        except CannotListen as error:
            raise CannotListen(f"cannot listen: {option} {error}") from None


@define
class Listener:
    """One endpoint on which a factory is served."""

    log: ClassVar[Logger] = Logger()

    description: str
    _reactor: Any
    _factory: Any
    _endpoint: IStreamServerEndpoint = field(init=False)
    _certificates: _CertificateReactor | None = field(init=False, default=None)
    port: Any = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if is_secure(self.description):
            self._certificates = _CertificateReactor(self._reactor)
            check_certificates(self._reactor, self.description)
        self._endpoint = parse_endpoint(self._certificates or self._reactor, self.description)

    def bind(self) -> None:
        """Take the port, without accepting yet.

        Raises:
            CannotListen: it cannot be had.
        """
        self.port = listen_at_once(self._endpoint, self.description, self._factory)
        self.port.stopReading()
        if "backlog=" not in self.description and isinstance(self.port, tcp.Port):
            self.port.socket.listen(_BACKLOG)
        if isinstance(self.port, tcp.Port) and self.port.addressFamily != socket.AF_UNIX:
            _keep_little_unsent(self.port.socket)

    def open_gate(self) -> None:
        """Begin to accept."""
        self.port.startReading()

    def close(self) -> Deferred[None]:
        """Let go of the port; connections stay."""
        port, self.port = self.port, None
        return maybeDeferred(port.stopListening) if port is not None else succeed(None)

    def reload_certificates(self) -> None:
        """Read certificates again; bad ones are logged and change nothing."""
        if self._certificates is None or self._certificates.factory is None:
            return
        try:
            check_certificates(self._reactor, self.description)
            self._certificates.factory.current = _under_the_port(self._reactor, self.description, self._factory)
        except CannotListen as error:
            self.log.error("Certificates are kept as they were: {reason}", reason=str(error))
            return
        self.log.info("Certificates read: {endpoint}", endpoint=self.description)

    def url(self) -> str:
        """Where clients on this machine reach it: a URL, or the endpoint string when there is none."""
        address = self.port.getHost()
        host = getattr(address, "host", None)
        if host is None:
            return self.description
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        scheme = "https" if is_secure(self.description) else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port}"
