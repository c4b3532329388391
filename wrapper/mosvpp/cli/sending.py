"""What the commands that change something share: keep, send, keep again, tell the outcome.

With `--save` the request is written before it leaves and replaced by the receipt, so that the file tells what
may be under way even when this program is killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self, TypeAlias

from mosvpp._requests import Request
from mosvpp.errors import (
    MosVPPError,
    OutcomeUnknownError,
    RejectedError,
    RuleError,
    UnexpectedResponseError,
    UnreachableError,
)
from mosvpp.receipts import CommandReceipt, DispatchReceipt, Outcome

from .connection import Connection, WatchedClient
from .exits import Exit
from .outcomes import receipt_lines, unknown_lines
from .saved import NewFile
from .terminal import Terminal, described

__all__ = ["Receipt", "Sender"]

Receipt: TypeAlias = DispatchReceipt | CommandReceipt

_EXITS = {
    Outcome.ACCEPTED: Exit.OK,
    Outcome.PARTIALLY_ACCEPTED: Exit.PARTLY,
    Outcome.REJECTED: Exit.NO,
    Outcome.UNKNOWN: Exit.OUTCOME_UNKNOWN,
}


class Sender:
    """Sends one request for a command, and ends the command. Use it in a `with` block.

    `save` is where the receipt is to be kept, `source` the file of a request that is sent again.
    """

    def __init__(
        self,
        terminal: Terminal,
        connection: Connection,
        *,
        allow_live: bool,
        save: Path | None,
        source: Path | None = None,
    ) -> None:
        self._terminal = terminal
        self._connection = connection
        self._source = source
        self.client: WatchedClient = connection.client(allow_live=allow_live, on_drift=terminal.warn_of)
        self._file = NewFile(save, base_url=connection.base_url)  # last: it makes a file
        self.client.before_sending = self._file.keep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.release()

    def send(self, call: Callable[[WatchedClient], Receipt]) -> NoReturn:
        """Make the call, show what became of it, and end."""
        client = self.client
        try:
            with client:
                receipt = call(client)
        except OutcomeUnknownError as error:
            self._end_unknown(client.last_request, described(error)["message"], error=error)
        except KeyboardInterrupt:
            if not client.in_flight:
                self._file.discard()
                raise
            self._end_unknown(client.last_request, "stopped by Ctrl-C while it was on its way")
        except RejectedError as error:
            self._file.discard()
            if error.receipt is None:
                raise
            receipt = error.receipt
        except (RuleError, UnreachableError):
            self._file.discard()
            raise
        except UnexpectedResponseError:
            if self._file.path is not None:
                self._terminal.warn(f"the request is kept in {self._file.path}")
            raise
        if receipt.outcome is Outcome.UNKNOWN:
            why = f"HTTP {receipt.raw.status}, but the answer is no receipt that could be read"
            self._end_unknown(client.last_request, why, receipt=receipt)
        self._end(receipt)

    def _end(self, receipt: Receipt) -> NoReturn:
        if receipt.outcome is not Outcome.REJECTED:
            self._keep(receipt)
        self._terminal.show(*receipt_lines(receipt, self._file.path, self._connection))
        self._finish(receipt.outcome, receipt=receipt)

    def _keep(self, receipt: Receipt) -> None:
        try:
            self._file.keep(receipt)
        except RuleError as error:  # it has been sent, and all that is left is to show the receipt
            self._terminal.warn(f"{error.args[0]}; here is the receipt")
            self._terminal.show(receipt.to_json())

    def _end_unknown(
        self,
        request: Request | None,
        why: str,
        *,
        error: MosVPPError | None = None,
        receipt: Receipt | None = None,
    ) -> NoReturn:
        assert request is not None  # something was sent
        path = self._source
        if path is None:
            try:
                path = self._file.keep_unknown(request)
            except RuleError as fault:
                self._terminal.warn(f"{fault.args[0]}; here is the request")
                self._terminal.show(request.to_json())
        self._terminal.show(*unknown_lines(request, why, receipt, path, self._connection))
        self._finish(Outcome.UNKNOWN, receipt=receipt, request=request, why=why, error=error, file=path)

    def _finish(
        self,
        outcome: Outcome,
        *,
        receipt: Receipt | None = None,
        request: Request | None = None,
        why: str | None = None,
        error: MosVPPError | None = None,
        file: Path | None = None,
    ) -> NoReturn:
        path = file or self._file.path
        self._terminal.finish(
            _EXITS[outcome],
            outcome=outcome.value,
            certainty=receipt.certainty.value if receipt else None,
            why=why,
            receipt=json.loads(receipt.to_json()) if receipt else None,
            request=json.loads(request.to_json()) if request else None,
            base_url=self._connection.base_url,
            file=str(path) if path else None,
            **({"error": described(error)} if error else {}),
        )
