"""What events, commands, verdicts and devices look like in 80 columns, with and without colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mosvpp.commands import DeviceCommand
from mosvpp.events import DataPush, Delivery, ExecutionReport
from mosvpp.models import DeviceList
from mosvpp.receipts import CommandReceipt, DispatchReceipt, ReceiptItem
from mosvpp.slots import EventSlot

from .terminal import plain

__all__ = [
    "commands_table",
    "delivery_table",
    "devices_table",
    "duration_words",
    "period_words",
    "receipt_table",
    "slots_table",
    "status_text",
]

Verdicts: TypeAlias = Mapping[str, ReceiptItem]

_STYLES = {
    "accepted": "green",
    "completed": "green",
    "ok": "green",
    "partially_accepted": "yellow",
    "unknown": "yellow",
    "warning": "yellow",
    "rejected": "red",
    "failed": "red",
    "FAILED": "bold red",
    "skipped": "dim",
}


def status_text(word: str) -> Text:
    """A word of our own for a state, in its colour."""
    return Text(word.replace("_", " "), style=_STYLES.get(word, ""))


def table(*headings: str) -> Table:
    """An empty table in the one style of all tables."""
    made = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def devices_table(devices: DeviceList) -> Table:
    """The devices of a site."""
    made = table("device", "type", "name", "capabilities")
    for device in devices:
        unknown = Text("not listed", style="dim")
        words = unknown if device.capabilities is None else plain(", ".join(device.capabilities))
        kind = f"{device.device_type.value} {device.device_type.name.lower().replace('_', ' ')}"
        made.add_row(plain(device.device_id), kind, plain(device.name or ""), words)
    return made


def slots_table(slots: Iterable[EventSlot], verdicts: Verdicts | None = None) -> RenderableType:
    """Events as they are asked for, and what was said to them; the id stands alone, to be copied."""
    made = Table.grid(padding=(0, 2))
    made.add_column(width=36)
    made.add_column(overflow="fold")
    for slot in slots:
        power = f" {slot.power!r}" if slot.power is not None else ""
        what = f"{slot.event_type.value}{power}, priority {slot.priority}"
        if slot.mandatory:
            what += ", mandatory"
        if slot.cancelled:
            what = f"cancel: {what}"
        asked = Text(f"{what}\n{period_words(slot.start, slot.end)}")
        made.add_row(slot.event_id, asked)
        for verdict in _verdict(verdicts, slot.event_id):
            made.add_row("", verdict)
    return made


def commands_table(commands: Iterable[DeviceCommand], verdicts: Verdicts | None = None) -> Table:
    """Commands to devices, and what was said to them."""
    made = table("device", "command", *(["verdict"] if verdicts is not None else []))
    for command in commands:
        power = f" {command.power!r}" if command.power is not None else ""
        made.add_row(
            plain(command.device_id), f"{command.action}{power}", *_verdict(verdicts, command.device_id)
        )
    return made


def receipt_table(receipt: DispatchReceipt | CommandReceipt) -> RenderableType:
    """What was asked for beside what was said."""
    verdicts = {item.item_id: item for item in receipt.items}
    if isinstance(receipt, DispatchReceipt):
        return slots_table(receipt.slots, verdicts)
    return commands_table(receipt.commands, verdicts)


def _verdict(verdicts: Verdicts | None, item_id: str) -> Sequence[Text]:
    if verdicts is None:
        return ()
    item = verdicts[item_id]
    return (_said(item.outcome, item.status_text, item.message),)


def _said(state: str, word: str | None, message: str | None) -> Text:
    """Our word for a state; below it theirs, where it is another one, and what they add."""
    said = status_text(state)
    if word is not None and word.lower() != state:
        said.append(f"\nsaid: {plain(word)}", style="dim")
    if message:
        said.append(f"\n{plain(message)}", style="dim")
    return said


def period_words(start: datetime, end: datetime) -> str:
    """`2026-11-23 18:00–19:00 UTC`, seconds only where there are some."""
    precise = start.second or end.second
    first = start.strftime("%Y-%m-%d %H:%M:%S" if precise else "%Y-%m-%d %H:%M")
    last = end.strftime("%H:%M:%S" if precise else "%H:%M")
    if end.date() == start.date():
        return f"{first}–{last} UTC"
    return f"{first} to\n{end.strftime('%Y-%m-%d')} {last} UTC"


def duration_words(seconds: int) -> str:
    """`1 h 30 min`."""
    whole = timedelta(seconds=seconds)
    hours, rest = divmod(whole.seconds, 3600)
    minutes, secs = divmod(rest, 60)
    parts = ((whole.days, "d"), (hours, "h"), (minutes, "min"), (secs, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def delivery_table(delivery: Delivery) -> RenderableType:
    """What was read from a webhook."""
    if isinstance(delivery, DataPush):
        return _push_table(delivery)
    if isinstance(delivery, ExecutionReport):
        return _report_table(delivery)
    return Text("Nothing was read from it; it is kept as it is.", style="dim")


def _push_table(push: DataPush) -> RenderableType:
    made = table("device", "metric", "value")
    for device in push.devices:
        name = plain(device.device_id)
        for metric, value in device.metrics.items():
            made.add_row(name, plain(metric), plain(value))
            name = ""
        if name:
            made.add_row(name, Text("none", style="dim"))
    return Group(f"data push · {plain(push.molecule_id)} · {push.timestamp:%Y-%m-%d %H:%M:%S} UTC", made)


def _report_table(report: ExecutionReport) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    made.add_column(width=36, overflow="fold")
    made.add_column(overflow="fold")
    for result in report.results:
        lines = [_said(result.status, result.status_text, result.message)]
        if result.executed_quantity is not None:
            unit = plain(result.executed_unit or "(no unit)")
            lines.append(Text(f"executed {result.executed_quantity:g} {unit}"))
        if result.started_at or result.ended_at:
            times = (f"{at:%Y-%m-%d %H:%M:%S}" if at else "?" for at in (result.started_at, result.ended_at))
            lines.append(Text(" to\n".join(times) + " UTC"))
        made.add_row(plain(result.event_id), Text("\n").join(lines))
    return Group(f"execution response · {plain(report.molecule_id or 'no site named')}", made)
