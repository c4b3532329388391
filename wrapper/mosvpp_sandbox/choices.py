"""What MosVPP leaves open, as switches: the variants of each, and the evidence that it is open.

The first variant of each is the default. They may be changed while the sandbox runs; what has begun goes
on as it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args, get_type_hints

__all__ = ["CHOICES", "Choices"]

# switch → (evidence id, {variant: what it means})
CHOICES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "test_mode": (
        "unknown.test_mode_effect",
        {
            "rehearse": "a test event runs on a copy of the site: it is answered, and no device moves",
            "acknowledge": "a test event gets its receipt, and is never heard of again",
            "execute": "a test event moves the devices as a live one does, and competes with live ones",
        },
    ),
    "conflict": (
        "command.no_cancel",
        {
            "command_first": "a site command outranks a running event at its device for its scmd_secs",
            "event_first": "the running event keeps its devices; the command acts once the event is over",
            "refuse": "a command to a device that a running event uses is rejected",
        },
    ),
    "repeated_command": (
        "errors.conflict",
        {
            "refuse": "a scmd_id that was taken before is answered with 409",
            "restart": "the command is executed again, and its scmd_secs begin anew",
            "ignore": "the first receipt is given again, and nothing is done",
        },
    ),
    "ids": (
        "unknown.id_comparison",
        {
            "values": "two spellings of one UUID are one id",
            "text": "ids are compared letter by letter, so that another spelling is another event",
        },
    ),
    "after_command": (
        "unknown.after_scmd_secs",
        {
            "normal": "after scmd_secs the device does what a running event wants, or what is normal",
            "hold": "the device stays as it was told until the next command",
        },
    ),
}


@dataclass(frozen=True)
class Choices:
    """One variant for each switch of `CHOICES`.

    `opt_out` is the share of events that a household declines, from 0 to 1; mandatory ones are never declined
    (dispatch.mandatory: what "compulsory" means at a device is not documented).
    """

    test_mode: Literal["rehearse", "acknowledge", "execute"] = "rehearse"
    conflict: Literal["command_first", "event_first", "refuse"] = "command_first"
    repeated_command: Literal["refuse", "restart", "ignore"] = "refuse"
    ids: Literal["values", "text"] = "values"
    after_command: Literal["normal", "hold"] = "normal"
    opt_out: float = 0.0

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name in CHOICES:
            variants, value = get_args(hints[name]), getattr(self, name)
            if value not in variants:
                msg = f"{name} is one of {', '.join(variants)}, not {value!r}"
                raise ValueError(msg)
        share = self.opt_out
        if isinstance(share, bool) or not 0 <= share <= 1:
            msg = f"opt_out is a share from 0 to 1, not {share!r}"
            raise ValueError(msg)

    def changed(self, **values: Any) -> Self:
        """The same with some of them chosen anew. Raises `ValueError`."""
        known = {one.name for one in fields(self)}
        for name in values:
            if name not in known:
                msg = f"there is no choice {name!r}; there are {', '.join(sorted(known))}"
                raise ValueError(msg)
        return replace(self, **values)
