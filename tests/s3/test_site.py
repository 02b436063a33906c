"""The tree of the S3 port, and what the site as a whole does."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.s3.exchange import RequestHead
from post3tw.s3.proxies import TrustedProxies
from post3tw.s3.record import redacted
from tests.s3.serving import ServingTestCase, wire


class OwnPagesTests(ServingTestCase):
    """`/-/health/…` when Host names no bucket."""

    obstacle: str | None = None

    def options(self) -> dict[str, Any]:
        """A domain, and an obstacle that tests set."""
        return {"domains": ("s3.test",), "ready": lambda: self.obstacle}

    async def test_live_and_ready(self) -> None:
        """Nobody has to sign to ask how we are."""
        for page in (b"/-/health/live", b"/-/health/ready", b"/-/health/live?x=y"):
            reply = await self.ask(wire(b"GET", page, [(b"Host", b"h")]))
            self.assertEqual((reply.status, reply.body), (200, b"ok\n"))
        self.assertEqual(self.records.all, [])

    async def test_not_ready(self) -> None:
        """While something stands in the way, it says so with 503; live all the same."""
        self.obstacle = "starting"
        reply = await self.ask(wire(b"GET", b"/-/health/ready", [(b"Host", b"s3.test")]))
        self.assertEqual((reply.status, reply.body), (503, b"starting\n"))
        reply = await self.ask(wire(b"HEAD", b"/-/health/ready", [(b"Host", b"h")]), "HEAD")
        self.assertEqual(reply.status, 503)
        self.assertEqual((await self.ask(wire(b"GET", b"/-/health/live", [(b"Host", b"h")]))).status, 200)

    async def test_in_a_bucket_it_is_a_key(self) -> None:
        """A virtual-hosted bucket may have an object of that name."""
        self.service.objects["b", "-/health/live"] = b"mine"
        request = self.signed(b"GET", b"/-/health/live")
        fields = self.signer.sign_request(
            b"GET", b"/-/health/live", [(b"host", b"b.s3.test")], time=self.ids.now(), payload_hash=b"UNSIGNED-PAYLOAD"
        )
        self.assertEqual((await self.ask(wire(b"GET", b"/-/health/live", fields))).body, b"mine")
        self.assertEqual((await self.ask(request)).body, b"ok\n")

    async def test_other_pages_are_of_s3(self) -> None:
        """What is not a page of ours is S3's to refuse."""
        for page in (b"/-", b"/-/", b"/-/health", b"/-/health/", b"/-/health/other", b"/-/x/y", b"/health/live"):
            reply = await self.ask(wire(b"GET", page, [(b"Host", b"h")]))
            self.assertIn(reply.code, ("AccessDenied", "NotImplemented"), page)

    async def test_the_shortest_keys(self) -> None:
        """Page names are whole segments, never beginnings of keys."""
        self.service.objects["-", "health/lives"] = b"x"
        self.assertEqual((await self.ask(self.signed(b"GET", b"/-/health/lives"))).body, b"x")


class ProxyTests(SynchronousTestCase):
    """X-Forwarded-For and X-Forwarded-Proto."""

    def _client(self, peer: str, forwarded: str | None, *networks: str) -> str:
        headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
        head = RequestHead("GET", b"/", "HTTP/1.1", [], headers, peer=peer)
        return TrustedProxies(tuple(ip_network(network) for network in networks)).client_of(head)

    def test_AUZ_11_nobody_is_believed_unless_told_so(self) -> None:
        """Without a trusted proxy, or from another peer, the header says nothing."""
        self.assertEqual(self._client("10.0.0.1", "1.2.3.4"), "10.0.0.1")
        self.assertEqual(self._client("10.0.0.1", "1.2.3.4", "10.0.0.2/32"), "10.0.0.1")

    def test_trusted_proxies(self) -> None:
        """The last address that is not a proxy's is the client's."""
        for forwarded, client in (
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, 10.0.0.7", "1.2.3.4"),
            ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
            ("2001:db8::1", "2001:db8::1"),
            ("nonsense", "10.0.0.1"),
            ("", "10.0.0.1"),
            (None, "10.0.0.1"),
        ):
            self.assertEqual(self._client("10.0.0.1", forwarded, "10.0.0.0/8", "fd00::/8"), client, forwarded)

    def test_ipv4_on_a_socket_for_both(self) -> None:
        """A proxy that came by IPv4 to a socket of IPv6 is the one that its network names."""
        self.assertEqual(self._client("::ffff:10.0.0.1", "1.2.3.4", "10.0.0.0/8"), "1.2.3.4")
        self.assertEqual(self._client("10.0.0.1", "1.2.3.4, ::ffff:10.0.0.7", "10.0.0.0/8"), "1.2.3.4")
        self.assertEqual(self._client("::ffff:192.0.2.1", "1.2.3.4", "10.0.0.0/8"), "::ffff:192.0.2.1")

    def test_AUZ_11_tls(self) -> None:
        """Whether the client spoke TLS is what a trusted proxy says, and nobody else; else it is our connection."""
        for peer, forwarded, own, expected in (
            ("10.0.0.1", "https", False, True),
            ("10.0.0.1", "http", True, False),
            ("10.0.0.1", "http, HTTPS", False, True),
            ("10.0.0.1", "https, http", True, False),
            ("10.0.0.1", "", True, True),
            ("10.0.0.1", None, False, False),
            ("192.0.2.1", "https", False, False),
            ("192.0.2.1", "http", True, True),
        ):
            headers = {} if forwarded is None else {"x-forwarded-proto": forwarded}
            head = RequestHead("GET", b"/", "HTTP/1.1", [], headers, peer=peer, secure=own)
            self.assertIs(TrustedProxies((ip_network("10.0.0.0/8"),)).secure(head), expected, (peer, forwarded, own))
            self.assertIs(TrustedProxies().secure(head), own)


class RedactionTests(SynchronousTestCase):
    """What a log may show of a target."""

    def test_leaves_out_what_signs(self) -> None:
        """Signatures and credentials of both versions; everything else stays."""
        self.assertEqual(
            redacted(b"/b/k?X-Amz-Signature=ab&x-amz-credential=A%2Fb&X-Amz-Security-Token=t&prefix=Signature=1"),
            "/b/k?X-Amz-Signature=REDACTED&x-amz-credential=REDACTED&X-Amz-Security-Token=REDACTED&prefix=Signature=1",
        )
        self.assertEqual(redacted(b"/b?Signature=x&AWSAccessKeyId=y"), "/b?Signature=REDACTED&AWSAccessKeyId=REDACTED")
        self.assertEqual(redacted(b"/b/X-Amz-Signature=1"), "/b/X-Amz-Signature=1")
        self.assertEqual(redacted(b"/\xff"), "/\\xff")


class AlpnTests(ServingTestCase):
    """HTTP/2 is off."""

    def test_offers_http_1_1_only(self) -> None:
        """ALPN has nothing else to choose from."""
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])
