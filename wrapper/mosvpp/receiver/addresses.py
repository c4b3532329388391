"""Who is at the other end: the address of the client, where proxies stand between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from mosvpp.errors import RuleError

__all__ = ["Address", "Network", "client_address", "is_among", "networks"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED_BITS = 96


def networks(texts: Iterable[str], *, path: str) -> tuple[Network, ...]:
    """Networks and single addresses from texts such as `10.0.0.0/8`. Raises `RuleError`."""
    if isinstance(texts, str):
        raise RuleError('give a list, as in ["10.0.0.0/8"]', path=path, rule="type")
    read: list[Network] = []
    for text in texts:
        try:
            read.append(_plain(ip_network(text)))
        except (ValueError, TypeError) as error:
            raise RuleError(f"{text!r} is no network: {error}", path=path, rule="format") from None
    return tuple(read)


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The client of a request, or None where it cannot be known.

    `peer` is the other end of the connection, `forwarded` what the X-Forwarded-For headers say. Each proxy
    appends the address from which it was called, so only what trusted proxies have appended is believed:
    reading from the right, the first hop that is none of them is the client.
    """
    address = _read(peer)
    if address is None or not is_among(address, trusted):
        return address
    hops = [hop for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops):
        address = _read(hop.strip())
        if address is None or not is_among(address, trusted):
            return address
    return address


def is_among(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address in network for network in allowed)


def _plain(network: Network) -> Network:
    """One of IPv4 in IPv6's clothes as IPv4, as addresses are read."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _read(text: str | None) -> Address | None:
    """An address with or without a port; one of IPv4 in IPv6's clothes as IPv4."""
    if not text:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
