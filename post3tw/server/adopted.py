"""Endpoints in a worker: their sockets come from the parent, and what is between a socket and S3 is made anew.

An endpoint string says where to listen, which the parent has done, and what comes before S3: TLS, the PROXY protocol.
So the string is read again, with a reactor that binds nothing and keeps the factory that would have been put under the
port.
"""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from post3tw.server.handshake import is_usable
from post3tw.server.listening import CannotListen, Replaceable, is_secure, layers, listen_at_once, parse_endpoint
from post3tw.server.turnstile import SharedPort, Turnstile, adopt_port

_KINDS = frozenset({"tcp", "tcp6", "ssl", "tls", "unix", "systemd"})


def can_be_shared(description: str) -> bool:
    """Whether several processes can accept from an endpoint: whether it is known how to make one in a worker."""
    return layers(description)[-1] in _KINDS


@define
class _Unbound:
    """A reactor that binds nothing."""

    _reactor: Any
    factory: Any = None

    def listenTCP(self, port: int, factory: Any, *arguments: Any, **options: Any) -> None:
        """See IReactorTCP."""
        self.factory = factory

    def listenUNIX(self, address: Any, factory: Any, *arguments: Any, **options: Any) -> None:
        """See IReactorUNIX."""
        self.factory = factory

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, **options: Any) -> None:
        """See IReactorSSL."""
        self.factory = TLSMemoryBIOFactory(contextFactory, False, factory, clock=self._reactor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def under_the_port(reactor: Any, description: str, factory: Any) -> Any:
    """The factory that an endpoint would put under its port for `factory`.

    Raises:
        CannotListen: its certificate files cannot be used.
    """
    if layers(description)[-1] == "systemd":  # names a descriptor that only the parent had
        description = description[: description.lower().rindex("systemd:")] + "tcp:0"
    unbound = _Unbound(reactor)
    listen_at_once(parse_endpoint(unbound, description), description, factory)
    return unbound.factory


@define
class AdoptedListener:
    """One endpoint on which a factory is served, in a worker; see listening.Listener, whose other half is the parent's.

    Attributes:
        description: the endpoint string.
        family: of the socket's address.
        descriptor: of the socket.
    """

    log: ClassVar[Logger] = Logger()

    description: str
    family: int
    descriptor: int
    _reactor: Any
    _factory: Any
    _turnstile: Turnstile
    _under: Replaceable | None = field(default=None, init=False)
    port: SharedPort | None = field(default=None, init=False)

    def bind(self) -> None:
        """Make a port of the socket, without accepting yet.

        Raises:
            CannotListen: certificates cannot be used.
        """
        self._under = Replaceable(self._made())
        self.port = adopt_port(self._reactor, self.descriptor, self.family, self._under, self._turnstile)

    def open_gate(self) -> None:
        """Begin to accept."""
        assert self.port is not None
        self._turnstile.enter()
        self.port.startReading()

    def close(self) -> Deferred[None]:
        """Accept no more; connections stay."""
        self._turnstile.leave()
        port, self.port = self.port, None
        return maybeDeferred(port.stopListening) if port is not None else succeed(None)

    def reload_certificates(self) -> None:
        """Read certificates again; bad ones are logged and change nothing."""
        if self._under is None or not is_secure(self.description):
            return
        try:
            self._under.current = self._made()
        except CannotListen as error:
            self.log.error("Certificates are kept as they were: {reason}", reason=str(error))

    def url(self) -> str:
        """For people there is the parent's."""
        return self.description

    def _made(self) -> Any:
        if is_secure(self.description) and not is_usable(
            under_the_port(self._reactor, self.description, Factory.forProtocol(Protocol))
        ):
            raise CannotListen(f"{self.description}: there is no certificate, with its key, that a client could use")
        return under_the_port(self._reactor, self.description, self._factory)
