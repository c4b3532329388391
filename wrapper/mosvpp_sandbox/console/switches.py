"""What buttons and forms do. Each answers with the part of the page that shows what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mosvpp_sandbox.control import Control

from . import answers, wording
from .forms import Fields, cancel_body, command_body, dispatch_body

__all__ = ["Switches"]

_PATIENCE_S = 10.0  # a fault may keep an answer back


class Switches:
    """Answers to POST. Raises `LookupError`, `ValueError` and `RuntimeError` with a sentence for people."""

    def __init__(self, control: Control, call: Callable[[str, Any], Awaitable[int]]) -> None:
        self._control = control
        self._call = call

    async def clock(self, _request: Request, body: bytes) -> Response:
        """Put it forward, hold it, let it run at another speed."""
        fields = Fields(body)
        hold = fields.text("hold")
        self._control.set_clock(
            advance_s=fields.optional("advance_s"),
            speed=fields.optional("speed"),
            hold=hold == "true" if hold else None,
        )
        return answers.problem(200, f"The clock shows {wording.clock_time(self._control.clock()['now'])}.")

    # --- behaviour ---

    async def add_fault(self, _request: Request, body: bytes) -> Response:
        """Switch one on."""
        fields = Fields(body)
        values: dict[str, Any] = {"probability": fields.number("percent", 100.0) / 100}
        for name in ("operation", "molecule_id"):
            values |= {name: fields.text(name)} if fields.text(name) else {}
        if fields.text("times"):
            values["times"] = int(fields.number("times"))
        if fields.text("value"):
            values["value"] = fields.number("value")
        self._control.add_fault(fields.text("name"), **values)
        return self._faults()

    async def remove_fault(self, _request: Request, body: bytes) -> Response:
        """Switch one off, or all."""
        number = Fields(body).optional("number")
        self._control.remove_fault(None if number is None else int(number))
        return self._faults()

    async def choose(self, _request: Request, body: bytes) -> Response:
        """Play something otherwise."""
        fields = Fields(body)
        values: dict[str, Any] = {
            name: fields.text(name) for name in fields.names() if name not in ("profile", "opt_out")
        }
        if "opt_out" in fields.names():
            values["opt_out"] = fields.number("opt_out", 0.0) / 100
        self._control.choose(profile=fields.text("profile") or None, **values)
        return answers.problem(200, "From now on.")

    def _faults(self) -> Response:
        return answers.page("faults_part", overview=self._control.overview())

    # --- as a partner would ---

    async def dispatch(self, request: Request, body: bytes) -> Response:
        """Send a dispatch of one slot."""
        now = wording.instant(self._control.clock()["now"])
        return await self._sent(request, "dr", dispatch_body(Fields(body), now))

    async def cancel(self, request: Request, _body: bytes) -> Response:
        """Send an event once more, cancelled."""
        wanted = request.path_params["event"]
        for event in self._control.events(request.path_params["site"], limit=10**6):
            if event["event_id"] == wanted:
                return await self._sent(request, "dr", cancel_body(event))
        raise LookupError("the site knows no such event")

    async def command(self, request: Request, body: bytes) -> Response:
        """Send a site command."""
        return await self._sent(request, "sitecmd", command_body(Fields(body)))

    async def resend(self, request: Request, _body: bytes) -> Response:
        """Send an exchange of the log again."""
        number = await self._within(self._control.resend(int(request.path_params["number"])))
        return answers.page("sent_part", one=self._control.exchange(number))

    async def _sent(self, request: Request, name: str, body: Any) -> Response:
        site = request.path_params["site"]
        number = await self._within(self._call(f"/{site}/{name}", body))
        return answers.page("sent_part", one=self._control.exchange(number))

    async def _within(self, sending: Awaitable[int]) -> int:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await sending
        except TimeoutError:
            raise RuntimeError(f"no answer came within {_PATIENCE_S:g} s; see the log") from None

    # --- devices ---

    async def device(self, request: Request, body: bytes) -> Response:
        """Put a device into another state, as somebody on the site could."""
        fields, site = Fields(body), request.path_params["site"]
        device_id = str(request.path_params["device"])
        values: dict[str, Any] = {}
        if "online" in fields.names():
            values["online"] = fields.text("online") == "true"
        if "charge" in fields.names():
            values["stored_kwh"] = self._stored(site, device_id, fields.number("charge"))
        return answers.page(
            "site_part",
            site=self._control.change_device(site, device_id, **values),
            now=self._control.clock()["now"],
        )

    def _stored(self, site: str, device_id: str, percent: float) -> float:
        for device in self._control.site(site)["devices"]:
            if device["device_id"] == device_id and "capacity_kwh" in device:
                return float(device["capacity_kwh"]) * percent / 100
        raise LookupError("the site has no such battery")
