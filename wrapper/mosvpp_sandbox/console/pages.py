"""What each page shows. A part of a page is rendered by the same template when the page asks for it anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mosvpp_sandbox.choices import Choices
from mosvpp_sandbox.control import Control

from . import answers, charts, wording
from .lanes import WINDOWS, lanes, window

__all__ = ["Pages"]

_SITES = 25
_LANES = 15
_EVENTS = 25
_ROWS = 40
_NEWEST = 300  # events, and commands, that can be paged through
# What may be asked for beside a single operation; "" is that of a path that nobody knows.
_OPERATIONS: Mapping[str, list[str | None]] = {
    "": [None],
    "no_data_pushes": ["", *(name for name in wording.OPERATIONS if name != "receive_data_push")],
}
_PLACES = 100  # options of a list of sites; more are found by typing


class Pages:
    """Answers to GET. Raises `LookupError` and `ValueError` for what is not there."""

    def __init__(self, control: Control) -> None:
        self._control = control

    # --- sites ---

    def sites(self, request: Request) -> Response:
        """All sites, a page of them at a time."""
        return self._page("sites", "sites", **self._sites(request))

    def sites_part(self, request: Request) -> Response:
        """The rows alone."""
        return answers.page("sites_part", **self._sites(request))

    def _sites(self, request: Request) -> dict[str, Any]:
        search = request.query_params.get("search", "")[:64]
        found = self._control.sites(page=_page_number(request), limit=_SITES, search=search)
        pages = max(1, -(-found["found"] // _SITES))
        return {**found, "pages": pages, "search": search}

    def state_part(self, _request: Request) -> Response:
        """Clock, and what is switched on."""
        return answers.page("state_part", overview=self._control.overview(), changed=self._changed())

    # --- one site ---

    def site(self, request: Request) -> Response:
        """A site with everything that is there."""
        found = self._site(request)
        name = str(request.query_params.get("window", "6h"))
        return self._page(
            "site",
            "sites",
            **{**found, **self._timeline(request, found["site"]["molecule_id"])},
            columns=[one for one in found["site"]["columns"] if "." in one],
            window_name=name,
        )

    def site_part(self, request: Request) -> Response:
        """Its devices, and what flows."""
        return answers.page("site_part", **self._site(request))

    def _site(self, request: Request) -> dict[str, Any]:
        return {"site": self._control.site(_site_id(request)), "now": self._control.clock()["now"]}

    def site_timeline_part(self, request: Request) -> Response:
        """Its events and commands."""
        return answers.page("timeline_part", **self._timeline(request, _site_id(request)))

    def site_chart(self, request: Request) -> Response:
        """Numbers that were recorded there."""
        columns = request.query_params.getlist("column")
        told = charts.of_site(self._control, _site_id(request), columns, self._window(request))
        return answers.json(msgspec.json.encode(told))

    # --- timeline ---

    def timeline(self, request: Request) -> Response:
        """The events and commands of all sites."""
        return self._page("timeline", "timeline", **self._timeline(request, None))

    def timeline_part(self, request: Request) -> Response:
        """The lanes and the table."""
        return answers.page("timeline_part", **self._timeline(request, None))

    def fleet_chart(self, request: Request) -> Response:
        """Requested and delivered power of all sites."""
        told = charts.of_events(self._control.spans(), self._window(request))
        return answers.json(msgspec.json.encode(told))

    def _timeline(self, request: Request, molecule_id: str | None) -> dict[str, Any]:
        events = self._control.events(molecule_id, limit=_NEWEST, settle=False)
        commands = self._control.commands(molecule_id, limit=_NEWEST, settle=False)
        events_found, commands_found = self._control.counts(molecule_id)
        shown, number = self._window(request), _page_number(request)
        found = lanes(events, commands, shown)
        pages = max(1, -(-len(found) // _LANES), -(-max(len(events), len(commands)) // _EVENTS))
        listed = _place(events, number, _EVENTS)
        return {
            "lanes": _place(found, number, _LANES),
            "lanes_found": len(found),
            "newest": _NEWEST,
            "shown": shown,
            "windows": list(WINDOWS),
            "events": listed,
            "events_found": events_found,
            "commands": _place(commands, number, _EVENTS),
            "commands_found": commands_found,
            "page": number,
            "pages": pages,
            "only": molecule_id,
            "now": self._control.clock()["now"],
        }

    def _window(self, request: Request) -> Any:
        return window(request.query_params.get("window", "6h"), self._now())

    # --- log ---

    def log(self, request: Request) -> Response:
        """Requests and pushes."""
        return self._page("log", "log", **self._log(request))

    def log_part(self, request: Request) -> Response:
        """The rows alone."""
        return answers.page("log_part", **self._log(request))

    def _log(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        before, site, operation = (
            asked.get("before"),
            asked.get("site", "").strip(),
            asked.get("operation", ""),
        )
        rows = [
            row
            for one in _OPERATIONS.get(operation, [operation])
            for row in self._control.exchanges(
                before=int(before) if before else None,
                limit=_ROWS + 1,
                molecule_id=site or None,
                operation=one,
            )
        ]
        rows.sort(key=lambda row: -row["number"])
        return {
            "rows": rows[:_ROWS],
            "older": rows[_ROWS - 1]["number"] if len(rows) > _ROWS else None,
            "operations": wording.OPERATIONS,
            "before": before,
            "site_wanted": site,
            "operation_wanted": operation,
        }

    def exchange(self, request: Request) -> Response:
        """One of them in full: a part where htmx asks, else a page of its own."""
        found = self._control.exchange(int(request.path_params["number"]))
        if request.headers.get("hx-request") == "true":
            return answers.page("exchange_part", one=found)
        return self._page("exchange", "log", one=found)

    # --- changing ---

    def send(self, request: Request) -> Response:
        """The forms of a partner, for one site."""
        overview = self._control.overview()
        wanted = request.query_params.get("site", "").strip() or overview["first_site"]
        places = self._control.sites(limit=_PLACES)["sites"]
        return self._page(
            "send", "send", site=self._control.site(wanted), places=places, choices=overview["choices"]
        )

    def behaviour(self, _request: Request) -> Response:
        """What is switched on, and what may be."""
        options = self._control.options()
        return self._page("behaviour", "behaviour", options=options, operations=wording.OPERATIONS)

    def faults_part(self, _request: Request) -> Response:
        """The faults that are on."""
        return answers.page("faults_part", overview=self._control.overview())

    def _page(self, template: str, active: str, **values: Any) -> Response:
        overview = self._control.overview()
        return answers.page(template, active=active, overview=overview, changed=self._changed(), **values)

    def _changed(self) -> list[str]:
        """What is played otherwise than by default."""
        overview, usual = self._control.overview(), vars(Choices())
        choices: Mapping[str, Any] = overview["choices"]
        found = [f"{wording.words(name)}: {value}" for name, value in choices.items() if value != usual[name]]
        if overview["profile"] != "inferred":
            found.insert(0, f"profile: {overview['profile']}")
        return found

    def _now(self) -> datetime:
        return wording.instant(self._control.clock()["now"])


def _site_id(request: Request) -> str:
    return str(request.path_params["site"])


def _page_number(request: Request) -> int:
    return max(1, min(10_000, int(request.query_params.get("page", "1"))))


def _place(items: list[Any], number: int, size: int) -> list[Any]:
    return items[(number - 1) * size : number * size]
