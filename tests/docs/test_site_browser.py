"""The site in a real browser, with the network cut: what it shows, loads, finds and sends.

Screenshots of every page, on a phone and on a desk, light and dark, are left in site-screenshots/ for people.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as TooLateError
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from browsing import DESK, PHONE, TOO_WIDE, Watched, violations
from mosvpp_sandbox import Sandbox
from pages import serve
from pages.contents import pages
from pages.sources import ROOT, load
from receiving import PATIENCE_S

SCREENSHOTS = ROOT / "site-screenshots"


@pytest.fixture(scope="module")
def screenshots() -> Path:
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir()
    return SCREENSHOTS


# Code that has become too wide for its frame: the theme makes it reachable by keyboard a moment later.
NOTICED = """
    [...document.querySelectorAll("pre > code")].every(
        code => code.scrollWidth <= code.clientWidth || code.tabIndex >= 0
    )
"""
PAGES = [page.path.replace(".md", ".html") for page in pages(load())]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_a_disk_without_the_network(
    chromium: Browser, site: Path, screenshots: Path, name: str
) -> None:
    """No request leaves the site, nothing complains or is too wide; axe finds nothing, folded or unfolded."""
    context = chromium.new_context(viewport=DESK, color_scheme="light", offline=True, reduced_motion="reduce")
    watched = Watched(context)
    page = watched.page
    page.goto((site / name).as_uri())
    for scheme, colours in (("light", "default"), ("dark", "slate")):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", colours)
        assert violations(page) == []
        for size, viewport in (("desk", DESK), ("phone", PHONE)):
            page.set_viewport_size(viewport)
            assert page.evaluate(TOO_WIDE) <= 0, size
            picture = f"{name.replace('/', '-').removesuffix('.html')}.{size}.{scheme}.png"
            page.screenshot(path=screenshots / picture)
        page.set_viewport_size(DESK)
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    page.wait_for_function(NOTICED)
    assert violations(page) == []
    assert page.evaluate(TOO_WIDE) <= 0
    assert watched.complaints == []
    assert watched.abroad(site.as_uri()) == []
    context.close()


def test_what_a_mark_says_is_shown_by_tap_and_by_key(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=PHONE, has_touch=True, offline=True)
    page = context.new_page()
    page.goto((site / "operations" / "submit_dispatch.html").as_uri() + "#request.event_slots.priority")
    mark = page.locator('[id="request.event_slots.priority"] details.evidence')
    says = mark.get_by_text("priority is a whole number from 1 to 99")
    expect(says).to_be_hidden()
    mark.locator("summary").tap()
    expect(says).to_be_visible()
    expect(mark.get_by_role("link", name="webhooks_dr")).to_be_visible()
    page.keyboard.press("Escape")
    expect(says).to_be_hidden()
    mark.locator("summary").press("Enter")
    expect(says).to_be_visible()
    context.close()


def test_what_a_mark_says_is_shown_on_hover(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, offline=True)
    page = context.new_page()
    page.goto((site / "operations" / "submit_dispatch.html").as_uri())
    mark = page.locator('[id="request.event_slots.priority"] details.evidence')
    mark.hover()
    expect(mark.get_by_text("priority is a whole number from 1 to 99")).to_be_visible()
    context.close()


def test_a_page_can_be_read_without_javascript(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "operations" / "submit_dispatch.html").as_uri())
    mark = page.locator('[id="request.mode"] details.evidence')
    mark.locator("summary").click()
    expect(mark.get_by_text("mode is test or live")).to_be_visible()
    expect(page.get_by_text("with Sandbox(clock=then) as vpp").first).to_be_visible()
    page.get_by_text("curl", exact=True).first.click()
    expect(page.get_by_text("curl --fail-with-body").first).to_be_visible()
    page.goto((site / "evidence.html").as_uri())
    expect(page.locator("#ledger-table tbody tr").last).to_be_visible()
    context.close()


def test_search_works_from_a_disk(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, offline=True)
    watched = Watched(context)
    watched.page.goto((site / "index.html").as_uri())
    search_and_follow(watched.page)
    assert watched.complaints == []
    assert watched.abroad(site.as_uri()) == []
    context.close()


def test_search_works_from_a_server(chromium: Browser, served: tuple[str, Sandbox]) -> None:
    context = chromium.new_context(viewport=DESK)
    watched = Watched(context)
    watched.page.goto(f"{served[0]}/")
    search_and_follow(watched.page)
    assert watched.complaints == []
    assert watched.abroad(served[0]) == []
    context.close()


def search_and_follow(page: Page) -> None:
    dialog = page.get_by_role("combobox", name="Search")
    until = time.monotonic() + PATIENCE_S
    while not dialog.is_visible():  # the button does nothing before the script of the theme has run
        assert time.monotonic() < until
        with suppress(TooLateError):  # nor once the dialog that opens lies above it
            page.locator(".md-search__button").click(timeout=1000)
    dialog.fill("discharge")
    hit = page.get_by_role("listbox", name="Search results").get_by_role("option").first
    expect(hit).to_contain_text(re.compile("discharge", re.IGNORECASE))
    before = page.url
    hit.click()
    page.wait_for_url(lambda url: url != before)
    expect(page.locator("article")).to_contain_text(re.compile("discharge", re.IGNORECASE))


def test_the_theme_can_be_switched_and_stays(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, color_scheme="light", offline=True)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    body = page.locator("body")
    assert body.get_attribute("data-md-color-scheme") == "default"
    page.get_by_title("Switch to light mode").click()
    page.get_by_title("Switch to dark mode").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto((site / "lifecycle.html").as_uri())
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    context.close()


def test_the_ledger_can_be_filtered(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, offline=True)
    page = context.new_page()
    page.goto((site / "evidence.html").as_uri())
    rows = page.locator("#ledger-table tbody tr")
    everything = rows.count()
    page.get_by_label("Mark").select_option("unknown")
    shown = rows.filter(visible=True)
    assert 0 < shown.count() < everything
    assert set(shown.locator("td .chip").all_inner_texts()) == {"unknown"}
    page.get_by_role("searchbox", name="Search").fill("ramp")
    expect(shown).to_have_count(1)
    expect(page.locator("form.filter output")).to_have_text(f"1 of {everything}")
    context.close()


def test_every_code_block_has_a_copy_button(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(viewport=DESK, offline=True)
    page = context.new_page()
    for name in ("index.html", "operations/submit_dispatch.html", "guides/testing.html", "sdk/client.html"):
        page.goto((site / name).as_uri())
        blocks = page.locator("article pre > code")
        assert blocks.count()
        without = page.evaluate(
            "[...document.querySelectorAll('article pre')].filter(pre => !pre.parentElement"
            ".querySelector('.md-clipboard, [data-md-type=\"copy\"]')).length"
        )
        assert without == 0, name
    context.close()


@contextmanager
def serving(application: ASGIApp) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(application, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[tuple[str, Sandbox]]:
    """What `scripts/docs.py --serve` serves."""
    with Sandbox() as vpp, serving(serve.application(site, vpp)) as url:
        yield url, vpp


@pytest.mark.parametrize("folder", ["", "/project", "/project/versions/0.1.0"])
@pytest.mark.parametrize("gone", ["gone.html", "guides/gone.html", "of/no/such/folder/gone.html"])
def test_a_dead_address_leads_back_to_the_site_wherever_it_lies(
    chromium: Browser, site: Path, screenshots: Path, folder: str, gone: str
) -> None:
    with serving(Starlette(routes=[Mount(folder, StaticFiles(directory=site, html=True))])) as url:
        context = chromium.new_context(viewport=DESK)
        watched = Watched(context)
        page = watched.page
        answer = page.goto(f"{url}{folder}/{gone}")
        assert answer
        assert answer.status == 404
        expect(page.locator("html")).to_have_attribute("data-found", f"{folder}/")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
            page.screenshot(path=screenshots / f"404.desk.{scheme}.png")
        page.get_by_role("link", name="Evidence").click()
        page.wait_for_url(f"{url}{folder}/evidence.html")
        assert watched.abroad(url) == []
        context.close()


@pytest.mark.parametrize(
    ("operation_id", "path", "shown"),
    [
        ("sync_devices", "/devicesync", "Battery Inverter 1"),
        ("submit_dispatch", "/dr", "1 of 1 event accepted."),
        ("submit_site_command", "/sitecmd", "2 of 2 commands accepted."),
    ],
    ids=["sync", "dispatch", "command"],
)
def test_the_console_sends_to_the_sandbox(
    chromium: Browser,
    served: tuple[str, Sandbox],
    screenshots: Path,
    operation_id: str,
    path: str,
    shown: str,
) -> None:
    """From the page of each call to its place in the console; what is sent arrives, the answer is seen."""
    url, vpp = served
    before = len(vpp.answered)
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    watched = Watched(context)
    page = watched.page
    # The search is fetched late, and leaving the page would break that off.
    page.goto(f"{url}/operations/{operation_id}.html", wait_until="networkidle")
    page.get_by_role("link", name="in the console").click()
    operation = page.locator(f'[id$="/{operation_id}"]')
    expect(operation.get_by_text("Python SDK").first).to_be_visible()
    expect(operation.get_by_text("as vpp").first).to_be_visible()
    operation.get_by_role("button", name=re.compile("Test Request")).click()
    page.screenshot(path=screenshots / f"console-{operation_id}.request.png")
    with page.expect_response(re.compile(rf"/v1/api/gateway/fecd0001c031e7e8{path}$")) as answered:
        page.get_by_role("button", name=re.compile("^Send")).first.click()
    assert answered.value.status == 200
    assert shown in answered.value.text()
    expect(page.get_by_text(shown).first).to_be_visible()
    page.screenshot(path=screenshots / f"console-{operation_id}.answer.png")
    assert len(vpp.answered) == before + 1
    assert watched.abroad(url) == []
    assert watched.complaints == []
    context.close()


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_a_console_opens_without_the_network(
    chromium: Browser, site: Path, screenshots: Path, name: str
) -> None:
    context = chromium.new_context(viewport=DESK, offline=True)
    watched = Watched(context)
    watched.page.goto((site / "console" / f"{name}.html").as_uri())
    expect(watched.page.get_by_role("heading", name=re.compile("MosVPP partner")).first).to_be_visible()
    watched.page.screenshot(path=screenshots / f"console-{name}.png")
    assert watched.abroad(site.as_uri()) == []
    assert watched.complaints == []
    context.close()
