"""The checks find nothing wrong with the site, and find what is planted."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pages import checks, finish, links
from pages.contents import Page, pages
from pages.sources import Sources, load


def test_nothing_is_wrong_with_the_site(site: Path, contents: list[Page]) -> None:
    assert checks.faults(site, contents) == []


PLANTED = {
    "a dead link": (
        "index.html",
        "</article>",
        '<a href="nowhere.html">x</a></article>',
        "dead link nowhere.html",
    ),
    "a dead anchor": ("index.html", "</article>", '<a href="errors.html#No">x</a></article>', "dead anchor"),
    "a dead anchor of its own": (
        "errors.html",
        "</article>",
        '<a href="#No">x</a></article>',
        "dead anchor #No",
    ),
    "an anchor twice": (
        "errors.html",
        "</article>",
        '<p id="RuleError"></article>',
        "RuleError is there 2 times",
    ),
    "an external script": (
        "index.html",
        "</head>",
        '<script src="https://x.invalid/a.js"></script></head>',
        "loads",
    ),
    "an external image": (
        "cli.html",
        "</article>",
        '<img src="//x.invalid/a.png"></article>',
        "from elsewhere",
    ),
    "an external style": (
        "cli.html",
        "</head>",
        '<link rel="stylesheet" href="https://x.invalid"></head>',
        "loads",
    ),
    "an external font": (
        "assets/site.css",
        ":root {",
        "@font-face { src: url(https://x.invalid/f) }\n:root {",
        "loads",
    ),
    "an imported style": (
        "assets/site.css",
        ":root {",
        '@import "https://x.invalid/s.css";\n:root {',
        "loads",
    ),
    "an operation without a page": (
        "operations/submit_dispatch.html",
        'id="submit_dispatch"',
        "",
        "the operation",
    ),
    "an event without a page": ("webhooks/receive_data_push.html", 'id="receive_data_push"', "", "the event"),
    "an error class without a place": (
        "errors.html",
        'id="PayloadError"',
        "",
        "the error class PayloadError",
    ),
    "a command without a place": ("cli.html", 'id="doctor"', "", "the command doctor"),
    "a public name without a place": ("sdk/client.html", 'id="mosvpp.AsyncClient"', "", "mosvpp.AsyncClient"),
    "a fact without a place": ("evidence.html", 'id="push.answer_200"', "", "ledger push.answer_200"),
    "a stale evidence id": (
        "index.html",
        "</article>",
        "<code>push.gone</code></article>",
        "no entry push.gone",
    ),
    "a page that is too large": (
        "types.html",
        "</article>",
        "x" * 400_000 + "</article>",
        "more than 500000",
    ),
    "a page that llms.txt lacks": ("llms.txt", "guides/sandbox.md", "", "guides/sandbox.md: not in llms.txt"),
}


@pytest.fixture
def mutable(site: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(site, tmp_path / "site"))


@pytest.mark.parametrize(("file", "old", "new", "said"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(
    mutable: Path, contents: list[Page], file: str, old: str, new: str, said: str
) -> None:
    text = (mutable / file).read_text("utf-8")
    assert old in text
    (mutable / file).write_text(text.replace(old, new, 1), "utf-8")
    found = checks.faults(mutable, contents)
    assert any(said in fault for fault in found), found


def test_a_wrong_count_of_evidence_is_found(mutable: Path, contents: list[Page]) -> None:
    page = mutable / "evidence.html"
    counted = len([fact for fact in load().facts.values() if fact.status == "inferred"])
    text = page.read_text("utf-8")
    assert f">{counted}</td>" in text
    page.write_text(text.replace(f">{counted}</td>", f">{counted + 1}</td>"), "utf-8")
    assert any(f"says {counted + 1} inferred" in fault for fault in checks.faults(mutable, contents))


def test_a_page_without_a_twin_is_found(mutable: Path, contents: list[Page]) -> None:
    (mutable / "errors.md").unlink()
    assert "errors.md: no twin in Markdown" in checks.faults(mutable, contents)


def test_a_page_that_the_contents_do_not_name_is_found(site: Path, contents: list[Page]) -> None:
    without = [page for page in contents if page.path != "guides/sandbox.md"]
    assert any("guides/sandbox.md: no page of the site" in fault for fault in checks.faults(site, without))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (" { #lost }", "", "no anchor for '## When the answer is lost'"),
        ("(../errors.md)", "(../gone.md)", "../gone.md is no file of the repository"),
        ("(../../openapi.yaml)", "(../operations/submit_dispatch.md)", "submit_dispatch.md is no file"),
    ],
)
def test_what_is_wrong_with_a_page_written_by_hand_is_found(
    site: Path,
    contents: list[Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    said: str,
) -> None:
    docs = Path(shutil.copytree(checks.DOCS, tmp_path / "docs"))
    page = docs / "guides" / "unknown-outcomes.md"
    text = page.read_text("utf-8") + "\n[a](../errors.md) [b](../../openapi.yaml)\n"
    page.write_text(text.replace(old, new), "utf-8")
    monkeypatch.setattr(checks, "DOCS", docs)
    (fault,) = checks.faults(site, contents)
    assert fault.startswith("spec/docs/guides/unknown-outcomes.md: ")
    assert said in fault


def test_a_link_leads_to_a_file_in_the_repository_and_to_its_page_on_the_site() -> None:
    verifier = "../../../wrapper/mosvpp/signatures.py#mosvpp.signatures.Verifier"
    told = links.on_site(
        "guides/a.md",
        f"[a](../../openapi.yaml#submit_dispatch.errors) [b](../../asyncapi.yaml) [c]({verifier})"
        " [d](../../evidence.yaml#push.timestamp) [e](b.md#x) [f](#y) [g](https://x.invalid/../a.yaml)",
    )
    assert told == (
        "[a](../operations/submit_dispatch.md#errors) [b](../console/asyncapi.html)"
        " [c](../sdk/webhooks.md#mosvpp.signatures.Verifier)"
        " [d](../evidence.md#push.timestamp) [e](b.md#x) [f](#y) [g](https://x.invalid/../a.yaml)"
    )


WORDS = {"description", "summary", "title", "statement", "reason", "we_do", "shows", "because"}


def reworded(node: Any) -> Any:
    """A document that says everything in other words, under the same names."""
    if isinstance(node, dict):
        return {
            key: "Other words." if key in WORDS and isinstance(value, str) else reworded(value)
            for key, value in node.items()
        }
    return [reworded(value) for value in node] if isinstance(node, list) else node


def anchors(sources: Sources) -> dict[str, list[str]]:
    return {page.path: re.findall(r'\{ #([\w.-]+) \}|\bid="([^"]+)"', page.text) for page in pages(sources)}


def test_deep_links_stay_when_the_wording_changes() -> None:
    sources = load()
    documents = {name: reworded(getattr(sources, name)) for name in ("openapi", "asyncapi", "arazzo")}
    facts = {name: replace(fact, statement="Other words.") for name, fact in sources.facts.items()}
    before, after = anchors(sources), anchors(replace(sources, **documents, facts=facts))
    assert after == before
    assert sum(map(len, before.values())) > 500


def test_an_earlier_build_that_is_stale_is_named(site: Path, mutable: Path, tmp_path: Path) -> None:
    assert checks.stale(mutable, site) == []
    assert checks.stale(tmp_path / "never built", site) == []
    (mutable / "errors.html").write_text("old", "utf-8")
    (mutable / "gone.html").write_text("old", "utf-8")
    (mutable / "cli.html").unlink()
    named = [fault.split(":")[0] for fault in checks.stale(mutable, site)]
    assert named == ["site/cli.html", "site/errors.html", "site/gone.html"]


def test_two_builds_are_the_same(site: Path, tmp_path: Path) -> None:
    from pages import build

    again = tmp_path / "again"
    build.build(again)
    assert checks.stale(again, site) == []


def test_names_become_links_in_running_text_only() -> None:
    names = finish.targets(load())
    html = (
        "<p>push.answer_200, RuleError</p><pre>push.answer_200</pre><a>sync_devices</a><code>push.gone</code>"
    )
    linked = finish.link_names(html, "../", names)
    assert linked.count('href="../evidence.html#push.answer_200"') == 1
    assert linked.startswith('<p><a class="fact fact-documented"')
    assert "documented: The partner must return 200 OK." in linked
    assert '<a href="../errors.html#RuleError">RuleError</a>' in linked
    assert linked.count("<a") == 3


@pytest.mark.parametrize(
    ("page", "name", "argument"),
    [("client", "mosvpp.AsyncClient", "allow_live"), ("sandbox", "mosvpp_sandbox.Sandbox", "data_push_url")],
)
def test_what_a_class_is_made_with_stands_below_its_name(
    site: Path, page: str, name: str, argument: str
) -> None:
    html = (site / "sdk" / f"{page}.html").read_text("utf-8")
    below = html.split(f'id="{name}"', 1)[1].split("</pre>", 1)[0]
    assert argument in re.sub(r"<[^>]+>", "", below)


def test_every_field_has_its_evidence_beside_it(site: Path) -> None:
    """Each row of a table of fields holds its marks, and the entries of the ledger that they come from."""
    for page in [*site.glob("operations/*.html"), *site.glob("webhooks/*.html"), site / "types.html"]:
        for table in re.findall(r'<table class="fields">.*?</table>', page.read_text("utf-8"), re.DOTALL):
            rows = re.findall(r'<tr id="[^"]+" class="depth.*?</tr>', table, re.DOTALL)
            assert rows
            for row in rows:
                assert 'class="chip chip-' in row
                assert "evidence.html#" in row


def test_what_is_only_inferred_looks_inferred(site: Path) -> None:
    html = (site / "operations" / "submit_dispatch.html").read_text("utf-8")
    assert re.search(r'<tr id="reply\.status" class="[^"]*guess', html)
    assert re.search(r'<tr id="request\.mode" class="depth-0\s*"', html)


def test_no_page_knows_an_address_of_the_site(site: Path) -> None:
    for path in site.rglob("*"):
        if path.suffix in {".html", ".md", ".txt", ".xml", ".json"}:
            assert finish.NO_ADDRESS not in path.read_text("utf-8"), path
