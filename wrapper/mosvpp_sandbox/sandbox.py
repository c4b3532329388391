"""The sandbox as a thing to configure, start and stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from starlette.applications import Starlette

from mosvpp.signatures import sign

from .api import Answered, make_app
from .choices import Choices
from .clock import RunningClock, SandboxClock
from .console import console_routes, sign_in_routes
from .control import Control
from .control_routes import routes
from .faults import Fault, Faults
from .guard import Guard
from .hosts import checked_host, checked_url, is_loopback
from .outbox import REMEMBERED, Outbox, Retries, Sent
from .physics.device import Metrics
from .resending import call, resend
from .server import Running
from .site import Kind, Site
from .site_specs import DEFAULT_SITE, SiteSpec, generated_sites, read_sites
from .state_file import Kept, read_state, write_state
from .transports import DirectTransport, LoopTransport
from .world import World

__all__ = ["DEFAULT_KEY", "DEFAULT_SITE", "Sandbox"]

DEFAULT_KEY = "sandbox-key"

# What frames a message or concerns one connection only. Set by hand, it would contradict what is sent.
_NOT_CONFIGURABLE = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade", "expect", "host"),
    *("content-encoding", "content-length", "content-type"),
}


class Sandbox:
    """Plays Molecule: the three endpoints for simulated sites, execution responses and data pushes.

    with Sandbox() as vpp:
        client = Client(vpp.api_key, base_url=vpp.url)

    `sites` is how many (the first is that of the pages' samples), a YAML or JSON file, or a list of
    `SiteSpec`. `data_push_url` and `execution_response_url` are the partner's endpoints (without one,
    nothing is sent there), `headers` what the partner configured to be sent along; with a `signing_secret`
    (`whsec_…`) deliveries are signed as well, which Molecule documents nowhere (push.no_signature). Time
    runs `speed` times as fast as real time, or by a `clock` of your own; `push_every` is simulated time.
    `choices`, `profile` and `faults` say what is not documented, how messages look, and what goes wrong.
    `port` 0 is a free one. Hosts other than loopback must be named in `allow_hosts`; where others can reach
    the sandbox, the control interface under `/sandbox/` needs a `control_token`. With a `state`
    file it goes on where it stopped; without one nothing is written.

    Raises `ValueError` for arguments that make no sense, `OSError` from `with` when the port is in use.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_KEY,
        sites: int | str | PathLike[str] | Sequence[SiteSpec] = 1,
        data_push_url: str | None = None,
        execution_response_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        signing_secret: str | None = None,
        retries: Retries | None = None,
        speed: float = 1.0,
        clock: SandboxClock | None = None,
        push_every: timedelta = timedelta(minutes=1),
        seed: int = 0,
        choices: Choices | None = None,
        profile: str = "inferred",
        faults: Sequence[Fault | str] = (),
        state: str | PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_hosts: Sequence[str] = (),
        control_token: str | None = None,
    ) -> None:
        if clock is not None and speed != 1.0:
            raise ValueError("give speed or a clock, not both")
        is_near = is_loopback(checked_host(host, allow_hosts))
        if not is_near and api_key == DEFAULT_KEY:
            raise ValueError("choose an api_key of your own where others can reach the sandbox")
        self.api_key = _checked_value("api_key", api_key)
        self._headers = {
            _checked_name(name): _checked_value(name, value) for name, value in (headers or {}).items()
        }
        self._signing_secret = _checked_secret(signing_secret)
        self._retries = retries or Retries()
        self._urls: dict[Kind, str] = {}
        if data_push_url is not None:
            self._urls["data_push"] = checked_url(data_push_url, allow_hosts)
        if execution_response_url is not None:
            self._urls["execution_response"] = checked_url(execution_response_url, allow_hosts)
        self._host, self._port = host, port
        self._state = None if state is None else Path(state)
        kept = None if self._state is None else read_state(self._state)
        self.clock: SandboxClock = _clock(clock, speed, kept)
        self._world = World(
            kept.specs() if kept else _specs(sites, seed),
            self.clock,
            push_every=push_every,
            seed=kept.seed if kept else seed,
            choices=choices,
            profile=profile,
            faults=faults,
        )
        if kept is not None:
            kept.restore(self._world)
        self._answered: deque[Answered] = deque(maxlen=REMEMBERED)
        self._sent: deque[Sent] = deque(maxlen=REMEMBERED)
        self._running: Running | None = None
        self.control = Control(self._world, self._resend)
        guard = Guard(
            None if control_token is None else _checked_value("control_token", control_token), is_near
        )
        self.app: Starlette = make_app(
            self._world,
            api_key=api_key,
            seed=seed,
            note=self._answered.append,
            more=[
                *guard.around([*routes(self.control), *console_routes(self.control, self._call)]),
                *guard.around(sign_in_routes(guard), is_door=True),
            ],
        )
        self._world.on_change(self._wake)
        self._world.on_faults = self._mind_the_door
        self.clock.on_move(self._moved)

    def __repr__(self) -> str:
        return f"Sandbox(url={self.url!r})" if self._running else "Sandbox(not started)"

    # --- what it is ---

    @property
    def url(self) -> str:
        """Scheme, host and port, to be given to a client as `base_url`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._started.port}"

    @property
    def sites(self) -> Mapping[str, Site]:
        """The simulated sites by their ids. They change under you while the sandbox runs; see `metrics`."""
        return self._world.sites

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose: `vpp.faults.add(Fault("drop", times=1))`."""
        return self._world.faults

    @property
    def choices(self) -> Choices:
        """How what is not documented is played; may be set."""
        return self._world.choices

    @choices.setter
    def choices(self, choices: Choices) -> None:
        self._world.choose(choices)

    @property
    def profile(self) -> str:
        """The name of the shapes in which messages are written; may be set."""
        return self._world.profile.name

    @profile.setter
    def profile(self, name: str) -> None:
        self._world.choose_profile(name)

    @property
    def molecule_id(self) -> str:
        """The id of the first site."""
        return next(iter(self._world.sites))

    @property
    def sent(self) -> tuple[Sent, ...]:
        """How the latest deliveries went."""
        return tuple(self._sent)

    @property
    def answered(self) -> tuple[Answered, ...]:
        """The latest calls, and how they were answered."""
        return tuple(self._answered)

    def now(self) -> datetime:
        """The simulated present; every answer has it in its Date."""
        return self.clock.now()

    def metrics(self, molecule_id: str | None = None) -> dict[str, Metrics]:
        """What the devices of a site would tell at this moment, by their ids."""
        return self._world.metrics(molecule_id or self.molecule_id)

    def executions(self, molecule_id: str, item_id: str) -> int:
        """How often the event, or the site command, of that id began to run, rehearsals included.

        More than 1 means that something was done twice. Ids are compared as values.
        """
        return self._world.at_site(molecule_id, lambda site, _: site.executions(item_id))

    def history(self) -> bytes:
        """What was asked, answered, done and told, in lines of JSON in the order of simulated time.

        With a clock that is moved by hand, the same seed and the same calls give the same bytes. How the
        partner answered is not part of it. Only what is kept in the log is in it.
        """
        return self.control.history()

    def set_header(self, name: str, value: str) -> None:
        """From now on this is sent along, as when a partner configures a new secret. Raises `ValueError`."""
        self._headers = {**self._headers, _checked_name(name): _checked_value(name, value)}
        if self._running is not None:
            self._running.outbox.headers = self._headers

    # --- in process ---

    def transport(self) -> httpx.BaseTransport:
        """For `Client(transport=...)`: no socket between client and sandbox, which has to be started."""
        return LoopTransport(self.app, self._started.call)

    def async_transport(self) -> httpx.AsyncBaseTransport:
        """For `AsyncClient(transport=...)`."""
        return DirectTransport(self.app)

    # --- running ---

    @property
    def is_running(self) -> bool:
        """Whether it listens and lets time pass: between start and stop, unless a fault has ended it."""
        return self._running is not None and self._running.is_alive

    def flush(self, timeout: float = 30) -> None:
        """Wait until all that is due has been sent, or given up. Raises `TimeoutError`."""
        self._started.call(self._started.flush(), timeout)

    def start(self) -> None:
        """Listen and let time pass; `with` does it for you."""
        if self._running is not None:
            raise RuntimeError("the sandbox is running already")
        outbox = Outbox(
            self._world,
            self._urls,
            self._headers,
            self._sent,
            retries=self._retries,
            signing_secret=self._signing_secret,
        )
        self._world.changes.end(False)
        running = Running(self.app, self._world, outbox, self._host, self._port, self._keep)
        running.start()
        self._running = running
        running.mind_the_door()

    def stop(self) -> None:
        """Stop listening and sending; what was not sent yet is lost."""
        if self._running is not None:
            running, self._running = self._running, None
            self._world.changes.end()
            try:
                running.stop()
            finally:
                self._keep()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep(self) -> None:
        if self._state is not None:
            write_state(self._world, self._state)

    def _wake(self) -> None:
        running = self._running
        if running is not None:
            running.wake()

    def _mind_the_door(self) -> None:
        if self._running is not None:
            self._running.mind_the_door()

    def _moved(self) -> None:
        self._world.clock_moved()
        self._wake()

    async def _resend(self, number: int) -> int:
        outbox = self._running.outbox if self._running else None
        return await resend(self._world, number, self.app, self.api_key, outbox)

    async def _call(self, path: str, body: object) -> int:
        return await call(self._world, self.app, self.api_key, path, body)

    @property
    def _started(self) -> Running:
        if self._running is None:
            raise RuntimeError("the sandbox is not running; use it as `with Sandbox() as vpp:`")
        return self._running


def _specs(sites: int | str | PathLike[str] | Sequence[SiteSpec], seed: int) -> Sequence[SiteSpec]:
    if isinstance(sites, int):
        return generated_sites(sites, seed)
    if isinstance(sites, str | PathLike):
        return read_sites(Path(sites))
    return sites


def _clock(clock: SandboxClock | None, speed: float, kept: Kept | None) -> SandboxClock:
    """The clock, not earlier than what was kept; real time is the present."""
    if clock is None:
        present = datetime.now(UTC)
        start = present if kept is None else max(present, kept.now) if speed == 1 else kept.now
        return RunningClock(speed, start)
    if kept is not None and clock.now() < kept.now:
        clock.advance(kept.now - clock.now())
    return clock


def _checked_secret(secret: str | None) -> str | None:
    """The secret, if something can be signed with it. Raises `ValueError`."""
    if secret is not None:
        sign(b"", secret=secret, message_id="msg_1", timestamp=datetime.now(UTC))
    return secret


def _checked_name(name: str) -> str:
    token = name.replace("-", "").replace("_", "")
    if not (token.isascii() and token.isalnum()):
        msg = f"{name!r} cannot be a header of yours: a name is made of letters, digits, - and _"
        raise ValueError(msg)
    if name.lower() in _NOT_CONFIGURABLE:
        msg = f"{name!r} cannot be a header of yours: it tells how the message is sent, not who sends it"
        raise ValueError(msg)
    return name


def _checked_value(name: str, value: str) -> str:
    if not (value and value.isascii() and value.isprintable() and value == value.strip()):
        msg = f"the value of {name} must be printable ASCII, without white space at its ends"
        raise ValueError(msg)
    return value
