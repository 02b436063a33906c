"""Whose request it is when it came through a proxy."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from attrs import frozen

from post3tw.s3.exchange import RequestHead

Network = IPv4Network | IPv6Network


@frozen
class TrustedProxies:
    """Believes X-Forwarded-For as far as proxies wrote it that are known."""

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

    def _trusts(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self.networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
