"""Whose request it is, and how it was sent, when it came through a proxy."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from attrs import frozen

from post3tw.s3.exchange import RequestHead

Network = IPv4Network | IPv6Network


@frozen
class TrustedProxies:
    """Believes X-Forwarded-For and X-Forwarded-Proto as far as proxies wrote them that are known."""

    networks: tuple[Network, ...] = ()

    def client_of(self, head: RequestHead) -> str:
        """The address of the client: the last one in X-Forwarded-For that is not a proxy's we trust, or the peer's.

        Each proxy appends whom it heard from, so only the end of the list is known to be true.
        """
        peer = head.peer
        if not self.networks or not self._trusts(peer):
            return peer
        for hop in reversed(head.headers.get("x-forwarded-for", "").split(",")):
            address = hop.strip()
            if _parsed(address) is None:
                return peer
            peer = address
            if not self._trusts(address):
                break
        return peer

    def forwarded(self, head: RequestHead) -> bool:
        """Whether the request came through a proxy that we trust."""
        return bool(self.networks) and self._trusts(head.peer)

    def secure(self, head: RequestHead) -> bool:
        """Whether the client sent the request over TLS: what the proxy says that it heard, or our own connection."""
        if not self.networks:
            return head.secure
        heard = head.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        return heard == "https" if heard and self._trusts(head.peer) else head.secure

    def _trusts(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self.networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 client of a socket that takes both shows as ::ffff:192.0.2.1; networks are written as IPv4.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
