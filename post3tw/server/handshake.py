"""A handshake with ourselves: whether a TLS factory has a certificate that a client could use.

Twisted takes a directory without any certificate, and finds out with the first client.
"""

from __future__ import annotations

import ssl
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITransport
from zope.interface import implementer


@implementer(ITransport)
class _Collecting:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def writeSequence(self, data: Any) -> None:
        """Keep them."""
        self.written += b"".join(data)

    def loseConnection(self) -> None:
        """There is none."""

    def getPeer(self) -> IPv4Address:
        """Somebody."""
        return IPv4Address("TCP", "127.0.0.1", 0)

    def getHost(self) -> IPv4Address:
        """Somebody."""
        return IPv4Address("TCP", "127.0.0.1", 0)


def is_usable(factory: Any) -> bool:
    """Whether a client gets through the handshake of a server factory that speaks TLS.

    Args:
        factory: makes TLS protocols; what they wrap is connected and told nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server)
    transport = _Collecting()
    server = factory.buildProtocol(transport.getPeer())
    server.makeConnection(transport)
    for _ in range(4):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            server.dataReceived(to_server.read())
            to_client.write(transport.written)
            transport.written = b""
        except ssl.SSLError:
            return False
        else:
            return True
    return False
