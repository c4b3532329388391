"""How values are put for people: units, times, the words and colours of states, the evidence of a message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

__all__ = ["FILTERS", "KIND_NAMES", "OPERATIONS", "STATES"]

# state → (style, word). The words are those of the wire; the styles are colours.
STATES: Mapping[str, tuple[str, str]] = {
    "accepted": ("waiting", "waiting"),
    "in_progress": ("running", "running"),
    "completed": ("done", "completed"),
    "partially_completed": ("part", "partly completed"),
    "failed": ("failed", "failed"),
    "cancelled": ("cancelled", "cancelled"),
    "superseded": ("superseded", "superseded"),
    "opted_out": ("opted", "opted out"),
    "running": ("running", "running"),
    "done": ("done", "done"),
    "restored": ("done", "restored"),
    "replaced": ("superseded", "replaced"),
    "rejected": ("failed", "rejected"),
    "waiting": ("waiting", "waiting"),
    "given_up": ("failed", "given up"),
}

OPERATIONS: Mapping[str, str] = {
    "submit_dispatch": "Dispatch",
    "submit_site_command": "Site command",
    "sync_devices": "Device sync",
    "receive_data_push": "Data push",
    "receive_execution_response": "Execution response",
}

KIND_NAMES: Mapping[str, str] = {
    "unknown": "Unknown device",
    "no_control": "Appliance",
    "battery": "Battery",
    "pv": "PV inverter",
    "meter": "Meter",
    "thermostat": "Thermostat",
    "switch": "Switch",
    "zigbee_switch": "Zigbee switch",
    "zigbee_thermostat": "Zigbee thermostat",
    "gpio_input": "GPIO input",
    "gpio_output": "GPIO output",
}

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_EVIDENCE_HEADER = "x-mosvpp-sandbox-evidence"
_UNITS = {
    "state_of_charge": "%",
    "power_output": "kW",
    "power_input": "kW",
    "power": "kW",
    "energy_imported": "kWh",
    "energy_exported": "kWh",
    "temperature": "°C",
    "setpoint": "°C",
    "voltage": "V",
    "frequency": "Hz",
    "requested_kw": "kW",
    "delivered_kw": "kW",
    "import_kw": "kW",
}


def power(kilowatts: float | None) -> str:
    """`5 kW`, `1.2 MW`."""
    if kilowatts is None:
        return "–"
    if abs(kilowatts) >= 1000:
        return f"{kilowatts / 1000:.4g} MW"
    return f"{kilowatts:.3g} kW" if abs(kilowatts) >= 0.001 else f"{kilowatts * 1000 + 0.0:.2g} W"


def grid(import_kw: float) -> str:
    """Which way power flows through the meter."""
    if abs(import_kw) < 0.0005:
        return "0 kW"
    return f"{'draws' if import_kw > 0 else 'gives'} {abs(import_kw):.2f} kW"


def number(value: float | str | None) -> str:
    """A metric as it was told, numbers with separators."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.6g}"
    return "–" if value is None else str(value)


def unit(metric: str) -> str:
    """The unit in which the sandbox means a metric; MosVPP's are not known (unknown.metric_units)."""
    return _UNITS.get(metric.rpartition(".")[2], "")


def words(name: str) -> str:
    """`state_of_charge` as people write it."""
    return name.replace("_", " ")


def clock_time(text: str | None, beside: str | None = None) -> str:
    """`17:05:00`, with the date unless it is that of `beside`."""
    if text is None:
        return "–"
    at = instant(text)
    if beside is not None and instant(beside).date() == at.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%Y-%m-%d %H:%M:%S}"


def instant(text: str) -> datetime:
    """The instant that a text of the wire means."""
    return datetime.fromisoformat(text).astimezone(UTC)


def span(seconds: float) -> str:
    """`1 h 30 min`."""
    left, parts = int(seconds), []
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def speed(value: float) -> str:
    """`60 ×`, or that time stands still."""
    return "time stands still" if value == 0 else f"{value:g} × real time"


def behind(clock: Mapping[str, Any]) -> str:
    """That sites have not come to the present yet, where it takes them more than a moment."""
    late = clock["behind_s"]
    return f"catching up, {span(late)} behind" if late > max(60, 5 * clock["speed"]) else ""


def short(item_id: str) -> str:
    """The beginning of a long id."""
    return item_id if len(item_id) <= 13 else f"{item_id[:8]}…"


def shortened(text: str) -> str:
    """A sentence with its ids shortened."""
    return _UUID.sub(lambda found: short(found[0]), text)


def pretty(text: str) -> str:
    """JSON with line breaks; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def style(state: str) -> str:
    """The colour of a state."""
    return STATES.get(state, ("cancelled", state))[0]


def state(state: str) -> str:
    """The word for a state."""
    return STATES.get(state, ("cancelled", words(state)))[1]


def evidence(headers: list[list[str]]) -> str:
    """What the sandbox says of how sure the shape of a message is, or ""."""
    return next((value for name, value in headers if name.lower() == _EVIDENCE_HEADER), "")


def coded(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)
    )


def count(amount: int, word: str) -> str:
    """`1 site`, `1,000 sites`."""
    return f"{amount:,} {word}{'' if amount == 1 else 's'}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "behind": behind,
    "clock_time": clock_time,
    "coded": coded,
    "count": count,
    "evidence": evidence,
    "grid": grid,
    "kind_name": lambda kind: KIND_NAMES.get(kind, words(kind)),
    "number": number,
    "operation": lambda name: OPERATIONS.get(name, "Other request"),
    "power": power,
    "pretty": pretty,
    "short": short,
    "shortened": shortened,
    "span": span,
    "speed": speed,
    "state": state,
    "style": style,
    "unit": unit,
    "words": words,
}
