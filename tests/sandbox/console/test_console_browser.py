"""The console in a real browser: what comes, comes without a reload, and everybody can use it.

Screenshots of every page, on a phone and on a desk, light and dark, are left in console-screenshots/ to
look at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from browsing import DESK, PHONE, TOO_WIDE, UNTIL_MS, Watched, violations
from mosvpp import Client, RetryPolicy, discharge, kW
from mosvpp.errors import MosVPPError
from mosvpp_sandbox import Fault, ManualClock, RunningClock, Sandbox
from receiving import Receiver

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
SCREENSHOTS = Path(__file__).resolve().parents[3] / "console-screenshots"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def vpp() -> Iterator[Sandbox]:
    """A minute passes in a second."""
    with Sandbox(clock=RunningClock(60, NOON), sites=3) as running:
        yield running


@pytest.fixture
def client(vpp: Sandbox) -> Iterator[Client]:
    never = RetryPolicy(attempts=1)
    with Client(vpp.api_key, base_url=vpp.url, allow_live=True, retry=never) as partner:
        yield partner


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Watched]:
    context = chromium.new_context(viewport=DESK, reduced_motion="reduce")
    yield Watched(context)
    context.close()


def opened(watched: Watched, vpp: Sandbox, path: str) -> Page:
    """The page, once it hears of what happens; a mark on it tells whether it was loaded anew since."""
    watched.page.goto(vpp.url + path)
    expect(watched.page.locator("#line")).to_have_text("live")
    watched.page.evaluate("window.marked = true")
    return watched.page


def is_the_same(page: Page) -> bool:
    return bool(page.evaluate("window.marked === true"))


def slot(vpp: Sandbox, minutes: int = 8) -> Any:
    return discharge(3 * kW, start=vpp.now(), duration=minutes * MINUTE, priority=50)


def test_a_dispatch_of_the_sdk_runs_on_the_timeline_to_its_end(
    watched: Watched, vpp: Sandbox, client: Client
) -> None:
    page = opened(watched, vpp, "/console/timeline?window=1h")
    timeline = page.locator("#timeline")
    expect(timeline).to_contain_text("Nothing was asked for in this time")
    client.submit_dispatch(vpp.molecule_id, slot(vpp), mode="live")
    expect(timeline.get_by_role("cell", name="running", exact=True)).to_be_visible()
    expect(timeline.locator(".bar.running .ran")).to_be_visible()
    page.get_by_role("button", name="600 ×").click()
    expect(timeline.get_by_role("cell", name="completed", exact=True)).to_be_visible()
    expect(timeline.locator(".bar.done .ran")).to_be_visible()
    expect(timeline).to_contain_text("100 %")
    expect(page.locator("figure.chart")).to_have_attribute("aria-label", re.compile("requested .* delivered"))
    assert page.locator("figure.chart canvas").count() == 1
    assert is_the_same(page)
    assert watched.complaints == []
    assert watched.abroad(vpp.url) == []


def test_a_site_lives_and_steps_are_said_aloud(watched: Watched, vpp: Sandbox, client: Client) -> None:
    page = opened(watched, vpp, f"/console/sites/{vpp.molecule_id}")
    charge = page.locator(".device", has_text="Battery Inverter 1").locator("dd").first
    expect(charge).to_contain_text("82.5")
    client.submit_dispatch(vpp.molecule_id, slot(vpp, 60), mode="live")
    expect(page.locator("#told")).to_contain_text(f"at {vpp.molecule_id}: running.")
    expect(charge).not_to_contain_text("82.5")
    expect(page.locator("#site")).to_contain_text("discharge 3 kW")
    assert is_the_same(page)


def test_a_fault_that_is_switched_on_is_seen_and_strikes(
    watched: Watched, vpp: Sandbox, client: Client
) -> None:
    page = opened(watched, vpp, "/console/behaviour")
    page.get_by_label("What goes wrong").select_option("error_json")
    page.get_by_label("At most, times").fill("1")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("#faults-on")).to_have_text("1 fault on: error json")
    expect(page.locator("#faults-on-list")).to_contain_text("at most 1 time")
    with pytest.raises(MosVPPError):
        client.submit_dispatch(vpp.molecule_id, slot(vpp), mode="live")
    expect(page.locator("#faults-on")).to_have_count(0)
    page = opened(watched, vpp, "/console/log?operation=submit_dispatch")
    expect(page.locator("#log tbody tr").first).to_contain_text("error json")


def test_a_request_is_looked_at_and_sent_again(watched: Watched, vpp: Sandbox, client: Client) -> None:
    page = opened(watched, vpp, "/console/log?operation=submit_dispatch")
    client.submit_dispatch(vpp.molecule_id, slot(vpp, 60), mode="live")
    row = page.locator("#log tbody tr")
    expect(row).to_have_count(1)
    row.get_by_role("link").click()
    entry = page.locator("#exchange")
    expect(entry).to_contain_text("inferred (receipt.dispatch_shape)")
    expect(entry).to_contain_text("event_slots")
    assert vpp.api_key not in entry.inner_text()
    entry.get_by_role("button", name="Send again").click()
    expect(entry).to_contain_text("200 accepted")
    expect(row).to_have_count(2)
    expect(row.first).to_contain_text("again")
    assert is_the_same(page)
    assert watched.complaints == []


def test_a_push_is_shown_with_what_the_partner_answered_and_sent_again(watched: Watched) -> None:
    with (
        Receiver(lambda _: (200, {"X-Reason": "taken"})) as receiver,
        Sandbox(
            clock=ManualClock(NOON), data_push_url=receiver.url, headers={"X-Partner": "partner-canary"}
        ) as vpp,
    ):
        page = opened(watched, vpp, "/console/log")
        page.get_by_role("button", name="+1 min").click()
        expect(page.locator("#log tbody tr")).to_have_count(1)
        page.locator("#log tbody a").first.click()
        entry = page.locator("#exchange")
        expect(entry).to_contain_text("documented (push.body)")
        entry.get_by_text("header").last.click()
        expect(entry).to_contain_text("taken")
        assert "partner-canary" not in page.content()
        entry.get_by_role("button", name="Send again").click()
        expect(page.locator("#log tbody tr")).to_have_count(2)
        vpp.flush()
        first, second = receiver.received
        assert first.body == second.body


def test_it_finds_the_sandbox_again_after_a_restart(watched: Watched) -> None:
    with Sandbox(clock=ManualClock(NOON)) as first:
        port = int(first.url.rpartition(":")[2])
        page = opened(watched, first, "/console/timeline")
    expect(page.locator("#line")).to_have_text("reconnecting")
    with (
        Sandbox(clock=ManualClock(NOON + timedelta(days=1)), port=port) as second,
        Client(second.api_key, base_url=second.url) as client,
    ):
        expect(page.locator("#line")).to_have_text("live")
        expect(page.locator("#told")).to_contain_text("started anew")
        expect(page.locator("#clock")).to_have_text("2026-06-16 12:00:00")
        client.submit_dispatch(second.molecule_id, slot(second), mode="test")
        expect(page.locator("#timeline .bar.running .planned")).to_be_visible()
        assert is_the_same(page)


def test_people_move_the_clock_and_send_by_keyboard_alone(watched: Watched) -> None:
    with Sandbox(clock=ManualClock(NOON)) as vpp:
        page = opened(watched, vpp, "/console/send")
        page.get_by_role("button", name="+1 h").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#clock")).to_have_text("2026-06-15 13:00:00")
        expect(page.get_by_role("button", name="+1 h")).to_be_focused()
        page.get_by_label("live", exact=True).focus()
        page.keyboard.press("Space")
        page.get_by_label("Lasts, minutes").focus()
        page.keyboard.press("Control+a")
        page.keyboard.type("30")
        page.keyboard.press("Enter")
        expect(page.locator("#dispatched")).to_contain_text("200 accepted")
        (event,) = vpp.control.events()
        assert (event["mode"], event["start"], event["state"]) == (
            "live",
            "2026-06-15T13:00:00Z",
            "in_progress",
        )
        page.get_by_label("Command", exact=True).select_option("off")
        page.get_by_label("Battery Inverter 1").uncheck()
        page.get_by_label("Main Relay").check()
        page.get_by_role("button", name="Send command").click()
        expect(page.locator("#commanded")).to_contain_text("200 accepted")
        assert vpp.metrics()["21000"]["relay_state"] == "open"
        page.get_by_label("Quantity").first.fill("-3")
        page.get_by_role("button", name="Send dispatch").click()
        expect(page.locator("#dispatched")).to_contain_text("400")
        assert watched.complaints == []


def test_charts_are_drawn_in_a_browser_that_tells_no_language(chromium: Browser, vpp: Sandbox) -> None:
    """Where the language of the machine is C, Chromium calls it en-US@posix."""
    context = chromium.new_context(viewport=DESK)
    context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'language', "
        "{get: () => 'en-US@posix', configurable: true})"
    )
    watched = Watched(context)
    page = opened(watched, vpp, "/console/timeline")
    expect(page.locator("figure.chart canvas")).to_have_count(1)
    assert watched.complaints == []
    context.close()


def test_what_is_unfolded_stays_so_while_the_page_follows(
    watched: Watched, vpp: Sandbox, client: Client
) -> None:
    client.submit_dispatch(vpp.molecule_id, slot(vpp, 60), mode="live")
    page = opened(watched, vpp, "/console/timeline")
    page.locator("#timeline summary").click()
    expect(page.locator("#timeline .steps")).to_contain_text("The event has begun.")
    client.submit_dispatch(list(vpp.sites)[1], slot(vpp, 60), mode="live")
    expect(page.locator("#timeline summary")).to_have_count(2)
    expect(page.locator("#timeline .steps").last).to_be_visible()
    page.get_by_role("button", name=re.compile("Cancel event")).last.click()
    expect(page.get_by_role("cell", name="cancelled", exact=True)).to_be_visible()


def test_a_thousand_sites_at_speed_leave_the_page_small(watched: Watched) -> None:
    with Sandbox(clock=RunningClock(60, NOON), sites=1000, seed=7) as vpp:
        page = opened(watched, vpp, "/")
        expect(page.locator("#sites")).to_contain_text("page 1 of 40")
        for _ in range(2):  # it follows
            with page.expect_response(
                re.compile(r"/console/parts/sites\?page=1"), timeout=UNTIL_MS
            ) as answer:
                pass
            assert answer.value.ok
        assert page.locator("#sites tbody tr").count() == 25
        page.get_by_label("Name or id of a site").fill("Site 999")
        page.keyboard.press("Enter")
        expect(page.locator("#sites")).to_contain_text("1 site found")
        page = opened(watched, vpp, "/console/log")
        expect(page.locator("#log tbody tr")).to_have_count(40)
        assert page.evaluate("document.querySelectorAll('*').length") < 3000
        assert is_the_same(page)


@pytest.fixture(scope="module")
def shown() -> Iterator[Sandbox]:
    """Something of everything."""
    clock = ManualClock(NOON)
    with (
        Receiver() as receiver,
        Sandbox(clock=clock, sites=30, seed=7, data_push_url=receiver.url, push_every=5 * MINUTE) as vpp,
        Client(vpp.api_key, base_url=vpp.url, allow_live=True) as client,
    ):
        sites = list(vpp.sites)
        for number, site in enumerate(sites[:7]):
            start = vpp.now() + 7 * number * MINUTE
            event = discharge((2 + number % 3) * kW, start=start, duration=50 * MINUTE, priority=50)
            client.submit_dispatch(site, event, mode="live" if number % 3 else "test")
            if number == 3:
                better = discharge(1 * kW, start=start + 20 * MINUTE, duration=30 * MINUTE, priority=1)
                client.submit_dispatch(site, better, mode="live")
        clock.advance(65 * MINUTE)
        vpp.flush()
        client.submit_dispatch(sites[0], slot(vpp, 60), mode="live")
        clock.advance(20 * MINUTE)
        vpp.flush()
        vpp.faults.add(Fault("duplicate", probability=0.1))
        vpp.profile = "camel_case"
        yield vpp


PAGES = {
    "sites": "/",
    "site": "/console/sites/fecd0001c031e7e8",
    "timeline": "/console/timeline",
    "log": "/console/log",
    "entry": "/console/log/1",
    "send": "/console/send",
    "behaviour": "/console/behaviour",
    "sign-in": "/console/sign-in",
}


@pytest.fixture(scope="module")
def screenshots() -> Path:
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir()
    return SCREENSHOTS


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_it(watched: Watched, shown: Sandbox, screenshots: Path, name: str) -> None:
    """Axe finds nothing, light or dark, folded or unfolded, and nothing is too wide for a phone."""
    page = watched.page
    page.goto(shown.url + PAGES[name])
    if name != "sign-in":
        expect(page.locator("#line")).to_have_text("live")
    for figure in page.locator("[data-chart]").all():
        expect(figure.locator("canvas")).to_have_count(1)
    assert watched.complaints == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size, viewport in (("desk", DESK), ("phone", PHONE)):
            page.set_viewport_size(viewport)
            assert page.evaluate(TOO_WIDE) <= 0, size
            page.screenshot(path=screenshots / f"{name}.{size}.{scheme}.png", full_page=True)
        if scheme == "light":
            assert violations(page) == []
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert violations(page) == []
    assert page.evaluate(TOO_WIDE) <= 0
    assert watched.abroad(shown.url) == []
