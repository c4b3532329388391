"""What comes after zensical: search from a disk, links to the evidence, and no address of the site."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from .sources import Fact, Sources

# zensical's llmstxt wants the address of the site. Ours may be read from anywhere, so no page keeps one.
NO_ADDRESS = "https://site.invalid/"

_TAG = re.compile(r"(<[^>]+>)")
_FACT = re.compile(r"\b[a-z]+\.[a-z][a-z_0-9]+\b")
_NO_LINKS_IN = re.compile(r"<(a|pre|script|style|svg|h1|h2|h3|title|summary|nav|button)\b")


def finish(site: Path, sources: Sources) -> None:
    """Mend the pages of a site in place."""
    for page in site.rglob("*.html"):
        root = "../" * len(page.relative_to(site).parent.parts)
        html = page.read_text("utf-8")
        html = re.sub(rf'\s*<link rel="canonical" href="{re.escape(NO_ADDRESS)}[^"]*">', "", html)
        # From a disk, a link to a folder shows its files.
        html = re.sub(r'href="(\./\.\.(?:/\.\.)*|\.)/?"', r'href="\1/index.html"', html)
        start, article, rest = _article(html)
        page.write_text(start + link_facts(article, root, sources.facts) + rest, "utf-8")
    for name in ("sitemap.xml", "sitemap.xml.gz"):  # it would be full of addresses that lead nowhere
        (site / name).unlink(missing_ok=True)
    index = (site / "search.json").read_text("utf-8")
    # A page from a disk may not fetch, but may load a script; the theme looks for this one.
    (site / "search.js").write_text(f"var __index = {index};\n", "utf-8")


def _article(html: str) -> tuple[str, str, str]:
    start = html.find("<article")
    end = html.find("</article>")
    return (html[:start], html[start:end], html[end:]) if start >= 0 else (html, "", "")


def link_facts(html: str, root: str, facts: dict[str, Fact]) -> str:
    """Turn ids of the ledger in running text into links that say how sure they are."""
    pieces = _TAG.split(html)
    inside: list[str] = []
    for index, piece in enumerate(pieces):
        if piece.startswith("<"):
            opened = _NO_LINKS_IN.match(piece)
            if opened:
                inside.append(opened[1])
            elif inside and piece == f"</{inside[-1]}>":
                inside.pop()
        elif not inside:
            pieces[index] = _FACT.sub(lambda found: _link(found[0], root, facts), piece)
    return "".join(pieces)


def _link(text: str, root: str, facts: dict[str, Fact]) -> str:
    fact = facts.get(text)
    if fact is None:
        return text
    title = escape(f"{fact.status}: {fact.statement}", quote=True)
    return (
        f'<a class="fact fact-{fact.status}" href="{root}evidence.html#{fact.id}" title="{title}">{text}</a>'
    )
