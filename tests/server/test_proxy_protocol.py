"""Headers of the PROXY protocol that make no sense."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.proxy_protocol import ProxiedFactory


class Heard(Protocol):
    """Keeps what it hears, and trips over what it is told to."""

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self.data += data
        if data == b"trip":
            raise ValueError("tripped")


class ProxiedTests(SynchronousTestCase):
    """One connection of a proxy."""

    def setUp(self) -> None:
        """Connect."""
        self.protocol: Any = ProxiedFactory(Factory.forProtocol(Heard)).buildProtocol(IPv4Address("TCP", "::", 1))
        self.transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", "192.0.2.9", 1))
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def test_header(self) -> None:
        """A good header says who is there, and what follows it is passed on."""
        self.protocol.dataReceived(b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\nhello")
        self.assertEqual(self.protocol.getPeer().host, "192.0.2.1")
        self.assertEqual(self.protocol.wrappedProtocol.data, b"hello")

    def test_nonsense(self) -> None:
        """A port that is no number, or an address that is no text, ends the connection without an accident."""
        for header in (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5 x\r\n",
            b"PROXY TCP6 ::1 ::2 \r\n",
            b"PROXY TCP6 \xba::1 ::2 5 80\r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 5 80\r\n",
            b"GET / HTTP/1.1\r\n",
        ):
            self.setUp()
            self.protocol.dataReceived(header)
            self.assertFalse(self.transport.connected, header)

    def test_errors_behind(self) -> None:
        """What goes wrong behind the header is not hidden."""
        header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"
        self.assertRaises(ValueError, self.protocol.dataReceived, header + b"trip")
        self.setUp()
        self.protocol.dataReceived(header)
        self.assertRaises(ValueError, self.protocol.dataReceived, b"trip")
