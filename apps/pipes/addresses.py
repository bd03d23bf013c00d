"""Where a request comes from, behind as many proxies as are trusted. Called by authentication and the audit log."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Address of the client: the peer, or behind N trusted proxies (FUSTOR_TRUSTED_PROXIES) the N-th address from the right.

    Empty when there is none (a unix socket), or when the proxies sent fewer addresses than they must.
    """
    return address_of(str(request.META.get("REMOTE_ADDR") or ""), request.headers.get("X-Forwarded-For", ""))


def address_of(peer: str, forwarded_for: str) -> str:
    """The same from the peer's address and the header X-Forwarded-For, for what is no HttpRequest."""
    proxies: int = settings.FUSTOR_TRUSTED_PROXIES
    if proxies == 0:
        return peer
    forwarded = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    return forwarded[-proxies] if len(forwarded) >= proxies else ""


def is_within(address: str, networks: list[str]) -> bool:
    """Whether an address lies in one of the networks; an empty list means any address, an unknown address is in none."""
    if not networks:
        return True
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return any(client in ip_network(network, strict=False) for network in networks)
