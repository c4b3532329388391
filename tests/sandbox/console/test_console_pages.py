"""What the pages show, what their buttons do, and who may use them. Without a browser."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import mosvpp_sandbox.console
from mosvpp_sandbox import SiteSpec
from mosvpp_sandbox.console.answers import STATIC
from mosvpp_sandbox.console.ticks import tick, tick_stream
from pages import packed

PAGES = ["/", "/console/timeline", "/console/log", "/console/send", "/console/behaviour"]
VOID = {"meta", "link", "input", "br"}


class _Names(HTMLParser):
    """Where in a page something might run or be styled, and what it asks for; ids and their targets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.asked: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = [name for name in given if name.startswith(("on", "hx-on")) or name == "style"]
        self.inline += [f"{tag} {name}" for name in names]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.asked += [str(given[name]) for name in ("src", "href", "hx-get", "hx-post") if name in given]
        self.ids += [str(given["id"])] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def busy(console: Any) -> Any:
    """With an event that runs, one that waits, one that was superseded, and a command."""
    console.dispatch()
    console.dispatch(starts_in="120", mode="test")
    console.command()
    console.clock.advance(minutes=20)
    console.vpp._world.advance()
    console.dispatch(priority="1", event_quantity="2")
    return console


def test_every_page_is_well_formed_holds_nothing_inline_and_asks_nobody_else(busy: Any) -> None:
    pages = [*PAGES, f"/console/sites/{busy.site}", "/console/log/1", "/console/sign-in"]
    for path in pages:
        seen = _Names(busy.page(path))
        assert seen.open == [], path
        assert seen.inline == [], path
        assert [url for url in seen.asked if not url.startswith(("/", "#", "?"))] == [], path
        assert sorted(seen.ids) == sorted(set(seen.ids)), path


def test_every_answer_forbids_the_browser_to_run_anything_else(busy: Any) -> None:
    for path in (*PAGES, "/console/parts/sites", "/console/chart", "/console/static/console.js"):
        answer = busy.ask("GET", path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_a_page_loads_is_in_the_package_and_only_that(console: Any) -> None:
    for name, media_type in STATIC.items():
        answer = console.ask("GET", f"/console/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, media_type)
    for name in ("vendor/htmx.LICENSE", "../routes.py", "%2e%2e/routes.py", ""):
        assert console.ask("GET", f"/console/static/{name}").status_code == 404


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ("htmx.org", {"htmx.min.js": "dist/htmx.min.js", "htmx.LICENSE": "LICENSE"}),
        (
            "uplot",
            {
                "uPlot.iife.min.js": "dist/uPlot.iife.min.js",
                "uPlot.min.css": "dist/uPlot.min.css",
                "uPlot.LICENSE": "LICENSE",
            },
        ),
    ],
)
def test_vendored_files_are_those_of_the_reviewed_packages(package: str, files: dict[str, str]) -> None:
    vendor = Path(mosvpp_sandbox.console.__file__).with_name("static") / "vendor"
    for ours, theirs in files.items():
        assert (vendor / ours).read_bytes() == (packed.package(package) / theirs).read_bytes()


# What is shown


def test_sites_are_paged_and_found_by_name_and_id(consoles: Any) -> None:
    console = consoles(sites=60, seed=3)
    first = console.page("/")
    assert len(re.findall(r'id="site-', first)) == 25
    assert "page 1 of 3" in first
    assert len(re.findall(r'id="site-', console.page("/?page=3"))) == 10
    assert "1 site found" in console.page(f"/?search={console.site[:12].upper()}")
    assert "No site has that" in console.page("/?search=nowhere")


def test_what_comes_from_outside_is_escaped(consoles: Any) -> None:
    name = "<script>alert(1)</script>"
    site = SiteSpec(
        molecule_id="m1", name=name, devices=[{"kind": "battery", "device_id": '"><b>', "name": name}]
    )
    console = consoles(sites=[site])
    console.dispatch(event_id="<u>")
    console.vpp.control.add_fault("error_json", times=1)
    console.dispatch(event_id="<u>")
    pages = ["/", "/console/sites/m1", "/console/timeline", "/console/log", "/console/send", "/?search=<u>"]
    for path in (*pages, "/console/log/1", "/console/log/2"):
        page = console.page(path)
        assert not re.search(r'<script>|<u>|"><b>', page), path
    assert "&lt;u&gt;" in console.page("/console/log/2")


def test_a_site_shows_its_devices_with_units_and_what_they_can(busy: Any) -> None:
    page = busy.page(f"/console/sites/{busy.site}")
    for words in (
        "Battery Inverter 1",
        "state of charge",
        "relay state",
        "kWh",
        "telemetry",
        "running event",
    ):
        assert words in page
    assert "unknown.metric_units" in page


def test_the_timeline_tells_every_state_by_word(busy: Any) -> None:
    page = busy.page("/console/timeline")
    assert {"running", "waiting", "superseded"} <= set(re.findall(r"</i>(\w+)</span>", page))
    assert page.count('class="bar event') >= 4, "where it was to be, and where it ran"
    assert 'class="bar command' in page
    assert "status.words" in page
    for window in ("1h", "24h", "7d"):
        assert f">{window}</a>" in busy.page(f"/console/timeline?window={window}")
    assert busy.ask("GET", "/console/timeline?window=9y").status_code == 400


def test_the_timeline_is_paged(consoles: Any) -> None:
    console = consoles(sites=40)
    for site in console.vpp.sites:
        console.site = site
        console.dispatch()
    first = console.page("/console/parts/timeline")
    assert first.count('class="lane"') == 15
    assert "40 events" in first
    assert console.page("/console/parts/timeline?page=3").count('class="lane"') == 10


def test_a_chart_has_few_points_whatever_was_recorded(console: Any) -> None:
    console.dispatch()
    console.clock.advance(hours=24)
    for path in (f"/console/sites/{console.site}/chart?window=24h", "/console/chart?window=24h"):
        told = json.loads(console.page(path))
        assert 100 < len(told["at"]) <= 301
        assert told["at"] == sorted(told["at"])
        assert {one["label"] for one in told["series"]} >= {"requested", "delivered"}
        assert all(len(one["values"]) == len(told["at"]) for one in told["series"])
    shown = json.loads(console.page(f"/console/sites/{console.site}/chart?column=20000.state_of_charge"))
    assert [(one["label"], one["unit"]) for one in shown["series"]] == [("state of charge", "%")]
    assert console.ask("GET", f"/console/sites/{console.site}/chart?column=x").status_code == 404


def test_the_power_of_all_sites_is_the_sum_of_their_events(console: Any) -> None:
    for site in list(console.vpp.sites)[:2]:
        console.site = site
        console.dispatch(event_quantity="1", lasts="30")
        console.dispatch(event_quantity="1", mode="test")
    console.clock.advance(minutes=10)
    console.vpp._world.advance()
    told = json.loads(console.page("/console/chart?window=1h"))
    asked, given = (one["values"] for one in told["series"])
    now = next(index for index, at in enumerate(told["at"]) if at > told["now"]) - 1
    assert asked[now] == 2.0
    assert 0 < given[now] <= 2.0
    assert given[now + 1] is None, "nobody knows what will be delivered"
    assert asked[-1] == 0.0


# The log


def test_the_log_is_filtered_and_hides_secrets(consoles: Any) -> None:
    console = consoles(api_key="key-canary", headers={"X-Partner": "partner-canary"})
    console.dispatch()
    console.clock.advance(minutes=3)
    console.command()
    rows = r'id="x-\d+"'
    assert len(re.findall(rows, console.page("/console/log"))) == 2
    assert len(re.findall(rows, console.page("/console/log?operation=submit_dispatch"))) == 1
    assert len(re.findall(rows, console.page("/console/log?operation=no_data_pushes"))) == 2
    assert len(re.findall(rows, console.page("/console/log?site=nowhere"))) == 0
    shown = console.page("/console/log/1")
    assert "••••" in shown
    assert "inferred (receipt.dispatch_shape)" in shown
    assert "canary" not in shown
    assert console.ask("GET", "/console/log/99").status_code == 404


def test_the_log_is_paged(console: Any) -> None:
    for _ in range(45):
        console.ask("GET", "/v1/api/gateway/nowhere/devicesync")
    page = console.page("/console/log")
    assert len(re.findall(r'id="x-\d+"', page)) == 40
    older = re.search(r'id="older" href="([^"]+)"', page)
    assert older
    assert re.findall(r'id="x-(\d+)"', console.page(older[1].replace("&amp;", "&"))) == [
        "5",
        "4",
        "3",
        "2",
        "1",
    ]


def test_an_entry_is_sent_again(console: Any) -> None:
    console.dispatch()
    answer = console.press("/console/log/1/resend")
    assert answer.status_code == 200
    assert "no. 2 of the log" in answer.text
    assert "repeats" in console.page("/console/log/2")
    assert console.press("/console/log/99/resend").status_code == 404


# What buttons do


def test_a_dispatch_is_sent_as_a_partner_would(console: Any) -> None:
    answer = console.dispatch(event_id="8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D", mandatory="on")
    assert "<strong>200</strong> accepted" in answer.text
    (event,) = console.vpp.control.events()
    assert (event["state"], event["mode"], event["mandatory"]) == ("in_progress", "live", True)
    (row,) = console.vpp.control.exchanges()
    assert (row["operation"], row["direction"], row["status"]) == ("submit_dispatch", "received", 200)


def test_nonsense_is_sent_too_and_the_sandbox_says_what_is_wrong(console: Any) -> None:
    answer = console.dispatch(event_unit="mW", priority="0.5")
    assert answer.status_code == 200, "the console did what it was asked to do"
    assert "<strong>400</strong> refused" in answer.text


def test_an_event_is_cancelled(console: Any) -> None:
    console.dispatch(starts_in="30")
    (event,) = console.vpp.control.events()
    answer = console.press(f"/console/sites/{console.site}/events/{event['event_id']}/cancel")
    assert "<strong>200</strong> accepted" in answer.text
    assert console.vpp.control.events()[0]["state"] == "cancelled"
    assert console.press(f"/console/sites/{console.site}/events/none/cancel").status_code == 404


def test_a_command_is_sent_to_each_device_that_was_ticked(console: Any) -> None:
    assert "<strong>200</strong> partial" in console.command().text
    assert "<strong>200</strong> accepted" in console.command(device="21000", cmd_type="off").text
    states = {one["device_id"]: one["state"] for one in _first_command(console)["devices"]}
    assert states == {"20000": "running", "21000": "rejected"}


def _first_command(console: Any) -> Any:
    return next(one for one in console.vpp.control.commands() if len(one["devices"]) == 2)


def test_no_answer_is_told_as_such(console: Any) -> None:
    console.vpp.control.add_fault("drop", times=1)
    assert "<strong>No answer</strong> accepted" not in console.dispatch().text
    (row,) = console.vpp.control.exchanges()
    assert row["faults"] == ["drop"]
    assert len(console.vpp.control.events()) == 1, "processed, and not answered"


def test_the_clock_is_moved(console: Any) -> None:
    assert console.press("/console/clock", advance_s="900").status_code == 200
    assert console.clock.now().hour == 12
    assert console.clock.now().minute == 15
    answer = console.press("/console/clock", speed="60")
    assert (answer.status_code, answer.text) == (400, "This clock is moved by hand: it has no speed.")
    assert "Hold" not in console.page("/"), "what cannot be done is not offered"


def test_faults_choices_and_profile_are_switched_and_seen_on_every_page(console: Any) -> None:
    console.press("/console/faults", name="error_json", percent="50", times="3", value="503")
    (fault,) = console.vpp.control.faults()
    assert (fault["probability"], fault["times"], fault["value"]) == (0.5, 3, 503.0)
    assert console.press("/console/choices", profile="flat").status_code == 200
    assert console.press("/console/choices", ids="text").status_code == 200
    assert console.press("/console/choices", opt_out="25").status_code == 200
    assert console.vpp.choices.opt_out == 0.25
    for path in PAGES:
        page = console.page(path)
        for words in ("1 fault on: error json", "profile: flat", "ids: text", "opt out: 0.25"):
            assert words in page, path
    assert console.press("/console/faults", name="explode").status_code == 400
    assert console.press("/console/faults", name="drop", percent="all").status_code == 400
    assert console.press("/console/choices", ids="numbers").status_code == 400
    assert "everything goes as it should" in console.press("/console/faults/remove", number="1").text


def test_a_device_is_taken_offline_and_charged(console: Any) -> None:
    path = f"/console/sites/{console.site}/devices/20000"
    assert "offline" in console.press(path, online="false").text
    assert "20000" not in console.vpp.metrics()
    console.press(path, online="true")
    console.press(path, charge="40")
    assert console.vpp.metrics()["20000"]["state_of_charge"] == 40
    assert console.press(path, charge="140").status_code == 400
    assert console.press(f"/console/sites/{console.site}/devices/21000", charge="40").status_code == 404


@pytest.mark.parametrize(
    "path", ["/console/sites/nowhere", "/console/sites/nowhere/chart", "/console/send?site=x"]
)
def test_what_is_not_there_is_said_to_be_so(console: Any, path: str) -> None:
    assert console.ask("GET", f"/console/{path}").status_code == 404


# The stream


def test_a_tick_names_what_changed_and_where(console: Any) -> None:
    control = console.vpp.control
    console.dispatch()
    told = tick(control, control.changes.after(0)[0])
    assert told["changed"] == {"event": [console.site], "exchange": [console.site]}
    assert any(sentence.endswith("running.") for sentence in told["told"])
    console.clock.advance(minutes=1)
    told = tick(control, control.changes.after(control.changes.last - 1)[0])
    assert told["changed"] == {"clock": None, "time": None}
    assert told["clock"]["now"] == "2024-01-05T12:01:00Z"
    assert told["behind"] == ""


def test_a_page_says_how_far_sites_are_behind(console: Any) -> None:
    assert re.search(r'<span id="behind" class="chip" hidden></span>', console.page("/"))
    console.clock.advance(hours=3)
    assert "catching up, 2 h 59 min behind" in console.page("/console/timeline")
    assert tick(console.vpp.control, [])["behind"] == "catching up, 2 h 59 min behind"
    console.page("/")
    assert "catching up" not in console.page("/")


def test_a_tick_of_many_sites_is_short(consoles: Any) -> None:
    console = consoles(sites=300)
    control = console.vpp.control
    for site in console.vpp.sites:
        console.vpp._world.dispatch(site, _live())
    told = tick(control, control.changes.after(0, 2000)[0])
    assert told["changed"]["event"] is None
    assert len(told["told"]) == 1
    assert len(json.dumps(told)) < 500


def _live() -> dict[str, Any]:
    slot = {
        "event_id": "8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d",
        "start_time": "2024-01-05T12:00:00Z",
        "end_time": "2024-01-05T13:00:00Z",
        "event_type": "discharge",
        "event_quantity": 1.0,
        "event_unit": "kW",
        "priority": 5,
        "mandatory": False,
        "cancelled": False,
    }
    return {"mode": "live", "event_slots": [slot]}


def test_the_stream_says_hello_and_then_what_happens(console: Any) -> None:
    async def follow() -> list[bytes]:
        stream = tick_stream(console.vpp.control, "this run")
        seen = [await anext(stream)]
        console.vpp._world.dispatch(console.site, _live())
        seen.append(await anext(stream))
        await stream.aclose()
        return seen

    hello, told = asyncio.run(follow())
    assert b'event: hello\ndata: {"instance":"this run"}' in hello
    assert json.loads(told.split(b"data: ")[1])["changed"]["event"] == [console.site]


# Who may


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_may_not_use_it(console: Any, headers: dict[str, str]) -> None:
    for path in (*PAGES, "/console/stream", "/console/static/console.js", "/console/sign-in"):
        assert console.ask("GET", path, headers=headers).status_code == 403
    pressed = {**headers, "HX-Request": "true"}
    before = console.clock.now()
    assert console.ask("POST", "/console/clock", data={"advance_s": 60}, headers=pressed).status_code == 403
    assert console.clock.now() == before


def test_a_plain_form_is_refused(console: Any) -> None:
    answer = console.ask("POST", "/console/clock", data={"advance_s": 60})
    assert (answer.status_code, answer.text) == (403, "Only the console's own pages may do that.")
    too_long = {"HX-Request": "true"}
    assert console.ask("POST", "/console/clock", content=b"x" * 70_000, headers=too_long).status_code == 413


def test_where_there_is_a_token_people_sign_in(consoles: Any) -> None:
    console = consoles(control_token="token-canary")
    answer = console.ask("GET", "/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert console.ask("GET", "/").status_code == 401
    assert 'type="password"' in console.page("/console/sign-in")
    wrong = console.ask("POST", "/console/sign-in", data={"token": "guess"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = console.ask("POST", "/console/sign-in", data={"token": "token-canary"})
    cookie = right.headers["set-cookie"]
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    signed_in = {"Cookie": cookie.split(";")[0]}
    assert console.ask("GET", "/", headers=signed_in).status_code == 200
    assert "canary" not in console.ask("GET", "/", headers=signed_in).text


def test_where_others_reach_the_sandbox_there_is_no_console_without_a_token(consoles: Any) -> None:
    open_to_all = {"host": "0.0.0.0", "allow_hosts": ["0.0.0.0"], "api_key": "chosen"}
    for path in ("/", "/console/sign-in", "/console/stream"):
        assert consoles(**open_to_all).ask("GET", path).status_code == 404
    assert consoles(**open_to_all, control_token="t").ask("GET", "/").status_code == 401


def test_a_long_past_moves_out_of_the_window(console: Any) -> None:
    console.dispatch(lasts="30")
    console.clock.advance(timedelta(days=2))
    console.vpp._world.advance()
    page = console.page("/console/timeline?window=1h")
    assert "Nothing was asked for in this time" in page
    assert "1 event<" in page
