"""Below HTTP: is there an address for the name, does anything answer at it, and is it whom it says to be?

Only the host that is asked about is contacted; no third party is asked for this machine's address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import ssl
import time
from datetime import UTC, datetime
from threading import Thread
from typing import Any, NamedTuple

from .checks import Check, failed, ok, warning

__all__ = ["Address", "Target", "check_dns", "check_tcp", "check_tls", "leaving_as", "leaving_from"]

SOON_DAYS = 14
_ALLOWLIST = ("transport.ip_allowlist",)


class Target(NamedTuple):
    """The host to look at. `timeout` holds for each step, in seconds."""

    host: str
    port: int
    timeout: float

    @property
    def is_here(self) -> bool:
        """Whether it is this machine, where no allowlist stands between."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


class Address(NamedTuple):
    """One address of the host, ready to connect to."""

    family: socket.AddressFamily
    where: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.where[0])


def check_dns(target: Target) -> tuple[Check, list[Address]]:
    """Turn the name into addresses."""
    answers: queue.Queue[list[Any] | OSError | UnicodeError] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # The system's resolver knows no time-out, so it is left behind when it takes too long.
    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=target.timeout)
    except queue.Empty:
        found = f"no answer for {target.host} within {target.timeout:g} s"
        return failed("dns", found, "check the DNS servers of this machine, and whether a VPN is needed"), []
    if isinstance(answer, Exception):
        return _no_address(target, answer), []
    addresses = list(dict.fromkeys(Address(family, where) for family, _, _, _, where in answer))
    named = ", ".join(map(str, addresses))
    return ok("dns", named if target.host == named else f"{target.host} is {named}"), addresses


def _no_address(target: Target, error: Exception) -> Check:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        found = f"no name server answered for {target.host}"
        return failed("dns", found, "check the network and the DNS servers of this machine")
    found = f"there is no address for {target.host}"
    return failed(
        "dns",
        found,
        "check the spelling of --base-url",
        "ask whether this network has a DNS of its own that lacks the name",
        evidence=("transport.base_url",),
    )


def check_tcp(target: Target, addresses: list[Address]) -> tuple[Check, Address | None]:
    """Open a connection to each address; also the first one that took it."""
    faults: dict[Address, OSError] = {}
    good: list[tuple[Address, float]] = []
    for address in addresses:
        started = time.monotonic()
        try:
            with _connect(address, target.timeout):
                good.append((address, time.monotonic() - started))
        except OSError as error:
            faults[address] = error
    told = "; ".join(f"{address} {_why(error, target.timeout)}" for address, error in faults.items())
    if not good:
        return _unreachable(target, told, faults, addresses[0]), None
    address, seconds = good[0]
    found = f"connected to {address} port {target.port} in {seconds:.2f} s"
    if faults:
        remedy = "the SDK tries each address in turn, which costs time: have the broken route mended"
        return warning("tcp", f"{found}, but {told}", remedy), address
    return ok("tcp", found), address


def _connect(address: Address, timeout: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address.where)
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError, timeout: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, TimeoutError):
        return f"did not answer within {timeout:g} s"
    return f"cannot be reached ({error.strerror or error})"


def _unreachable(target: Target, told: str, faults: dict[Address, OSError], address: Address) -> Check:
    if target.is_here:
        return failed("tcp", told, f"start what should listen on port {target.port}, or mend --base-url")
    kinds = {type(error) for error in faults.values()}
    remedies = [
        f"have Molecule put this machine's address on its allowlist: {leaving_from(address)}",
        f"let port {target.port} out of your own firewall",
    ]
    if ConnectionRefusedError in kinds:
        remedies.append("check the port in --base-url")
    return failed("tcp", told, *remedies, evidence=_ALLOWLIST)


def leaving_from(address: Address) -> str:
    """The address by which this machine leaves towards another, as far as it can know that itself."""
    with contextlib.suppress(OSError), socket.socket(address.family, socket.SOCK_DGRAM) as probe:
        probe.connect(address.where)  # chooses the route; with UDP nothing is sent
        return leaving_as(ipaddress.ip_address(probe.getsockname()[0]))
    return "it has no route there"


def leaving_as(own: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """What one's own address says about the one that the other side sees."""
    if own.is_loopback:
        return "this is your own machine, so at the far end of a tunnel, if there is one"
    if own.is_global:
        return f"it leaves as {own}"
    return f"it leaves as {own}, which is private, so ask your network team what Molecule sees"


def check_tls(target: Target, address: Address, context: ssl.SSLContext) -> Check:
    """Shake hands as the client would, and look at the certificate."""
    try:
        version, certificate = _handshake(target, address, context)
    except OSError as error:
        return _no_handshake(target, address, error)
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (ends - datetime.now(UTC)).days
    found = f"{version}, issued by {_issuer(certificate)}, good until {ends:%Y-%m-%d} ({days} days)"
    if days < SOON_DAYS:
        return warning("tls", found, "it is about to expire: tell those who run the host")
    return ok("tls", found)


def _no_handshake(target: Target, address: Address, error: OSError) -> Check:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(target, address, error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        found = f"no TLS could be agreed on ({error.reason or error})"
        return failed(
            "tls", found, f"check that port {target.port} of --base-url speaks TLS", "update OpenSSL"
        )
    found = "the connection was dropped during the handshake"
    if isinstance(error, TimeoutError):
        found = f"the handshake was not answered within {target.timeout:g} s"
    if target.is_here:
        return failed("tls", found, f"check that port {target.port} speaks TLS, or use http://")
    return failed(
        "tls",
        found,
        f"have Molecule put this machine's address on its allowlist: {leaving_from(address)}",
        "look for a firewall or proxy in between that drops TLS",
        evidence=_ALLOWLIST,
    )


def _handshake(target: Target, address: Address, context: ssl.SSLContext) -> tuple[str, dict[str, Any]]:
    with (
        _connect(address, target.timeout) as sock,
        context.wrap_socket(sock, server_hostname=target.host) as tls,
    ):
        return tls.version() or "TLS", dict(tls.getpeercert() or {})


def _not_trusted(target: Target, address: Address, error: ssl.SSLCertVerificationError) -> Check:
    shown = _presented(target, address)
    whose = f" It is for {_names(shown)}, issued by {_issuer(shown)}." if shown else ""
    clock = f"check the clock of this machine: it says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    match error.verify_code:
        case 10:
            return failed("tls", f"the certificate has expired.{whose}", clock, "tell those who run the host")
        case 9:
            return failed("tls", f"the certificate is not valid yet.{whose}", clock)
        case 62 | 64:
            found = f"the certificate is not for {target.host}.{whose}"
            remedies = ("check the host in --base-url", "look for a proxy or a wrong DNS answer in between")
            return failed("tls", found, *remedies, evidence=("transport.base_url",))
        case _:
            found = f"nobody we trust stands behind the certificate ({error.verify_message}).{whose}"
            return failed(
                "tls",
                found,
                "if a proxy of your company opens TLS: name its certificate with --ca-file",
                "if not: somebody is in between; send no key there",
            )


def _presented(target: Target, address: Address) -> dict[str, Any]:
    """The certificate that was not trusted, to say whose it is; for this one look, and nothing is sent."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError):
        with (
            _connect(address, target.timeout) as sock,
            anyone.wrap_socket(sock, server_hostname=target.host) as tls,
        ):
            bare = tls.getpeercert(binary_form=True)
        only_this = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        only_this.check_hostname = False
        only_this.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        only_this.load_verify_locations(cadata=bare or b"")
        return _handshake(target, address, only_this)[1]
    return {}


def _issuer(certificate: dict[str, Any]) -> str:
    parts = {name: value for group in certificate.get("issuer", ()) for name, value in group}
    return str(parts.get("organizationName") or parts.get("commonName") or "someone without a name")


def _names(certificate: dict[str, Any]) -> str:
    names = [value for _, value in certificate.get("subjectAltName", ())]
    return ", ".join(names[:4]) or "no host"
