"""A request as it leaves, and what one attempt to send it can come back with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from mosvpp_api.models.dispatch_mode import DispatchMode

from ._answers import Answer
from ._values import Value
from .auth import Key
from .commands import DeviceCommand
from .slots import EventSlot

__all__ = ["Attempt", "Failure", "Operation", "Pause", "Request"]

Operation: TypeAlias = Literal["sync_devices", "submit_dispatch", "submit_site_command"]


class Request(Value, frozen=True, kw_only=True, tag_field="kind", tag="request"):
    """A request as it is sent, without the key: give it to `client.resend` to send the same once more.

    `body` are the exact bytes; `slots` or `commands` are what they were made from; `ids` the event ids or the
    scmd_id; `revision` puts the requests for one event in order.
    """

    operation: Operation
    method: str
    path: str
    molecule_id: str
    body: bytes = b""
    ids: tuple[str, ...] = ()
    mode: DispatchMode | None = None
    slots: tuple[EventSlot, ...] = ()
    commands: tuple[DeviceCommand, ...] = ()
    duration_s: int | None = None
    revision: int = 0

    def __repr__(self) -> str:
        ids = f", ids={list(self.ids)}" if self.ids else ""
        return f"Request({self.method} {self.path}, {len(self.body)} bytes{ids})"

    @property
    def is_post(self) -> bool:
        """Whether the request changes something, so that a repeat may act twice."""
        return self.method == "POST"


class Attempt(msgspec.Struct, frozen=True):
    """Send this request once, with this key. `is_wanted` is asked right before its first byte is written."""

    request: Request
    key: Key
    is_wanted: Callable[[], bool]


class Pause(msgspec.Struct, frozen=True):
    """Wait that many seconds."""

    seconds: float


class Failure(msgspec.Struct, frozen=True):
    """An attempt without a usable answer.

    `sent` is False only when it is certain that no byte of the request was written. `reason` is for people.
    `answer` is what had arrived before an answer was cut off; `transient` tells whether a GET may be tried
    again.
    """

    sent: bool
    reason: str
    answer: Answer | None = None
    transient: bool = True
