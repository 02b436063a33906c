"""Ports and endpoint strings."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.server.listening import CannotListen, Listener, is_secure
from post3tw.testing.certificates import make_certificate
from tests.processes import in_thread


class Greeting(Protocol):
    """Says hello and hangs up."""

    def connectionMade(self) -> None:
        """See Protocol."""
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class DescriptionTests(SynchronousTestCase):
    """What an endpoint string says."""

    def test_secure(self) -> None:
        """TLS is TLS behind the PROXY protocol too."""
        for description in ("ssl:443", "tls:/pems", "haproxy:tls:/pems:port=1", "haproxy:ssl:443", "TLS:/pems"):
            self.assertTrue(is_secure(description), description)
        for description in ("tcp:80", "tcp6:80", "unix:/s", "haproxy:tcp:80", "systemd:domain=INET:index=0"):
            self.assertFalse(is_secure(description), description)

    def test_nonsense(self) -> None:
        """What is no endpoint is refused in one line, however Twisted's parser takes it."""
        empty = self.mktemp()
        Path(empty).write_text("")
        for description in (
            "",
            "tcp",
            "tcp:",
            "tcp:many",
            "tcp:80:colour=red",
            "pigeon:1",
            "ssl:0:privateKey=/nowhere",
            f"ssl:0:privateKey={empty}",
            "tls:/nowhere:port=0",
            "systemd:domain=INET:index=99",
            "haproxy:nothing:1",
        ):
            text = str(self.assertRaises(CannotListen, Listener, description, None, Factory()))
            self.assertTrue(text.startswith(f"{description}: "), text)
            self.assertNotIn("\n", text)


class ListenerTests(TestCase):
    """A port's life."""

    def listener(self, description: str = "tcp:0:interface=127.0.0.1") -> Listener:
        """One that greets."""
        from twisted.internet import reactor

        listener = Listener(description, reactor, Factory.forProtocol(Greeting))
        self.addCleanup(listener.close)
        return listener

    async def greeting(self, listener: Listener) -> bytes:
        """What who connects is told."""
        address = listener.port.getHost()

        def read() -> bytes:
            with socket.create_connection((address.host, address.port), timeout=10) as connection:
                return connection.recv(100)

        found: bytes = await in_thread(read)
        return found

    async def test_gate(self) -> None:
        """Who connects before the gate is open waits, and is not refused."""
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        listener = self.listener()
        listener.bind()
        waiting = in_thread_deferred(self.greeting(listener))
        await deferLater(reactor, 0.05)
        self.assertFalse(waiting.called)
        listener.open_gate()
        self.assertEqual(await waiting, b"hello")

    async def test_taken(self) -> None:
        """A port that is taken is said in one line with the endpoint."""
        first = self.listener()
        first.bind()
        second = self.listener(f"tcp:{first.port.getHost().port}:interface=127.0.0.1")
        text = str(self.assertRaises(CannotListen, second.bind))
        self.assertEqual(text, f"{second.description}: Address already in use")

    async def test_not_ours(self) -> None:
        """An address that this machine does not have, and a file that cannot be made, are said the same way."""
        for description in ("tcp:0:interface=203.0.113.1", "unix:/nowhere/socket"):
            text = str(self.assertRaises(CannotListen, self.listener(description).bind))
            self.assertTrue(text.startswith(f"{description}: "), text)

    async def test_urls(self) -> None:
        """Wildcard addresses are shown as one that clients on this machine can use."""
        for description, url in (
            ("tcp:0:interface=127.0.0.1", "http://127.0.0.1:{}"),
            ("tcp:0", "http://127.0.0.1:{}"),
            ("tcp6:0:interface=\\:\\:1", "http://[::1]:{}"),
            ("tcp6:0", "http://[::1]:{}"),
        ):
            listener = self.listener(description)
            listener.bind()
            self.assertEqual(listener.url(), url.format(listener.port.getHost().port))
        path = Path(self.mktemp()).absolute()
        listener = self.listener(f"unix:{path}")
        listener.bind()
        self.assertEqual(listener.url(), f"unix:{path}")

    async def test_certificates_that_cannot_be_used(self) -> None:
        """Certificates that went missing, or do not fit their key, change nothing; good ones are taken."""
        folder, other = Path(self.mktemp()), Path(self.mktemp())
        folder.mkdir()
        other.mkdir()
        made = make_certificate(folder, ("first", "localhost"))
        listener = self.listener(f"ssl:0:interface=127.0.0.1:certKey={made.certificate}:privateKey={made.private_key}")
        listener.bind()
        listener.open_gate()
        make_certificate(other, ("second", "localhost")).certificate.replace(made.certificate)
        listener.reload_certificates()
        self.assertEqual(await self.common_name(listener), "first")
        made.private_key.unlink()
        listener.reload_certificates()
        self.assertEqual(await self.common_name(listener), "first")
        make_certificate(folder, ("third", "localhost"))
        listener.reload_certificates()
        self.assertEqual(await self.common_name(listener), "third")

    async def common_name(self, listener: Listener) -> str:
        """Whom the certificate of a listener names."""
        address = listener.port.getHost()
        pem = await in_thread(ssl.get_server_certificate, (address.host, address.port))
        (name,) = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)

    async def test_empty_directory(self) -> None:
        """A directory without certificates is refused before anybody connects."""
        folder = Path(self.mktemp())
        folder.mkdir()
        text = str(self.assertRaises(CannotListen, self.listener, f"tls:{folder}:port=0"))
        self.assertIn("there is no certificate", text)

    async def test_unsent(self) -> None:
        """Of a reply that its client does not read, the system keeps a MiB for it, not as much as it can."""
        listener = self.listener("tcp:0:interface=127.0.0.1")
        listener.bind()
        self.addCleanup(listener.close)
        client = socket.create_connection(("127.0.0.1", listener.port.getHost().port))
        self.addCleanup(client.close)
        accepted, _ = listener.port.socket.accept()
        self.addCleanup(accepted.close)
        self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT), 1 << 20)

    async def test_unsent_as_it_likes(self) -> None:
        """A system that cannot be told so keeps what it likes."""
        self.patch(socket, "TCP_NOTSENT_LOWAT", 0xFFFF)  # no kernel has this one
        self.listener("tcp:0:interface=127.0.0.1").bind()
        del socket.TCP_NOTSENT_LOWAT
        self.listener("tcp:0:interface=127.0.0.1").bind()

    async def test_backlog(self) -> None:
        """An endpoint's own backlog is left alone; closing twice does nothing."""
        listener = self.listener("tcp:0:interface=127.0.0.1:backlog=1")
        listener.bind()
        listener.open_gate()
        self.assertEqual(await self.greeting(listener), b"hello")
        await listener.close()
        await listener.close()


def in_thread_deferred(coroutine: Any) -> Any:
    """A coroutine under way."""
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)
