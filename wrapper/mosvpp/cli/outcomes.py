"""What became of a request, in words: the verdicts of a receipt, or what to do when nothing is known."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mosvpp._requests import Request
from mosvpp.receipts import Certainty, CommandReceipt, DispatchReceipt, Outcome

from .connection import Connection
from .tables import commands_table, duration_words, receipt_table, slots_table, status_text
from .terminal import plain

__all__ = ["heading", "receipt_lines", "request_table", "unknown_lines"]

_RESTS_ON = {
    Certainty.PER_ITEM: "a verdict for each",
    Certainty.ENVELOPE: "one verdict for all",
    Certainty.HTTP_STATUS_ONLY: "no verdict that could be read",
}


def heading(what: str, site: str, connection: Connection) -> Text:
    """The first line: what goes to which site, over which host."""
    return Text.assemble(plain(what), " · ", (plain(site), "bold"), " · ", (connection.base_url, "dim"))


def request_table(sent: Request | DispatchReceipt | CommandReceipt) -> RenderableType:
    """What was asked for."""
    if isinstance(sent, DispatchReceipt) or (isinstance(sent, Request) and sent.slots):
        return slots_table(sent.slots)
    return commands_table(sent.commands)


def receipt_lines(
    receipt: DispatchReceipt | CommandReceipt, file: Path | None, connection: Connection
) -> Iterator[RenderableType]:
    """The verdicts of a receipt, and where it is kept."""
    yield Text.assemble(status_text(receipt.outcome), (f"  ({_RESTS_ON[receipt.certainty]})", "dim"))
    yield receipt_table(receipt)
    if receipt.message:
        yield f"the answer says: {plain(receipt.message)}"
    if file is not None and receipt.outcome is not Outcome.REJECTED:
        yield f"receipt kept in {file}"
        if isinstance(receipt, DispatchReceipt) and not all(slot.cancelled for slot in receipt.slots):
            is_live = receipt.mode.value == "live"
            yield f"to cancel: {_command('cancel', file, connection, is_live=is_live)}"


def unknown_lines(
    request: Request,
    why: str,
    receipt: DispatchReceipt | CommandReceipt | None,
    file: Path | None,
    connection: Connection,
) -> Iterator[RenderableType]:
    """That nothing is known, where to look, and how to go on."""
    yield Text.assemble(
        status_text(Outcome.UNKNOWN), "  it may have been received, and may have taken effect"
    )
    yield receipt_table(receipt) if receipt else request_table(request)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("why", Text(plain(why)))
    if receipt is not None and receipt.raw.body:
        facts.add_row("answer", Text(plain(receipt.raw.body[:200].decode("utf-8", "replace"))))
    facts.add_row("look", _where_to_look(request))
    if file is not None:
        facts.add_row("kept in", str(file))
    yield facts
    if file is not None:
        is_live = not request.slots or (request.mode is not None and request.mode.value == "live")
        if request.slots and not all(slot.cancelled for slot in request.slots):
            yield f"to cancel it, received or not:  {_command('cancel', file, connection, is_live=is_live)}"
        yield f"to send the same once more:     {_command('resend', file, connection, is_live=is_live)}"


def _where_to_look(request: Request) -> str:
    telemetry, nothing_to_ask = "the telemetry of the site", "no call that tells is documented"
    if request.slots:
        return f"{telemetry}, and execution responses for {', '.join(request.ids)}; {nothing_to_ask}"
    return f"{telemetry} for the next {duration_words(request.duration_s or 0)}; {nothing_to_ask}"


def _command(name: str, file: Path, connection: Connection, *, is_live: bool) -> str:
    """A command to copy. It is printed in one line, however long."""
    words = ["mosvpp", name, str(file)]
    if not connection.is_default:
        words += ["--base-url", connection.base_url]
    if is_live:
        words.append("--live")
    return shlex.join(words)
