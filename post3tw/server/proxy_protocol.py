"""The PROXY protocol in front of an endpoint: Twisted's, but for headers that make no sense.

Twisted refuses most of those, and lets the rest become an exception: a port that is no number, an address that is no
text. Each would be a traceback in the log, written by whoever can connect. Here all of them end the connection alike.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper, HAProxyWrappingFactory
from zope.interface import implementer


class _Careful(HAProxyProtocolWrapper):
    def dataReceived(self, data: bytes) -> None:
        """See IProtocol."""
        try:
            super().dataReceived(data)
        except ValueError:
            if self._proxyInfo is not None:
                raise  # by what is behind the header
            self.loseConnection()


class ProxiedFactory(HAProxyWrappingFactory):
    """Puts the PROXY protocol before the protocols of another factory."""

    protocol = _Careful  # type: ignore[assignment]


@implementer(IStreamServerEndpoint)
@frozen
class Proxied:
    """An endpoint whose clients are proxies that speak the PROXY protocol."""

    endpoint: IStreamServerEndpoint

    def listen(self, factory: Any) -> Any:
        """See IStreamServerEndpoint."""
        return self.endpoint.listen(ProxiedFactory(factory))
