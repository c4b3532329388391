"""The two clients. `Client` blocks, `AsyncClient` awaits; they do the same, through the same flows."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import UUID

import httpx

from ._calls import Attempt, Calls, Flow, Pause, Request
from ._contract import document
from ._revisions import Revisions, shared_revisions
from ._sockets import AsyncDeadlineTransport, DeadlineTransport
from ._transport import send, send_async
from .auth import ApiKey
from .clock import Clock, SystemClock
from .commands import DeviceCommand
from .drift import OnDrift
from .errors import RuleError
from .models import DeviceList
from .receipts import CommandReceipt, DispatchReceipt
from .retry import RetryPolicy
from .slots import EventSlot
from .timeouts import Timeout

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")

_URLS_KEPT = 10_000

DEFAULT_BASE_URL: str = document()["servers"][0]["variables"]["origin"]["default"]


class Shell:
    """What both clients are made from."""

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_version: str = "v1",
        allow_live: bool = False,
        timeout: float | Timeout = 30,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
        reaches_gateway: bool = True,
    ) -> None:
        self._origin = _origin(base_url)
        self._timeout = Timeout.of(timeout)
        self._clock = clock or SystemClock()
        self._urls: dict[str, httpx.URL] = {}
        _insist("allow_live", isinstance(allow_live, bool), "True or False")
        _insist("retry", retry is None or isinstance(retry, RetryPolicy), "a RetryPolicy")
        _insist("clock", clock is None or hasattr(clock, "sleep_async"), "a mosvpp.clock.Clock")
        _insist("on_drift", on_drift is None or callable(on_drift), "a function")
        self._calls = Calls(
            key=ApiKey(api_key),
            api_version=api_version,
            allow_live=allow_live,
            retry=retry or RetryPolicy(),
            clock=self._clock,
            on_drift=on_drift,
            statuses=statuses,
            # A transport of the caller's own may lead anywhere, so its clients do not share what they sent.
            revisions=shared_revisions(f"{self._origin}/{api_version}") if reaches_gateway else Revisions(),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={str(self._origin)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client is not copied or pickled: it holds the key and connections")

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= _URLS_KEPT:
                self._urls.clear()
            url = self._urls[path] = httpx.URL(f"{self._origin}{path}")
        return url


class Client(Shell):
    """Calls MosVPP, and blocks until the answer is there. Threads may share it; use it in a `with` block.

    `api_key` is the partner's key, or a function that returns the current one; without it the environment
    variable MOSVPP_API_KEY is read. `base_url` is the origin without the version; it is never read from the
    environment, since it decides where the key goes. `allow_live` arms live dispatch and site commands, which
    move real devices. A plain number as `timeout` is the total deadline of one attempt, in seconds. `retry`
    says how often a request is sent again where that is safe (see `mosvpp.retry`). `proxy` is a URL;
    `trust_env` reads one from the environment. `transport` is any httpx transport, for tests. `on_drift` is
    called with each surprise, and `statuses` adds status words, as in `{"DONE": "completed"}`.

    Raises `RuleError` for arguments that make no sense; every other error is in `mosvpp.errors`.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_version: str = "v1",
        allow_live: bool = False,
        timeout: float | Timeout = 30,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            api_key,
            base_url=base_url,
            api_version=api_version,
            allow_live=allow_live,
            timeout=timeout,
            retry=retry,
            clock=clock,
            on_drift=on_drift,
            statuses=statuses,
            reaches_gateway=transport is None,
        )
        arguments = tls_and_proxy(self._origin, ssl_context, proxy, trust_env=trust_env)
        own = _checked_transport(transport, "handle_request")
        self._transport: httpx.BaseTransport = own or DeadlineTransport(*arguments)

    def sync_devices(self, molecule_id: str) -> DeviceList:
        """Learn the devices of a site. Repeated on transient failures, since it changes nothing.

        Raises `UnreachableError` when no answer came, `RejectedError` for a 4xx, `UnexpectedResponseError`
        for a 5xx or a body that is no device list.
        """
        return self._run(self._calls.sync_devices(molecule_id))

    def submit_dispatch(
        self, molecule_id: str, slots: EventSlot | Sequence[EventSlot], *, mode: Literal["test", "live"]
    ) -> DispatchReceipt:
        """Submit events for a site, and get the receipt.

        Whether `mode="test"` moves any hardware is not known (unknown.test_mode_effect). An `event_id` that
        was submitted before is updated by this (inferred: dispatch.update_by_same_id).

        Look at `receipt.outcome`: accepted, partially_accepted or unknown. Raises `RuleError` when nothing
        was sent because a rule forbids it (`mode="live"` without `allow_live=True` too), `UnreachableError`
        when nothing could be sent, `RejectedError` when Molecule refused all of it, `OutcomeUnknownError`
        when the request may have been received, and `UnexpectedResponseError` for a redirect and the like.
        """
        return self._run(self._calls.submit_dispatch(molecule_id, slots, mode))

    def cancel_dispatch(self, dispatch: DispatchReceipt | Request) -> DispatchReceipt:
        """Cancel all events of a dispatch: same site, mode and ids (inferred: dispatch.update_by_same_id).

        Give the receipt, or where there is none the `request` of an `OutcomeUnknownError`. A cancellation may
        be repeated by itself until the last of the events ends. Raises like `submit_dispatch`.
        """
        return self._run(self._calls.cancel_dispatch(dispatch))

    def submit_site_command(
        self,
        molecule_id: str,
        commands: DeviceCommand | Sequence[DeviceCommand],
        *,
        duration: timedelta,
        scmd_id: str | UUID | None = None,
    ) -> CommandReceipt:
        """Command devices of a site, at once, for `duration` (whole seconds, at least one).

        No test mode is documented, nor an undo but another command; what a device does after `duration` is
        not known (command.no_test_mode, command.no_cancel, unknown.after_scmd_secs). Needs `allow_live=True`.
        Raises like `submit_dispatch`.
        """
        return self._run(self._calls.submit_site_command(molecule_id, commands, duration, scmd_id))

    def resend(self, request: Request | DispatchReceipt | CommandReceipt) -> DispatchReceipt | CommandReceipt:
        """Send the identical request once more, because you decided to.

        Give the `request` of an `OutcomeUnknownError`, or the receipt itself where its outcome is unknown.
        Returns and raises what the first call would have; a 409 is an unknown outcome here, since it may be
        about that one. A dispatch request that was overtaken by a newer revision of one of its events is
        refused with `RuleError` (behaviour.revision_order).
        """
        return self._run(self._calls.resend(request))

    def _run(self, flow: Flow[T]) -> T:
        result = None
        try:
            while True:
                step = flow.send(result)
                if isinstance(step, Pause):
                    self._clock.sleep(step.seconds)
                    result = None
                else:
                    result = self._attempt(step)
        except StopIteration as done:
            value: T = done.value
        return value

    def _attempt(self, step: Attempt) -> Any:
        return send(self._transport, self._url(step.request.path), step, self._timeout, self._clock)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Shell):
    """Calls MosVPP without blocking, on asyncio or trio; see `Client` for the arguments and the errors.

    It belongs to the event loop in which it is first used: in another one its calls raise `RuleError`, so
    close it where it was used. A call that is cancelled by its task may have been received; its outcome is
    then unknown, as after a time-out. A function given as `api_key` is called in the loop and should not
    block.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_version: str = "v1",
        allow_live: bool = False,
        timeout: float | Timeout = 30,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            api_key,
            base_url=base_url,
            api_version=api_version,
            allow_live=allow_live,
            timeout=timeout,
            retry=retry,
            clock=clock,
            on_drift=on_drift,
            statuses=statuses,
            reaches_gateway=transport is None,
        )
        arguments = tls_and_proxy(self._origin, ssl_context, proxy, trust_env=trust_env)
        own = _checked_transport(transport, "handle_async_request")
        self._transport: httpx.AsyncBaseTransport = own or AsyncDeadlineTransport(*arguments)

    async def sync_devices(self, molecule_id: str) -> DeviceList:
        """Learn the devices of a site; see `Client.sync_devices`."""
        return await self._run(self._calls.sync_devices(molecule_id))

    async def submit_dispatch(
        self, molecule_id: str, slots: EventSlot | Sequence[EventSlot], *, mode: Literal["test", "live"]
    ) -> DispatchReceipt:
        """Submit events for a site, and get the receipt; see `Client.submit_dispatch`."""
        return await self._run(self._calls.submit_dispatch(molecule_id, slots, mode))

    async def cancel_dispatch(self, dispatch: DispatchReceipt | Request) -> DispatchReceipt:
        """Cancel all events of a dispatch; see `Client.cancel_dispatch`."""
        return await self._run(self._calls.cancel_dispatch(dispatch))

    async def submit_site_command(
        self,
        molecule_id: str,
        commands: DeviceCommand | Sequence[DeviceCommand],
        *,
        duration: timedelta,
        scmd_id: str | UUID | None = None,
    ) -> CommandReceipt:
        """Command devices of a site, at once; see `Client.submit_site_command`."""
        return await self._run(self._calls.submit_site_command(molecule_id, commands, duration, scmd_id))

    async def resend(
        self, request: Request | DispatchReceipt | CommandReceipt
    ) -> DispatchReceipt | CommandReceipt:
        """Send the identical request once more, because you decided to; see `Client.resend`."""
        return await self._run(self._calls.resend(request))

    async def _run(self, flow: Flow[T]) -> T:
        result = None
        try:
            while True:
                step = flow.send(result)
                if isinstance(step, Pause):
                    await self._clock.sleep_async(step.seconds)
                    result = None
                else:
                    result = await self._attempt(step)
        except StopIteration as done:
            value: T = done.value
        return value

    async def _attempt(self, step: Attempt) -> Any:
        return await send_async(
            self._transport, self._url(step.request.path), step, self._timeout, self._clock
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


# --- arguments


def _insist(name: str, fits: bool, what: str) -> None:
    if not fits:
        raise RuleError(f"{name} is {what}", path=name, rule="type")


def parse_url(base_url: object) -> httpx.URL:
    """A URL that can be taken apart. Raises `RuleError`."""
    try:
        url = httpx.URL(str(base_url))
        _ = urlsplit(str(base_url)).port, url.host  # each finds what the other lets through
    except (httpx.InvalidURL, ValueError):
        msg = f"{_shown(base_url)} is no URL; it looks like {DEFAULT_BASE_URL}"
        raise RuleError(msg, path="base_url", rule="format", evidence=("transport.base_url",)) from None
    return url


def _shown(base_url: object) -> str:
    return "this" if "@" in str(base_url) else repr(base_url)  # before an @ there may stand a password


def _origin(base_url: object) -> httpx.URL:
    """Scheme and host, where a key may be sent to."""
    url, given = parse_url(base_url), _shown(base_url)
    host = url.host
    if url.userinfo:  # it may be a password, so it is not repeated
        raise RuleError("base_url holds a user name or a password", path="base_url", rule="format")
    port = 443 if url.port is None else url.port
    if url.scheme not in ("http", "https") or not host or not 0 < port < 65536:
        msg = f"{given} is no origin; it looks like {DEFAULT_BASE_URL}"
        raise RuleError(msg, path="base_url", rule="format", evidence=("transport.base_url",))
    if url.path not in ("", "/") or url.query or url.fragment:
        msg = f"{given} has more than scheme, host and port; the path is added here, with api_version"
        raise RuleError(msg, path="base_url", rule="format", evidence=("transport.base_url",))
    if url.scheme == "http" and not _is_near(host):
        msg = f"{given} would send the key unencrypted; use https"
        raise RuleError(msg, path="base_url", rule="https", evidence=("transport.api_key",))
    return httpx.URL(scheme=url.scheme, host=host, port=url.port)


def _is_near(host: str) -> bool:
    """A host that http is good enough for: this machine, a private address, a container's name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A number such as 134744072 is another spelling of an address, and so is 0x08080808.
        return host[0].isalpha() and ("." not in host or host.endswith(".localhost"))
    return any(address in network for network in _NEAR)


_NEAR = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]


def _checked_transport(transport: Any, method: str) -> Any:
    if transport is not None and not hasattr(transport, method):
        msg = f"{type(transport).__name__} has no {method}: Client takes a sync, AsyncClient an async one"
        raise RuleError(msg, path="transport", rule="type")
    return transport


def tls_and_proxy(
    origin: httpx.URL, ssl_context: ssl.SSLContext | None, proxy: str | None, *, trust_env: bool
) -> tuple[ssl.SSLContext | None, str | None]:
    """TLS context and proxy for the one origin that a client talks to."""
    if proxy is None and trust_env and not proxy_bypass(origin.host):
        proxies = getproxies()
        proxy = proxies.get(origin.scheme) or proxies.get("all")
    if proxy is not None and not _is_proxy(proxy):  # the address may hold a password, so it is not repeated
        raise RuleError("proxy is no URL such as http://proxy.example:3128", path="proxy", rule="format")
    if ssl_context is None and origin.scheme == "https":
        ssl_context = httpx.create_ssl_context(trust_env=trust_env)
    else:
        _insist("ssl_context", isinstance(ssl_context, ssl.SSLContext | None), "an ssl.SSLContext")
    return ssl_context, proxy


def _is_proxy(address: object) -> bool:
    try:
        url = httpx.URL(str(address))
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
