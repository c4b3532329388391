"""Every Python block on the site runs against a sandbox, and does what the page says that it does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

import mosvpp
from pages.blocks import Block, blocks
from pages.contents import Page, pages
from pages.sources import load

SOURCES = load()
PAGES = pages(SOURCES)
BLOCKS = [block for page in PAGES for block in blocks(page.path, page.text) if not block.is_include]
ALONE = [block for block in BLOCKS if block.alone]
NOBODY = "http://127.0.0.1:9"
SHARED = {
    block.page: [other for other in BLOCKS if other.page == block.page and not other.alone]
    for block in BLOCKS
}


@pytest.fixture(autouse=True)
def as_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is put into a block: it brings a sandbox. One that calls Molecule finds nobody, and no key."""
    monkeypatch.setenv("MOSVPP_API_KEY", "")  # so that what a block sets is forgotten again
    monkeypatch.delenv("MOSVPP_API_KEY")
    for client in (mosvpp.Client, mosvpp.AsyncClient):
        monkeypatch.setitem(client.__init__.__kwdefaults__, "base_url", NOBODY)
    monkeypatch.chdir(tmp_path)


def run(block: Block, names: dict[str, Any]) -> None:
    # The line numbers of the page, so that a traceback leads there.
    code = "\n" * block.line + block.code
    exec(compile(code, block.page, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("block", ALONE, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_in_a_tab_is_a_program_that_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    run(block, names)
    if "receive" in names:  # the asynchronous reader of a webhook only defines a function
        asyncio.run(names["receive"](delivery(block)))
    assert capsys.readouterr().out


def delivery(block: Block) -> Request:
    """What that function expects: the first example of its kind, as a request."""
    kind = "receive_data_push" if 'expect="data_push"' in block.code else "receive_execution_response"
    body = SOURCES.of(kind, "event")[0].raw.encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": [(b"x-api-key", b"the current secret")]}, receive)


@pytest.mark.parametrize("page", [page for page, found in SHARED.items() if found])
def test_the_blocks_of_a_page_run_one_after_the_other(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in SHARED[page]:
        capsys.readouterr()
        run(block, names)
        printed = capsys.readouterr().out
        assert block.printed in {None, printed}


def test_what_the_first_program_prints_is_shown_below_it() -> None:
    (first,) = SHARED["index.md"]
    assert first.printed
    assert first.printed.endswith("accepted\n")


def test_no_python_block_of_the_site_is_left_out(site: Path, contents: list[Page]) -> None:
    """Counted in the HTML. The pages of the SDK show signatures that way, and nothing else."""
    for page in contents:
        if page.path.startswith("sdk/"):
            continue
        html = (site / page.path).with_suffix(".html").read_text("utf-8")
        assert html.count('class="language-python highlight') == len(list(blocks(page.path, page.text))), (
            page.path
        )
