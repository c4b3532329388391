"""An example of spec/examples as people send it: Python, Python async, curl and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .sources import Call, Example, Sources, Webhook

SITE = "fecd0001c031e7e8"
BEFORE = "2024-01-04T23:55:00Z"  # the events of the examples have not ended then
_WIDTH = 84  # characters of a code block that are seen on a desk
_STATE_BUILDERS = {"on": "turn_on", "off": "turn_off", "restore": "restore"}


@dataclass(frozen=True)
class Tab:
    """One way to say the same."""

    title: str
    language: str
    code: str


def call_tabs(sources: Sources, call: Call, example: Example | None) -> list[Tab]:
    """The tabs for a call; `example` is its request, None where it has no body."""
    body = example.value if example else None
    write = _CALLS[call.id]
    tabs = [
        Tab("Python", "python", write(body, False)),
        Tab("Python async", "python", write(body, True)),
        Tab("curl", "sh", _curl(sources, call, example)),
    ]
    return [*tabs, Tab("JSON", "json", example.pretty)] if example else tabs


def webhook_tabs(webhook: Webhook, example: Example) -> list[Tab]:
    """The tabs for a webhook: how to read the example, and how to send it to a receiver."""
    kind = webhook.id.removeprefix("receive_")
    return [
        Tab("Python", "python", _parse(kind, example)),
        Tab("Python async", "python", _parse_async(kind)),
        Tab("curl", "sh", _curl_to_partner(webhook, example)),
        Tab("JSON", "json", example.pretty),
    ]


@dataclass(frozen=True)
class _Parts:
    """What is particular about a program."""

    standard: list[str]  # imports from the standard library
    names: set[str]  # of mosvpp, beside the client
    call: list[str]
    result: list[str]
    arming: str = ""
    timed: bool = False  # whether the call holds times of the past, so that the sandbox has to live then


def _program(parts: _Parts, *, is_async: bool) -> str:
    """A whole program around a call, with a sandbox in Molecule's place, so that it runs as it stands."""
    client = "AsyncClient" if is_async else "Client"
    standard = ["import asyncio", *parts.standard] if is_async else parts.standard
    imports = [
        *standard,
        *([""] if standard else []),
        f"from mosvpp import {', '.join(_sorted({client, *parts.names}))}",
        f"from mosvpp_sandbox import {'RunningClock, Sandbox' if parts.timed else 'Sandbox'}",
    ]
    clock = [f"then = RunningClock(start={_instant(BEFORE)})  # before what is sent begins"] * parts.timed
    made = f"Sandbox({'clock=then' * parts.timed}) as vpp"
    called = f"{client}(vpp.api_key, base_url=vpp.url{parts.arming}) as client"
    if is_async:
        call = [line.replace("client.", "await client.", 1) for line in parts.call]
        body = [f"with {made}:", *_indented([f"async with {called}:", *_indented(call, 1)], 1)]
        main = ["async def main() -> None:", *_indented([*clock, *body, *parts.result], 1)]
        return "\n".join([*imports, "", "", *main, "", "", "asyncio.run(main())"])
    opened = [f"with {made}, {called}:"]
    if len(opened[0]) > _WIDTH:
        opened = ["with (", *_indented([f"{made},", f"{called},"], 1), "):"]
    return "\n".join([*imports, "", *clock, *opened, *_indented(parts.call, 1), *parts.result])


def _sync_devices(_body: Any, is_async: bool) -> str:
    call = ["devices = client.sync_devices(vpp.molecule_id)"]
    result = [
        "for device in devices:",
        "    print(device.device_id, device.device_type.name, device.capabilities)",
    ]
    return _program(_Parts([], set(), call, result), is_async=is_async)


def _submit_dispatch(body: Any, is_async: bool) -> str:
    slots = [_slot(event) for event in body["event_slots"]]
    builders = {event["event_type"] for event in body["event_slots"]}
    units = {event["event_unit"] for event in body["event_slots"] if event["event_type"] != "restore"}
    call = [
        "receipt = client.submit_dispatch(",
        "    vpp.molecule_id,",
        *_listed(slots),
        f'    mode="{body["mode"]}",',
        ")",
    ]
    arming = ", allow_live=True" if body["mode"] == "live" else ""
    result = ["print(receipt.outcome)", "for item in receipt.items:", "    print(item.item_id, item.outcome)"]
    standard = ["from datetime import UTC, datetime"]
    parts = _Parts(standard, builders | units, call, result, arming, timed=True)
    return _program(parts, is_async=is_async)


def _submit_site_command(body: Any, is_async: bool) -> str:
    devices = body["scmd_devices"]
    names = {"commands", *(device["cmd_unit"] for device in devices if "cmd_unit" in device)}
    call = [
        "receipt = client.submit_site_command(",
        "    vpp.molecule_id,",
        *_listed([[_command(device)] for device in devices]),
        f"    duration=timedelta(seconds={body['scmd_secs']}),",
        f'    scmd_id="{body["scmd_id"]}",',
        ")",
    ]
    standard = ["from datetime import timedelta"]
    parts = _Parts(standard, names, call, ["print(receipt.outcome)"], ", allow_live=True")
    return _program(parts, is_async=is_async)


_CALLS: dict[str, Callable[[Any, bool], str]] = {
    "sync_devices": _sync_devices,
    "submit_dispatch": _submit_dispatch,
    "submit_site_command": _submit_site_command,
}


def _slot(event: dict[str, Any]) -> list[str]:
    power = [] if event["event_type"] == "restore" else [f"    {_power(event, 'event')},"]
    return [
        f"{event['event_type']}(",
        *power,
        f"    start={_instant(event['start_time'])},",
        f"    end={_instant(event['end_time'])},",
        f"    priority={event['priority']},",
        *(["    mandatory=True,"] if event["mandatory"] else []),
        f'    event_id="{event["event_id"]}",',
        ")" + (".cancel()" if event["cancelled"] else ""),
    ]


def _command(device: dict[str, Any]) -> str:
    builder = _STATE_BUILDERS.get(device["cmd_type"], device["cmd_type"])
    power = f", {_power(device, 'cmd')}" if "cmd_unit" in device else ""
    return f'commands.{builder}("{device["device_id"]}"{power})'


def _power(values: dict[str, Any], prefix: str) -> str:
    number = values[f"{prefix}_quantity"]
    return f"{int(number) if number == int(number) else number} * {values[f'{prefix}_unit']}"


def _instant(text: str) -> str:
    year, month, day, hour, minute, second = (int(part) for part in re.findall(r"\d+", text)[:6])
    parts = [
        year,
        month,
        day,
        *([hour, minute] if hour or minute or second else []),
        *([second] if second else []),
    ]
    return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"


def _listed(items: list[list[str]]) -> list[str]:
    """One item as an argument, several as a list."""
    if len(items) == 1:
        return _indented([*items[0][:-1], items[0][-1] + ","], 1)
    lines = [line for item in items for line in [*item[:-1], item[-1] + ","]]
    return ["    [", *_indented(lines, 2), "    ],"]


def _indented(lines: list[str], by: int) -> list[str]:
    return [f"{'    ' * by}{line}" if line else line for line in lines]


def _sorted(names: set[str]) -> list[str]:
    """In the order of ruff's isort: constants, classes, the rest."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name.lower()))


def _curl(sources: Sources, call: Call, example: Example | None) -> str:
    server = sources.openapi["servers"][0]
    url = server["url"] + call.path.replace("{molecule_id}", SITE)
    for name, variable in server["variables"].items():
        url = url.replace(f"{{{name}}}", variable["default"])
    lines = [f"curl --fail-with-body {url}", '--header "X-API-Key: $MOSVPP_API_KEY"']
    if example:
        lines += ['--header "Content-Type: application/json"', f"--data '{_quoted(example.pretty)}'"]
    return " \\\n  ".join(lines)


def _curl_to_partner(webhook: Webhook, example: Example) -> str:
    lines = [
        f"curl --fail-with-body http://127.0.0.1:8000{webhook.address}",
        '--header "X-API-Key: the current secret"',
        '--header "Content-Type: application/json"',
        f"--data '{_quoted(example.pretty)}'",
    ]
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


_VERIFIER = 'verifier = SharedHeaders({"X-API-Key": ["the current secret", "the previous one"]})'
_IMPORTS = ["from mosvpp import webhooks", "from mosvpp.signatures import SharedHeaders", ""]
_SHOWN = {
    "data_push": [
        "for device in delivery.devices:",
        "    print(delivery.timestamp, device.device_id, device.metrics)",
    ],
    "execution_response": [
        "for result in delivery.results:",
        "    print(result.event_id, result.status, result.executed_power)",
    ],
}


def _parse(kind: str, example: Example) -> str:
    quoted = json.dumps(example.value, indent=2, ensure_ascii=True)
    lines = [
        *_IMPORTS,
        _VERIFIER,
        'headers = {"X-API-Key": "the current secret"}',
        f'body = rb"""\n{quoted}\n"""',
        "",
        f'delivery = webhooks.parse(body, headers, verifier=verifier, expect="{kind}")',
        *_SHOWN[kind],
    ]
    return "\n".join(lines)


def _parse_async(kind: str) -> str:
    lines = [
        "from starlette.requests import Request",
        "",
        *_IMPORTS,
        _VERIFIER,
        "",
        "",
        "async def receive(request: Request) -> None:",
        "    body = await request.body()",
        "    headers = request.headers.items()",
        f'    delivery = webhooks.parse(body, headers, verifier=verifier, expect="{kind}")',
        *_indented(_SHOWN[kind], 1),
    ]
    return "\n".join(lines)
