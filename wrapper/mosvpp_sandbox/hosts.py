"""Which hosts the sandbox listens on and talks to: loopback, unless others are named."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import httpx

__all__ = ["checked_host", "checked_url", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name; names are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_host(host: str, allowed: Iterable[str]) -> str:
    """The host, if it may be used. Raises `ValueError`."""
    if is_loopback(host) or host.lower() in {name.lower() for name in allowed}:
        return host
    msg = f"{host} is not loopback; name it if you mean it (--allow-host {host}, allow_hosts=[{host!r}])"
    raise ValueError(msg)


def checked_url(url: str, allowed: Iterable[str]) -> str:
    """A URL to push to, if its host may be used. Raises `ValueError`, without repeating a password."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        msg = "that is no URL to push to; it looks like http://127.0.0.1:8000/data-push"
        raise ValueError(msg) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        msg = f"{url!r} is no URL to push to; it looks like http://127.0.0.1:8000/data-push"
        raise ValueError(msg)
    if parsed.userinfo:
        raise ValueError("a URL to push to holds no user name or password; configure headers instead")
    checked_host(parsed.host, allowed)
    return url
