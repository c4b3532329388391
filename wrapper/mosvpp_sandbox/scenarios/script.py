"""A scenario as it is written: YAML, checked before anything is played.

title: One event            # a sentence of what it shows
about: …                    # why it matters
evidence: [execution.shape] # entries of the ledger that it leans on
sandbox: {seed: 7, push_every: 5m, choices: {test_mode: execute}}     # all optional
steps:                      # one verb each
  - dispatch: {event: evening, type: discharge, power_kw: 3, in: 10m, for: 1h}
  - advance: 70m
  - expect: {events: {evening: completed}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mosvpp_sandbox.site_specs import yaml_errors

__all__ = [
    "Advance",
    "Cancel",
    "Command",
    "Device",
    "Dispatch",
    "Endpoint",
    "Expect",
    "Faults",
    "Rotate",
    "Scenario",
    "Step",
    "Sync",
    "named",
    "read",
    "seconds",
]

Duration = Annotated[str, msgspec.Meta(pattern=r"^(\d+h)?(\d+m)?(\d+s)?$", min_length=2)]


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a step says; the verb that it stands under is that of the class."""


class Sync(_Step, frozen=True):
    """Ask for the devices; there have to be so many."""

    devices: int


class Dispatch(_Step, frozen=True):
    """Submit an event, or the same one again. `in` is from the beginning of the scenario."""

    event: str
    type: Literal["charge", "discharge", "shed", "restore"] | None = None
    power_kw: float | None = None
    starts: Duration | None = msgspec.field(default=None, name="in")
    lasts: Duration | None = msgspec.field(default=None, name="for")
    priority: int | None = None
    mandatory: bool | None = None
    mode: Literal["test", "live"] = "live"
    answer: Literal["accepted", "rejected", "none"] = "accepted"


class Cancel(_Step, frozen=True):
    """Submit the event once more, cancelled."""

    event: str


class Command(_Step, frozen=True):
    """Command devices, `{device_id: "discharge 2"}` with a power in kW where one is needed."""

    devices: dict[str, str]
    lasts: Duration = msgspec.field(name="for")


class Advance(_Step, frozen=True):
    """Let simulated time pass."""

    by: Duration


class Faults(_Step, frozen=True):
    """Switch faults on, `{duplicate: {probability: 0.5}}`; without any, switch all off."""

    on: dict[str, dict[str, Any]] = {}


class Device(_Step, frozen=True):
    """Change a device by hand: unplug it, empty it."""

    device: str
    online: bool | None = None
    stored_kwh: float | None = None


class Rotate(_Step, frozen=True):
    """The partner configures another secret with Molecule; its endpoint knows both."""

    header: str


class Endpoint(_Step, frozen=True):
    """The partner's endpoint goes down or comes back."""

    is_up: bool


class Expect(_Step, frozen=True):
    """What has to be true now. Counts are of all since the beginning; a pair is from, to."""

    events: dict[str, str] = {}
    responses: dict[str, list[str]] = {}
    executions: dict[str, int] = {}
    pushes: tuple[int, int] | None = None
    given_up: tuple[int, int] | None = None
    duplicates: tuple[int, int] | None = None
    late: tuple[int, int] | None = None
    refused: tuple[int, int] | None = None
    delivered_kwh: dict[str, tuple[float, float]] = {}


Step = Sync | Dispatch | Cancel | Command | Advance | Faults | Device | Rotate | Endpoint | Expect

_VERBS: dict[str, tuple[type[Step], str | None]] = {
    "sync": (Sync, None),
    "dispatch": (Dispatch, None),
    "cancel": (Cancel, "event"),
    "command": (Command, None),
    "advance": (Advance, "by"),
    "faults": (Faults, "on"),
    "device": (Device, None),
    "rotate": (Rotate, "header"),
    "endpoint": (Endpoint, "is_up"),
    "expect": (Expect, None),
}
"""Verb → class, and the field that a plain value stands for."""


class Surroundings(_Step, frozen=True):
    """How the sandbox is set up."""

    seed: int = 1
    push_every: Duration = "1m"
    choices: dict[str, str | float] = {}


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario, ready to be played."""

    name: str
    title: str
    about: str
    evidence: tuple[str, ...]
    sandbox: Surroundings
    steps: tuple[Step, ...]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    about: str
    steps: list[dict[str, Any]]
    evidence: list[str] = []
    sandbox: Surroundings = Surroundings()


def named() -> Iterator[Scenario]:
    """Those that come with the sandbox, in the order of their files."""
    for entry in sorted(files("mosvpp_sandbox.scenarios").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield _read(entry.name.removesuffix(".yaml")[3:], entry.read_text("utf-8"))


def read(path: Path) -> Scenario:
    """One of the partner's own. Raises `ValueError`, `OSError`."""
    return _read(path.stem, path.read_text("utf-8"))


def _read(name: str, text: str) -> Scenario:
    import yaml

    try:
        written = msgspec.convert(yaml.safe_load(text), _File)
        steps = tuple(_step(step, number) for number, step in enumerate(written.steps, 1))
    except yaml_errors() as error:
        raise ValueError(f"{name} is no YAML: {' '.join(str(error).split())}") from None
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from None
    return Scenario(
        name=name,
        title=written.title,
        about=" ".join(written.about.split()),
        evidence=tuple(written.evidence),
        sandbox=written.sandbox,
        steps=steps,
    )


def _step(written: dict[str, Any], number: int) -> Step:
    if len(written) != 1 or next(iter(written)) not in _VERBS:
        msg = f"step {number} has to have one verb of {', '.join(_VERBS)}"
        raise msgspec.ValidationError(msg)
    ((verb, value),) = written.items()
    kind, plain = _VERBS[verb]
    if plain is not None:
        value = {plain: value}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"step {number}, {verb}: {error}") from None


def seconds(duration: str) -> timedelta:
    """`1h30m` as a `timedelta`."""
    hours, minutes, rest = (
        int(found[1]) if (found := re.search(rf"(\d+){unit}", duration)) else 0 for unit in "hms"
    )
    return timedelta(hours=hours, minutes=minutes, seconds=rest)
