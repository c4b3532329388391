"""The stream that tells an open page what has changed, so that it asks anew for what it shows.

A tick names the kinds of changes and the sites concerned, not the changes themselves: however many sites
push, a page hears twice a second at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from mosvpp_sandbox.changes import Change
from mosvpp_sandbox.control import Control

from . import wording

__all__ = ["tick", "tick_stream"]

_AT_MOST = 2000
_GATHER_S = 0.4
_BEAT_S = 2.0
_SITES = 100
_TOLD = 3


def tick(control: Control, found: Sequence[Change], missed: int = 0) -> dict[str, Any]:
    """What a page needs to know of these changes.

    `changed` has the kinds, each with the ids of the sites concerned; null stands for many, or for none in
    particular. While time runs there is always one called `time`. `behind` and `told` are for people.
    """
    changed: dict[str, list[str] | None] = {}
    for change in found:
        sites = changed.setdefault(change.kind, [])
        if sites is None or change.molecule_id in sites:
            continue
        if change.molecule_id is None or missed or len(sites) == _SITES:
            changed[change.kind] = None
        else:
            sites.append(change.molecule_id)
    clock = control.clock()
    if clock["speed"] or "clock" in changed:
        changed["time"] = None
    return {"clock": clock, "behind": wording.behind(clock), "changed": changed, "told": _told(found)}


def _told(found: Sequence[Change]) -> list[str]:
    steps = [change for change in found if change.kind in ("event", "command")]
    if len(steps) > _TOLD:
        return [f"{len(steps)} steps of events and commands."]
    return [
        f"{'Event' if one.kind == 'event' else 'Command'} {wording.short(one.about)} at {one.molecule_id}: "
        f"{wording.state(one.data['state'])}."
        for one in steps
    ]


async def tick_stream(control: Control, instance: str) -> AsyncIterator[bytes]:
    """Server-sent events: `hello` with the name of this run, then `tick`.

    A page that hears another name than before has lost a sandbox and found a new one.
    """
    changed, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody watches any more
            loop.call_soon_threadsafe(changed.set)

    stop = control.changes.listen(wake)
    seen = control.changes.last
    try:
        yield b"retry: 1000\nevent: hello\ndata: %s\n\n" % msgspec.json.encode({"instance": instance})
        while not control.changes.is_ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await changed.wait()
            await asyncio.sleep(_GATHER_S)
            changed.clear()
            found, missed = control.changes.after(seen, _AT_MOST)
            seen = found[-1].number if found else seen
            yield b"event: tick\ndata: %s\n\n" % msgspec.json.encode(tick(control, found, missed))
    finally:
        stop()
