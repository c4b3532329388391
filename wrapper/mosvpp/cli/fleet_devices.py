"""`mosvpp fleet devices`: which devices the sites have, and what has changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit, exit_for
from .fleet_sites import read_sites
from .fleet_store import SiteIds, Store, opened_registry
from .terminal import Terminal, described, plain

if TYPE_CHECKING:
    from mosvpp.fleet import DeviceChange, DeviceRegistry, SyncReport
    from mosvpp.models import Device

    from .connection import Connection

__all__ = ["devices"]

_SHOWN = 20


def devices(
    sites: Annotated[
        Path | None,
        typer.Option(
            "--sites",
            metavar="FILE",
            help="The sites to ask, one molecule_id a line, or CSV; a column rating is kept. Default: those"
            " that were asked before.",
        ),
    ] = None,
    site: SiteIds = None,
    sync: Annotated[bool, typer.Option("--sync", help="Ask each site for its devices now.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show what has changed, and when.")] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=200, help="How many are asked at once.")
    ] = 16,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to show.")] = _SHOWN,
    store: Store = None,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """Show the devices of the sites as they were reported last; with --sync, ask again.

    Plans are checked against them. One site that does not answer does not stop the others.
    """
    terminal = Terminal(as_json=as_json)
    if sync and history:
        raise RuleError("give --sync or --history, not both", path="--history", rule="exclusive")
    lines = None if sites is None else read_sites(sites)
    with opened_registry(store, must_exist=not sync and lines is None) as registry:
        if lines is not None:
            ratings = {line.molecule_id: line.rating for line in lines if line.rating is not None}
            registry.declare_ratings(ratings)
            if ratings:
                from .fleet_tables import several

                terminal.show(f"{several(len(ratings), 'rating')} kept.")
        if history:
            _show_history(terminal, registry, site, limit)
        listed = site or ([line.molecule_id for line in lines] if lines is not None else None)
        if sync:
            from .connection import Connection

            connection = Connection(
                base_url=base_url,
                api_version=api_version,
                api_key=api_key,
                timeout=timeout,
                ca_file=ca_file,
            )
            _sync(terminal, registry, connection, listed or list(registry.sites()), concurrency, limit)
        _show(terminal, registry, listed, limit, of_one=site is not None)


def _sync(
    terminal: Terminal,
    registry: DeviceRegistry,
    connection: Connection,
    wanted: Sequence[str],
    concurrency: int,
    limit: int,
) -> None:
    from .fleet_tables import several
    from .inbox_progress import progress

    if not wanted:
        msg = "no site was asked before: name them with --sites FILE or --site ID"
        raise RuleError(msg, path="--sites", rule="required")
    with (
        connection.client(on_drift=lambda _: None) as client,
        progress(terminal, "asking", len(wanted)) as show,
    ):
        client.check_site(wanted[0])
        done = registry.sync(wanted, client, concurrency=concurrency, on_progress=show)
    found = f"{done.synced:,} of {len(wanted):,} sites answered"
    terminal.show(
        f"{found}, {several(len(done.changes), 'change')}." if done.changes else f"{found}, nothing changed."
    )
    if done.changes:
        terminal.show("", *_changes_lines(done.changes, limit))
    _show_failures(terminal, done, limit)
    code = Exit.OK
    if done.failed:
        code = Exit.PARTLY if done.synced else exit_for(next(iter(done.failed.values())))
    terminal.finish(
        code,
        synced=done.synced,
        changes=[json.loads(change.to_json()) for change in done.changes],
        failed={site: described(error) for site, error in done.failed.items()},
    )


def _show_failures(terminal: Terminal, done: SyncReport, limit: int) -> None:
    from .tables import table

    if not done.failed:
        return
    made = table("failed", "why")
    made.columns[0].no_wrap = True
    for site, error in islice(done.failed.items(), limit):
        made.add_row(plain(site), plain(described(error)["message"]))
    terminal.show("", made)
    if len(done.failed) > limit:
        terminal.show(f"… and {len(done.failed) - limit:,} more; --json lists all")
    terminal.show("", "Of these the devices that were known before are kept.")


def _show_history(terminal: Terminal, registry: DeviceRegistry, site: list[str] | None, limit: int) -> None:
    chosen = None if site is None else set(site)
    found = [change for change in registry.history() if chosen is None or change.molecule_id in chosen]
    if found:
        terminal.show(*_changes_lines(found[::-1], limit, with_time=True))
    else:
        terminal.show("Nothing has changed yet.", style="yellow")
    terminal.finish(Exit.OK, history=[json.loads(change.to_json()) for change in found])


def _changes_lines(changes: Sequence[DeviceChange], limit: int, *, with_time: bool = False) -> Iterable[Any]:
    from .inbox_tables import instant
    from .tables import table

    made = table(*(["when (UTC)"] if with_time else []), "site", "device", "change")
    for column in made.columns[:-1]:
        column.no_wrap = True
    for change in changes[:limit]:
        when = [instant(change.at)] if with_time else []
        made.add_row(*when, plain(change.molecule_id), plain(change.device_id), _change_words(change))
    yield made
    if len(changes) > limit:
        kinds = Counter(change.change.replace("_", " ") for change in changes)
        in_all = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        yield f"… and {len(changes) - limit:,} more ({in_all}); --limit or --json show them"


def _change_words(change: DeviceChange) -> str:
    before, after = change.before, change.after
    if change.change == "renamed" and before and after:
        return plain(f"renamed: {before.name or '–'} → {after.name or '–'}")
    if change.change == "type_changed" and before and after:
        return f"type: {_kind(before)} → {_kind(after)}"
    if change.change == "capabilities_changed" and before and after:
        return plain(f"can: {_can(before)} → {_can(after)}")
    known = after or before
    assert known is not None  # one of them is there
    return plain(f"{change.change}: {known.name or _kind(known)}")


def _kind(device: Device) -> str:
    return f"{device.device_type.value} {device.device_type.name.lower().replace('_', ' ')}"


def _can(device: Device) -> str:
    return "not listed" if device.capabilities is None else ", ".join(device.capabilities) or "nothing"


def _show(
    terminal: Terminal, registry: DeviceRegistry, listed: Sequence[str] | None, limit: int, *, of_one: bool
) -> None:
    from .inbox_tables import age
    from .tables import table

    synced = registry.sites()
    wanted = list(synced) if listed is None else list(listed)
    facts = registry.facts(wanted)
    now = datetime.now(UTC)
    if not wanted:
        terminal.show("No site was asked yet; ask with --sync --sites FILE.", style="yellow")
    elif of_one:
        made = table("site", "device", "type", "name", "capabilities")
        for site in wanted:
            name = plain(site)
            for device in (facts[site].devices if site in facts else None) or ():
                made.add_row(
                    name, plain(device.device_id), _kind(device), plain(device.name or ""), _can(device)
                )
                name = ""
            if name:
                made.add_row(name, "–", "", "never asked" if site not in synced else "no device", "")
        terminal.show(made)
    else:
        made = table("site", "devices", "rating", "asked")
        for site in wanted[:limit]:
            known = facts.get(site)
            kinds = Counter(_kind(device).partition(" ")[2] for device in (known and known.devices) or ())
            words = ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.most_common())
            rating = "–" if known is None or known.rating is None else repr(known.rating)
            asked = f"{age(now - synced[site])} ago" if site in synced else "never"
            made.add_row(plain(site), words or "–", rating, asked)
        for column in (made.columns[0], made.columns[2], made.columns[3]):
            column.no_wrap = True
        terminal.show(made)
        if len(wanted) > limit:
            terminal.show(f"… and {len(wanted) - limit:,} more; --limit or --json show them")
    terminal.finish(Exit.OK, sites=[_site_object(site, facts.get(site), synced.get(site)) for site in wanted])


def _site_object(site: str, known: Any, synced_at: datetime | None) -> dict[str, Any]:
    devices = None if known is None or known.devices is None else known.devices
    return {
        "molecule_id": site,
        "synced_at": None if synced_at is None else synced_at.isoformat(),
        "rating_kw": None if known is None or known.rating is None else known.rating.kilowatts,
        "devices": devices
        and [
            {
                "device_id": device.device_id,
                "device_type": device.device_type.value,
                "name": device.name,
                "capabilities": None if device.capabilities is None else list(device.capabilities),
            }
            for device in devices
        ],
    }
