"""Plays a scenario: a sandbox whose clock is moved by hand, a partner that calls it, and its endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import httpx

from mosvpp.ids import id_key
from mosvpp.times import to_wire
from mosvpp_sandbox.choices import Choices
from mosvpp_sandbox.clock import ManualClock
from mosvpp_sandbox.faults import Fault
from mosvpp_sandbox.sandbox import Sandbox

from . import script
from .endpoint import PartnerEndpoint
from .script import Scenario, Step

__all__ = ["Line", "Played", "play"]

BEGINNING = datetime(2026, 1, 15, 17, 0, tzinfo=UTC)
HEADER = "X-API-Key"
_STRIDE = timedelta(minutes=1)


@dataclass(frozen=True)
class Line:
    """Something that happened, for people. `kind`: who did it, or how an expectation ended."""

    at: datetime
    kind: Literal["partner", "molecule", "world", "kept", "broken"]
    text: str


@dataclass(frozen=True)
class Played:
    """How it went; `history` are the lines of `Sandbox.history`."""

    scenario: Scenario
    lines: tuple[Line, ...]
    history: bytes

    @property
    def is_kept(self) -> bool:
        """Whether everything that was expected came true."""
        return all(line.kind != "broken" for line in self.lines)


def play(
    scenario: Scenario,
    *,
    data_push_url: str | None = None,
    execution_response_url: str | None = None,
    headers: dict[str, str] | None = None,
    on_line: Callable[[Line], object] = lambda _: None,
) -> Played:
    """Play it from the first step to the last; without URLs with endpoints of its own.

    With endpoints of the partner's, what only an endpoint of its own can know is not compared. Raises
    `ValueError` for a scenario that makes no sense.
    """
    own = headers is None
    secrets = {HEADER: ["the first secret"]} if headers is None else {k: [v] for k, v in headers.items()}
    with PartnerEndpoint(secrets) as endpoint:
        given = scenario.sandbox
        vpp = Sandbox(
            clock=ManualClock(BEGINNING),
            seed=given.seed,
            push_every=script.seconds(given.push_every),
            choices=Choices(**given.choices),  # type: ignore[arg-type]  # it checks them
            data_push_url=endpoint.url("data_push") if own else data_push_url,
            execution_response_url=endpoint.url("execution_response") if own else execution_response_url,
            headers={name: values[0] for name, values in secrets.items()},
        )
        with vpp:
            player = _Player(scenario, vpp, endpoint, on_line, is_own=own)
            for step in scenario.steps:
                player.play(step)
            history = vpp.history()
    return Played(scenario, tuple(player.lines), history)


class _Player:
    def __init__(
        self,
        scenario: Scenario,
        vpp: Sandbox,
        endpoint: PartnerEndpoint,
        on_line: Callable[[Line], object],
        *,
        is_own: bool,
    ) -> None:
        self.lines: list[Line] = []
        self._scenario = scenario
        self._vpp = vpp
        self._endpoint = endpoint
        self._on_line = on_line
        self._is_own = is_own
        self._slots: dict[str, dict[str, Any]] = {}
        self._modes: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._commands = 0
        self._pushes = self._given_up = 0
        self._seen = 0

    def play(self, step: Step) -> None:
        """One step."""
        name = "_endpoint_state" if isinstance(step, script.Endpoint) else f"_{type(step).__name__.lower()}"
        verb: Callable[[Any], None] = getattr(self, name)
        verb(step)

    def _tell(self, kind: Any, text: str) -> None:
        line = Line(self._vpp.now(), kind, text)
        self.lines.append(line)
        self._on_line(line)

    # --- what the partner does

    def _call(self, method: str, path: str, body: object = None) -> httpx.Response:
        with httpx.Client(transport=self._vpp.transport(), base_url="http://sandbox") as client:
            return client.request(
                method,
                f"/v1/api/gateway/{self._vpp.molecule_id}/{path}",
                headers={"X-API-Key": self._vpp.api_key},
                json=body,
            )

    def _sync(self, step: script.Sync) -> None:
        answer = self._call("GET", "devicesync")
        count = len(answer.json()["devices"]) if answer.is_success else 0
        self._tell("partner", f"sync_devices: {answer.status_code}, {count} devices")
        self._check(count == step.devices, f"{step.devices} devices are listed", f"{count} are listed")

    def _dispatch(self, step: script.Dispatch) -> None:
        known = self._slots.get(step.event)
        if known is None and None in (step.type, step.starts, step.lasts):
            raise ValueError(f"{self._scenario.name}: a new event needs type, in and for ({step.event})")
        new: dict[str, Any] = {"event_id": str(uuid5(NAMESPACE_URL, f"{self._scenario.name}/{step.event}"))}
        slot = dict(known or new)
        slot |= {"cancelled": False, "event_unit": "kW"}
        if step.type is not None:
            slot |= {"event_type": step.type, "event_quantity": 0}
        if step.power_kw is not None:
            slot["event_quantity"] = step.power_kw
        if step.starts is not None:
            slot["start_time"] = to_wire(BEGINNING + script.seconds(step.starts))
        if step.lasts is not None:
            slot["end_time"] = to_wire(
                datetime.fromisoformat(slot["start_time"]) + script.seconds(step.lasts)
            )
        slot["priority"] = step.priority or slot.get("priority", 50)
        slot["mandatory"] = slot.get("mandatory", False) if step.mandatory is None else step.mandatory
        self._modes.setdefault(step.event, step.mode)
        self._submit(step.event, slot, "update" if known else "dispatch", step.answer)

    def _cancel(self, step: script.Cancel) -> None:
        slot = self._slots.get(step.event)
        if slot is None:
            raise ValueError(f"{self._scenario.name}: there is no event {step.event} to cancel")
        self._submit(step.event, {**slot, "cancelled": True}, "cancel", "accepted")

    def _submit(self, name: str, slot: dict[str, Any], what: str, wanted: str) -> None:
        self._slots[name] = slot
        mode = self._modes[name]
        power = f"{slot['event_quantity']:g} kW" if slot["event_type"] != "restore" else "back to normal"
        asked = f"{what} {name}: {slot['event_type']} {power}, {_clock(slot)}, {mode}"
        try:
            answer = self._call("POST", "dr", {"mode": mode, "event_slots": [slot]})
        except httpx.HTTPError:
            self._tell("partner", f"{asked}: no answer")
            self._check(wanted == "none", f"the answer on {name} is lost", "it was not to be lost")
            return
        said = answer.json()["event_slots"][0]["status"] if answer.is_success else "rejected"
        self._tell("partner", f"{asked}: {answer.status_code}, {said}")
        fits = said in ("accepted", "cancelled") if wanted == "accepted" else said == wanted
        self._check(
            fits, f"{name} is answered with {said if fits else wanted}", f"it is answered with {said}"
        )
        self._look()

    def _command(self, step: script.Command) -> None:
        self._commands += 1
        items = []
        for device_id, words in step.devices.items():
            action, _, power = words.partition(" ")
            item: dict[str, Any] = {"device_id": device_id, "cmd_type": action}
            if power:
                item |= {"cmd_quantity": float(power), "cmd_unit": "kW"}
            items.append(item)
        body = {
            "scmd_type": "deviceControl",
            "scmd_id": str(uuid5(NAMESPACE_URL, f"{self._scenario.name}/command/{self._commands}")),
            "scmd_secs": int(script.seconds(step.lasts).total_seconds()),
            "scmd_devices": items,
        }
        answer = self._call("POST", "sitecmd", body)
        said = answer.json()["status"] if answer.is_success else "rejected"
        what = ", ".join(f"{device} {words}" for device, words in step.devices.items())
        self._tell("partner", f"command {what} for {step.lasts}: {answer.status_code}, {said}")
        self._check(said == "accepted", "the command is accepted", f"it is answered with {said}")

    def _rotate(self, step: script.Rotate) -> None:
        if not self._is_own:
            self._tell("world", "the secret stays: your endpoint has its own")
            return
        secret = f"secret number {len(self._endpoint.secrets[HEADER]) + 1}"
        self._endpoint.secrets = {HEADER: [secret, *self._endpoint.secrets[HEADER]]}
        self._vpp.set_header(step.header, secret)
        self._tell("partner", f"another secret in {step.header}; the endpoint knows both")

    def _endpoint_state(self, step: script.Endpoint) -> None:
        if not self._is_own:
            self._tell("world", "your endpoint stays as it is: take it down yourself to see what is lost")
            return
        self._endpoint.is_up = step.is_up
        self._tell("world", f"the partner's endpoint {'is back' if step.is_up else 'is down'}")

    # --- what happens

    def _advance(self, step: script.Advance) -> None:
        left = script.seconds(step.by)
        while left > timedelta(0):
            stride = min(left, _STRIDE)
            self._vpp.clock.advance(stride)
            self._vpp.flush()
            left -= stride
            self._look()
        self._tell("world", f"{step.by} later; {self._pushes} data pushes so far")

    def _faults(self, step: script.Faults) -> None:
        for fault in self._vpp.control.faults():
            self._vpp.faults.remove(fault["number"])
        for name, values in step.on.items():
            self._vpp.faults.add(Fault(name, **values))
        self._tell("world", f"faults: {', '.join(step.on) or 'none'}")

    def _device(self, step: script.Device) -> None:
        values = {"online": step.online, "stored_kwh": step.stored_kwh}
        given = {name: value for name, value in values.items() if value is not None}
        self._vpp.control.change_device(self._vpp.molecule_id, step.device, **given)
        what = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in given.items())
        self._tell("world", f"device {step.device}: {what}")

    def _look(self) -> None:
        """Tell what has changed: states of events, execution responses, what was given up."""
        names = {id_key(slot["event_id"]): name for name, slot in self._slots.items()}
        for event in self._vpp.control.events(self._vpp.molecule_id):
            name = names.get(id_key(event["event_id"]), str(event["event_id"]))
            if self._states.get(name) != event["state"]:
                self._states[name] = event["state"]
                self._tell("molecule", f"{name} is {event['state'].replace('_', ' ')}")
        sent = self._vpp.control.exchanges(direction="sent", limit=2_000)
        fresh = [row for row in sent if row["number"] > self._seen and row["state"] != "waiting"]
        self._pushes = sum(row["operation"] == "receive_data_push" and row["status"] == 200 for row in sent)
        self._given_up = sum(row["state"] == "given_up" for row in sent)
        for row in sorted(fresh, key=lambda row: row["number"]):
            if row["operation"] == "receive_execution_response":
                said = f"answered {row['status']}" if row["status"] else "no answer"
                self._tell("molecule", f"execution response: {said}, attempt {row['attempts']}")
        self._seen = max((row["number"] for row in sent if row["state"] != "waiting"), default=self._seen)

    # --- what has to come of it

    def _check(self, is_so: bool, wanted: str, instead: str) -> None:
        self._tell("kept" if is_so else "broken", wanted if is_so else f"{wanted}: no, {instead}")

    def _expect(self, step: script.Expect) -> None:
        for name, state in step.events.items():
            found = self._states.get(name, "not known")
            self._check(found == state, f"{name} is {state}", f"it is {found}")
        for name, count in step.executions.items():
            done = self._vpp.executions(self._vpp.molecule_id, self._slots[name]["event_id"])
            self._check(done == count, f"{name} ran {_times(count)}", f"it ran {_times(done)}")
        if not self._is_own:
            return
        for name, words in step.responses.items():
            said = self._endpoint.words.get(id_key(self._slots[name]["event_id"]), [])
            self._check(
                said == words, f"the partner heard of {name}: {_list(words)}", f"it heard {_list(said)}"
            )
        for name, (low, high) in step.delivered_kwh.items():
            self._check_energy(name, low, high)
        counts = self._endpoint.counts
        for what, limits, number in (
            ("data pushes taken", step.pushes, sum(self._endpoint.pushes.values())),
            ("deliveries given up", step.given_up, self._given_up),
            ("duplicates", step.duplicates, counts["duplicates"]),
            ("late pushes", step.late, counts["late"]),
            ("refused", step.refused, counts["refused"]),
        ):
            if limits is not None:
                low, high = limits
                self._check(low <= number <= high, f"{low} to {high} {what} ({number})", f"{number}")

    def _check_energy(self, name: str, low: float, high: float) -> None:
        slot = self._slots[name]
        power = self._endpoint.quantities.get(id_key(slot["event_id"]))
        lasted = datetime.fromisoformat(slot["end_time"]) - datetime.fromisoformat(slot["start_time"])
        energy = None if power is None else power * (lasted / timedelta(hours=1))
        fits = energy is not None and low <= energy <= high
        shown = "nothing" if energy is None else f"{energy:.2f} kWh"
        self._check(fits, f"{name} delivered {low:g} to {high:g} kWh ({shown})", shown)


def _clock(slot: dict[str, Any]) -> str:
    return f"{slot['start_time'][11:16]}–{slot['end_time'][11:16]}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _list(words: list[str]) -> str:
    return ", ".join(words) or "nothing"
